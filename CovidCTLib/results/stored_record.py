"""The record of a result folder, ``analysis.json``: found, read back, and checked before anything is made of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from CovidCTLib.errors import InputError
from CovidCTLib.results.names import LABELMAP_FILE, LOCALIZATION_FILE, RECORD_FILE, SEGMENTATION_FILE
from CovidCTLib.results.record import SCHEMA_VERSION
from CovidCTLib.writing.folder import TEMPORARY_PREFIX

MADE_BY = "CovidCT "
"""How the record's field ``made_by`` begins."""

LARGEST_RECORD_BYTES = 64 << 20
"""A record of 10,000 slices takes about 4 MB; what is larger is none."""


def is_result_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a folder of ``covidct analyze``, finished or not, by the names of its files."""
    try:
        folder = Path(path)
        unfinished = (folder / SEGMENTATION_FILE).is_file() and (folder / LOCALIZATION_FILE).is_file()
        return unfinished or (folder / RECORD_FILE).is_file()
    except (OSError, ValueError):
        return False


def read_stored_record(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``analysis.json`` of a result folder and check that this version of CovidCT understands it.

    Parameters
    ----------
    folder
        A folder that ``covidct analyze`` wrote.

    Returns
    -------
    dict
        As `CovidCTLib.results.record.analysis_record` makes it.

    Raises
    ------
    InputError
        If there is no such folder, it is half-written or of another program, the record is damaged, or a newer version
        of CovidCT wrote it.
    """
    folder_path = Path(folder)
    try:
        file = folder_path / RECORD_FILE
        if not file.is_file():
            raise _no_record(folder_path)
        if file.stat().st_size > LARGEST_RECORD_BYTES:
            raise _no_json()
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"A result folder that can be read was expected, but the system refuses {RECORD_FILE}. Check its "
            "permissions."
        ) from error
    return parsed_record(content)


def parsed_record(content: bytes | str) -> dict[str, Any]:
    """Read the text of ``analysis.json`` and check that this version of CovidCT understands it.

    Parameters
    ----------
    content
        JSON; bytes are UTF-8.

    Returns
    -------
    dict
        As `CovidCTLib.results.record.analysis_record` makes it.

    Raises
    ------
    InputError
        If it is no JSON, of another program, or of a newer version of CovidCT.
    """
    try:
        record = json.loads(content.decode("utf-8") if isinstance(content, bytes) else content)
    except (ValueError, RecursionError) as error:
        raise _no_json() from error
    if not isinstance(record, dict) or not str(record.get("made_by", "")).startswith(MADE_BY):
        raise InputError(
            f"The record of an analysis was expected, but the folder's {RECORD_FILE} is of another program. Give "
            "the folder that the results were written to."
        )
    version = record.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise damaged_record("schema_version")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"Results of format {SCHEMA_VERSION} or older were expected, but these have format {version}: a newer "
            "CovidCT wrote them. Update CovidCT, or analyze the CT again with this one."
        )
    return record


def damaged_record(field: str) -> InputError:
    """Give the error of a record whose field is missing or cannot be used.

    Parameters
    ----------
    field
        Its name, never its value, which may be a patient's.

    Returns
    -------
    InputError
        To be raised.
    """
    return InputError(
        f"A complete {RECORD_FILE} was expected, but {field!r} is missing or cannot be used: it was changed or "
        "damaged. Analyze the CT again."
    )


def _no_record(folder: Path) -> InputError:
    """Say what a place without a record is instead."""
    if not folder.is_dir():
        return InputError("A folder of results was expected, but there is no folder of that name. Check the path.")
    names = {entry.name for entry in folder.iterdir()}
    written = {SEGMENTATION_FILE, LABELMAP_FILE, LOCALIZATION_FILE} & names
    if folder.name.startswith(TEMPORARY_PREFIX) or written or any(name.startswith(TEMPORARY_PREFIX) for name in names):
        return InputError(
            f"A finished result folder was expected, but this one has no {RECORD_FILE}: its writing was cut short, or "
            "files were removed. Analyze the CT again."
        )
    return InputError(
        f"A folder of results was expected, but this folder holds no {RECORD_FILE}. Give the folder "
        "that the results were written to."
    )


def _no_json() -> InputError:
    return InputError(
        f"The record of an analysis was expected, but the folder's {RECORD_FILE} is damaged or no JSON. Analyze "
        "the CT again."
    )
