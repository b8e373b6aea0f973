"""What the values of a model card must be, whoever wrote it: checked when it is read, so that nothing fails later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import SLICE_CHECKSUMS, ModelCard
from CovidCTLib.models.foreign_card import FRAMINGS

_COUNTS: Mapping[str, int] = {"window_hu": 2, "value_range": 2, "spacing_mm": 3, "patch": 3}
"""Fields that hold so many numbers."""

_TEXTS = ("role", "framing", "expects", "gives", "sha256", "orientation", "licence")
_OBJECTS = ("thresholds", "training", "validation")

_PROBABILITIES = ("slice", "case")
"""Thresholds on a probability and on a share: both go from 0 to 1."""

_NAMES_IN_TRAINING: Mapping[str, tuple[type, ...]] = {
    "patients": (str, int),
    "cases": (str, int),
    "kinds_of_data": (str,),
    SLICE_CHECKSUMS: (str,),
}
_NUMBERS_IN_TRAINING = ("steps", "judge_every")
"""Entries of a card's training that CovidCT itself reads; names that look like numbers may stand as such."""

_SHOWN = 80
"""Characters of a wrong value in a message."""


def typed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check the types of a card's fields, and turn lists into tuples.

    Parameters
    ----------
    fields
        As they stand in a bundle, by the names of `ModelCard`.

    Returns
    -------
    dict
        The fields as `ModelCard` takes them.

    Raises
    ------
    ValueError
        If a field has another type, or a number in it is not finite; says which and what was expected.
    KeyError
        If a field of text, or the size, is missing.
    """
    if not_finite := infinite_in(fields):
        null = " or null" * not_finite.startswith("validation")
        raise ValueError(f"{not_finite} must be a finite number{null}, not NaN or infinity")
    typed = dict(fields)
    for name, count in _COUNTS.items():
        values = fields.get(name)
        if values is None:
            continue
        fits = isinstance(values, (list, tuple)) and len(values) == count and all(is_number(v) for v in values)
        if not fits or (name == "patch" and not all(isinstance(v, int) for v in values)):
            raise ValueError(f"{name} must be {count} {'whole ' * (name == 'patch')}numbers, not {_short(values)}")
        typed[name] = tuple(values)
    for name in ("limits", "channels"):
        values = fields.get(name, ())
        if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} must be a list of texts")
        typed[name] = tuple(values)
    for name in _TEXTS:
        if not isinstance(fields[name], str):
            raise ValueError(f"{name} must be a text")
    if not isinstance(fields["size"], int) or isinstance(fields["size"], bool):
        raise ValueError("size must be a whole number")
    for name in _OBJECTS:
        if not isinstance(fields.get(name, {}), Mapping):
            raise ValueError(f"{name} must be an object")
    _check_thresholds(fields.get("thresholds", {}))
    _check_training(fields.get("training", {}))
    wrong = wrong_figure(fields.get("validation", {}))
    if wrong is not None:
        raise ValueError(f"a figure in validation must hold a name and a finite value, not {wrong}")
    return typed


def _check_thresholds(thresholds: Mapping[str, Any]) -> None:
    """Each operating point is a number, and those of slices and cases are reached by some and not by all."""
    for name, value in thresholds.items():
        if not is_number(value):
            raise ValueError(f"the threshold {name} must be a number, not {_short(value)}")
        if name in _PROBABILITIES and not 0 <= value <= 1:
            raise ValueError(f"the threshold {name} must lie from 0 to 1, not at {value:g}")


def _check_training(training: Mapping[str, Any]) -> None:
    """What an evaluation asks of a training, to judge no patient by a model that saw it, has the right type."""
    for name, kinds in _NAMES_IN_TRAINING.items():
        values = training.get(name, ())
        if not isinstance(values, (list, tuple)) or not all(isinstance(value, kinds) for value in values):
            raise ValueError(f"training.{name} must be a list of names, not {_short(values)}")
    # They are compared where both are there; alone they are a remark like any other.
    together = all(name in training for name in _NUMBERS_IN_TRAINING)
    for name in _NUMBERS_IN_TRAINING:
        if together and not is_number(training[name]):
            raise ValueError(f"training.{name} must be a number, not {_short(training[name])}")


def check_ranges(card: ModelCard) -> None:
    """Check that window and value range go from low to high.

    Raises
    ------
    ModelError
        If the first number of one is not under the second.
    """
    low, high = card.window_hu
    if not low < high:
        raise ModelError(
            f"window_hu of the bundle {card.name} must be [low, high] in HU, not [{low:g}, {high:g}]. Correct it."
        )
    low, high = card.value_range
    if not low < high:
        raise ModelError(
            f"value_range of the bundle {card.name} must be [low, high], what its window becomes for the network, not "
            f"[{low:g}, {high:g}]. Correct it in the section covidct, or in network_data_format if it stands there."
        )


def check_shipped_card(card: ModelCard) -> None:
    """Check what only the networks of ``covidct train`` have in common.

    Raises
    ------
    ModelError
        If the frame, the size or the value range is none that such a network has, or a slice classifier lacks a
        threshold.
    """
    # Lungs are looked for before there are any to put a frame around.
    framings = FRAMINGS if card.role != "lungs" else ("body",)
    if card.framing not in framings:
        raise ModelError(
            f"The framing of the bundle {card.name} must be {' or '.join(map(repr, framings))}, not {card.framing!r}. "
            "Use the card that CovidCT's training wrote."
        )
    if card.size < 1:
        raise ModelError(
            f"The size of the bundle {card.name} must be the side of its input in pixels, not {card.size}. Use the "
            "card that CovidCT's training wrote."
        )
    missing = [name for name in _PROBABILITIES if card.role == "slices" and name not in card.thresholds]
    if missing:
        raise ModelError(
            f"The card of the bundle {card.name} must name the thresholds 'slice' and 'case', but lacks "
            f"{' and '.join(missing)}. Use the card that CovidCT's training wrote."
        )
    if tuple(card.value_range) != (0.0, 1.0):
        raise ModelError(
            f"value_range of the bundle {card.name} must be [0, 1], which networks of CovidCT's training take, not "
            f"[{card.value_range[0]:g}, {card.value_range[1]:g}]. Use the card that CovidCT's training wrote."
        )


def check_figures(validation: Mapping[str, Any]) -> None:
    """Check every list of figures in a validation.

    Raises
    ------
    ModelError
        If a list ``figures`` holds anything but mappings with a ``name`` and numbers.
    """
    wrong = wrong_figure(validation)
    if wrong is not None:
        raise ModelError(
            "Each validation figure must hold a 'name' and a finite 'value', with 'low' and 'high' where "
            f"it has an interval, but one is {wrong}. Use the JSON of CovidCT's evaluation."
        )


def wrong_figure(validation: Mapping[str, Any]) -> str | None:
    """Find the first entry of a list ``figures``, however deep, that is no figure; its begin, or None."""
    for key, value in validation.items():
        if isinstance(value, Mapping):
            wrong = wrong_figure(value)
            if wrong is not None:
                return wrong
        elif key == "figures":
            for entry in value if isinstance(value, (list, tuple)) else [value]:
                if not isinstance(entry, Mapping) or not _is_figure(entry):
                    return _short(entry)
    return None


def _is_figure(entry: Mapping[str, Any]) -> bool:
    """Whether a mapping is a figure: a name, a value, perhaps an interval."""
    numbers = [entry.get(key) for key in ("value", "low", "high")]
    return isinstance(entry.get("name"), str) and "value" in entry and all(n is None or is_number(n) for n in numbers)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def infinite_in(content: Any, path: str = "") -> str:
    """Find the first number in mappings and lists that is NaN or infinite.

    JSON knows none, but Python reads them from it.

    Returns
    -------
    str
        Where it stands, such as ``"validation.score"``; empty where all numbers are finite.
    """
    if isinstance(content, float):
        return "" if math.isfinite(content) else path or "the content"
    entries = enumerate(content) if isinstance(content, (list, tuple)) else ()
    for key, value in content.items() if isinstance(content, Mapping) else entries:
        not_finite = infinite_in(value, f"{path}.{key}" if path else str(key))
        if not_finite:
            return not_finite
    return ""


def _short(value: Any) -> str:
    """The begin of a wrong value, for a message."""
    return str(value)[:_SHOWN]
