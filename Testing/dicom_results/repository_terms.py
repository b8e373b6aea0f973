"""The Slicer module's terminology file, as codes with their colours."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "CovidCT" / "Resources" / "CovidCT.term.json"


def terminology():
    """Colour of each triple of category, type and modifier (None where there is none), all code values."""
    found = {}
    for category in json.loads(FILE.read_text(encoding="utf-8"))["SegmentationCodes"]["Category"]:
        for kind in category["Type"]:
            for modifier in kind.get("Modifier", [None]):
                key = (category["CodeValue"], kind["CodeValue"], modifier["CodeValue"] if modifier else None)
                found[key] = tuple((modifier or kind)["recommendedDisplayRGBValue"])
    return found
