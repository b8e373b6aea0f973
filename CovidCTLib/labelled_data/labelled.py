"""Labelled images of a training folder, each on its own grid: HU, masks, and what is known of each slice.

Training frames and shrinks these slices; judging compares predictions with them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from CovidCTLib.labelled_data.archives import archive_patients, read_archive
from CovidCTLib.labelled_data.images import INFECTION, UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.layout import TrainingCase
from CovidCTLib.labelled_data.pictures import photograph_hu, picture_patients, picture_readers
from CovidCTLib.labelled_data.volumes import read_volume

__all__ = ["INFECTION", "UNKNOWN", "LabelledImage", "image_readers", "patients_of", "photograph_hu", "read_images"]


def patients_of(case: TrainingCase) -> tuple[str, ...]:
    """Say whose the images of a case are, without reading the images.

    Parameters
    ----------
    case
        A case of `CovidCTLib.labelled_data.layout.find_cases`.

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
    patients = archive_patients(case) if case.kind == "slice archive" else picture_patients(case)
    return tuple(sorted({_owner(case, patient) for patient in patients}))


def read_images(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read a case: one image a volume, one image a slice where the case holds single slices.

    Parameters
    ----------
    case
        A case of `CovidCTLib.labelled_data.layout.find_cases`.

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
    for _, read in image_readers(case):
        yield read()


def image_readers(case: TrainingCase) -> Iterator[tuple[str, Callable[[], LabelledImage]]]:
    """Say how each image of a case is read, so that one that cannot be does not keep the others from it.

    Parameters
    ----------
    case
        A case of `CovidCTLib.labelled_data.layout.find_cases`.

    Yields
    ------
    name, read
        Name of the picture, empty for volumes and archives, and what gives the image; it raises as `read_images` does.

    Raises
    ------
    TrainingDataError
        If the table of a case of pictures, or an archive, cannot be read or is wrong.
    """
    if case.kind == "volume":
        yield "", partial(read_volume, case)
    elif case.kind == "slice archive":
        for image in read_archive(case):
            yield "", partial(_owned, case, image)
    else:
        for name, read in picture_readers(case):
            yield name, partial(_read_owned, case, read)


def _read_owned(case: TrainingCase, read: Callable[[], LabelledImage]) -> LabelledImage:
    """Read a slice, with its patient as `_owned` does."""
    return _owned(case, read())


def _owned(case: TrainingCase, image: LabelledImage) -> LabelledImage:
    """Give a slice the patient that all scans of the patient got."""
    return replace(image, patient=_owner(case, image.patient))


def _owner(case: TrainingCase, patient: str) -> str:
    """Give a slice whose patient is written as one of several scans the name that all of them got."""
    return dict(case.aliases).get(patient, patient)
