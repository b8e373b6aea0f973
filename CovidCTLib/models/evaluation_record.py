"""Figures for a model card from the JSON of ``covidct evaluate``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import check_figures
from CovidCTLib.models.card import ModelCard

_ROLE_OF: Mapping[str, str] = {"lungs": "lungs", "opacities": "opacities", "slices": "slices", "cases": "slices"}
"""Which model a task of ``covidct evaluate`` judges."""

OF_CASES = "_of_cases"
"""End of the key in a card under which figures of verdicts on whole cases stand."""

_GIVE = "Give the evaluation.json that covidct evaluate wrote."


def read_evaluation(path: Path, card: ModelCard) -> tuple[str, dict[str, Any]]:
    """Read what an evaluation says of a model.

    Parameters
    ----------
    path
        JSON with a list ``figures``. A figure has ``name``, ``value``, ``low``, ``high`` and ``n``, or the parts of
        these that ``covidct evaluate`` writes. ``folds``, or several ``models``, make it a cross-validation.
    card
        Card of the model that the figures are for.

    Returns
    -------
    key, facts
        Where in `ModelCard.validation` they belong, and ``figures`` with, for a cross-validation, ``folds``.

    Raises
    ------
    ModelError
        If the file cannot be read, holds no figures, or speaks of another model or other weights.
    """
    content = _read(path)
    figures = content.get("figures")
    if not isinstance(figures, list) or not figures:
        raise ModelError(f"{path.name!r} holds no list of 'figures'. {_GIVE}")
    check_figures(content)
    task = content.get("task")
    if task is not None and _ROLE_OF.get(task) != card.role:
        raise ModelError(f"{path.name!r} judges {task}, but {card.name} is a model for {card.role}. {_GIVE}")
    folds = _folds(path, content, card)
    key = "cross_validation" if folds else "evaluation"
    facts = {"folds": folds} if folds else {}
    return key + OF_CASES * (task == "cases"), {**facts, "figures": [_figure(entry) for entry in figures]}


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path.name!r}. {_GIVE}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name!r} cannot be read as JSON ({type(error).__name__}). {_GIVE}") from error
    return content if isinstance(content, dict) else {}


def _folds(path: Path, content: Mapping[str, Any], card: ModelCard) -> int:
    """Number of models that were cross-validated; 0 where this very model was judged."""
    if isinstance(content.get("folds"), int):
        return int(content["folds"])
    models = [entry for entry in content.get("models") or () if isinstance(entry, Mapping)]
    if len(models) > 1:
        return len(models)
    if models and models[0].get("sha256") != card.sha256:
        found = str(models[0].get("sha256"))
        raise ModelError(
            f"{path.name!r} judges other weights than those of {card.name} (checksum {found[:12]}..., expected "
            f"{card.sha256[:12]}...). Run covidct evaluate on these weights."
        )
    return 0


def _figure(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A figure with what a card shows of it: name, value, interval and count."""
    name = str(entry.get("label") or entry["name"])
    if entry.get("unit"):
        name += f" ({entry['unit']})"
    if entry.get("group"):
        name += f", {entry['group']}"
    count = entry.get("n")
    if count is None and entry.get("count") is not None:
        count = f"{entry['count']} {entry.get('counted', 'cases')} of {entry.get('patients', '-')} patients"
    return {"name": name, **{key: entry.get(key) for key in ("value", "low", "high")}, "n": count}
