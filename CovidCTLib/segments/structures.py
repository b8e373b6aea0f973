"""What a segment is: known by its terminology codes first, then by its name; what is not known is never guessed.

The table of `STRUCTURES` stands in ``docs/measure.md``, too.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from CovidCTLib.labels import (
    CONSOLIDATION,
    GGO,
    LEFT,
    LEFT_LUNG,
    LOBE_LABELS,
    OPACITY_CONSOLIDATION,
    OPACITY_EFFUSION,
    OPACITY_GGO,
    PLEURAL_EFFUSION,
    RIGHT,
    RIGHT_LUNG,
)

Kind = Literal["lung", "lobe", "opacity", "effusion"]

UNSIDED = 3
"""Value in an array of given lungs: lung whose side is not told yet."""

LONGEST_NAME = 40
"""Characters of a segment's name that are kept, of areas and of what is listed as not known."""

_RIGHT, _LEFT = "24028007", "7771000"
_SRT = {"G-A100": _RIGHT, "G-A101": _LEFT, "T-28000": "39607008", "T-28820": "45653009", "T-28830": "90572001",
        "T-28300": "72481006", "T-28600": "44714003", "D2-80100": "60046008"}  # fmt: skip
"""SNOMED RT codes of older DICOM (scheme SRT or 99SDM) and their SNOMED CT (DICOM PS3.16, annex O)."""

_UPPER_LOBE, _LOWER_LOBE, _LUNG = "45653009", "90572001", "39607008"


@dataclass(frozen=True)
class Structure:
    """Something that can be measured.

    Parameters
    ----------
    key
        Its word in mappings, such as ``right_lung``.
    name
        What people read.
    kind, value
        The array that it belongs to, and its value there: lungs 1, 2 or `UNSIDED`; opacities 1 or 2; lobes 1 to 5.
    codes
        SNOMED CT codes: type, and modifier or None.
    names
        Names by which it goes, as `plain_words` writes them; order does not count.
    sure
        False for opacity whose kind is not told; it counts as ground glass, and that is said.
    """

    key: str
    name: str
    kind: Kind
    value: int
    codes: tuple[tuple[str, str | None], ...] = ()
    names: tuple[str, ...] = ()
    sure: bool = True


def _lobe(value: int, *codes: tuple[str, str | None], short: str) -> Structure:
    label = LOBE_LABELS[value - 1]
    side, part, _ = label.segment_id.split("_")
    names = (f"{side} {part} lobe", f"lung {part} lobe {side}", f"{part} lobe of {side} lung", short,
             f"{part} lobe of lung {side}", f"{part} lobe of lung {side[0]}")  # fmt: skip
    return Structure(label.segment_id, label.name, "lobe", value, ((label.type.value, None), *codes), names)


STRUCTURES: tuple[Structure, ...] = (
    Structure(
        RIGHT_LUNG.segment_id, RIGHT_LUNG.name, "lung", RIGHT, ((_LUNG, _RIGHT),), ("right lung", "lung r", "lung rt"),
    ),
    Structure(
        LEFT_LUNG.segment_id, LEFT_LUNG.name, "lung", LEFT, ((_LUNG, _LEFT),), ("left lung", "lung l", "lung lt"),
    ),
    Structure("lungs", "both lungs", "lung", UNSIDED, (), ("lungs", "lung", "both lungs", "lungs both")),
    _lobe(1, (_UPPER_LOBE, _RIGHT), short="rul"),
    _lobe(2, ("72481006", _RIGHT), short="rml"),
    _lobe(3, (_LOWER_LOBE, _RIGHT), short="rll"),
    _lobe(4, (_UPPER_LOBE, _LEFT), ("44714003", _LEFT), short="lul"),
    _lobe(5, (_LOWER_LOBE, _LEFT), short="lll"),
    Structure(
        GGO.segment_id, GGO.name, "opacity", OPACITY_GGO, ((GGO.type.value, None),),
        ("ggo", "ground glass", "ground glass opacity", "ground glass opacities", "ground glass opacification"),
    ),
    Structure(
        CONSOLIDATION.segment_id, CONSOLIDATION.name, "opacity", OPACITY_CONSOLIDATION,
        ((CONSOLIDATION.type.value, None),),
        ("consolidation", "consolidations", "lung consolidation", "pulmonary consolidation"),
    ),
    Structure(
        "opacity", "opacity of either kind", "opacity", OPACITY_GGO, (),
        ("opacity", "opacities", "infection", "infections", "covid infection", "lung covid infection",
         "covid 19 infection", "lung opacity", "lung opacities"), sure=False,
    ),
    Structure(
        PLEURAL_EFFUSION.segment_id, PLEURAL_EFFUSION.name, "effusion", OPACITY_EFFUSION,
        ((PLEURAL_EFFUSION.type.value, None), (PLEURAL_EFFUSION.type.value, _RIGHT),
         (PLEURAL_EFFUSION.type.value, _LEFT)),
        ("pleural effusion", "effusion", "pleural effusions", "right pleural effusion", "left pleural effusion"),
    ),
)  # fmt: skip
"""Everything that is known, in the order in which voxels that several of one kind claim are given away."""

BY_KEY = {structure.key: structure for structure in STRUCTURES}
_BY_CODE = {code: structure for structure in STRUCTURES for code in structure.codes}
_FILLERS = frozenset({"of", "the", "pct", "seg", "mask", "segment"})
_AREA_WORDS = frozenset({"area", "areas", "roi"})


def plain_words(name: str) -> tuple[str, ...]:
    """Give the words of a name: small letters without accents, what is neither letter nor figure taken for a gap."""
    text = unicodedata.normalize("NFKD", name)
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).casefold()
    return tuple(re.findall(r"[^\W_]+", text))


def _word_key(name: str) -> tuple[str, ...]:
    """The words in the order of the alphabet, without fillers, and without a number at the end."""
    words = list(plain_words(name))
    if len(words) > 1 and words[-1].isdigit():
        # Slicer numbers the parts of a segment that was split.
        words.pop()
    return tuple(sorted(word for word in words if word not in _FILLERS))


_BY_NAME = {_word_key(name): structure for structure in STRUCTURES for name in (structure.key, *structure.names)}


@dataclass(frozen=True)
class SegmentCode:
    """The coded type of a segment: scheme, value, and the value of its modifier (right, left) or None."""

    scheme: str
    value: str
    modifier: str | None = None


def structure_of(name: str, code: SegmentCode | None) -> Structure | None:
    """Recognize a segment: by its code, and where that is not known, by its name.

    Parameters
    ----------
    name
        As a user reads it.
    code
        Its terminology; None where it has none.

    Returns
    -------
    Structure or None
        None where neither says. *Lung* without a side takes the side from the name, and is both lungs without one.
    """
    if code is not None and code.scheme in ("SCT", "SRT", "99SDM", "SNM3"):
        value = _SRT.get(code.value, code.value)
        modifier = _SRT.get(code.modifier or "", code.modifier) or None
        coded = _BY_CODE.get((value, modifier))
        if coded is not None:
            return coded
        if (value, modifier) == (_LUNG, None):
            named = _BY_NAME.get(_word_key(name))
            return named if named is not None and named.kind == "lung" else BY_KEY["lungs"]
    return _BY_NAME.get(_word_key(name))


def is_area(name: str) -> bool:
    """Tell whether a name makes its segment a region of interest: its first word is *area* or *ROI*."""
    words = plain_words(name)
    return bool(words) and words[0] in _AREA_WORDS


def shown_name(name: str) -> str:
    """Give a name for lists and tables: one line of at most `LONGEST_NAME` characters."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
