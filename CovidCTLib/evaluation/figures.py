"""What a judgement consists of: a row a case or slice, and figures that sum rows up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from CovidCTLib.evaluation.statistics import Estimate
from CovidCTLib.models.card import count_of

TaskName = Literal["lungs", "effusion", "opacities", "slices", "cases"]

Status = Literal["judged", "seen in training", "listed apart", "failed"]
Value = float | int | bool | str | None

SEEN_REASON = "seen in training by every model"

TWIN_REASON = "the same slices as {case}, under another patient's name"
"""Why a case does not count a second time; ``{case}`` is the one that counts."""

NO_LUNGS = "no lungs were found"
"""Why a value is undefined where an analysis would be refused."""

FEW_CASES = 10
"""Fewer cases of a kind than this make rates that no one should rely on."""

TOO_FEW = "too few to rely on"


@dataclass(frozen=True)
class Row:
    """One case, or one slice of a case of single slices.

    Parameters
    ----------
    case, image
        Name of the case, and of the slice where the case holds single slices (else empty).
    group
        What it is averaged with.
    patient
        Whose it is.
    status
        Only rows that are ``"judged"`` count in any figure.
    model
        Label of the model that judged.
    reason
        Why it is not judged.
    values
        Measured values by name; None where undefined.
    undefined
        Why a value is None.
    """

    case: str
    image: str
    group: str
    patient: str
    status: Status
    model: str
    reason: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantity:
    """What a figure or a value is.

    Parameters
    ----------
    label, unit
        What people read; the unit is empty where there is none.
    definition
        How it is computed, with its source.
    """

    label: str
    unit: str
    definition: str


@dataclass(frozen=True)
class Figure:
    """A mean, a rate or an area over judged rows.

    Parameters
    ----------
    group
        What it is of, such as ``"volumes"``.
    kind
        Kind of the group's cases, as in `CovidCTLib.labelled_data.layout`.
    name
        Key of `CovidCTLib.evaluation.definitions.QUANTITIES`.
    estimate
        Value and 95 % interval.
    count, counted
        How many of what it sums up: cases or slices.
    patients
        Of how many patients they are.
    remark
        What else a reader must know.
    """

    group: str
    kind: str
    name: str
    estimate: Estimate
    count: int
    counted: str
    patients: int
    remark: str = ""

    @property
    def of(self) -> str:
        """Say what the figure sums up."""
        return f"{count_of(self.count, self.counted)} of {count_of(self.patients, 'patients')}"


def few_remark(count: int) -> str:
    """Remark on a rate over so many cases of a kind; empty where they are enough or none."""
    return TOO_FEW if 0 < count < FEW_CASES else ""


def judged(rows: Sequence[Row]) -> list[Row]:
    """Rows that count."""
    return [row for row in rows if row.status == "judged"]


def value_columns(rows: Iterable[Row]) -> list[str]:
    """Names of all values of rows, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row.values))
