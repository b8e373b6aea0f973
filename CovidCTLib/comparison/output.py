"""The files of a comparison: page, pictures, record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from CovidCTLib.comparison.keypoints import MOST_MATCHES
from CovidCTLib.comparison.pictures import STRIP_WINDOWS, keypoint_picture, match_picture, window_strip
from CovidCTLib.comparison.slices import ScanSlice, SlicePair
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.report.embedded import embed_image
from CovidCTLib.report.page import render_page, write_page
from CovidCTLib.writing.folder import new_output_folder
from CovidCTLib.writing.records import record_head, write_record_file

PAGE_FILE = "comparison.html"
RECORD_FILE = "comparison.json"

TITLE = "Two chest CTs beside each other"

SCHEMA_VERSION = 1
"""Raised when a field of the record changes its meaning or goes; new fields do not raise it."""


def write_comparison(pair: SlicePair, folder: str | os.PathLike[str], *, pdf: bool = False) -> tuple[Path, ...]:
    """Write a comparison into a new folder; either all of its files are there afterwards, or none.

    Parameters
    ----------
    pair
        The slices and their matches.
    folder
        A path that does not exist yet, or an empty folder.
    pdf
        Whether the page is laid out for paper, too, as ``comparison.pdf``.

    Returns
    -------
    tuple of Path
        ``comparison.html``, ``comparison.json``, ``keypoints.png``, ``matches.png``, ``windows_a.png`` and
        ``windows_b.png``.

    Raises
    ------
    OutputError
        If the folder is not empty or cannot be written to.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer.
    """
    pictures = {
        "keypoints": keypoint_picture(pair),
        "matches": match_picture(pair),
        "windows_a": window_strip(pair.first),
        "windows_b": window_strip(pair.second),
    }
    with new_output_folder(folder) as temporary:
        for name, picture in pictures.items():
            picture.save(temporary / f"{name}.png", "PNG", optimize=True)
        write_record_file(temporary / RECORD_FILE, comparison_record(pair))
        write_page(_page(pair, pictures), temporary / PAGE_FILE, pdf=pdf)
        names = sorted(file.name for file in temporary.iterdir())
    return tuple(Path(folder) / name for name in names)


def comparison_record(pair: SlicePair) -> dict[str, Any]:
    """Put a comparison, without its pictures, into plain dictionaries, lists, numbers and text."""
    matches = pair.matches
    return {
        "schema_version": SCHEMA_VERSION,
        **record_head(),
        "slices": {name: _slice(entry) for name, entry in (("a", pair.first), ("b", pair.second))},
        "keypoints": {"a": len(matches.first), "b": len(matches.second)},
        "matched": matches.matched,
        "best_matches": [
            {
                "a_row_column": [float(value) for value in matches.first[one]],
                "b_row_column": [float(value) for value in matches.second[other]],
                "l1_distance": float(distance),
            }
            for (one, other), distance in zip(matches.pairs, matches.distances, strict=True)
        ],
    }


def _slice(entry: ScanSlice) -> dict[str, Any]:
    return {
        "index_from_feet": entry.index,
        "slices": entry.slices,
        "rows_columns": list(entry.hu.shape),
        "pixel_mm": list(entry.pixel_mm) if entry.spacing_known else None,
        "reason": entry.reason,
    }


def _page(pair: SlicePair, pictures: dict[str, Image.Image]) -> str:
    """Write the comparison as HTML."""
    matches = pair.matches
    best = len(matches.pairs)
    counts = f"{len(matches.first)} keypoints in scan A, {len(matches.second)} in scan B"
    windows = ", ".join(f"{entry.name} {entry.level_hu:g}/{entry.width_hu:g} HU" for entry in STRIP_WINDOWS)
    return render_page(
        "comparison.html.j2",
        folder=Path(__file__).parent / "templates",
        title=TITLE,
        cards=[
            ("Keypoints, scan A", str(len(matches.first))),
            ("Keypoints, scan B", str(len(matches.second))),
            ("Matches", str(matches.matched)),
            ("Best matches drawn", str(best)),
        ],
        slices=[
            (f"Scan {name}", f"slice {entry.index} of {entry.slices}, counted from the feet from 0; {entry.reason}")
            for name, entry in (("A", pair.first), ("B", pair.second))
        ],
        most=MOST_MATCHES,
        window=READING_WINDOW,
        matches=embed_image(
            pictures["matches"],
            f"Slices of scan A (left) and B (right) with {best} lines between matching keypoints, of {matches.matched} "
            "matches.",
            "Best matches",
            f"{best} of {matches.matched}; colours only tell the lines apart.",
        ),
        keypoints=embed_image(
            pictures["keypoints"], f"The same slices with a dot at every keypoint: {counts}.", "Keypoints", counts
        ),
        strips=[
            embed_image(
                pictures[f"windows_{name.lower()}"],
                f"The slice of scan {name} five times, in the windows {windows} (level/width).",
                f"Scan {name}",
                windows,
            )
            for name in "AB"
        ],
    )
