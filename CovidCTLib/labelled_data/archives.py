"""Archives of single axial slices in HU with lung masks (``.npz``)."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.images import UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.layout import TrainingCase
from CovidCTLib.labelled_data.tables import one_form
from CovidCTLib.reading.plausibility import HIGHEST_AIR_HU

ARCHIVE_SPACING_MM = (1.0, 1.4, 1.4)
"""Nominal spacing of archive slices, whose true one is not known: 256 pixels across a field of view of 360 mm."""

_SLICE_ID = re.compile(r"(?P<patient>.*)(_Z_.+|_Z[+-]?\d[\d.]*)", re.DOTALL)
"""A patient and the number of a slice. The last ``_Z_`` counts, as a name may hold one, too."""


def archive_patients(case: TrainingCase) -> set[str]:
    """Say whose the slices of an archive are.

    Parameters
    ----------
    case
        A case of the kind "slice archive".

    Raises
    ------
    TrainingDataError
        As `read_archive`.
    """
    return {_patient(name) for name in _open(case)[2]}


def read_archive(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read the slices of an archive with lung masks; they say nothing about opacities.

    Parameters
    ----------
    case
        A case of the kind "slice archive".

    Raises
    ------
    TrainingDataError
        If the archive cannot be read, lacks one of its arrays, their shapes disagree, HU are not finite numbers or hold
        no air, lungs are not 0 or 1 or nowhere 1, or a slice does not say whose it is.
    """
    hu, lungs, names = _open(case)
    unknown = np.full((1, *hu.shape[1:]), UNKNOWN, np.uint8)
    nothing = np.asarray([-1], np.int8)
    for k, name in enumerate(names):
        part = slice(k, k + 1)
        yield LabelledImage(name, _patient(name), hu[part], lungs[part], unknown, nothing, ARCHIVE_SPACING_MM)


def _open(case: TrainingCase) -> tuple[NDArray[Any], NDArray[np.uint8], list[str]]:
    """Read HU, lungs and names of the slices of an archive, and check them."""
    name = case.image.name
    try:
        with np.load(case.image, allow_pickle=False) as archive:
            hu, lungs, names = archive["image_hu"], archive["lungs"], archive["slice_id"]
    except (KeyError, TypeError, IndexError) as error:
        raise TrainingDataError(
            f"{name} must hold image_hu, lungs and slice_id, but does not. Write it by numpy.savez with these names."
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingDataError(
            f"{name} must hold image_hu, lungs and slice_id, but cannot be read. Write it again by numpy.savez."
        ) from error
    if hu.ndim != 3 or hu.shape != lungs.shape or names.shape != hu.shape[:1] or hu.size == 0:
        raise TrainingDataError(
            f"{name}: image_hu and lungs must agree in a shape (n, y, x), with n names in slice_id, but are "
            f"{hu.shape}, {lungs.shape} and {names.shape}. Write it again."
        )
    if hu.dtype.kind not in "iuf" or not np.isfinite(hu).all():
        raise TrainingDataError(f"{name}: image_hu must hold finite numbers (HU), but does not. Correct the HU.")
    if hu.min() > HIGHEST_AIR_HU:
        raise TrainingDataError(
            f"{name}: image_hu must be HU with air near -1000, but its lowest value is {hu.min()}. Give HU as they "
            "were before any scaling."
        )
    if lungs.dtype.kind not in "biuf" or not np.isin(lungs, (0, 1)).all():
        values = f"{lungs.min()} to {lungs.max()}" if lungs.dtype.kind in "iuf" else f"type {lungs.dtype}"
        raise TrainingDataError(f"{name}: lungs must hold 0 and 1 (lung) only, but holds {values}. Correct the masks.")
    if not lungs.any():
        raise TrainingDataError(f"{name}: lungs must mark lung in some slice, but is empty. Leave the archive out.")
    texts = [one_form(str(text)) for text in names]
    unclear = next((text for text in texts if not _SLICE_ID.fullmatch(text)), None)
    if unclear is not None:
        # Each slice would be a patient of its own, and one person on both sides of a split.
        raise TrainingDataError(
            f"{name}: slice_id must be PATIENT_Z_NUMBER, but one is {unclear!r}. Write the patient, _Z_ (capital Z) "
            "and the number of the slice."
        )
    if not all(_patient(text) for text in texts):
        raise TrainingDataError(f"{name}: slice_id must begin with a patient, but one is empty. Name its patient.")
    return hu, lungs.astype(np.uint8), texts


def _patient(name: str) -> str:
    """Say whose a slice of an archive is; empty where it does not tell."""
    match = _SLICE_ID.fullmatch(name)
    return match["patient"] if match else ""
