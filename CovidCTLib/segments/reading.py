"""One call that reads a segmentation from whatever path the user has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from CovidCTLib.errors import InputError
from CovidCTLib.reading.archive import is_archive, unpacked
from CovidCTLib.reading.dicom_files import is_dicom_file
from CovidCTLib.reading.integrity import check_complete
from CovidCTLib.reading.volume_files import FORMATS, format_of
from CovidCTLib.segments.dicom_seg import find_segmentations, is_dicom_segmentation, read_dicom_segmentations
from CovidCTLib.segments.given import Segmentation
from CovidCTLib.segments.mapping import OWN_LABELS
from CovidCTLib.segments.volume_labels import (
    is_own_labelmap,
    is_slicer_segmentation,
    read_labelmap,
    read_mask_folder,
    read_slicer_segmentation,
)

_SURFACES = (".vtm", ".vtk", ".vtp", ".stl", ".obj", ".ply")


def read_segmentation(path: str | os.PathLike[str], labels: Mapping[str, int] | None = None) -> Segmentation:
    """Read a segmentation of any program.

    Parameters
    ----------
    path
        ``.seg.nrrd`` of Slicer; a labelmap (NIfTI, NRRD, MetaImage); a DICOM SEG, or a folder or ZIP archive that
        holds some; or a folder of one mask a structure.
    labels
        Which label of a labelmap is what, by name. A labelmap that CovidCT wrote needs none.

    Returns
    -------
    Segmentation
        As it was stored; `CovidCTLib.segments.laying.lay_on` recognizes its segments and brings them to a CT.

    Raises
    ------
    InputError
        If there is nothing at the path, it is of another type, damaged, fractional or a surface, or a labelmap comes
        without labels.
    """
    place = Path(path)
    try:
        there = place.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        raise InputError("A segmentation was expected, but there is no file or folder of that name. Check the path.")
    if place.is_dir():
        found = find_segmentations(place)
        return read_dicom_segmentations(found) if found else read_mask_folder(place)
    if format_of(place) is not None:
        return _from_volume(place, labels)
    if is_archive(place):
        with unpacked(place) as inside:
            found = find_segmentations(inside)
            if not found:
                raise InputError("A DICOM SEG was expected in the archive, but it holds none. Give the segmentation.")
            return read_dicom_segmentations(found)
    if is_dicom_file(place) and is_dicom_segmentation(place):
        return read_dicom_segmentations([place])
    if place.name.lower().endswith(_SURFACES):
        raise InputError(
            "A segmentation of voxels was expected, but this file holds surfaces. Make a binary labelmap of them "
            "(Slicer: module Segmentations), and give that."
        )
    raise InputError(
        f"A segmentation was expected: .seg.nrrd, a labelmap ({', '.join(FORMATS)}), a DICOM SEG or a folder of masks, "
        "but this file is of another type. Export it as one of these."
    )


def _from_volume(place: Path, labels: Mapping[str, int] | None) -> Segmentation:
    # First of all: ITK opens some damaged headers in ways that hurt.
    check_complete(place)
    if labels:
        return read_labelmap(place, labels)
    if is_slicer_segmentation(place):
        return read_slicer_segmentation(place)
    if is_own_labelmap(place):
        return read_labelmap(place, OWN_LABELS)
    raise InputError(
        "A labelmap holds numbers only, and nothing says what they are. Say which label is which structure, or give "
        "the segmentation with names (.seg.nrrd).",
        hint="With --labels right_lung=1 left_lung=2 ..., or --color-table FILE.",
    )
