"""The chart of a follow-up: five measures over days since the first study, a line for each lung and for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from CovidCTLib.followup.result import FollowUp, Series
from CovidCTLib.measures.regions import REGIONS
from CovidCTLib.report.chart import chart_style
from CovidCTLib.report.content import format_number
from CovidCTLib.report.embedded import SVG_PT_PER_INCH, Picture, embed_figure
from CovidCTLib.units import pretty_unit

WIDE_PX, NARROW_PX = 900, 310
"""Widths of the chart on a desktop and on a phone of 360 px."""

_ROW_PX = 250
_LINES: dict[str, tuple[str, str, Any]] = {
    "both_lungs": ("#17212b", "o", "-"),
    "right_lung": ("#2f8fc4", "s", (0, (5, 2))),
    "left_lung": ("#d55e00", "^", (0, (1, 1))),
}
"""Colour, marker and dash of each region: told apart in grey print and by colour-blind readers, too."""


def follow_up_chart(result: FollowUp, width_px: int) -> Picture:
    """Draw every series of a follow-up.

    Parameters
    ----------
    result
        The follow-up.
    width_px
        Width in CSS pixels; a narrow chart has its axes one below the other.

    Returns
    -------
    Picture
        SVG in a ``data:`` URI; its words hold the values of both lungs.
    """
    columns = 3 if width_px >= WIDE_PX else 1
    # One place more, for the legend.
    rows = -(-(len(result.series) + 1) // columns)
    with chart_style(width_px):
        size = (width_px / SVG_PT_PER_INCH, rows * _ROW_PX / SVG_PT_PER_INCH)
        figure = Figure(figsize=size, dpi=SVG_PT_PER_INCH, layout="constrained")
        all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, series in zip(all_axes, result.series, strict=False):
            _draw(axes, series)
        for axes in all_axes[len(result.series) :]:
            axes.set_axis_off()
        _draw_legend(all_axes[len(result.series)])
        return embed_figure(figure, _in_words(result.series), "Course", "Days count from the first study.")


def _draw(axes: Axes, series: Series) -> None:
    """One measure: a line a region, broken where a value is undefined."""
    for region, values in series.lines.items():
        colour, marker, dash = _LINES[region]
        numbers = [np.nan if value is None else value for value in values]
        axes.plot(series.days, numbers, color=colour, marker=marker, linestyle=dash, linewidth=2, markersize=7)
    axes.set_title(f"{series.label} ({pretty_unit(series.unit)})", fontsize="small", wrap=True)
    axes.set_xlabel("days", fontsize="small")
    axes.tick_params(labelsize="small")
    axes.set_ylim(bottom=0)
    largest = max((value for values in series.lines.values() for value in values if value is not None), default=0.0)
    axes.set_ylim(0, 1.08 * largest if largest > 0 else 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.margins(x=0.06)


def _draw_legend(axes: Axes) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle=dash, linewidth=2, markersize=7, label=REGIONS[region])
        for region, (colour, marker, dash) in _LINES.items()
    ]
    axes.legend(handles=handles, loc="center", frameon=False)


def _in_words(series: Sequence[Series]) -> str:
    """Say with numbers what the chart shows."""
    parts = []
    for entry in series:
        values = (format_number(value) for value in entry.lines["both_lungs"])
        course = ", ".join(f"day {day}: {value}" for day, value in zip(entry.days, values, strict=True))
        parts.append(f"{entry.label} of both lungs ({pretty_unit(entry.unit)}): {course}")
    return f"Five charts over days since the first study. {'. '.join(parts)}."
