"""What is known of a labelled image, whatever kind of file it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.scan import Scan

UNKNOWN = 255
"""Value of a mask where the truth is not known."""

INFECTION = 3
"""Opacity label of an infection whose class is not known."""


@dataclass(frozen=True)
class LabelledImage:
    """A volume, or a single slice, with what is known of it.

    Parameters
    ----------
    name
        Name of the case, or of the slice in a case of single slices.
    patient
        Whose it is.
    hu
        Canonical axial HU, estimated ones in photographs, shape ``(n, y, x)``; n is 1 for a slice.
    lungs
        uint8, same shape: 1 lung, 0 none, `UNKNOWN`.
    opacities
        uint8, same shape: 0 none, 1 GGO, 2 consolidation, `INFECTION`, `UNKNOWN`.
    abnormal
        int8, shape ``(n,)``: 1, 0, or -1 where not known.
    spacing_zyx_mm
        Spacing in mm; nominal for single slices.
    scan
        The scan as it was read; None for single slices.
    effusion
        uint8, shape of `hu`: 1 pleural effusion, 0 none; None where nothing is known of it.
    """

    name: str
    patient: str
    hu: NDArray[Any]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    abnormal: NDArray[np.int8]
    spacing_zyx_mm: tuple[float, float, float]
    scan: Scan | None = None
    effusion: NDArray[np.uint8] | None = None
