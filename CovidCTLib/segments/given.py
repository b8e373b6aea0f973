"""A segmentation as it was given, and what was made of it on the grid of the CT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.segments.structures import SegmentCode


@dataclass(frozen=True)
class GivenSegment:
    """One segment.

    Parameters
    ----------
    name
        As a user reads it.
    voxels
        Gives the mask, bool, and its grid, whose shape the mask has; asked for only if the segment is measured.
    code
        Its terminology; None where it has none.
    """

    name: str
    voxels: Callable[[], tuple[NDArray[np.bool_], Geometry]]
    code: SegmentCode | None = None


@dataclass(frozen=True)
class Segmentation:
    """A segmentation of any program.

    Parameters
    ----------
    segments
        What it holds.
    given_as
        What kind it is, for people: ``"Slicer segmentation"``, ``"labelmap"``, ``"DICOM SEG"``, ``"folder of masks"``.
    notices
        What reading it found that a reader of the results must know.
    frame_of_reference
        DICOM's FrameOfReferenceUID; None where it is not told.
    """

    segments: tuple[GivenSegment, ...]
    given_as: str
    notices: tuple[Notice, ...] = ()
    frame_of_reference: str | None = None


@dataclass(frozen=True)
class GivenLabels:
    """What was given of one CT, on the CT's own grid.

    Parameters
    ----------
    lungs
        uint8: 0 background, 1 right, 2 left, `CovidCTLib.segments.structures.UNSIDED` where the side is not told; None
        where no lung was given.
    opacities
        uint8: 0 none, 1 ground-glass opacity, 2 consolidation; None where neither was given.
    effusion
        bool; None where it was not given.
    lobes
        uint8, values of `CovidCTLib.labels.LOBE_LABELS`; None where none was given.
    areas
        Regions of interest by name, bool.
    kinds_parted
        Whether ground glass and consolidation are told apart.
    left_out
        Names of segments that are not known.
    given_as
        As in `Segmentation`.
    notices
        What a reader of the results must know.
    """

    lungs: NDArray[np.uint8] | None = None
    opacities: NDArray[np.uint8] | None = None
    effusion: NDArray[np.bool_] | None = None
    lobes: NDArray[np.uint8] | None = None
    areas: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    kinds_parted: bool = True
    left_out: tuple[str, ...] = ()
    given_as: str = ""
    notices: tuple[Notice, ...] = ()
