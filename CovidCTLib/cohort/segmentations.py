"""Segmentations of a cohort's scans: found by the scan's name, and what stands for all of them in the run's record."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.reading.volume_files import FORMATS

_ENDINGS = (".seg.nrrd", *FORMATS, ".dcm", ".zip")
"""Endings of a segmentation's file, the longest first where one ends another."""


def scan_name(path: Path) -> str:
    """Give the name of a scan without its ending: ``case_01`` of ``case_01.nii.gz`` or of the folder ``case_01``."""
    name = path.name
    ending = max((end for end in _ENDINGS if name.lower().endswith(end)), key=len, default="")
    return name[: len(name) - len(ending)] if ending else name


def segmentation_of(path: Path, folder: Path) -> Path:
    """Find the segmentation of a scan by its name.

    Parameters
    ----------
    path
        The scan.
    folder
        Holds, for each scan, a file of its name with any ending of a segmentation, or a folder of its name with masks
        or DICOM files.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    name = scan_name(path)
    candidates = [folder / f"{name}{ending}" for ending in _ENDINGS]
    there = [candidate for candidate in candidates if candidate.is_file()]
    there += [folder / name] if (folder / name).is_dir() else []
    if len(there) != 1:
        raise InputError(
            "A segmentation of the scan's name was expected in the folder of segmentations, but there "
            f"{'is none' if not there else f'are {len(there)}'}. Name it as the scan, as a file "
            f"({', '.join(_ENDINGS)}) or a folder of masks."
        )
    return there[0]


def digest_of(folder: Path) -> str:
    """Make one word of the names, sizes and times of all files, so that a run does not mix old and new segmentations.

    Raises
    ------
    OptionsError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise OptionsError("A folder of segmentations was expected, but there is none of that name. Correct the path.")
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent) / name
            status = path.stat()
            digest.update(f"{path.relative_to(folder).as_posix()}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
