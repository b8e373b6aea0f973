"""Figures of decisions: rates, curves and calibration over judged slices and cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import LIKE_COVID
from CovidCTLib.evaluation.decisions import SliceCalls
from CovidCTLib.evaluation.figures import (
    FEW_CASES,
    Figure,
    Row,
    few_remark,
    judged,
)
from CovidCTLib.evaluation.masks import NORMAL_CONTROL, VOLUMES, number_in, why_none
from CovidCTLib.evaluation.statistics import (
    Calibration,
    Estimate,
    Roc,
    ThresholdCurve,
    bootstrap_auc,
    bootstrap_mean,
    calibrate,
    rate,
    roc_curve,
    threshold_curve,
)
from CovidCTLib.evaluation.transferred import TOO_FEW_OTHERS, called_by_others
from CovidCTLib.labelled_data.layout import says_other_pneumonia
from CovidCTLib.models.card import count_of


@dataclass(frozen=True)
class ShareOfCase:
    """What a case adds to the curve of cases: its name, the share of its positive slices, whether it is COVID-19."""

    name: str
    share: float
    covid: bool


@dataclass(frozen=True)
class Curves:
    """What the plots show; None where it is undefined."""

    roc: Roc | None = None
    calibration: Calibration | None = None
    case_threshold: ThresholdCurve | None = None
    cases: tuple[ShareOfCase, ...] = ()


def slice_figures(rows: Sequence[Row], calls: Sequence[SliceCalls | None]) -> tuple[list[Figure], Curves]:
    """Sum up the slices of all judged volumes.

    Parameters
    ----------
    rows
        All rows.
    calls
        Slices of each row; None for rows that failed.
    """
    counting = [(row, c) for row, c in zip(rows, calls, strict=True) if row.status == "judged" and c is not None]
    probability = np.concatenate([np.zeros(0), *[c.probability for _, c in counting]])
    abnormal = np.concatenate([np.zeros(0, bool), *[c.abnormal for _, c in counting]])
    called = np.concatenate([np.zeros(0, bool), *[c.called for _, c in counting]])
    patients = [row.patient for row, c in counting for _ in range(len(c.index))]
    why = why_none(rows, "slices")

    def figure(name: str, estimate: Estimate, members: NDArray[np.bool_]) -> Figure:
        owners = len({p for p, is_member in zip(patients, members, strict=True) if is_member})
        return Figure(VOLUMES, "volume", name, _explained(estimate, patients, why), int(members.sum()), "slices",
                      owners, few_remark(owners))  # fmt: skip

    everything = np.ones(len(probability), bool)
    right = called == abnormal
    calibration = calibrate(probability, abnormal)
    figures = [
        figure("auc", bootstrap_auc(probability, abnormal, patients), everything),
        _within_case(rows),
        figure("sensitivity", rate(called, abnormal, patients), abnormal),
        figure("specificity", rate(~called, ~abnormal, patients), ~abnormal),
        figure("accuracy", rate(right, everything, patients), everything),
        figure("brier", bootstrap_mean((probability - abnormal) ** 2, patients), everything),
    ]
    if calibration is not None:
        estimate = Estimate(calibration.expected_error, reason="no interval is computed for it")
        figures.append(figure("expected_calibration_error", estimate, everything))
    figures += _normal_control(rows)
    elsewhere = called_by_others(probability, abnormal, patients)
    for name, members in (("transferred_sensitivity", abnormal), ("transferred_specificity", ~abnormal)):
        estimate = Estimate(None, reason=TOO_FEW_OTHERS)
        if elsewhere is not None:
            estimate = rate(elsewhere == abnormal, members, patients)
        figures.append(figure(name, estimate, members))
    if elsewhere is not None:
        figures += _transferred_normal_control(counting, elsewhere)
    return figures, Curves(roc_curve(probability, abnormal), calibration)


def _transferred_normal_control(counting: Sequence[tuple[Row, SliceCalls]], called: NDArray[np.bool_]) -> list[Figure]:
    """Share of slices called positive in cases without disease, at the thresholds that the others give."""
    parts = np.split(called, np.cumsum([len(calls.index) for _, calls in counting])[:-1])
    normal = [
        (row, 100 * float(part.mean()))
        for (row, _), part in zip(counting, parts, strict=True)
        if row.group == NORMAL_CONTROL and len(part)
    ]
    if not normal:
        return []
    return [_of_normal_control("transferred_called_slices_percent", normal, "")]


def _explained(estimate: Estimate, patients: Sequence[str], why: str) -> Estimate:
    """Say why there is no figure where there are no slices at all."""
    return estimate if patients else Estimate(None, reason=why)


def _within_case(rows: Sequence[Row]) -> Figure:
    """Mean AUC over volumes that have both kinds of slices."""
    counting = [(row, value) for row in judged(rows) if (value := number_in(row, "auc")) is not None]
    patients = [row.patient for row, _ in counting]
    estimate = bootstrap_mean([value for _, value in counting], patients)
    if not counting:
        estimate = Estimate(None, reason=why_none(rows, "auc"))
    owners = len(set(patients))
    return Figure(VOLUMES, "volume", "auc_within_case", estimate, len(counting), "cases", owners, few_remark(owners))


def _normal_control(rows: Sequence[Row]) -> list[Figure]:
    """Share of slices called positive in cases without disease."""
    normal = [row for row in rows if row.group == NORMAL_CONTROL]
    if not normal:
        return []
    name = "called_slices_percent"
    counting = [(row, value) for row in judged(normal) if (value := number_in(row, name)) is not None]
    return [_of_normal_control(name, counting, "" if counting else why_none(normal, name))]


def _of_normal_control(name: str, counting: Sequence[tuple[Row, float]], why: str) -> Figure:
    """Mean over cases without disease."""
    patients = [row.patient for row, _ in counting]
    estimate = bootstrap_mean([value for _, value in counting], patients) if counting else Estimate(None, reason=why)
    owners, remark = len(set(patients)), few_remark(len(counting))
    return Figure(NORMAL_CONTROL, "volume", name, estimate, len(counting), "cases", owners, remark)


def case_figures(rows: Sequence[Row]) -> tuple[list[Figure], Curves]:
    """Sum up the decisions on all judged volumes."""
    counting = judged(rows)
    diseased = np.array([row.values["diseased"] is True for row in counting], dtype=bool)
    called = np.array([row.values["called_positive"] is True for row in counting], dtype=bool)
    shares = np.array([(number_in(row, "called_slices_percent") or 0.0) / 100 for row in counting])
    patients = [row.patient for row in counting]
    why = why_none(rows, "called_positive")
    everything = np.ones(len(counting), bool)
    fewest = min(int(diseased.sum()), int((~diseased).sum()))

    def figure(name: str, estimate: Estimate, members: NDArray[np.bool_]) -> Figure:
        owners = {p for p, is_member in zip(patients, members, strict=True) if is_member}
        count = int(members.sum())
        # A figure that needs both kinds of cases is only as sure as the rarer kind allows.
        remark = few_remark(min(count, fewest or count) if members is everything else count)
        return Figure(VOLUMES, "volume", name, _explained(estimate, patients, why), count, "cases", len(owners), remark)

    right = called == diseased
    curve = threshold_curve(shares, diseased)
    recommended = Estimate(None, reason="cases with and without COVID-19 are needed")
    if curve is not None:
        recommended = Estimate(curve.recommended, reason="no interval is computed for it")
    figures = [
        figure("sensitivity", rate(called, diseased, patients), diseased),
        figure("specificity", rate(~called, ~diseased, patients), ~diseased),
        figure("accuracy", rate(right, everything, patients), everything),
        figure("auc", bootstrap_auc(shares, diseased, patients), everything),
        figure("recommended_case_threshold", recommended, everything),
    ]
    figures += _normal_control(rows)
    named = sorted(zip([row.case for row in counting], shares.tolist(), diseased.tolist(), strict=True), key=_by_share)
    return figures, Curves(roc_curve(shares, diseased), None, curve, tuple(ShareOfCase(*entry) for entry in named))


def _by_share(entry: tuple[str, float, bool]) -> tuple[float, str]:
    """Order of cases: the highest share first."""
    return -entry[1], entry[0]


def case_notice(rows: Sequence[Row]) -> str:
    """Say plainly how many cases with and without COVID-19 were called so, and which of these may look alike."""
    counting = judged(rows)
    positive = sum(row.values.get("diseased") is True for row in counting)
    negative = sum(row.values.get("diseased") is False for row in counting)
    if negative == 0:
        return (
            f"No case without COVID-19 was judged ({count_of(positive, 'cases')} with it): there is no "
            "specificity, no AUC and no recommended case threshold."
        )
    called = [row.values["diseased"] for row in counting if row.values.get("called_positive") is True]
    text = (
        f"Judged on {count_of(len(counting), 'cases')}: {called.count(True)} of {positive} with COVID-19 and "
        f"{called.count(False)} of {negative} without it were called {LIKE_COVID}."
    )
    for row in counting:
        if says_other_pneumonia(row.case):
            verdict = "was" if row.values.get("called_positive") is True else "was not"
            text += (
                f" Among those without it, {row.case} is another pneumonia, which may look the same; it {verdict} "
                f"called so, with {number_in(row, 'called_slices_percent') or 0:.1f} % of its lung slices."
            )
    if negative < FEW_CASES or positive < FEW_CASES:
        text += " That is too few to set a threshold for practice: take it as a first hint."
    return text
