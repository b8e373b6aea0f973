"""A cohort in numbers: classes, distributions, outliers, quality flags and failures. Nothing here touches the disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.cohort.rows import STATUSES, CohortRow, Status

ROBUST_Z_LIMIT = 3.5
"""A value is an outlier where its modified z-score is above this in size, exclusive (Iglewicz and Hoaglin 1993, How to
Detect and Handle Outliers, ISBN 978-0-87389-247-6)."""

MAD_FACTOR = 0.6745
"""The modified z-score is this times the distance from the median over the median absolute deviation, so that it agrees
with the usual z-score in a normal distribution (same source)."""

IQR_FACTOR = 1.5
"""A value is an outlier where it lies more than this many interquartile ranges outside the quartiles, exclusive (Tukey
1977, Exploratory Data Analysis, ISBN 978-0-201-07616-5)."""

MIN_REFERENCE = 8
"""Fewest values that outliers are sought among. A class with fewer is held against the whole cohort."""

NO_CLASS = "no class given"
"""Shown for scans whose source names no class."""

OUTLIER_MEASURES = (
    "vessel_ratio_percent",
    "lung_area_mm2",
    "lung_volume_ml",
    "opacity_percent",
    "corona_score_cm3",
)
"""Columns in which outliers are sought."""

DISTRIBUTED = (*OUTLIER_MEASURES, "severity_0_24", "positive_fraction")
"""Columns whose distribution is shown."""

EXAMPLES = 5
"""Most ids that a failure names."""


@dataclass(frozen=True)
class ClassCount:
    """How many scans and patients a class has, and what became of the scans."""

    class_name: str
    scans: int
    patients: int
    by_status: dict[Status, int]

    @property
    def measured(self) -> int:
        """Scans with status ok."""
        return self.by_status["ok"]


@dataclass(frozen=True)
class Distribution:
    """Five numbers of a measure in a class; quartiles by linear interpolation."""

    measure: str
    class_name: str
    count: int
    minimum: float
    quartile_1: float
    median: float
    quartile_3: float
    maximum: float


@dataclass(frozen=True)
class Outlier:
    """A value that lies far from the others.

    Parameters
    ----------
    row
        The scan.
    measure, value
        Column and its value.
    robust_z
        Modified z-score; None where more than half of the values are alike.
    outside_quartiles
        Whether the rule of quartiles calls it an outlier, too.
    reference
        What it was held against: its class, or the cohort.
    median
        Of the reference.
    """

    row: CohortRow
    measure: str
    value: float
    robust_z: float | None
    outside_quartiles: bool
    reference: str
    median: float

    @property
    def rules(self) -> tuple[str, ...]:
        """Which rules call it an outlier."""
        by_z = ("robust z",) if self.robust_z is not None and abs(self.robust_z) > ROBUST_Z_LIMIT else ()
        return by_z + (("quartiles",) if self.outside_quartiles else ())


@dataclass(frozen=True)
class Failure:
    """Scans that failed for the same reason; numbers in it may differ, and ``reason`` is that of the first."""

    status: Status
    reason: str
    count: int
    examples: tuple[str, ...]


def class_of(row: CohortRow) -> str:
    """The row's class, or `NO_CLASS`."""
    return row.class_name or NO_CLASS


def measured(rows: Sequence[CohortRow]) -> list[CohortRow]:
    """Rows of scans that were measured."""
    return [row for row in rows if row.status == "ok"]


def count_classes(rows: Sequence[CohortRow]) -> tuple[ClassCount, ...]:
    """Count scans and patients of each class, classes in the order of their names; scans without class come last."""
    names = sorted({class_of(row) for row in rows}, key=lambda name: (name == NO_CLASS, name))
    counts = []
    for name in names:
        members = [row for row in rows if class_of(row) == name]
        statuses = Counter(row.status for row in members)
        patients = len({row.patient for row in members if row.patient})
        counts.append(ClassCount(name, len(members), patients, {status: statuses[status] for status in STATUSES}))
    return tuple(counts)


def values_of(rows: Sequence[CohortRow], measure: str) -> NDArray[np.float64]:
    """Defined values of a column, shape ``(n,)``, in the order of the rows."""
    values = (getattr(row, measure) for row in measured(rows))
    return np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)


def distributions(rows: Sequence[CohortRow]) -> tuple[Distribution, ...]:
    """Describe each measure in each class; what no scan of a class has is left out."""
    described = []
    for measure in DISTRIBUTED:
        for entry in count_classes(rows):
            values = values_of([row for row in rows if class_of(row) == entry.class_name], measure)
            if values.size:
                five = (float(v) for v in np.percentile(values, [0, 25, 50, 75, 100]))
                described.append(Distribution(measure, entry.class_name, int(values.size), *five))
    return tuple(described)


def robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute modified z-scores.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite, n at least 1.

    Returns
    -------
    ndarray
        float64, same shape, without unit; all NaN where the median absolute deviation is 0.
    """
    distance = values - np.median(values)
    spread = float(np.median(np.abs(distance)))
    return MAD_FACTOR * distance / spread if spread > 0 else np.full(values.shape, np.nan)


def outside_quartiles(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which values lie outside of Tukey's fences; none where the quartiles are equal.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite, n at least 1.
    """
    low, high = np.percentile(values, [25, 75])
    reach = IQR_FACTOR * (high - low)
    return (reach > 0) & ((values < low - reach) | (values > high + reach))


def find_outliers(rows: Sequence[CohortRow]) -> tuple[Outlier, ...]:
    """Find values that lie far from those of their class.

    Parameters
    ----------
    rows
        Of the cohort.

    Returns
    -------
    tuple of Outlier
        Values that at least one rule calls outliers; those of both rules first, then by the size of their z-score. A
        class with fewer than `MIN_REFERENCE` values is held against the whole cohort; a cohort with fewer has none.
    """
    outliers = []
    for measure in OUTLIER_MEASURES:
        having = [row for row in measured(rows) if getattr(row, measure) is not None]
        groups: dict[str, list[CohortRow]] = {}
        for row in having:
            groups.setdefault(class_of(row), []).append(row)
        for name, members in groups.items():
            alone = len(members) >= MIN_REFERENCE
            outliers += _outliers_in(
                measure, members, members if alone else having, f"class {name}" if alone else "the cohort"
            )
    return tuple(sorted(outliers, key=_strangeness))


def _strangeness(outlier: Outlier) -> tuple[int, float, str]:
    return -len(outlier.rules), -abs(outlier.robust_z or 0.0), outlier.row.id


def _outliers_in(measure: str, members: list[CohortRow], reference: list[CohortRow], words: str) -> list[Outlier]:
    """Outliers among rows, held against reference rows that hold them."""
    values = values_of(reference, measure)
    if values.size < MIN_REFERENCE:
        return []
    scores, outside = robust_z(values), outside_quartiles(values)
    names = {row.id for row in members}
    listed = (
        Outlier(
            row, measure, float(value), None if np.isnan(z) else float(z), bool(out), words, float(np.median(values))
        )
        for row, value, z, out in zip(reference, values, scores, outside, strict=True)
        if row.id in names
    )
    return [outlier for outlier in listed if outlier.rules]


def count_flags(rows: Sequence[CohortRow]) -> tuple[tuple[str, int], ...]:
    """Count measured scans by the codes of their notices, most frequent first."""
    counts = Counter(code for row in measured(rows) for code in set(row.notices))
    return tuple(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def gather_failures(rows: Sequence[CohortRow]) -> tuple[Failure, ...]:
    """Gather the scans that failed by status and reason, most frequent first; numbers in reasons do not matter."""
    groups: dict[tuple[Status, str], list[CohortRow]] = {}
    for row in rows:
        if row.status != "ok":
            groups.setdefault((row.status, re.sub(r"\d+(\.\d+)?", "#", row.reason)), []).append(row)
    failures = (
        Failure(status, members[0].reason, len(members), tuple(row.id for row in members[:EXAMPLES]))
        for (status, _), members in groups.items()
    )
    return tuple(sorted(failures, key=lambda failure: (-failure.count, failure.status, failure.reason)))
