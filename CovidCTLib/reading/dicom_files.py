"""The files of a DICOM folder, and what its DICOMDIR says should be there."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pydicom

from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.quiet import quiet_pydicom

DIRECTORY_NAME = "DICOMDIR"
"""Name of the index of a DICOM medium, always in capitals (DICOM PS3.10, 8.6)."""

MAX_DIRECTORY_BYTES = 64 << 20
"""A larger DICOMDIR is not read; one of 100,000 images has about 40 MiB."""

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")

FIRST_BYTES = _PREAMBLE_BYTES + len(_MAGIC)
"""So many first bytes tell whether a file claims to be DICOM."""


def looks_like_dicom(name: str, start: bytes) -> bool:
    """Tell by its first bytes (or, if they do not, its name) whether a file claims to be DICOM.

    Parameters
    ----------
    name
        Name of the file.
    start
        Its first `FIRST_BYTES` bytes, or all if it has fewer.

    Notes
    -----
    Files without preamble begin with an element of group 0002 or 0008 (DICOM PS3.10 demands the preamble, old
    archives lack it).
    """
    if start[_PREAMBLE_BYTES:] == _MAGIC:
        return True
    if start[:2] in _FIRST_GROUPS and start[3:4] == b"\x00" and len(start) > _PREAMBLE_BYTES:
        return True
    return name.lower().endswith(_DICOM_SUFFIXES)


def is_dicom_file(path: Path) -> bool:
    """Tell whether a regular file claims to be DICOM; one that cannot be opened is judged by its name."""
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
    except OSError:
        start = b""
    return looks_like_dicom(path.name, start)


def find_dicom_files(folder: Path, *, nested: bool = True) -> Iterator[Path]:
    """Yield the files of a folder that look like DICOM, in the order of their names.

    Parameters
    ----------
    folder
        Where to look. Links to folders, and links to files outside the folder, are not followed; pipes and devices
        are not opened.
    nested
        Whether to look into subfolders.
    """
    for path in _regular_files(folder, nested=nested):
        if is_dicom_file(path):
            yield path


def count_links_out(folder: Path) -> int:
    """Count the links in a folder that `find_dicom_files` does not follow."""
    root = folder.resolve()
    return sum(
        path.is_symlink() and (path.is_dir() or not _stays_inside(path, root))
        for parent, folders, names in os.walk(folder)
        for path in (Path(parent, name) for name in (*folders, *names))
    )


def _regular_files(folder: Path, *, nested: bool) -> Iterator[Path]:
    root = folder.resolve()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        if not nested:
            folders.clear()
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            if not path.is_symlink() or _stays_inside(path, root):
                yield path


def _stays_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        # A link to itself; RuntimeError before Python 3.13.
        return False


def read_directory(path: Path) -> Mapping[str, frozenset[str]]:
    """Read which images a DICOMDIR lists.

    Parameters
    ----------
    path
        The DICOMDIR.

    Returns
    -------
    mapping
        SOPInstanceUIDs by SeriesInstanceUID; empty if the file is damaged or larger than `MAX_DIRECTORY_BYTES`: the
        folder can be read without it.

    Notes
    -----
    The records of a series are taken to follow it in the file (DICOM PS3.3, F.2.2 links them by offsets, but writers
    store them in this order).
    """
    listed: dict[str, set[str]] = defaultdict(set)
    try:
        if path.stat().st_size > MAX_DIRECTORY_BYTES:
            return {}
        with quiet_pydicom():
            series = ""
            for record in pydicom.dcmread(path, specific_tags=["DirectoryRecordSequence"]).DirectoryRecordSequence:
                kind = record.get("DirectoryRecordType")
                if kind == "SERIES":
                    series = str(record.get("SeriesInstanceUID", ""))
                elif kind == "IMAGE" and series:
                    listed[series].add(str(record.get("ReferencedSOPInstanceUIDInFile", "")))
    except READ_FAILURES:
        return {}
    return {series: frozenset(instances - {""}) for series, instances in listed.items()}
