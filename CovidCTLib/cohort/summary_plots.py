"""The pictures of a cohort's summary, as figures of matplotlib: for the page and as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from CovidCTLib.cohort.rows import CohortRow
from CovidCTLib.cohort.summary_numbers import ClassCount, class_of, count_classes, values_of
from CovidCTLib.report.chart import chart_style
from CovidCTLib.report.embedded import SVG_PT_PER_INCH, Picture, embed_figure

WIDTH_PX = 620
"""Width of each figure, in CSS pixels."""

PNG_DPI = 150
"""Resolution of the PNG files, in dots an inch of 72 CSS pixels."""

MOST_CLASSES = 8
"""Classes that a figure shows by themselves; what is left is shown together."""

MOST_POINTS = 400
"""Single scans of a class that a figure of distributions shows; of more, evenly chosen ones."""

OTHER_CLASSES = "other classes"

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f6a00", "#52606d", "#000000")
"""Okabe and Ito's colour-blind safe set, its yellow darkened."""

_FAILED = "#d5dce3"
_ROW_PX, _RIM_PX = 46, 76
_FEWEST_BINS, _MOST_BINS = 8, 40


@dataclass(frozen=True)
class Drawing:
    """A figure of the summary.

    Parameters
    ----------
    file
        Name of its PNG.
    picture
        It as SVG, for the page.
    figure
        The figure itself.
    """

    file: str
    picture: Picture
    figure: Figure

    def write(self, path: Path) -> None:
        """Write the PNG.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with chart_style(WIDTH_PX):
            self.figure.savefig(path, format="png", dpi=PNG_DPI, metadata={"Software": None})


@dataclass(frozen=True)
class Group:
    """Scans that are shown together: a class, or all small ones."""

    name: str
    colour: str
    rows: tuple[CohortRow, ...]


def group_rows(rows: Sequence[CohortRow]) -> tuple[Group, ...]:
    """Group rows by class, in the order of `count_classes`; beyond the `MOST_CLASSES` largest they are put together."""
    counts = count_classes(rows)
    largest = {entry.class_name for entry in sorted(counts, key=lambda entry: -entry.scans)[:MOST_CLASSES]}
    names = [entry.class_name for entry in counts if entry.class_name in largest]
    groups = [(name, tuple(row for row in rows if class_of(row) == name)) for name in names]
    rest = tuple(row for row in rows if class_of(row) not in largest)
    if rest:
        groups.append((OTHER_CLASSES, rest))
    return tuple(Group(name, _COLOURS[n % len(_COLOURS)], members) for n, (name, members) in enumerate(groups))


def draw_class_counts(counts: Sequence[ClassCount]) -> Drawing:
    """Draw how many scans of each class were measured and how many were not."""
    shown = sorted(counts, key=lambda entry: entry.scans)[-4 * MOST_CLASSES :]

    def draw(axes: Axes) -> None:
        all_y = np.arange(len(shown))
        done = [entry.measured for entry in shown]
        failed = [entry.scans - entry.measured for entry in shown]
        axes.barh(all_y, done, 0.62, color=_COLOURS[0], label="measured")
        axes.barh(all_y, failed, 0.62, left=done, color=_FAILED, hatch="///", edgecolor="#52606d", label="failed")
        for y, entry in zip(all_y, shown, strict=True):
            axes.annotate(f"{entry.scans:,}", (entry.scans, y), (5, 0), textcoords="offset points", va="center")
        axes.set_yticks(all_y, [_short(entry.class_name) for entry in shown])
        axes.set_xlabel("scans")
        axes.set_xlim(0, 1.12 * max(entry.scans for entry in shown))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        if sum(failed):
            axes.legend(frameon=False, loc="lower right")

    words = "; ".join(f"{entry.class_name}: {entry.scans}, {entry.measured} measured" for entry in counts)
    height = _RIM_PX + _ROW_PX * len(shown)
    return _drawing("class_counts.png", height, draw, f"Scans by class. {words}.", "Scans by class")


def draw_histograms(rows: Sequence[CohortRow], measure: str, label: str, file: str) -> Drawing | None:
    """Draw a histogram of a measure for each class, one under the other with common bins; None without values.

    Parameters
    ----------
    rows
        Of the cohort.
    measure
        A column with numbers.
    label
        Name and unit for the axis.
    file
        Name of the PNG.
    """
    groups = [group for group in group_rows(rows) if values_of(group.rows, measure).size]
    if not groups:
        return None
    edges = _edges(values_of(rows, measure))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            values = values_of(group.rows, measure)
            axes.hist(values, edges, color=group.colour, edgecolor="white", linewidth=0.7)
            axes.axvline(float(np.median(values)), color="#17212b", linewidth=1.5, linestyle=(0, (4, 2)))
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_title(f"{_short(group.name)} ({values.size:,})", fontsize="small", pad=4)
        panels[-1].set_xlabel(label)
        figure.supylabel("scans", fontsize="medium", fontweight="bold")

    words = _medians_in_words(groups, measure)
    height = _RIM_PX + 118 * len(groups)
    alt = f"Histograms of the {label} for each class, {len(edges) - 1} bins. {words}."
    return _drawn(file, height, draw, alt, f"Histogram of the {label}", "Dashed: the class's median.")


def draw_distributions(rows: Sequence[CohortRow], measure: str, label: str, file: str) -> Drawing | None:
    """Draw the distribution of a measure in each class, as boxes with single scans; None without values.

    Parameters
    ----------
    rows, measure, label, file
        As for `draw_histograms`.
    """
    groups = [group for group in group_rows(rows) if values_of(group.rows, measure).size]
    if not groups:
        return None

    def draw(axes: Axes) -> None:
        random = np.random.default_rng(0)
        for row, group in enumerate(reversed(groups)):
            values = np.sort(values_of(group.rows, measure))
            points = values[np.linspace(0, values.size - 1, min(values.size, MOST_POINTS)).round().astype(int)]
            shift = random.uniform(-0.16, 0.16, points.size)
            axes.scatter(points, row + shift, 14, color=group.colour, alpha=0.8, linewidths=0, zorder=2)
            axes.boxplot(
                values, positions=[row], orientation="horizontal", widths=0.62, whis=(0, 100), zorder=3,
                medianprops={"color": "#17212b", "linewidth": 2}, boxprops={"color": "#17212b"},
                whiskerprops={"color": "#52606d"}, capprops={"color": "#52606d"},
            )  # fmt: skip
        axes.set_yticks(range(len(groups)), [_short(group.name) for group in reversed(groups)])
        axes.set_xlabel(label)
        axes.set_ylim(-0.6, len(groups) - 0.4)
        axes.set_xlim(left=min(0.0, float(values_of(rows, measure).min())))
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")

    alt = f"Distribution of the {label} in each class. {_medians_in_words(groups, measure)}."
    caption = "Line: median; box: quartiles; whiskers: smallest and largest; dots: scans."
    return _drawing(file, _RIM_PX + 62 * len(groups), draw, alt, f"Distribution of the {label}", caption)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ends of the bins: Freedman and Diaconis' width (1981, doi:10.1007/BF01025868), within a readable number."""
    proposed = len(np.histogram_bin_edges(values, "fd")) - 1 if values.size > 1 and np.ptp(values) > 0 else 1
    return np.histogram_bin_edges(values, int(np.clip(proposed, _FEWEST_BINS, _MOST_BINS)))


def _medians_in_words(groups: Sequence[Group], measure: str) -> str:
    values_by_group = ((group.name, values_of(group.rows, measure)) for group in groups)
    return "; ".join(f"{name}: {values.size} scans, median {np.median(values):.3g}" for name, values in values_by_group)


def _short(name: str) -> str:
    """A class's name that fits beside an axis."""
    return name if len(name) <= 24 else f"{name[:23]}…"


def _drawing(
    file: str, height_px: int, draw: Callable[[Axes], None], alt: str, title: str, caption: str = ""
) -> Drawing:
    """Draw a figure of one panel."""
    return _drawn(file, height_px, lambda figure: draw(figure.subplots()), alt, title, caption)


def _drawn(
    file: str, height_px: int, draw: Callable[[Figure], None], alt: str, title: str, caption: str = ""
) -> Drawing:
    """Draw a figure and embed it."""
    with chart_style(WIDTH_PX):
        size = WIDTH_PX / SVG_PT_PER_INCH, height_px / SVG_PT_PER_INCH
        figure = Figure(figsize=size, dpi=SVG_PT_PER_INCH, layout="constrained")
        draw(figure)
        return Drawing(file, embed_figure(figure, alt, title, caption), figure)
