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
from CovidCTLib.segments.mapping import COVIDCT_LABELS
from CovidCTLib.segments.volume_labels import (
    is_covidct_labelmap,
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
    given_path = Path(path)
    try:
        there = given_path.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        raise InputError("A segmentation was expected, but there is no file or folder of that name. Check the path.")
    if given_path.is_dir():
        files = find_segmentations(given_path)
        return read_dicom_segmentations(files) if files else read_mask_folder(given_path)
    if format_of(given_path) is not None:
        return _from_volume(given_path, labels)
    if is_archive(given_path):
        with unpacked(given_path) as inside:
            files = find_segmentations(inside)
            if not files:
                raise InputError("A DICOM SEG was expected in the archive, but it holds none. Give the segmentation.")
            return read_dicom_segmentations(files)
    if is_dicom_file(given_path) and is_dicom_segmentation(given_path):
        return read_dicom_segmentations([given_path])
    if given_path.name.lower().endswith(_SURFACES):
        raise InputError(
            "A segmentation of voxels was expected, but this file holds surfaces. Make a binary labelmap of them "
            "(Slicer: module Segmentations), and give that."
        )
    raise InputError(
        f"A segmentation was expected: .seg.nrrd, a labelmap ({', '.join(FORMATS)}), a DICOM SEG or a folder of masks, "
        "but this file is of another type. Export it as one of these."
    )


def _from_volume(path: Path, labels: Mapping[str, int] | None) -> Segmentation:
    # First of all: ITK opens some damaged headers in ways that hurt.
    check_complete(path)
    if labels:
        return read_labelmap(path, labels)
    if is_slicer_segmentation(path):
        return read_slicer_segmentation(path)
    if is_covidct_labelmap(path):
        return read_labelmap(path, COVIDCT_LABELS)
    raise InputError(
        "A labelmap holds numbers only, and nothing says what they are. Say which label is which structure, or give "
        "the segmentation with names (.seg.nrrd).",
        hint="With --labels right_lung=1 left_lung=2 ..., or --color-table FILE.",
    )
