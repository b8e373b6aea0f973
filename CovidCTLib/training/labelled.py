"""Labelled images of a training folder, each on its own grid: HU, masks, and what is known of each slice.

Training frames and shrinks these slices; judging compares predictions with them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from CovidCTLib.training.archives import archive_patients, read_archive
from CovidCTLib.training.images import INFECTION, UNKNOWN, LabelledImage
from CovidCTLib.training.layout import TrainingCase
from CovidCTLib.training.pictures import photograph_hu, picture_patients, read_pictures
from CovidCTLib.training.volumes import read_volume

__all__ = ["INFECTION", "UNKNOWN", "LabelledImage", "patients_of", "photograph_hu", "read_images"]


def patients_of(case: TrainingCase) -> tuple[str, ...]:
    """Say whose the images of a case are, without reading the images.

    Parameters
    ----------
    case
        A case of `CovidCTLib.training.layout.find_cases`.

    Returns
    -------
    tuple of str
        Different patients in the order of their names.

    Raises
    ------
    TrainingDataError
        If a table or an archive cannot be read or is wrong.
    """
    if case.kind == "volume":
        return (case.patient,)
    found = archive_patients(case) if case.kind == "slice archive" else picture_patients(case)
    return tuple(sorted({_owner(case, patient) for patient in found}))


def read_images(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read a case: one image a volume, one image a slice where the case holds single slices.

    Parameters
    ----------
    case
        A case of `CovidCTLib.training.layout.find_cases`.

    Yields
    ------
    LabelledImage
        On its own grid, in the canonical axial orientation.

    Raises
    ------
    TrainingDataError
        If a file cannot be read, a mask has another grid than its image or labels out of range, a mask is empty, a
        table holds wrong values, or masks, tables and names contradict each other.
    """
    if case.kind == "volume":
        yield read_volume(case)
        return
    for image in read_archive(case) if case.kind == "slice archive" else read_pictures(case):
        yield replace(image, patient=_owner(case, image.patient))


def _owner(case: TrainingCase, patient: str) -> str:
    """Give a slice whose patient is written as one of several scans the name that all of them got."""
    return dict(case.aliases).get(patient, patient)
