"""Means, rates and areas under curves with intervals whose unit is the patient.

Slices and scans of one patient are alike, so patients, not slices, are drawn again (with replacement); the intervals
are percentiles of the figure over the draws (Efron 1979, doi:10.1214/aos/1176344552). Where all patients are alike,
every draw is the same, which says nothing of the next patient: rates have an exact interval there, other figures none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from CovidCTLib.training.tasks import area_under_curve

DRAWS = 2000
"""Bootstrap draws; more change the second digit of an interval no longer."""

SEED = 0
"""Seed of the draws, so that the same figures get the same intervals."""

CONFIDENCE_PERCENT = 95.0

CALIBRATION_BINS = 10
"""Bins of equal width of the calibration curve, without unit."""

NOTHING = "none among what was judged"
ONE_PATIENT = "none: one patient only"
ONE_CLASS = "both classes are needed"
ONE_OF_CLASS = "none: one patient only of a class"
ALIKE = "none: all draws of patients give the same"

BOOTSTRAP = "bootstrap over patients"
EXACT = "exact"
"""Kinds of intervals."""

_ALIKE_WITHIN = 1e-12
"""Rates of patients that differ by less than this, without unit, are one rate rounded differently."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Parameters
    ----------
    value
        The figure; None where it is undefined.
    low, high
        Ends of the 95 % interval; None where there is none.
    reason
        Why value or interval are absent.
    method
        `BOOTSTRAP` or `EXACT`; None where there is no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    method: str | None = None


def rate(called: ArrayLike, members: ArrayLike, patients: Sequence[str]) -> Estimate:
    """Share of the members that are called, such as a sensitivity, with an interval over patients.

    Parameters
    ----------
    called
        Shape ``(n,)``, bool: what counts as right, or as found.
    members
        Shape ``(n,)``, bool: whom the rate is of; the others do not count.
    patients
        Whose each entry is, length n.

    Returns
    -------
    Estimate
        With an exact interval where every patient has one entry, or where all patients have the same rate; else with
        one of `bootstrap_ratio`.
    """
    chosen = np.asarray(members, dtype=bool)
    right = np.asarray(called, dtype=np.float64)[chosen]
    whose = np.asarray(patients, dtype=str)[chosen]
    names, owner, entries = np.unique(whose, return_inverse=True, return_counts=True)
    if not len(names):
        return Estimate(None, reason=NOTHING)
    of_patient = np.bincount(owner, right, len(names)) / entries
    if entries.max() == 1 or (len(names) > 1 and np.ptp(of_patient) < _ALIKE_WITHIN):
        low, high = exact_interval(float(of_patient.sum()), len(names))
        return Estimate(float(right.mean()), low, high, method=EXACT)
    return bootstrap_ratio(right, np.ones_like(right), whose.tolist())


def exact_interval(successes: float, trials: int) -> tuple[float, float]:
    """Interval of a proportion after Clopper and Pearson (1934, doi:10.1093/biomet/26.4.404).

    Parameters
    ----------
    successes
        From 0 to ``trials``, both inclusive. It need not be whole: patients who all have the same rate count with it,
        as Korn and Graubard 1998 do with an effective number (Survey Methodology 24(2):193-201).
    trials
        At least 1.
    """
    tail = (1 - CONFIDENCE_PERCENT / 100) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low, high


def bootstrap_ratio(
    numerators: ArrayLike, denominators: ArrayLike, patients: Sequence[str], draws: int = DRAWS, seed: int = SEED
) -> Estimate:
    """Divide two sums, such as true positives and positives, with an interval over patients.

    Parameters
    ----------
    numerators, denominators
        Shape ``(n,)``, one entry an image.
    patients
        Whose each image is, length n.
    draws, seed
        Number of draws and their seed.

    Returns
    -------
    Estimate
        Only patients whose denominator is not zero are counted and drawn. There is no interval of one patient, nor
        where all draws give the same.
    """
    above, below = (np.asarray(a, dtype=np.float64) for a in (numerators, denominators))
    counting = below != 0
    if not counting.any():
        return Estimate(None, reason=NOTHING)
    above, below = above[counting], below[counting]
    names, owner = np.unique(np.asarray(patients, dtype=str)[counting], return_inverse=True)
    value = float(above.sum() / below.sum())
    if len(names) < 2:
        return Estimate(value, reason=ONE_PATIENT)
    weights = _draw(len(names), draws, seed)
    sums = [weights @ np.bincount(owner, a, len(names)) for a in (above, below)]
    return _with_interval(value, *sums)


def bootstrap_mean(values: ArrayLike, patients: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> Estimate:
    """Average values, with an interval over patients; parameters as in `bootstrap_ratio`."""
    array = np.asarray(values, dtype=np.float64)
    return bootstrap_ratio(array, np.ones_like(array), patients, draws, seed)


def bootstrap_auc(
    scores: ArrayLike, positive: ArrayLike, patients: Sequence[str], draws: int = DRAWS, seed: int = SEED
) -> Estimate:
    """Area under the ROC curve of all entries together, ties counted half, with an interval over patients.

    Parameters
    ----------
    scores
        Shape ``(n,)``; larger means more likely positive.
    positive
        Shape ``(n,)``, bool.
    patients
        Length n.
    draws, seed
        Number of draws and their seed.

    Notes
    -----
    The area is the share of pairs of a positive and a negative entry that are in the right order (Hanley and McNeil
    1982, doi:10.1148/radiology.143.1.7063747). Right pairs are counted once for each two patients; a draw then only
    weighs these counts. Draws without both classes do not count. There is no interval where one patient alone has
    positive entries, or negative ones: no draw could show how much another patient would change.
    """
    score, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if not is_positive.any() or is_positive.all():
        return Estimate(None, reason=ONE_CLASS)
    value = area_under_curve(score, is_positive)
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        return Estimate(value, reason=ONE_PATIENT)
    if min(len(np.unique(owner[members])) for members in (is_positive, ~is_positive)) < 2:
        return Estimate(value, reason=ONE_OF_CLASS)
    right, pairs = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    owners_of_positive = owner[is_positive]
    positives = np.bincount(owners_of_positive, minlength=len(names)).astype(np.float64)
    for q in range(len(names)):
        negatives = np.sort(score[~is_positive & (owner == q)])
        below = np.searchsorted(negatives, score[is_positive], "left")
        not_above = np.searchsorted(negatives, score[is_positive], "right")
        right[:, q] = np.bincount(owners_of_positive, (below + not_above) / 2, len(names))
        pairs[:, q] = positives * len(negatives)
    weights = _draw(len(names), draws, seed)
    return _with_interval(value, ((weights @ right) * weights).sum(axis=1), ((weights @ pairs) * weights).sum(axis=1))


def _draw(patients: int, draws: int, seed: int) -> Numbers:
    """How often each patient is in each draw, shape ``(draws, patients)``."""
    counts = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=draws)
    return counts.astype(np.float64)


def _with_interval(value: float, above: Numbers, below: Numbers) -> Estimate:
    """Percentiles of the ratio of two sums over the draws."""
    some = below > 0
    if not some.any():
        return Estimate(value, reason=ONE_CLASS)
    drawn = above[some] / below[some]
    if np.ptp(drawn) <= _ALIKE_WITHIN * max(1.0, abs(value)):
        return Estimate(value, reason=ALIKE)
    tail = (100 - CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), method=BOOTSTRAP)


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic curve, from (0, 0) to (1, 1).

    Parameters
    ----------
    false_positive_rate, sensitivity
        Shape ``(m,)``, rising.
    threshold
        Shape ``(m,)``, falling: entries at or above it are called positive; the first is above all entries.
    """

    false_positive_rate: Numbers
    sensitivity: Numbers
    threshold: Numbers


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> Roc | None:
    """Trace the ROC curve; None unless both classes are there."""
    score, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if not is_positive.any() or is_positive.all():
        return None
    thresholds = np.unique(score)[::-1]
    rates = []
    for members in (~is_positive, is_positive):
        ordered = np.sort(score[members])
        rates.append(np.concatenate([[0.0], 1 - np.searchsorted(ordered, thresholds, "left") / len(ordered)]))
    return Roc(rates[0], rates[1], np.concatenate([[np.nextafter(thresholds[0], np.inf)], thresholds]))


@dataclass(frozen=True)
class CalibrationBin:
    """Entries whose probability lies in a bin; ``low`` is inclusive, ``high`` exclusive but for the last bin."""

    low: float
    high: float
    count: int
    mean_probability: float | None
    observed_share: float | None


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be taken at their word.

    Parameters
    ----------
    bins
        `CALIBRATION_BINS` bins of equal width.
    brier
        Mean squared difference of probability and outcome (Brier 1950,
        doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2), 0 best.
    expected_error
        Mean over the bins, weighed by their counts, of the distance between mean probability and observed share (Guo et
        al. 2017, arXiv:1706.04599), 0 best.
    """

    bins: tuple[CalibrationBin, ...]
    brier: float
    expected_error: float


def calibrate(probability: ArrayLike, positive: ArrayLike) -> Calibration | None:
    """Compare probabilities with outcomes; None without entries.

    Parameters
    ----------
    probability
        Shape ``(n,)``, in [0, 1].
    positive
        Shape ``(n,)``, bool.
    """
    p, outcome = np.asarray(probability, dtype=np.float64), np.asarray(positive, dtype=np.float64)
    if len(p) == 0:
        return None
    bin_of_case = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for number in range(CALIBRATION_BINS):
        members = bin_of_case == number
        count = int(members.sum())
        said, seen = (float(a[members].mean()) if count else None for a in (p, outcome))
        bins.append(CalibrationBin(number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS, count, said, seen))
    gaps = [b.count * abs(b.mean_probability - b.observed_share) for b in bins if b.count]  # type: ignore[operator]
    return Calibration(tuple(bins), float(np.mean((p - outcome) ** 2)), float(sum(gaps) / len(p)))


@dataclass(frozen=True)
class ThresholdCurve:
    """Sensitivity and specificity of calling a case positive where its share is above a threshold.

    Parameters
    ----------
    threshold
        Shape ``(m,)``, rising from 0; between two of them nothing changes.
    sensitivity, specificity
        Shape ``(m,)``.
    recommended
        Middle of the widest range of thresholds with the largest Youden index (sensitivity + specificity - 1; Youden
        1950, doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3).
    """

    threshold: Numbers
    sensitivity: Numbers
    specificity: Numbers
    recommended: float


def threshold_curve(shares: ArrayLike, positive: ArrayLike) -> ThresholdCurve | None:
    """Trace sensitivity and specificity over thresholds; None unless both classes are there.

    Parameters
    ----------
    shares
        Shape ``(n,)``, in [0, 1]: share of positive slices of each case.
    positive
        Shape ``(n,)``, bool.
    """
    share, is_positive = np.asarray(shares, dtype=np.float64), np.asarray(positive, dtype=bool)
    if not is_positive.any() or is_positive.all():
        return None
    # At a threshold of 1 and above nothing is positive.
    thresholds = np.unique(np.concatenate([[0.0], share[share < 1]]))
    sensitivity = np.array([(share[is_positive] > t).mean() for t in thresholds])
    specificity = np.array([(share[~is_positive] <= t).mean() for t in thresholds])
    youden = sensitivity + specificity
    ends = np.append(thresholds[1:], 1.0)
    best = np.flatnonzero(youden >= youden.max() - 1e-12)
    widest = best[np.argmax(ends[best] - thresholds[best])]
    return ThresholdCurve(thresholds, sensitivity, specificity, float((thresholds[widest] + ends[widest]) / 2))
