"""Which entries of a folder are CTs, and what their results are called."""

from __future__ import annotations

import os
import re
from pathlib import Path

from CovidCTLib.errors import InputError, OutputError

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")
"""Files that are one CT each; every subfolder is one too."""

CASE_FOLDER = re.compile(r"case_(\d{4,9})")
"""Name of the results of a case: its number alone, for the name of its file may be a patient's."""

TABLE_FILE = "cases.csv"
"""Name of the table in the output folder, which says which file became which folder of results. It holds names of
files, which may be those of patients."""

_VALUES = {".mhd": (".raw", ".zraw", ".raw.gz"), ".nhdr": (".raw", ".raw.gz")}
"""Endings of volume headers, and those of the files of the same name that hold the values."""


def cases_of_folder(folder: str | os.PathLike[str]) -> list[Path]:
    """List the CTs of a folder: its volume files, archives and subfolders, in the order of their names.

    Parameters
    ----------
    folder
        Its hidden entries are passed over.

    Raises
    ------
    InputError
        If it is no folder, cannot be read, or holds nothing that may be a CT.
    """
    root = Path(folder)
    try:
        entries = sorted(root.iterdir()) if root.is_dir() else None
    except OSError as error:
        raise InputError(
            f"A folder with CTs that can be read was expected, but the system refuses ({error.strerror}). Check its "
            "permissions."
        ) from error
    if entries is None:
        raise InputError("A folder with CTs was expected, but there is none at this path. Choose an existing folder.")
    return _some(
        [
            entry
            for entry in entries
            if not entry.name.startswith(".") and (entry.is_dir() or entry.name.lower().endswith(VOLUME_SUFFIXES))
        ]
    )


def cases_beside(folder: str | os.PathLike[str], output: str | os.PathLike[str]) -> list[Path]:
    """List the CTs of a folder as `cases_of_folder`, without the subfolder that the results lie in.

    Parameters
    ----------
    folder, output
        Folder with CTs, and folder for the results.

    Raises
    ------
    InputError
        As `cases_of_folder`.
    OutputError
        If both are the same folder.
    """
    cases = cases_of_folder(folder)
    out = Path(os.path.realpath(output))
    if out == Path(os.path.realpath(folder)):
        raise OutputError(
            "The results need a folder of their own, but it is the folder with the CTs. Choose another folder."
        )
    return _some([case for case in cases if not out.is_relative_to(os.path.realpath(case))])


def case_folder_name(number: int) -> str:
    """Name the results of a case by its number from 1, as `CASE_FOLDER` reads it."""
    return f"case_{number:04d}"


def highest_case_number(output: Path) -> int:
    """Find the highest number that a folder of results has in a folder, 0 where there is none."""
    if not output.is_dir():
        return 0
    matches = (CASE_FOLDER.fullmatch(entry.name) for entry in output.iterdir())
    return max((int(match.group(1)) for match in matches if match), default=0)


def content_of_case(case: Path) -> str:
    """Hash what a CT consists of, so that another CT of the same name is not taken for it.

    Parameters
    ----------
    case
        As `cases_of_folder` gives it.

    Returns
    -------
    str
        SHA-256 of the file (of a volume with a header of its own, of both files) or of the folder's files, 64
        hexadecimal digits; empty where it cannot be read, which reading the CT then explains.
    """
    # Needs nothing that is slow to load, but is of no use to whoever only lists the cases.
    from hashlib import sha256

    from CovidCTLib.cohort.storage import content_hash

    endings = next((values for header, values in _VALUES.items() if case.name.lower().endswith(header)), ())
    values = [case.with_suffix(ending) for ending in endings if case.with_suffix(ending).is_file()]
    try:
        hashes = [content_hash(str(file)) for file in (case, *values)]
    except (InputError, OSError):
        return ""
    return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode()).hexdigest()


def _some(cases: list[Path]) -> list[Path]:
    """Refuse an empty list."""
    if not cases:
        raise InputError(
            f"A folder with CTs was expected ({', '.join(VOLUME_SUFFIXES)} files or DICOM folders), but this one holds "
            "none. Choose the folder that holds the CTs themselves."
        )
    return cases
