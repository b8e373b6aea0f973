"""Model cards: what a network expects and gives, what it was trained on, how well it did, and where it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from CovidCTLib.hu import NETWORK_HIGH_HU, NETWORK_LOW_HU

ModelName = Literal["lungs", "opacities", "slices"]
MODEL_NAMES: tuple[ModelName, ...] = ("lungs", "opacities", "slices")

COVIDCT_TARGET = "CovidCTLib.models.networks.build_network"
"""What builds the networks that ``covidct train`` makes; it stands as ``_target_`` in their bundles."""

CANONICAL_2D = "PL"
CANONICAL_3D = "SPL"
"""Where the axes of CovidCT's arrays lead: to the head (S), to the back (P), to the patient's left (L)."""


@dataclass(frozen=True)
class ModelCard:
    """Everything that must be known of a set of weights.

    Parameters
    ----------
    name, version
        Which network, and its version.
    architecture
        As `CovidCTLib.models.networks.build_network` takes it; a network of MONAI has its ``network_def`` here.
    size
        Side of the network's square grid in pixels; 0 for a network of volumes.
    framing
        ``"body"`` or ``"lungs"``: what the frame is put around; ``"volume"`` for a network of volumes.
    expects, gives
        Plain sentences on input and output.
    sha256
        Checksum of the weights file.
    thresholds
        Named operating points, such as ``slice`` and ``case`` of the classifier.
    training, validation
        How it was trained, and what it reached on patients that it never saw, or under a key that begins with
        `CROSS_VALIDATION` what other runs of the same training did. Values may be mappings and lists; a list
        ``figures`` of mappings with ``name``, ``value``, ``low``, ``high``, ``interval`` (of what kind it is), ``n``
        and ``remark`` is shown as a table, a list ``notices`` of sentences as a list.
    limits
        Plain sentences on where it fails.
    licence
        Licence of the weights.
    role
        One of `MODEL_NAMES`: which of CovidCT's networks it is or replaces; empty takes the name.
    window_hu
        HU that become the lowest and the highest value of the input; beyond them HU are clipped.
    value_range
        What the window is scaled to.
    orientation
        Where the input's axes lead, a letter an axis: ``S`` head or ``I`` feet, ``P`` back or ``A`` front, ``L`` or
        ``R`` the patient's left or right.
    spacing_mm, patch
        Networks of volumes: voxel spacing in mm and size of what goes through at once, along the input's axes.
    channels
        Meaning of each output channel of a network of MONAI, see `CovidCTLib.models.foreign_card`.
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
    role: str = ""
    window_hu: tuple[float, float] = (NETWORK_LOW_HU, NETWORK_HIGH_HU)
    value_range: tuple[float, float] = (0.0, 1.0)
    orientation: str = CANONICAL_2D
    spacing_mm: tuple[float, float, float] | None = None
    patch: tuple[int, int, int] | None = None
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.role:
            object.__setattr__(self, "role", self.name)

    @property
    def is_foreign(self) -> bool:
        """Whether it is a network of MONAI that was not made by ``covidct train``."""
        return "_target_" in self.architecture

    @property
    def cases_judged(self) -> str:
        """On which cases decisions by this classifier were judged, as its card says; a sentence."""
        return self._first_notice(OF_CASES) or "Its card does not say on which cases such decisions were judged."

    @property
    def effusion_judged(self) -> str:
        """How far volumes of pleural effusion by this network were off, as its card says; a sentence."""
        return self._first_notice(OF_EFFUSION) or "The card of the lung network does not say how far it is off."

    def _first_notice(self, end: str) -> str:
        """What the last evaluation whose key has this end says first; empty where it says nothing."""
        evaluations = [facts for key, facts in self.validation.items() if key.endswith(end)]
        notices = evaluations[-1].get("notices", ()) if evaluations and isinstance(evaluations[-1], Mapping) else ()
        return str(notices[0]) if notices else ""

    @property
    def slices_seen(self) -> int:
        """Slices that go into the network as channels, the own one in the middle; 1 in a network from elsewhere."""
        return 1 if self.is_foreign else int(self.architecture.get("slices", 1))

    @property
    def finds_effusion(self) -> bool:
        """Whether it is a lung network that tells pleural effusion, too."""
        return self.role == "lungs" and not self.is_foreign and self.architecture.get("outputs") == _WITH_EFFUSION

    @property
    def tells_kinds(self) -> bool:
        """Whether an opacity network tells ground-glass opacity from consolidation."""
        return "opacity" not in self.channels

    def to_markdown(self) -> str:
        """Text of the card for people."""
        lines = [f"# {self.name} {self.version}", "", f"**Expects** {self.expects}", "", f"**Gives** {self.gives}", ""]
        lines += ["## Input", "", *_table(("what", "value"), self._input_rows()), ""]
        for title, table in (("Thresholds", self.thresholds), ("Training", self._training_entries())):
            if table:
                lines += _section(title, table, 2)
        lines += self._validation_lines()
        if self.limits:
            lines += ["## Where it fails", "", *[f"- {limit}" for limit in self.limits], ""]
        lines += [f"Architecture: `{json.dumps(self.architecture)}`", ""]
        lines += [f"SHA-256 of `models/model.pt`: `{self.sha256}`", "", f"Licence of the weights: {self.licence}", ""]
        return "\n".join(lines)

    def _training_entries(self) -> dict[str, Any]:
        """What a reader wants to know of the training."""
        entries = dict(self.training)
        if checksums := entries.get(SLICE_CHECKSUMS):
            entries[SLICE_CHECKSUMS] = (
                f"{len(checksums)}, in configs/metadata.json: they tell slices whatever their names"
            )
        return entries

    def _validation_lines(self) -> list[str]:
        """Figures of these very weights, then those of other runs of the same training."""
        crossed = {key: value for key, value in self.validation.items() if is_cross_validation(key)}
        held_out = {key: value for key, value in self.validation.items() if key not in crossed}
        lines = []
        if held_out:
            lines += _section("Validation on patients that it never saw", held_out, 2, self._grid_words(held_out))
        for key, value in crossed.items():
            which = key.removeprefix(CROSS_VALIDATION).replace("_", " ")
            entries = value if isinstance(value, Mapping) else {key: value}
            lines += _section(f"{CROSS_VALIDATION_WORDS}{which and ','}{which}", entries, 2, _OTHER_WEIGHTS)
        return lines

    def _grid_words(self, held_out: Mapping[str, Any]) -> str:
        """Where the figures that a training notes itself were measured; they are plain numbers."""
        noted = any(isinstance(value, float) for value in held_out.values())
        if not noted or self.is_foreign or self.role == "slices":
            return ""
        return (
            f"The plain numbers come from the training itself: measured on the network's grid ({self.size} x "
            f"{self.size} pixels around the {self.framing}), before any clean-up. Figures of covidct evaluate are "
            "measured on the CT's own grid, after clean-up, so the two differ."
        )

    def _input_rows(self) -> list[tuple[str, str]]:
        """Spacing, window and orientation in words."""
        low, high = self.window_hu
        rows = [("window", f"{low:g} to {high:g} HU, scaled to {self.value_range[0]:g} to {self.value_range[1]:g}")]
        rows.append(("orientation", orientation_words(self.orientation)))
        if self.patch is not None and self.spacing_mm is not None:
            rows.append(("spacing", " x ".join(f"{mm:g}" for mm in self.spacing_mm) + " mm"))
            rows.append(("patch", " x ".join(str(n) for n in self.patch) + " voxels"))
        else:
            rows.append(
                ("spacing", f"any; a square around the {self.framing} becomes {self.size} x {self.size} pixels")
            )
        return rows


_WITH_EFFUSION = 3
"""Outputs of a lung network that tells neither, lung and pleural effusion apart."""

CROSS_VALIDATION = "cross_validation"
"""Begin of the keys in a validation under which other weights than the card's were judged."""

OF_CASES = "_of_cases"
"""End of the key in a validation under which figures of verdicts on whole cases stand."""

OF_EFFUSION = "_of_effusion"
"""The same of pleural effusion, which the lung network tells."""

CROSS_VALIDATION_WORDS = "Cross-validation of the same training"

SLICE_CHECKSUMS = "slice_checksums"
"""Key of the checksums of the slices of a training; thousands, so a card for people only counts them."""

NOTICES = "notices"
"""Key of the sentences that a reader of figures must know."""

_OTHER_WEIGHTS = (
    "Not the weights of this card were judged here, but those of other runs of this training, each on patients that it "
    "never saw."
)


def is_cross_validation(key: str) -> bool:
    """Whether what stands under a key of a validation was measured on other weights than the card's."""
    return key.startswith(CROSS_VALIDATION)


_ENDS = {"S": "head", "I": "feet", "P": "back", "A": "front", "L": "patient's left", "R": "patient's right"}


def orientation_words(orientation: str) -> str:
    """Say in words where the axes of an input lead, first axis first."""
    return "axes to the " + ", the ".join(_ENDS.get(letter, letter) for letter in orientation)


def plain_text(value: Any) -> str:
    """Write a card's value for people."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain_text(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_text(entry) for entry in value)
    return str(value)


def count_of(count: int, plural: str) -> str:
    """Write a number with its noun, which is given in the plural."""
    if count != 1:
        return f"{count} {plural}"
    return f"1 {plural[:-1]}"


def figure_words(figure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Name, value, interval and count of a validated figure for people."""
    low, high = figure.get("low"), figure.get("high")
    interval = "-" if low is None or high is None else f"{plain_text(low)} to {plain_text(high)}"
    count = plain_text(figure.get("n"))
    return plain_text(figure.get("name")), plain_text(figure.get("value")), interval, count


def _section(title: str, entries: Mapping[str, Any], level: int, words: str = "") -> list[str]:
    """A heading with words, a table of the plain entries, and sections of those that hold more; notices come last."""
    lines = ["#" * level + f" {title}", "", *([words, ""] if words else [])]
    notices = entries[NOTICES] if _is_list_of(str, entries.get(NOTICES)) else ()
    plain = {key: value for key, value in entries.items() if not _is_nested(value) and not (key == NOTICES and notices)}
    if plain:
        rows = [(key.replace("_", " "), plain_text(value)) for key, value in plain.items()]
        lines += [*_table(("what", "value"), rows), ""]
    for key, value in entries.items():
        if key in plain or (key == NOTICES and notices):
            continue
        if isinstance(value, Mapping):
            heading = key.replace("_", " ")
            lines += _section(heading[:1].upper() + heading[1:], value, level + 1)
        elif key == "figures":
            lines += [*_figure_table(value), ""]
        else:
            names = list(dict.fromkeys(name for entry in value for name in entry))
            rows_of = [tuple(plain_text(entry.get(name)) for name in names) for entry in value]
            lines += [f"{key.replace('_', ' ')}:", "", *_table(tuple(n.replace("_", " ") for n in names), rows_of), ""]
    if notices:
        lines += [*[f"- {notice}" for notice in notices], ""]
    return lines


def _figure_table(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a table of figures; what their intervals are, and remarks, where any figure says so."""
    heading = ["figure", "value", "interval", "n"]
    rows = [list(figure_words(entry)) for entry in figures]
    for column, key, title in ((3, "interval", "kind of interval"), (len(heading) + 1, "remark", "remark")):
        if any(entry.get(key) for entry in figures):
            heading.insert(column, title)
            for row, entry in zip(rows, figures, strict=True):
                row.insert(column, plain_text(entry.get(key) or None))
    return _table(tuple(heading), [tuple(row) for row in rows])


def _is_nested(value: Any) -> bool:
    """Whether a value takes a section or table of its own: a mapping, or a list of mappings."""
    return isinstance(value, Mapping) or _is_list_of(Mapping, value)


def _is_list_of(kind: type, value: Any) -> bool:
    """Whether a value is a list of at least one entry, all of a kind."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, kind) for entry in value)


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [heading, ("---",) * len(heading), *rows]
    return ["| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |" for row in lines]
