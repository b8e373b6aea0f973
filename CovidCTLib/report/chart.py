"""The per-slice chart: probability and areas over the position of the slices, drawn by matplotlib as an SVG picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from CovidCTLib.analysis import CaseDecision, SliceMeasures
from CovidCTLib.labels import CONSOLIDATION, GGO, Label
from CovidCTLib.report.embedded import SVG_PT_PER_INCH, Picture, embed_figure

MM2_PER_CM2 = 100

WIDE_HEIGHT_PX = 480
NARROW_HEIGHT_PX = 500
"""Height of a chart in CSS pixels; a narrow one spends more of it on its legend."""

LEAST_TOP_CM2 = 1.0
"""Least upper end of the axis of areas, in cm²: a scan without lungs has an axis too."""

_NARROW_PX = 600
"""Charts under this width have shorter titles, smaller text and a legend of two columns."""

_PAD_INCH = 6 / SVG_PT_PER_INCH
"""Free space around axes and legend."""

_INK, _SOFT, _GRID = "#17212b", "#52606d", "#d5dce3"
_PROBABILITY, _POSITIVE = "#0b5c8a", "#a3171d"
_LUNGS, _LOCALIZATION = "#c9dbe8", "#008c64"
_REPRESENTATIVE, _SHOWN = "#a87800", _INK

LINE_COLOURS = (_PROBABILITY, _POSITIVE, _LOCALIZATION, _REPRESENTATIVE, _SHOWN)
"""Colours of lines and markers; readers of any colour vision tell them apart, from each other and from white."""

_STYLE: dict[str, Any] = {
    # The only font that is sure to be on every machine; as outlines it looks the same in every browser.
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    # Without a salt of its own every drawing has other identifiers.
    "svg.hashsalt": "covidct",
    "text.color": _INK,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 15,
    "axes.labelweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 1,
}


def chart_style(width_px: int) -> AbstractContextManager[None]:
    """Settings of matplotlib under which a chart of this width is made and drawn, whatever the user's own are."""
    return style.context(["default", {**_STYLE, "font.size": 12 if width_px < _NARROW_PX else 13}])


def slice_figure(
    slices: Sequence[SliceMeasures],
    case: CaseDecision,
    shown_index: int | None,
    width_px: int,
    spacing_known: bool = True,
) -> Figure:
    """Draw probability and areas of every slice over its position.

    Parameters
    ----------
    slices
        All slices of an analysis, at least one, in any order.
    case
        For the threshold of the probability.
    shown_index
        Index of the slice that the pictures show, marked as such; None marks none.
    width_px
        Width of the chart in CSS pixels; text has a fixed size, so narrow screens get a chart of their own.
    spacing_known
        Whether positions and areas have a scale; where not, the chart has none either.

    Returns
    -------
    Figure
        Two axes over the S coordinate in mm, feet to head: probability (0 to 1) above, areas in cm² below; and a
        legend of all that is drawn. One inch of it is 72 CSS pixels. Draw it under `chart_style`.

    Notes
    -----
    The background is white and the colours do not follow the page's theme. Colours go with an order of lightness, a
    dash or a marker of their own, so they can be told apart by colour-blind readers and in grey print.
    """
    ordered = sorted(slices, key=lambda entry: entry.position_mm)
    narrow = width_px < _NARROW_PX
    height_px = NARROW_HEIGHT_PX if narrow else WIDE_HEIGHT_PX
    with chart_style(width_px):
        size = (width_px / SVG_PT_PER_INCH, height_px / SVG_PT_PER_INCH)
        figure = Figure(
            figsize=size, dpi=SVG_PT_PER_INCH, layout=ConstrainedLayoutEngine(w_pad=_PAD_INCH, h_pad=_PAD_INCH)
        )
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
        # Markers of neighbouring slices should not cover each other.
        marker_px = float(np.clip(0.55 * width_px / len(ordered), 3, 6.5))
        _draw_probability(upper, ordered, case.slice_threshold, marker_px)
        _draw_areas(lower, ordered)
        _mark_slices(upper, lower, ordered, shown_index)
        # A curve or an area of nothing has an endless frame, for which no layout has room.
        for artist in (*upper.lines, *lower.lines, *lower.collections):
            artist.set_in_layout(False)
        upper.set_title("Probability (0 to 1)" if narrow else "Probability that the slice is like COVID-19 (0 to 1)")
        lower.set_title("Area in the slice (cm²)" if spacing_known else "Area in the slice (no scale)")
        position = "S (mm)" if narrow else "Position of the slice, S (mm)"
        if not spacing_known:
            position = "slices"
            lower.tick_params(labelbottom=False, labelleft=False)
        gap = " " * (6 if narrow else 20)
        lower.set_xlabel(f"← feet{gap}{position}{gap}head →")
        first_mm, last_mm = ordered[0].position_mm, ordered[-1].position_mm
        # The whole scan, slices without lung too.
        margin_mm = max(0.015 * (last_mm - first_mm), 0.5)
        lower.set_xlim(first_mm - margin_mm, last_mm + margin_mm)
        # Steps of 2.5 would need a digit more.
        lower.xaxis.set_major_locator(MaxNLocator(5 if narrow else 10, steps=[1, 2, 5, 10]))
        figure.legend(
            loc="outside upper left", ncols=2 if narrow else 5, frameon=False, borderpad=0,
            fontsize=11 if narrow else 13, handlelength=1.8, handletextpad=0.6, columnspacing=1.2,
        )  # fmt: skip
    return figure


def slice_chart(
    slices: Sequence[SliceMeasures],
    case: CaseDecision,
    shown_index: int | None,
    width_px: int,
    alt: str,
    spacing_known: bool = True,
) -> Picture:
    """Draw `slice_figure` as a picture for the report.

    Parameters
    ----------
    slices, case, shown_index, width_px, spacing_known
        As in `slice_figure`.
    alt
        What the chart shows, with numbers, for those who cannot see it.

    Returns
    -------
    Picture
        SVG in a ``data:`` URI, with its size in CSS pixels. The same slices give the same bytes.
    """
    # Some of the text is made as late as the figure is saved.
    with chart_style(width_px):
        figure = slice_figure(slices, case, shown_index, width_px, spacing_known)
        return embed_figure(figure, alt, "Slice by slice")


def _draw_probability(axes: Axes, slices: Sequence[SliceMeasures], threshold: float, marker_px: float) -> None:
    """Curve with a marker a slice, broken where no slice shows lung; slices called like COVID-19 are filled squares."""
    positions = _positions_mm(slices)
    # NaN breaks the curve.
    values = np.array([np.nan if entry.probability is None else entry.probability for entry in slices])
    called = np.array([entry.positive for entry in slices])
    axes.plot(
        positions, values, color=_PROBABILITY, linewidth=1.75, marker="o", markersize=marker_px,
        markerfacecolor="white", markeredgewidth=min(1.25, marker_px / 4), label="probability", clip_on=False, zorder=3,
    )  # fmt: skip
    axes.plot(
        positions[called], values[called], color=_POSITIVE, linestyle="none", marker="s", markersize=marker_px,
        label="like COVID-19", clip_on=False, zorder=4,
    )  # fmt: skip
    axes.axhline(threshold, color=_POSITIVE, linewidth=1.5, linestyle=(0, (5, 3)), label=f"threshold {threshold:.2f}")
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def _draw_areas(axes: Axes, slices: Sequence[SliceMeasures]) -> None:
    """Lungs as a soft hill, opacities stacked in it, localization as a dashed line; all in cm²."""
    positions = _positions_mm(slices)
    lungs = np.array([entry.lung_area_mm2 for entry in slices]) / MM2_PER_CM2
    ggo = np.array([entry.ggo_area_mm2 for entry in slices]) / MM2_PER_CM2
    both = ggo + np.array([entry.consolidation_area_mm2 for entry in slices]) / MM2_PER_CM2
    looked = np.array([entry.localization_area_mm2 for entry in slices]) / MM2_PER_CM2
    largest = float(max(lungs.max(), both.max(), looked.max()))
    zero = np.zeros_like(lungs)
    bands = (
        ("lungs", zero, lungs, _LUNGS),
        (GGO.name, zero, ggo, _colour(GGO)),
        (CONSOLIDATION.name, ggo, both, _colour(CONSOLIDATION)),
    )
    for name, low, high, colour in bands:
        # Where there is nothing no outline lies on the axis; the same for the localization.
        there = _with_neighbours(high > low)
        axes.fill_between(
            positions, low, high, where=there, facecolor=colour, edgecolor=_SOFT, linewidth=0.75, label=name
        )
    seen = np.where(_with_neighbours(looked > 0), looked, np.nan)
    axes.plot(positions, seen, color=_LOCALIZATION, linewidth=2, linestyle=(0, (4, 2)), label="localization")
    axes.set_ylim(0, max(1.05 * largest, LEAST_TOP_CM2))


def _mark_slices(upper: Axes, lower: Axes, slices: Sequence[SliceMeasures], shown_index: int | None) -> None:
    """Upright lines in both axes at the slice that the pictures show and at the representative one."""
    for entry in slices:
        if entry.index == shown_index:
            upper.axvline(entry.position_mm, color=_SHOWN, linewidth=1.25, label="slice of the pictures")
            lower.axvline(entry.position_mm, color=_SHOWN, linewidth=1.25)
    for entry in slices:
        if entry.representative:
            # The triangle stands over the axes, where no curve can hide it.
            upper.plot(
                [entry.position_mm] * 2, [0, 1.04], transform=upper.get_xaxis_transform(), color=_REPRESENTATIVE,
                linewidth=2, linestyle=":", marker="v", markersize=8, markevery=[1], clip_on=False,
                label="representative slice",
            )  # fmt: skip
            lower.axvline(entry.position_mm, color=_REPRESENTATIVE, linewidth=2, linestyle=":")


def _positions_mm(slices: Sequence[SliceMeasures]) -> NDArray[np.float64]:
    return np.array([entry.position_mm for entry in slices], dtype=np.float64)


def _with_neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the slices beside those of a mask, to which the slopes of its areas reach."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    return wide


def _colour(label: Label) -> tuple[float, float, float]:
    red, green, blue = label.colour
    return red / 255, green / 255, blue / 255
