"""Figures for a model card from the JSON of ``covidct evaluate``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import CROSS_VALIDATION, OF_CASES, OF_EFFUSION, ModelCard, count_of
from CovidCTLib.models.card_check import check_figures, infinite_in
from CovidCTLib.units import pretty_unit

_ROLE_OF: Mapping[str, str] = {
    "lungs": "lungs",
    "effusion": "lungs",
    "opacities": "opacities",
    "slices": "slices",
    "cases": "slices",
}
"""Which model a task of ``covidct evaluate`` judges."""

ELSEWHERE = "at other thresholds than those of the card"
"""Remark on figures that were measured at thresholds of their own."""

_AT_THRESHOLD = ("sensitivity", "specificity", "accuracy", "called_slices_percent")
"""Figures of slices that depend on the threshold at which slices are called; those of cases all do."""

_GIVE = "Give the evaluation.json that CovidCT wrote."


def read_evaluation(path: Path, card: ModelCard) -> tuple[str, dict[str, Any]]:
    """Read what an evaluation says of a model.

    Parameters
    ----------
    path
        JSON with a list ``figures``. A figure has ``name``, ``value``, ``low``, ``high`` and ``n``, perhaps
        ``interval`` and ``remark``, or the parts of these that ``covidct evaluate`` writes. ``folds``, or several
        ``models`` that judged a case, make it a cross-validation.
    card
        Card of the model that the figures are for.

    Returns
    -------
    key, facts
        Where in `ModelCard.validation` they belong, and ``figures`` with, for a cross-validation, ``folds``, and the
        ``notices`` of the evaluation. Where slices were called at other thresholds than those of the card, a remark
        stands beside each figure that depends on them, and what the ROC curve says of the card's own follows them.

    Raises
    ------
    ModelError
        If the file cannot be read, holds no figures or what no evaluation holds, or speaks of another model or other
        weights, or of these weights together with others.
    """
    content = _read(path)
    figures = content.get("figures")
    if not isinstance(figures, list) or not figures:
        raise ModelError(f"{path.name!r} holds no list of 'figures'. {_GIVE}")
    check_figures(content)
    task = content.get("task")
    if task is not None and (not isinstance(task, str) or _ROLE_OF.get(task) != card.role):
        raise ModelError(f"{path.name!r} judges {task}, but {card.name} is a model for {card.role}. {_GIVE}")
    folds = _folds(path, content, card)
    key = CROSS_VALIDATION if folds else "evaluation"
    facts: dict[str, Any] = {"folds": folds} if folds else {}
    interval = content.get("interval")
    shown = [_figure(entry, interval if isinstance(interval, Mapping) else {}) for entry in figures]
    if card.role == "slices" and _called_elsewhere(content, card):
        for entry, figure in zip(figures, shown, strict=True):
            if task == "cases" or entry["name"] in _AT_THRESHOLD:
                _add_remark(figure, ELSEWHERE)
        shown += _at_card_threshold(content, card) if task == "slices" else []
    facts["figures"] = shown
    notices = content.get("notices")
    if isinstance(notices, list) and notices and all(isinstance(notice, str) for notice in notices):
        facts["notices"] = notices
    return key + {"cases": OF_CASES, "effusion": OF_EFFUSION}.get(str(task), ""), facts


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path.name!r}. {_GIVE}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name!r} cannot be read as JSON ({type(error).__name__}). {_GIVE}") from error
    if not_finite := infinite_in(content):
        raise ModelError(
            f"{path.name!r} holds NaN or infinity in {not_finite}, where JSON has numbers or null. {_GIVE}"
        )
    if not isinstance(content, dict):
        return {}
    for name in ("models", "cases"):
        entries = content.get(name) or []
        if not isinstance(entries, list):
            raise ModelError(f"{path.name!r} must hold a list as {name!r}, not {str(entries)[:80]}. {_GIVE}")
        # Mere names, as others may write them, say nothing of who was judged by whom.
        content[name] = [entry for entry in entries if isinstance(entry, dict)]
    return content


def _folds(path: Path, content: Mapping[str, Any], card: ModelCard) -> int:
    """Number of models that were cross-validated; 0 where this very model was judged."""
    models = content["models"]
    # One model that judges with the lungs of several lung networks is one still.
    checksums = [str(entry.get("sha256") or f"none ({k})") for k, entry in enumerate(models)]
    if card.sha256 in checksums and len(set(checksums)) > 1:
        raise ModelError(
            f"{path.name!r} judges the weights of {card.name} together with others, so its figures are neither those "
            "of these weights nor those of other runs. Evaluate this model alone, or the runs of the "
            "cross-validation alone."
        )
    if isinstance(content.get("folds"), int):
        return int(content["folds"])
    judged = {checksum for checksum, entry in zip(checksums, models, strict=True) if _judged(entry, content)}
    if models and not judged:
        raise ModelError(f"{path.name!r} holds no case that one of its models judged. {_GIVE}")
    if len(judged) > 1:
        return len(judged)
    if judged and judged != {card.sha256}:
        raise ModelError(
            f"{path.name!r} judges other weights than those of {card.name} (checksum {judged.pop()[:12]}..., expected "
            f"{card.sha256[:12]}...). Evaluate these weights."
        )
    return 0


def _judged(model: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Whether a model judged a case: it may have been there for nothing, as it saw all patients.

    Where the cases do not say who judged them, each model counts.
    """
    cases = [row for row in content["cases"] if isinstance(row.get("model"), str)]
    if not cases:
        return True
    return any(row["model"] == model.get("label") and row.get("status") == "judged" for row in cases)


def _called_elsewhere(content: Mapping[str, Any], card: ModelCard) -> bool:
    """Whether any judged case was called at another threshold than the card's."""
    for row in content["cases"]:
        values = row.get("values") if row.get("status") == "judged" else None
        if not isinstance(values, Mapping):
            continue
        for name, key in (("slice", "probability_threshold"), ("case", "case_threshold")):
            if key in values and values[key] != card.thresholds.get(name):
                return True
    return False


def _at_card_threshold(content: Mapping[str, Any], card: ModelCard) -> list[dict[str, Any]]:
    """Sensitivity and specificity of all slices together at the card's threshold, read off the ROC curve."""
    curves = content.get("curves")
    roc = curves.get("roc") if isinstance(curves, Mapping) else None
    limit = card.thresholds.get("slice")
    if not isinstance(roc, Mapping) or limit is None:
        return []
    thresholds, called, false = (roc.get(name) for name in ("threshold", "sensitivity", "false_positive_rate"))
    if not (_are_numbers(thresholds) and _are_numbers(called) and _are_numbers(false)):
        return []
    if not len(thresholds) == len(called) == len(false):
        return []
    counts = {entry["name"]: _count(entry) for entry in content["figures"]}
    # Thresholds fall; the first is above all slices, and between two of them nothing is called anew.
    last = max(0, sum(threshold >= limit for threshold in thresholds) - 1)
    rates = {"sensitivity": called[last], "specificity": 1 - false[last]}
    # Without a group in their names, `covidct models` shows them among the first.
    why = "from the ROC curve of all slices"
    return [
        {"name": f"{name} at the card's slice threshold of {limit:g}", "value": float(value), "low": None, "high": None,
         "n": counts.get(name), "remark": why}
        for name, value in rates.items()
    ]  # fmt: skip


def _figure(entry: Mapping[str, Any], interval: Mapping[str, Any]) -> dict[str, Any]:
    """A figure with what a card shows of it: name, value, interval, count, kind of the interval and remark."""
    name = str(entry.get("label") or entry["name"])
    if entry.get("unit"):
        name += f" ({pretty_unit(str(entry['unit']))})"
    if entry.get("group"):
        name += f", {entry['group']}"
    figure = {"name": name, **{key: entry.get(key) for key in ("value", "low", "high")}, "n": _count(entry)}
    kind = entry.get("interval") or interval.get("method")
    if kind and _are_numbers([interval.get("percent")]):
        kind = f"{interval['percent']:g} % interval, {kind}"
    if kind and entry.get("low") is not None:
        figure["interval"] = str(kind)
    if entry.get("remark"):
        _add_remark(figure, str(entry["remark"]))
    return figure


def _are_numbers(values: Any) -> TypeGuard[list[float]]:
    """Whether something is a list of at least one number."""
    if not isinstance(values, list) or not values:
        return False
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _add_remark(figure: dict[str, Any], remark: str) -> None:
    """Put a remark after those that a figure has."""
    figure["remark"] = "; ".join(text for text in (figure.get("remark"), remark) if text)


def _count(entry: Mapping[str, Any]) -> Any:
    """What a figure sums up, in words where ``covidct evaluate`` counted."""
    if entry.get("n") is not None or not isinstance(entry.get("count"), int):
        return entry.get("n")
    counted = count_of(entry["count"], str(entry.get("counted", "cases")))
    patients = entry.get("patients")
    return f"{counted} of {count_of(patients, 'patients')}" if isinstance(patients, int) else counted
