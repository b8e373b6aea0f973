"""The representative slice of a scan, as a picture for people and as arrays for a classifier."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.cohort.rows import PICTURE_FILE
from CovidCTLib.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

ARRAYS_FILE = "representative.npz"
"""Name of the arrays in a scan's folder; the picture beside them is `CovidCTLib.cohort.rows.PICTURE_FILE`."""

PICTURE_PX = (400, 330)
"""Largest width and height of the picture, in pixels: that of a tile in the report's montage."""

MARGIN_MM = 12.0
"""What is kept around the lungs, in mm, as in the report's pictures."""

VESSEL_COLOUR = (230, 159, 0)
"""Orange of Okabe and Ito's colour-blind safe set; the opacities' own colours differ from it."""

_VESSEL_ALPHA = 0.7
_USUAL_PIXEL_MM = 0.8


@dataclass(frozen=True)
class RepresentativeSlice:
    """One axial slice with what was found in it; all arrays have shape ``(y, x)``.

    Parameters
    ----------
    index
        Counted from the feet, from 0.
    hu
        int16, HU.
    lungs
        uint8: 0 background, 1 right, 2 left.
    opacities
        uint8, labels as in `CovidCTLib.analysis.AxialArrays`; None where nobody looked for them.
    vessels
        bool: vessels (or lesions) inside the lungs.
    pixel_mm
        Height and width of a pixel, in mm.
    spacing_known
        Whether that is its true size.
    """

    index: int
    hu: NDArray[np.int16]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8] | None
    vessels: NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    spacing_known: bool = True


def representative_picture(shown: RepresentativeSlice) -> Image.Image:
    """Paint a representative slice around its lungs: outlines of the lungs, and the opacities or else the vessels.

    Parameters
    ----------
    shown
        The slice.

    Returns
    -------
    Image
        RGB, at most `PICTURE_PX`, in the reading window, with side letters and a scale bar; no patient data.
    """
    from PIL import Image

    from CovidCTLib.report.canvas import paint
    from CovidCTLib.report.planes import Plane

    box = _lung_box(shown)
    hu = shown.hu[box]
    nothing = np.zeros(hu.shape, np.uint8)
    opacities = nothing if shown.opacities is None else shown.opacities[box]
    plane = Plane(
        hu, shown.lungs[box], opacities, nothing.astype(np.float32), shown.pixel_mm, ("R", "L"), shown.spacing_known
    )
    picture = paint(plane, "findings", *PICTURE_PX)
    if shown.opacities is not None:
        return picture
    weight = Image.fromarray(shown.vessels[box] * np.uint8(round(255 * _VESSEL_ALPHA)))
    return Image.composite(
        Image.new("RGB", picture.size, VESSEL_COLOUR), picture, weight.resize(picture.size, Image.Resampling.BILINEAR)
    )


def write_representative(shown: RepresentativeSlice, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a representative slice's picture and arrays into a scan's folder.

    Parameters
    ----------
    shown
        The slice.
    folder
        An existing folder, usually the temporary one that becomes the scan's.

    Returns
    -------
    tuple of Path
        `PICTURE_FILE` and `ARRAYS_FILE`. The arrays are cut to the lungs with a margin; no patient data.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    picture, arrays = Path(folder) / PICTURE_FILE, Path(folder) / ARRAYS_FILE
    representative_picture(shown).save(picture, "PNG")
    box = _lung_box(shown)
    np.savez_compressed(
        arrays, hu=shown.hu[box], lungs=shown.lungs[box], pixel_mm=np.array(shown.pixel_mm), index=np.array(shown.index)
    )
    return picture, arrays


def read_representative(folder: str | os.PathLike[str]) -> RepresentativeSlice:
    """Read the arrays of a representative slice from a scan's folder.

    Parameters
    ----------
    folder
        A scan's folder.

    Returns
    -------
    RepresentativeSlice
        Cut to the lungs; without opacities and vessels.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    try:
        with np.load(Path(folder) / ARRAYS_FILE, allow_pickle=False) as file:
            hu, lungs = file["hu"], file["lungs"]
            height, width = (float(v) for v in file["pixel_mm"])
            index = int(file["index"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The representative slice {ARRAYS_FILE} of a scan was expected in its folder, but it is missing or "
            "damaged. Analyze the scan again."
        ) from error
    if hu.ndim != 2 or hu.shape != lungs.shape or hu.dtype != np.int16 or not lungs.any():
        raise InputError(
            f"A slice of int16 HU with lungs of the same shape was expected in {ARRAYS_FILE}, but it holds "
            f"{hu.dtype} of shape {hu.shape} and lungs of shape {lungs.shape}. Analyze the scan again."
        )
    return RepresentativeSlice(index, hu, lungs.astype(np.uint8), None, np.zeros(hu.shape, bool), (height, width))


def _lung_box(shown: RepresentativeSlice) -> tuple[slice, slice]:
    """Rows and columns of the lungs with a margin; the whole slice where there is no lung."""
    pixel_mm = shown.pixel_mm if shown.spacing_known else (_USUAL_PIXEL_MM, _USUAL_PIXEL_MM)
    ranges = []
    for axis, size_mm in enumerate(pixel_mm):
        filled = np.flatnonzero((shown.lungs > 0).any(axis=1 - axis))
        if filled.size == 0:
            return slice(0, shown.hu.shape[0]), slice(0, shown.hu.shape[1])
        margin = int(np.ceil(MARGIN_MM / size_mm))
        ranges.append(slice(max(0, int(filled[0]) - margin), int(filled[-1]) + 1 + margin))
    return ranges[0], ranges[1]
