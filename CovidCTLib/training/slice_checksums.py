"""Checksums of slices: they tell that two patients of different names are one, and that a network saw a slice before.

Names do not: a CT that was exported once more, perhaps in another format, comes under another name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.models.card import count_of

_HIGHEST_HU = 3071
"""Programs write metal beyond it, and padding below air, each in its own way; all else is the same in all of them."""

_DIGITS = 12
"""Hexadecimal digits of a checksum: among a million slices two have the same by chance once in five hundred times."""


class NamedSlices(Protocol):
    """Slices of which each has a checksum, a patient and a case; arrays of texts, shape ``(n,)``."""

    @property
    def checksum(self) -> NDArray[Any]:
        """As by `slice_checksums`."""

    @property
    def patient(self) -> NDArray[Any]:
        """Name of the patient."""

    @property
    def case(self) -> NDArray[Any]:
        """Name of the case."""


def slice_checksums(hu: NDArray[Any]) -> list[str]:
    """Make a checksum of each slice from its HU.

    Parameters
    ----------
    hu
        Canonical axial slices, finite HU, shape ``(n, y, x)``. They need not be whole numbers.

    Returns
    -------
    list of str
        n texts of 12 hexadecimal digits. The same slice has the same one from whatever format it was read, as long as
        its pixels were not computed anew. A slice of one value, such as one that holds only air, has the empty text.
    """
    return [_checksum(plane) for plane in hu]


def _checksum(plane: NDArray[Any]) -> str:
    """Make the checksum of one slice ``(y, x)``."""
    whole = np.clip(np.rint(plane), LOWEST_HU, _HIGHEST_HU).astype("<i2")
    if whole.min() == whole.max():
        return ""
    return hashlib.sha256(str(whole.shape).encode() + whole.tobytes()).hexdigest()[:_DIGITS]


def known_checksums(checksums: Iterable[str]) -> set[str]:
    """Take the checksums that tell slices apart: all but the empty ones of blank slices."""
    return {checksum for checksum in map(str, checksums) if checksum}


def check_patients_differ(slices: NamedSlices) -> None:
    """Refuse two patients who share a slice: one of them could judge what the other taught.

    Parameters
    ----------
    slices
        All slices of a training folder.

    Raises
    ------
    TrainingDataError
        If the same slice stands under two patients; says under which cases, how many, and what to do.
    """
    owners: dict[str, tuple[str, str]] = {}
    shared: dict[tuple[tuple[str, str], tuple[str, str]], int] = {}
    for checksum, patient, case in zip(slices.checksum, slices.patient, slices.case, strict=True):
        owner = (str(patient), str(case))
        first = owners.setdefault(str(checksum), owner)
        if checksum and first[0] != owner[0]:
            shared[first, owner] = shared.get((first, owner), 0) + 1
    if not shared:
        return
    ((first, second), count) = max(shared.items(), key=lambda item: item[1])
    one, other = (patient if patient == case else f"{patient} ({case})" for patient, case in (first, second))
    raise TrainingDataError(
        f"Patients {one} and {other} must be two, but share {count_of(count, 'slices')}, pixel by pixel, so they are "
        "one patient under two names. Take one of them out, or say that they are the same: CTs by --same-patient A=B, "
        "pictures by the column patient of their table."
    )
