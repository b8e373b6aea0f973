"""The worst cases and slices, as pictures with the contours of truth and prediction."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from CovidCTLib.framing import BODY_HU
from CovidCTLib.hu import NETWORK_HIGH_HU, NETWORK_LOW_HU, READING_WINDOW, Window, apply_window
from CovidCTLib.report.canvas import draw_scale_bar, mark_sides
from CovidCTLib.report.embedded import Picture, embed_image
from CovidCTLib.report.planes import AXIAL_SIDES

WORST = 6
"""Pictures of each group."""

TRUTH_COLOUR = (86, 180, 233)
FOUND_COLOUR = (230, 159, 0)
"""Sky blue and orange of Okabe and Ito's colour-blind safe set; the prediction is also dashed."""

PHOTOGRAPH_WINDOW = Window("photograph", (NETWORK_LOW_HU + NETWORK_HIGH_HU) / 2, NETWORK_HIGH_HU - NETWORK_LOW_HU)
"""For photographs, whose HU are estimates: all that the networks see of them."""

_PICTURE_PX = 480
_LINE_PX = 2
_DASH_PX = 7.0
_GAP_PX = 5.0
_BODY_SHARE = 0.08
"""Share of a row or column from which it shows body rather than the table, without unit."""


@dataclass(frozen=True)
class Contours:
    """Masks of one slice, bool, shape ``(y, x)``; None where there is none to show."""

    truth: NDArray[np.bool_] | None = None
    predicted: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Example:
    """A slice worth looking at.

    Parameters
    ----------
    badness
        How wrong it is; larger is worse.
    title, caption
        What stands under its picture.
    hu
        HU, estimated ones in photographs, shape ``(y, x)``.
    contours
        What is drawn on it.
    pixel_mm
        Size of a pixel along y and x, in mm; only the ratio counts.
    photograph
        It is a photograph, shown in `PHOTOGRAPH_WINDOW`.
    has_scale
        Whether `pixel_mm` is the true size. That of single slices is nominal, so they get no scale bar.
    """

    badness: float
    title: str
    caption: str
    hu: NDArray[Any]
    contours: Contours
    pixel_mm: tuple[float, float]
    photograph: bool = False
    has_scale: bool = True


class WorstExamples:
    """Keeps the worst examples of each group, and forgets the others at once."""

    def __init__(self, keep: int = WORST) -> None:
        self.keep = keep
        self._of_group: dict[str, list[Example]] = {}

    def add(self, group: str, example: Example | None) -> None:
        """Take note of an example."""
        if example is None:
            return
        held = self._of_group.setdefault(group, [])
        bisect.insort(held, example, key=lambda e: -e.badness)
        del held[self.keep :]

    def groups(self) -> dict[str, tuple[Example, ...]]:
        """Worst examples by group, worst first."""
        return {group: tuple(held) for group, held in self._of_group.items()}


def slice_with_most(mask: NDArray[np.bool_]) -> int:
    """Index of the slice of ``(z, y, x)`` with most true pixels; the middle one where there is none."""
    area = np.count_nonzero(mask, axis=(1, 2))
    return int(area.argmax()) if area.any() else len(mask) // 2


def draw_example(example: Example) -> Picture:
    """Paint an example: the slice around what is drawn, truth as a full line, prediction dashed."""
    window = PHOTOGRAPH_WINDOW if example.photograph else READING_WINDOW
    rows, columns = _view(example)
    grey = np.rint(apply_window(example.hu[rows, columns], window) * 255).astype(np.uint8)
    height_mm, width_mm = grey.shape[0] * example.pixel_mm[0], grey.shape[1] * example.pixel_mm[1]
    scale = _PICTURE_PX / max(height_mm, width_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    image = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(image)
    factor = size[1] / grey.shape[0], size[0] / grey.shape[1]
    shown = []
    for name, mask, colour, dashed in (
        ("truth", example.contours.truth, TRUTH_COLOUR, False),
        ("prediction", example.contours.predicted, FOUND_COLOUR, True),
    ):
        if mask is None:
            continue
        shown.append(f"{name} {int(np.count_nonzero(mask))} pixels")
        for line in find_contours(np.pad(mask[rows, columns], 1).astype(np.float32), 0.5):
            # Contours run through pixel centres of the padded mask.
            points = [((x - 0.5) * factor[1], (y - 0.5) * factor[0]) for y, x in line]
            _draw_line(draw, points, colour, dashed)
    alt = f"Axial slice, {example.title}: {example.caption}" + (f"; {', '.join(shown)}." if shown else ".")
    if not example.photograph:
        # Nobody knows how a photograph was turned.
        mark_sides(image, AXIAL_SIDES)
        if example.has_scale:
            draw_scale_bar(image, scale)
    return embed_image(image, alt, example.title, example.caption)


def _view(example: Example) -> tuple[slice, slice]:
    """The part of a slice that shows the body, and all that is drawn."""
    tissue = example.hu >= BODY_HU
    view = []
    for axis in range(2):
        where = np.flatnonzero(tissue.mean(axis=1 - axis) >= _BODY_SHARE)
        low, high = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, example.hu.shape[axis])
        for mask in (example.contours.truth, example.contours.predicted):
            # Nothing that is drawn may be cut off.
            if mask is None or not mask.any():
                continue
            drawn = np.flatnonzero(mask.any(axis=1 - axis))
            low, high = min(low, int(drawn[0])), max(high, int(drawn[-1]) + 1)
        view.append(slice(low, high))
    return view[0], view[1]


def _draw_line(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], colour: tuple[int, int, int], dashed: bool
) -> None:
    """Draw a line through points, dashed along its own length."""
    if not dashed:
        draw.line(points, colour, _LINE_PX, joint="curve")
        return
    along = 0.0
    for start, end in itertools.pairwise(points):
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        if along % (_DASH_PX + _GAP_PX) < _DASH_PX:
            draw.line([start, end], colour, _LINE_PX)
        along += length
