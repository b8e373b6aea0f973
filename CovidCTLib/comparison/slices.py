"""The slice of each scan that is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.comparison.keypoints import KeypointMatches, match_slices
from CovidCTLib.errors import InputError, OptionsError, QualityError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import LOWEST_HU, READING_WINDOW, apply_window
from CovidCTLib.measures.representative import representative_slice
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan

if TYPE_CHECKING:
    from CovidCTLib.models.store import ModelStore

REPRESENTATIVE = "the representative slice (largest lung area)"
CHOSEN = "chosen by its number"
"""Why a slice is shown."""


@dataclass(frozen=True)
class ScanSlice:
    """An axial slice of a scan.

    Parameters
    ----------
    hu
        int16, shape ``(rows, columns)``, HU; the patient's right is on the left.
    pixel_mm
        Height and width of a pixel, in mm.
    index, slices
        Its number from the feet, from 0, and the number of all slices.
    reason
        Why it was chosen.
    spacing_known
        Whether ``pixel_mm`` is the true size.
    """

    hu: NDArray[np.int16]
    pixel_mm: tuple[float, float]
    index: int
    slices: int
    reason: str
    spacing_known: bool = True


@dataclass(frozen=True)
class SlicePair:
    """Two slices and what SIFT finds alike in them."""

    first: ScanSlice
    second: ScanSlice
    matches: KeypointMatches


def compare_slices(first: ScanSlice, second: ScanSlice) -> SlicePair:
    """Match two slices as they look in the window for reading lungs (-600/1500 HU).

    Raises
    ------
    InputError
        If a slice shows nothing that makes a keypoint.
    """
    one, other = (apply_window(entry.hu, READING_WINDOW) for entry in (first, second))
    return SlicePair(first, second, match_slices(one, other))


def take_slice(scan: Scan, *, lungs: NDArray[np.uint8] | None = None, index: int | None = None) -> ScanSlice:
    """Take the representative slice of a scan, or one by its number.

    Parameters
    ----------
    scan
        The CT on its own grid.
    lungs
        uint8, shape ``(z, y, x)`` in the canonical orientation, over 0 in the lungs; for the representative slice.
    index
        Number of the slice from the feet, from 0; None takes the representative one.

    Raises
    ------
    OptionsError
        If there is no slice of that number.
    QualityError
        If no slice shows lung.
    InputError
        If neither lungs nor a number are given.
    """
    grid = CanonicalGrid(scan.geometry)
    slices = grid.geometry.shape_zyx[0]
    reason = CHOSEN
    if index is None:
        if lungs is None:
            raise InputError(
                "The representative slice needs the lungs of the scan, but there are none. Give them, or the number of "
                "a slice."
            )
        index = representative_slice(np.count_nonzero(lungs, axis=(1, 2)))
        reason = REPRESENTATIVE
        if index is None:
            raise QualityError(
                "A scan with lungs was expected, but no slice of it shows any. Choose a slice by its number with "
                "--slices."
            )
    if not 0 <= index < slices:
        raise OptionsError(
            f"A slice from 0 to {slices - 1} (counted from the feet) was expected, but {index} was given. Correct it."
        )
    hu = np.ascontiguousarray(grid.take(scan.hu, LOWEST_HU)[index])
    row_mm, column_mm = grid.geometry.spacing_zyx_mm[1:]
    return ScanSlice(hu, (row_mm, column_mm), index, slices, reason, scan.facts.spacing_known)


def find_lung_mask(scan: Scan, options: Options, models: ModelStore | None = None) -> NDArray[np.uint8]:
    """Find the lungs of a scan, and nothing else, by the engine of the options.

    Parameters
    ----------
    scan
        The CT on its own grid.
    options
        Which engine, on which device.
    models
        Networks to use; None loads the shipped ones.

    Returns
    -------
    ndarray
        uint8 in the canonical orientation: 1 in the lungs.

    Raises
    ------
    QualityError
        If no lungs are in view.
    ModelError
        If weights are missing or damaged.
    """
    grid = CanonicalGrid(scan.geometry)
    hu = grid.take(scan.hu, LOWEST_HU)
    spacing = grid.geometry.spacing_zyx_mm
    if options.lungs == "contour":
        from CovidCTLib.lungs.contour import segment_lungs_by_contours

        mask, _ = segment_lungs_by_contours(hu, spacing)
    else:
        from CovidCTLib.lungs.network import segment_chest_by_network

        mask = segment_chest_by_network(hu, spacing, (models or _shipped(options)).lungs()).lungs
    return (np.asarray(mask) > 0).astype(np.uint8)


def _shipped(options: Options) -> ModelStore:
    """The networks that come with CovidCT."""
    from CovidCTLib.models.store import ModelStore

    return ModelStore(device=options.device)
