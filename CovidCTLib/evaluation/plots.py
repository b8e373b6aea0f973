"""ROC, calibration and case threshold as SVG pictures for the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from CovidCTLib.evaluation.decision_figures import Curves, ShareOfCase
from CovidCTLib.evaluation.statistics import Calibration, Roc, ThresholdCurve
from CovidCTLib.report.chart import chart_style
from CovidCTLib.report.embedded import SVG_PT_PER_INCH, Picture, embed_figure

_SIDE_PX = 420
_BLUE, _VERMILION, _GREY = "#0072b2", "#d55e00", "#52606d"
"""Of Okabe and Ito's colour-blind safe set."""

_NAMES_RIGHT_BELOW = 0.6
"""Shares below this have the name of their case on their right."""


def draw_curves(curves: Curves, what: str) -> tuple[Picture, ...]:
    """Draw every curve that there is.

    Parameters
    ----------
    curves
        Of an evaluation.
    what
        ``"slices"`` or ``"cases"``, for the axes.
    """
    pictures = []
    if curves.roc is not None:
        pictures.append(_draw_roc(curves.roc, what))
    if curves.cases:
        pictures.append(_draw_cases(curves.cases))
    if curves.calibration is not None:
        pictures.append(_draw_calibration(curves.calibration))
    if curves.case_threshold is not None:
        pictures.append(_draw_threshold(curves.case_threshold))
    return tuple(pictures)


def _draw_cases(cases: Sequence[ShareOfCase]) -> Picture:
    """Each case by its name at the share of its positive slices, the highest on top."""

    def draw(axes: Axes) -> None:
        for n, case in enumerate(cases):
            height = 1 - (n + 0.5) / len(cases)
            colour, marker = (_VERMILION, "o") if case.covid else (_BLUE, "D")
            axes.plot([case.share], [height], color=colour, marker=marker, markersize=5, clip_on=False)
            right = case.share < _NAMES_RIGHT_BELOW
            axes.annotate(
                case.name, (case.share, height), xytext=(6 if right else -6, 0), textcoords="offset points",
                ha="left" if right else "right", va="center", fontsize=7, color="#333333",
            )  # fmt: skip
        axes.set_xlabel("share of positive slices")
        axes.set_yticks([])

    words = ", ".join(f"{case.name} {case.share:.2f}" for case in cases)
    caption = "Circles: COVID-19. Diamonds: other diseases or none. The curve goes through these cases from the top."
    return _picture(draw, "Cases by name", caption, f"Share of positive slices by case: {words}.")


def _draw_roc(roc: Roc, what: str) -> Picture:
    """Sensitivity over the false positive rate."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(roc.false_positive_rate, roc.sensitivity, color=_BLUE, linewidth=2, clip_on=False)
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("sensitivity")

    alt = f"ROC curve of the {what}, through {len(roc.threshold)} points."
    return _picture(draw, f"ROC, {what}", "The dashed line is chance.", alt)


def _draw_calibration(calibration: Calibration) -> Picture:
    """Observed share over the mean probability, bin by bin, with the number of slices in each."""
    filled = [b for b in calibration.bins if b.mean_probability is not None and b.observed_share is not None]

    def draw(axes: Axes) -> None:
        largest = max(b.count for b in filled)
        for b in calibration.bins:
            height = 0.3 * b.count / largest
            axes.bar((b.low + b.high) / 2, height, 0.08, color="#d5dce3", zorder=1)
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
        axes.plot(
            [b.mean_probability or 0.0 for b in filled], [b.observed_share or 0.0 for b in filled],
            color=_BLUE, linewidth=2, marker="o", markersize=6, clip_on=False, zorder=3,
        )  # fmt: skip
        axes.set_xlabel("probability")
        axes.set_ylabel("share that is abnormal")

    words = "; ".join(f"{b.mean_probability:.2f} said, {b.observed_share:.2f} seen, {b.count} slices" for b in filled)
    caption = "Bars: number of slices in each bin. On the dashed line probabilities can be taken at their word."
    return _picture(draw, "Calibration, slices", caption, f"Calibration curve: {words}.")


def _draw_threshold(curve: ThresholdCurve) -> Picture:
    """Sensitivity and specificity as steps over the threshold."""
    ends = np.append(curve.threshold, 1.0)

    def draw(axes: Axes) -> None:
        for name, values, colour, dash in (
            ("sensitivity", curve.sensitivity, _BLUE, "-"),
            ("specificity", curve.specificity, _VERMILION, (0, (5, 2))),
        ):
            axes.step(
                ends, np.append(values, values[-1]), where="post", color=colour, linewidth=2, linestyle=dash,
                label=name, clip_on=False,
            )  # fmt: skip
        axes.axvline(curve.recommended, color=_GREY, linewidth=1.5, linestyle=":", label="recommended")
        axes.set_xlabel("threshold of the share of positive slices")
        axes.set_ylabel("sensitivity, specificity")
        axes.legend(frameon=False, loc="lower left")

    caption = f"Recommended: {curve.recommended:.3f}."
    alt = (
        f"Sensitivity falls from {curve.sensitivity[0]:.2f} to {curve.sensitivity[-1]:.2f} and specificity rises from "
        f"{curve.specificity[0]:.2f} to {curve.specificity[-1]:.2f} over the threshold; {curve.recommended:.3f} is "
        "recommended."
    )
    return _picture(draw, "Case threshold", caption, alt)


def _picture(draw: Callable[[Axes], None], title: str, caption: str, alt: str) -> Picture:
    """Draw one square plot as SVG in a ``data:`` URI; the same numbers give the same bytes."""
    with chart_style(_SIDE_PX):
        side = _SIDE_PX / SVG_PT_PER_INCH
        drawing = Drawing(figsize=(side, side), dpi=SVG_PT_PER_INCH, layout="constrained")
        axes = drawing.subplots()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.grid(True, axis="both")
        draw(axes)
        return embed_figure(drawing, alt, title, caption)
