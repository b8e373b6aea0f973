"""The per-slice chart as a scalable drawing (SVG) that takes its colours from the page and so follows its theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from CovidCTLib.analysis import CaseDecision, SliceMeasures
from CovidCTLib.labels import CONSOLIDATION, GGO

PROBABILITY_HEIGHT = 130
AREA_HEIGHT = 190
_TOP, _GAP, _BOTTOM, _LEFT, _RIGHT = 30, 40, 44, 52, 14

_NARROW_PX = 600
"""Drawings under this width have shorter titles."""

MM2_PER_CM2 = 100


@dataclass(frozen=True)
class _Axis:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start_px + part * (self.end_px - self.start_px)


def nice_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Round numbers between two limits (inclusive), at steps of 1, 2 or 5 times a power of ten, at most ``most``."""
    if not high > low:
        return (low,)
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


def slice_chart(
    slices: Sequence[SliceMeasures], case: CaseDecision, shown_index: int | None, width_px: int, description: str
) -> Markup:
    """Draw probability and areas of every slice over its position.

    Parameters
    ----------
    slices
        All slices of an analysis, at least one.
    case
        For the threshold of the probability.
    shown_index
        Index of the slice that the pictures show, marked as such; None marks none.
    width_px
        Width of the drawing in CSS pixels; text has a fixed size, so narrow screens get a drawing of their own.
    description
        What the chart says, for those who cannot see it.

    Returns
    -------
    Markup
        One ``<svg>`` element. Its colours are classes that the page's style sheet defines.
    """
    ordered = sorted(slices, key=lambda entry: entry.position_mm)
    positions = [entry.position_mm for entry in ordered]
    half = _half_step(positions)
    right = width_px - _RIGHT
    x = _Axis(positions[0] - half, positions[-1] + half, _LEFT, right)
    upper_bottom = _TOP + PROBABILITY_HEIGHT
    lower_top = upper_bottom + _GAP
    lower_bottom = lower_top + AREA_HEIGHT
    probability = _Axis(0, 1, upper_bottom, _TOP)
    largest = max(max(entry.lung_area_mm2, entry.localization_area_mm2) for entry in ordered) / MM2_PER_CM2
    area = _Axis(0, largest * 1.05 if largest > 0 else 1, lower_bottom, lower_top)
    height = lower_bottom + _BOTTOM
    narrow = width_px < _NARROW_PX
    panels = ((_TOP, upper_bottom), (lower_top, lower_bottom))
    parts = [
        *_frame(
            x,
            probability,
            "Probability (0 to 1)" if narrow else "Probability that the slice is abnormal (0 to 1)",
            nice_ticks(0, 1, 5),
        ),
        *_frame(x, area, "Area in the slice (cm²)", nice_ticks(area.low, area.high, 6)),
        *_position_ticks(
            x, lower_bottom, max(4, width_px // 90), "S (mm)" if narrow else "Position of the slice, S (mm)"
        ),
        *_probability_curve(ordered, x, probability, case.slice_threshold, half),
        *_areas(ordered, x, area),
        *_marks(ordered, x, shown_index, panels),
        *_hover(ordered, x, lower_bottom, half),
    ]
    head = (
        f'<svg class="chart" viewBox="0 0 {width_px} {height}" width="{width_px}" height="{height}" role="img" '
        'preserveAspectRatio="xMidYMid meet" aria-label="'
    )
    return Markup(head) + description + Markup('">' + "".join(parts) + "</svg>")


def _half_step(positions: Sequence[float]) -> float:
    """Half the usual distance of slices, in mm; 0.5 for a single one."""
    gaps = sorted(after - before for before, after in pairwise(positions))
    return max(gaps[len(gaps) // 2] / 2, 1e-3) if gaps else 0.5


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", css: str = "tick") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{text}</text>'


def _frame(x: _Axis, y: _Axis, title: str, ticks: Sequence[float]) -> list[str]:
    parts = [_text(_LEFT, y.end_px - 13, title, "start", "chart-title")]
    for tick in ticks:
        parts.append(_line(x.start_px, y(tick), x.end_px, y(tick), "grid"))
        parts.append(_text(x.start_px - 6, y(tick) + 4, f"{tick:g}", "end"))
    return parts


def _position_ticks(x: _Axis, bottom: float, most: int, title: str) -> list[str]:
    parts = [_line(x.start_px, bottom, x.end_px, bottom, "axis")]
    for tick in nice_ticks(x.low, x.high, most):
        parts.append(_line(x(tick), bottom, x(tick), bottom + 4, "axis"))
        parts.append(_text(x(tick), bottom + 17, f"{tick:g}"))
    middle = (x.start_px + x.end_px) / 2
    parts.append(_text(middle, bottom + 36, title, css="chart-title"))
    parts.append(_text(x.start_px, bottom + 36, "← feet", "start"))
    parts.append(_text(x.end_px, bottom + 36, "head →", "end"))
    return parts


def _marks(
    slices: Sequence[SliceMeasures], x: _Axis, shown_index: int | None, panels: Sequence[tuple[float, float]]
) -> list[str]:
    """Upright lines in both panels at the representative slice and at the one that the pictures show."""
    parts = []
    for entry in slices:
        at = x(entry.position_mm)
        for top, bottom in panels:
            if entry.index == shown_index:
                parts.append(_line(at, top, at, bottom, "shown"))
            if entry.representative:
                parts.append(_line(at, top, at, bottom, "representative"))
        if entry.representative:
            parts.append(f'<path d="M{at - 5:.1f} {panels[0][0] - 9} h10 l-5 8 z" class="representative-head"/>')
    return parts


def _probability_curve(slices: Sequence[SliceMeasures], x: _Axis, y: _Axis, threshold: float, half: float) -> list[str]:
    parts = [_line(x.start_px, y(threshold), x.end_px, y(threshold), "threshold")]
    for run in _runs(slices, lambda entry: entry.probability is not None):
        points = " ".join(f"{x(entry.position_mm):.1f},{y(entry.probability or 0.0):.1f}" for entry in run)
        parts.append(f'<polyline points="{points}" class="probability"/>')
    width = max(1.0, min(6.0, (x(x.low + 2 * half) - x.start_px) * 0.35))
    for entry in slices:
        if entry.probability is not None:
            css = "dot positive" if entry.positive else "dot"
            at = f'cx="{x(entry.position_mm):.1f}" cy="{y(entry.probability):.1f}"'
            parts.append(f'<circle {at} r="{min(width, 3.5):.1f}" class="{css}"/>')
    return parts


def _areas(slices: Sequence[SliceMeasures], x: _Axis, y: _Axis) -> list[str]:
    """Lung area as a soft hill, opacities stacked in it, localization as a dashed line."""
    zero = [0.0] * len(slices)
    ggo = [entry.ggo_area_mm2 / MM2_PER_CM2 for entry in slices]
    both = [low + entry.consolidation_area_mm2 / MM2_PER_CM2 for low, entry in zip(ggo, slices, strict=True)]
    lungs = [entry.lung_area_mm2 / MM2_PER_CM2 for entry in slices]
    looked = [entry.localization_area_mm2 / MM2_PER_CM2 for entry in slices]
    at = [x(entry.position_mm) for entry in slices]

    def line(values: Sequence[float]) -> str:
        return " ".join(f"{px:.1f},{y(value):.1f}" for px, value in zip(at, values, strict=True))

    def band(low: Sequence[float], high: Sequence[float], css: str, fill: str = "") -> str:
        back = " ".join(reversed(line(low).split(" ")))
        style = f' style="fill:{fill}"' if fill else ""
        return f'<polygon points="{line(high)} {back}" class="{css}"{style}/>'

    return [
        band(zero, lungs, "lung-area"),
        band(zero, ggo, "opacity-area", "#{:02x}{:02x}{:02x}".format(*GGO.colour)),
        band(ggo, both, "opacity-area", "#{:02x}{:02x}{:02x}".format(*CONSOLIDATION.colour)),
        f'<polyline points="{line(looked)}" class="localization-area"/>',
    ]


def _hover(slices: Sequence[SliceMeasures], x: _Axis, bottom: float, half: float) -> list[str]:
    """Unseen columns that tell a slice's numbers when pointed at."""
    parts = []
    for entry in slices:
        left = x(entry.position_mm - half)
        width = x(entry.position_mm + half) - left
        probability = "no lung" if entry.probability is None else f"probability {entry.probability:.2f}"
        text = (
            f"Slice {entry.index}, S {entry.position_mm:.1f} mm: {probability}; "
            f"lungs {entry.lung_area_mm2 / MM2_PER_CM2:.1f} cm², GGO {entry.ggo_area_mm2 / MM2_PER_CM2:.1f} cm², "
            f"consolidation {entry.consolidation_area_mm2 / MM2_PER_CM2:.1f} cm², "
            f"localization {entry.localization_area_mm2 / MM2_PER_CM2:.1f} cm²"
        )
        parts.append(
            f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{bottom - _TOP}" class="hover">'
            f"<title>{text}</title></rect>"
        )
    return parts


def _runs(slices: Sequence[SliceMeasures], belongs: Callable[[SliceMeasures], bool]) -> list[list[SliceMeasures]]:
    """Stretches of neighbouring slices for which something holds."""
    runs: list[list[SliceMeasures]] = []
    open_run = False
    for entry in slices:
        if belongs(entry):
            if not open_run:
                runs.append([])
            runs[-1].append(entry)
        open_run = belongs(entry)
    return runs
