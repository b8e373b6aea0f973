"""JSON records of what was found, as every folder of results holds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from CovidCTLib import __version__


def record_head() -> dict[str, Any]:
    """Give the first fields of every record: what made it, and what it is not for."""
    return {"made_by": f"CovidCT {__version__}", "intended_use": "Research software, not a medical device."}


def record_text(record: Mapping[str, Any]) -> str:
    """Give a record as indented JSON (RFC 8259), with a line end at the end.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot say.
    """
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_record_file(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as UTF-8, with the same line ends on every system.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        As `record_text`.
    """
    path.write_text(record_text(record), encoding="utf-8", newline="\n")
