"""Which label of a labelmap is what: from words such as ``lung_right=1``, or a colour table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.labels import LABELS
from CovidCTLib.segments.structures import STRUCTURES, is_area, structure_of

COVIDCT_LABELS: Mapping[str, int] = {label.segment_id: label.value for label in LABELS}
"""The labels that CovidCT writes itself."""

LARGEST_TABLE_BYTES = 1 << 20
"""A colour table of 10,000 entries takes half of it."""

_SNAP_LINE = re.compile(r'^\s*(\d+)\s+\d+\s+\d+\s+\d+\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"\s*$')
_SLICER_LINE = re.compile(r"^\s*(\d+)\s+(\S+)\s+\d+\s+\d+\s+\d+\s+\d+\s*$")


def mapping_from_words(words: Sequence[str]) -> dict[str, int]:
    """Read a mapping from words of the form ``name=label``.

    Parameters
    ----------
    words
        Names as `CovidCTLib.segments.structures.structure_of` knows them, or of areas; labels are whole numbers from 1.

    Raises
    ------
    OptionsError
        If a word has another form, a name is not known, or a name or label comes twice.
    """
    mapping: dict[str, int] = {}
    for word in words:
        name, mark, number = word.partition("=")
        if not mark or not name or not number.isdecimal() or int(number) < 1:
            raise OptionsError(
                f"A label has the form name=number, such as right_lung=1, not {word!r}. Correct it.",
                hint="The option is --labels right_lung=1 left_lung=2 ...",
            )
        if structure_of(name, None) is None and not is_area(name):
            raise OptionsError(
                f"{name!r} is no structure that is known. Known are {', '.join(entry.key for entry in STRUCTURES)}, "
                "and area followed by a name. Correct it."
            )
        if name in mapping or int(number) in mapping.values():
            raise OptionsError(f"Each name and each number may stand once, but {word!r} repeats one. Correct it.")
        mapping[name] = int(number)
    return mapping


def read_colour_table(path: Path) -> dict[str, int]:
    """Read a mapping from a colour table: Slicer's (.ctbl, .txt), ITK-SNAP's, or CSV with columns value and name.

    Parameters
    ----------
    path
        Text in UTF-8; label 0 is the background and passed over.

    Returns
    -------
    dict
        Label by name, as they stand there; names need not be known.

    Raises
    ------
    InputError
        If the file cannot be read, or has no line of a colour table.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            raise InputError("A colour table was expected, but the file is larger than any. Check the path.")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("A colour table is text in UTF-8, but this file is none. Check the path.") from None
    except OSError as error:
        raise InputError(
            "A colour table that can be read was expected, but the system refuses the file. Check path and permissions."
        ) from error
    mapping: dict[str, int] = {}
    for value, name in _lines(text):
        if value:
            mapping.setdefault(name, value)
    if not mapping:
        raise InputError(
            "A colour table with lines such as '1 right_lung 86 180 233 255', or a CSV with the columns value and "
            "name, was expected, but no line is one. Save the table from Slicer (Colors) or ITK-SNAP."
        )
    return mapping


def _lines(text: str) -> list[tuple[int, str]]:
    """Value and name of each line, in whichever form the table has."""
    matched = []
    for line in text.splitlines():
        match = _SNAP_LINE.match(line) or _SLICER_LINE.match(line)
        if match is not None:
            matched.append((int(match[1]), match[2]))
    if matched:
        return matched
    rows = list(csv.reader(text.splitlines()))
    if not rows:
        return []
    heading = [cell.strip().casefold() for cell in rows[0]]
    values = [n for n, cell in enumerate(heading) if cell in ("value", "label", "index", "labelvalue")]
    names = [n for n, cell in enumerate(heading) if cell in ("name", "structure", "segment")]
    if not values or not names:
        return []
    column, named = values[0], names[0]
    return [
        (int(row[column]), row[named].strip())
        for row in rows[1:]
        if len(row) > max(column, named) and row[column].strip().isdecimal() and row[named].strip()
    ]
