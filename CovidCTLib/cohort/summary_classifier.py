"""What the cohort's page says of the classifier on representative slices, where one was trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from CovidCTLib.cohort.representative_classifier import FOLDER, HISTORY_FILES, METHOD, RECORD_FILE
from CovidCTLib.report.content import format_number
from CovidCTLib.report.embedded import Picture, embed_image


@dataclass(frozen=True)
class ClassifierPart:
    """The part of the page on the classifier.

    Parameters
    ----------
    method
        How it was made.
    facts
        Names and values.
    columns, rows
        Confusion matrix of the held-out scans: true classes down, predicted ones across.
    history
        Picture of the training; None where there is none.
    """

    method: str
    facts: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    history: Picture | None


def classifier_part(out: Path) -> ClassifierPart | None:
    """Read what the training of a classifier left; None where there was none, or its files are damaged.

    Parameters
    ----------
    out
        Output folder of the cohort.
    """
    folder = out / FOLDER
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        classes = tuple(str(name) for name in record["classes"])
        rows = tuple(
            (name, *(f"{count:,}" for count in line)) for name, line in zip(classes, record["confusion"], strict=True)
        )
        facts = _facts(record)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    columns = ("true class", *(f"called {name}" for name in classes))
    return ClassifierPart(METHOD, facts, columns, rows, _history(folder / HISTORY_FILES[1], record))


def _facts(record: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Sizes and accuracies."""
    limits = zip(record["limits_percent"], record["limits_order"], record["limits_order"][1:], strict=False)
    thresholds = "; ".join(
        f"{low} under {'–' if limit is None else f'{limit:.3g} %'}, {high} from there" for limit, low, high in limits
    )
    return (
        ("learned from", f"{record['training_scans']:,} scans of {record['training_patients']:,} patients"),
        ("held out", f"{record['held_out_scans']:,} scans of {record['held_out_patients']:,} patients"),
        ("accuracy of the classifier, held out", _share(record["classifier"])),
        ("accuracy of the threshold on the vessel ratio, held out", _share(record["threshold"])),
        ("accuracy of always naming the most frequent class", format_number(record["majority_accuracy"])),
        ("thresholds, chosen in training", thresholds),
        ("right by the classifier alone", f"{record['only_classifier_right']:,} scans"),
        ("right by the threshold alone", f"{record['only_threshold_right']:,} scans"),
    )


def _share(verdict: dict[str, Any]) -> str:
    accuracy = verdict["accuracy"]
    low, high = accuracy["low"], accuracy["high"]
    balanced = verdict["balanced_accuracy"]
    return f"{accuracy['value']:.3f} (95 % interval {low:.3f} to {high:.3f}); balanced {balanced:.3f}"


def _history(file: Path, record: dict[str, Any]) -> Picture | None:
    """The picture of the training."""
    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
    epochs = record["settings"]["epochs"]
    alt = f"Training loss and accuracies over {epochs} epochs; last held-out accuracy {_share(record['classifier'])}."
    return embed_image(picture, alt, "History of the training", "Held-out figures chose nothing.", lossless=True)
