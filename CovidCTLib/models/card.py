"""Model cards: what a network expects and gives, what it was trained on, how well it did, and where it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from CovidCTLib.errors import ModelError

ModelName = Literal["lungs", "opacities", "slices"]
MODEL_NAMES: tuple[ModelName, ...] = ("lungs", "opacities", "slices")


@dataclass(frozen=True)
class ModelCard:
    """Everything that must be known of a set of weights.

    Parameters
    ----------
    name, version
        Which network, and its version.
    architecture
        As `CovidCTLib.models.networks.build_network` takes it.
    size
        Side of the network's square grid in pixels.
    framing
        ``"body"`` or ``"lungs"``: what the frame is put around.
    expects, gives
        Plain sentences on input and output.
    sha256
        Checksum of the weights file.
    thresholds
        Named operating points, such as ``slice`` and ``case`` of the classifier.
    training, validation
        How it was trained, and what it reached on patients that it never saw.
    limits
        Plain sentences on where it fails.
    licence
        Licence of the weights.
    """

    name: str
    version: str
    architecture: Mapping[str, Any]
    size: int
    framing: str
    expects: str
    gives: str
    sha256: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    licence: str = "not stated"

    def to_json(self) -> str:
        """Text of the card's JSON file."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """Text of the card for people."""
        lines = [f"# {self.name} {self.version}", "", f"**Expects** {self.expects}", "", f"**Gives** {self.gives}", ""]
        for title, table in (
            ("Thresholds", self.thresholds),
            ("Training", self.training),
            ("Validation on patients that it never saw", self.validation),
        ):
            if table:
                lines += [f"## {title}", "", "| what | value |", "|---|---|"]
                lines += [f"| {key.replace('_', ' ')} | {_text(value)} |" for key, value in table.items()]
                lines.append("")
        lines += ["## Where it fails", "", *[f"- {limit}" for limit in self.limits], ""]
        lines += [f"Architecture: `{json.dumps(self.architecture)}`", ""]
        lines += [f"SHA-256 of `{self.name}.pt`: `{self.sha256}`", "", f"Licence of the weights: {self.licence}", ""]
        return "\n".join(lines)


def _text(value: Any) -> str:
    """Write a card's value for people."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value)
    return str(value)


def read_card(path: Path) -> ModelCard:
    """Read a card from its JSON file.

    Raises
    ------
    ModelError
        If the file is missing, no JSON, or lacks a field.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return ModelCard(**{**fields, "limits": tuple(fields.get("limits", ()))})
    except FileNotFoundError as error:
        raise ModelError(f"There is no model card {path.name} in {path.parent}. Install CovidCT again.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"The model card {path.name} cannot be read ({error}). Install CovidCT again.") from error
