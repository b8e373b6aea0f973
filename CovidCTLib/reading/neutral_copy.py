"""Copies of volume files whose headers ITK opens, where it would refuse a whole file for its header or its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from CovidCTLib.reading.gzip_layers import count_gzip_layers
from CovidCTLib.reading.integrity import read_fields

_CHUNK = 1 << 22
_NRRD_GRID = ("space", "space directions", "space origin", "spacings", "space dimension", "measurement frame",
              "axis mins", "axis maxs", "axismins", "axismaxs", "space units", "units", "kinds", "centers",
              "centerings")  # fmt: skip
_META_GRID = ("elementspacing", "elementsize", "transformmatrix", "rotation", "orientation", "offset", "position",
              "origin", "centerofrotation", "anatomicalorientation")  # fmt: skip


def has_other_name(path: Path) -> bool:
    """Tell whether a NIfTI file is compressed in another way than its name says."""
    return count_gzip_layers(path) != int(path.name.lower().endswith(".gz"))


@contextmanager
def neutral_text_header(path: Path, folder: Path) -> Iterator[Path]:
    """Write a copy of a NRRD or MetaImage file whose header says nothing of the grid, and remove it afterwards.

    Parameters
    ----------
    path
        A whole file.
    folder
        Where the copy is written; data in a file of their own are named by their full path.

    Yields
    ------
    Path
        The copy, of the same type.
    """
    nrrd = path.name.lower().endswith((".nrrd", ".nhdr"))
    separator, last = (":", "") if nrrd else ("=", "elementdatafile")
    _, offset = read_fields(path, separator, last)
    copy = folder / f"copy{path.suffix.lower()}"
    with path.open("rb") as source, copy.open("wb") as target:
        for line in source.read(offset).splitlines(keepends=True):
            key, _, value = line.decode("latin-1").partition(separator)
            key = key.strip().lower()
            if key in (_NRRD_GRID if nrrd else _META_GRID):
                continue
            if key in ("data file", "datafile", "elementdatafile") and value.strip().upper() != "LOCAL":
                named = (path.parent / value.strip()).resolve()
                line = f"{key if nrrd else 'ElementDataFile'}{separator} {named}\n".encode()
            target.write(line)
        while chunk := source.read(_CHUNK):
            target.write(chunk)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)
