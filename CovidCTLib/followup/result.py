"""What a follow-up gives: plain rows, lines, sentences, and maps of what changed. Frozen; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.errors import Notice
from CovidCTLib.followup.registration import Registration
from CovidCTLib.followup.study import Study
from CovidCTLib.labels import Code, Label

Change = Literal["new", "resolved", "persistent"]
CHANGES: Mapping[int, Change] = {1: "new", 2: "resolved", 3: "persistent"}
"""Values in a difference map; 0 is neither."""

_ABNORMAL = Code("49755003", "SCT", "Morphologically Altered Structure")
_OPACITY = Code("opacity-change", "99COVIDCT", "Change of lung opacity")

CHANGE_LABELS: dict[Change, Label] = {
    "new": Label(
        1, "new_opacity", "new opacity", (204, 121, 167), _ABNORMAL, _OPACITY,
        Code("new", "99COVIDCT", "New since the first study"),
    ),
    "resolved": Label(
        2, "resolved_opacity", "resolved opacity", (0, 158, 115), _ABNORMAL, _OPACITY,
        Code("resolved", "99COVIDCT", "Resolved since the first study"),
    ),
    "persistent": Label(
        3, "persistent_opacity", "persistent opacity", (230, 159, 0), _ABNORMAL, _OPACITY,
        Code("persistent", "99COVIDCT", "Persistent since the first study"),
    ),
}  # fmt: skip
"""Segments of the map; the colours are those of the follow-up's pictures, the codes CovidCT's own."""

MEASURES = (
    "corona_score_cm3",
    "opacity_volume_ml",
    "opacity_percent",
    "ggo_volume_ml",
    "consolidation_volume_ml",
    "high_opacity_percent",
    "volume_ml",
    "pleural_effusion_volume_ml",
)
"""Measures that a follow-up tells, keys of `CovidCTLib.measures.definitions.DEFINITIONS`."""

CHARTED = MEASURES[:5]
"""Those that are drawn, and put into words."""

REGIONS_TOLD = ("both_lungs", "right_lung", "left_lung")
"""Regions that a follow-up tells them for."""


@dataclass(frozen=True)
class LeftOut:
    """A study that could not be used: its number, from 1 in the order given, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class TimePoint:
    """A study in the order of time: its number as given, its date, and days since the first study."""

    number: int
    date: date
    days: int


@dataclass(frozen=True)
class TableRow:
    """One measure of one region in one study, beside the first study.

    Parameters
    ----------
    study, date, days
        As in `TimePoint`.
    region, measure, label, unit
        What is measured; ``label`` is for people.
    value, reason
        The value, or None with the reason.
    change
        Value less that of the first study, in the same unit; 0 in the first study; None where one is undefined.
    change_percent
        The same in percent of the first study's value; None where that is 0 or undefined.
    """

    study: int
    date: date
    days: int
    region: str
    measure: str
    label: str
    unit: str
    value: float | None
    reason: str | None
    change: float | None
    change_percent: float | None


@dataclass(frozen=True)
class Series:
    """One measure over time, for a chart.

    Parameters
    ----------
    measure, label, unit
        What is measured.
    days
        Days since the first study, one entry a study.
    lines
        Values by region, in the order of ``days``; None where undefined.
    """

    measure: str
    label: str
    unit: str
    days: tuple[int, ...]
    lines: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Difference:
    """What changed between the first and a later study, on the first study's grid in the canonical orientation.

    Parameters
    ----------
    labels
        uint8: 0, or as in `CHANGES`.
    later
        The later study as it lies on the first one.
    volumes_ml
        By region (`REGIONS_TOLD`), then by `Change`, in ml of the first study's space.
    """

    labels: NDArray[np.uint8]
    later: AxialArrays
    volumes_ml: Mapping[str, Mapping[Change, float]]


@dataclass(frozen=True)
class Comparison:
    """A later study laid on the first; without ``difference`` where that cannot be stood behind, with the ``reason``.

    ``registration`` is None where none was made.
    """

    study: int
    days: int
    registration: Registration | None = None
    difference: Difference | None = None
    reason: str | None = None


@dataclass(frozen=True)
class FollowUp:
    """The result of a follow-up.

    Parameters
    ----------
    studies
        In the order of time.
    points
        The same without their arrays.
    rows
        The table, study by study.
    series
        For charts, in the order of `CHARTED`.
    sentences
        The change in words, by the number of each later study.
    comparisons
        One entry a later study.
    notices
        What a reader must know, worst first.
    left_out
        Studies that could not be used.
    """

    studies: tuple[Study, ...]
    points: tuple[TimePoint, ...]
    rows: tuple[TableRow, ...]
    series: tuple[Series, ...]
    sentences: Mapping[int, tuple[str, ...]]
    comparisons: tuple[Comparison, ...]
    notices: tuple[Notice, ...]
    left_out: tuple[LeftOut, ...] = ()
