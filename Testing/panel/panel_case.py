"""The CT of the panel's tests, and its analysis made by hand, with a finding for each slice."""

from __future__ import annotations

from dataclasses import replace

from scene_analysis import made_analysis

from CovidCTLib.geometry import Geometry

GEOMETRY = Geometry((9, 20, 24), (1.5, 1.25, 4.0))

_MADE = made_analysis(GEOMETRY)

ANALYSIS = replace(
    _MADE,
    slices=tuple(
        replace(_MADE.slices[1], index=index, position_mm=4.0 * index, representative=index == 4) for index in range(9)
    ),
)
