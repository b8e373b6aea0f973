"""What was done with each picture, as plain data for JSON and as a table for CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from CovidCTLib import __version__
from CovidCTLib.hu import AIR_HU, FAT_HU
from CovidCTLib.photos.references import References
from CovidCTLib.photos.stack import PhotoStack
from CovidCTLib.photos.volume import PhotoVolume, SliceRecord

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes."""

COLUMNS = ("file", "name", "slice", "air", "fat", "method", "air_sd_hu", "fat_sd_hu", "doubts", "notes", "left_out")
"""Columns of the table: one line a file of the folder that was looked at."""


def photo_record(stack: PhotoStack, volume: PhotoVolume, *, names: bool = False) -> dict[str, Any]:
    """Put everything but the voxels into plain dictionaries, lists, numbers and text.

    Parameters
    ----------
    stack, volume
        The grey slices, and what became of them.
    names
        Whether files are named; their names may hold patients' names, so numbers stand for them otherwise.

    Returns
    -------
    dict
        Files are counted from 1 in the folder's natural order, slices from 0 at the feet.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "made_by": f"CovidCT {__version__}",
        "formula": f"hu = (value - air) * {FAT_HU - AIR_HU} / (fat - air) - {-AIR_HU}",
        "spacing_xyz_mm": list(volume.geometry.spacing_xyz_mm) if volume.spacing_known else None,
        "slices": len(volume.hu),
        "doubtful": volume.doubtful,
        "pictures": [_picture(record, names) for record in volume.records],
        "skipped": [
            {
                "file": entry.number,
                **({"name": entry.name} if names else {}),
                "reason": entry.reason,
            }
            for entry in stack.skipped
        ],
        "notices": [notice.text for notice in volume.notices],
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the record as JSON in ASCII.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="ascii", newline="\n")


def write_table(path: Path, record: dict[str, Any]) -> None:
    """Write one line a picture and a skipped file, by their number.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    rows = [*record["pictures"], *({**entry, "left_out": entry["reason"]} for entry in record["skipped"])]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(rows, key=lambda entry: entry["file"]):
            writer.writerow([_cell(row.get(column)) for column in COLUMNS])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(value)
    # A name with a line end would break tools that read line by line.
    return " ".join(str(value).split())


def _picture(record: SliceRecord, names: bool) -> dict[str, Any]:
    source, references = record.source, record.references
    return {
        "file": source.number,
        **({"name": source.name} if names else {}),
        "size": list(source.size),
        "bits": source.bits,
        "notes": list(source.notes),
        "slice": record.slice_index,
        "left_out": record.reason,
        **({} if references is None else _references(references)),
    }


def _references(references: References) -> dict[str, Any]:
    def short(value: float | None) -> float | None:
        return None if value is None else round(value, 2)

    return {
        "air": short(references.air),
        "fat": short(references.fat),
        "method": references.method,
        "doubts": list(references.doubts),
        "air_sd_hu": short(references.air_sd_hu),
        "fat_sd_hu": short(references.fat_sd_hu),
        "cues": {name: short(value) for name, value in (references.cues or {}).items()},
    }
