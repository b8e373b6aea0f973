"""Side-by-side slices of a follow-up: the first study, the later one as it lies on it, and what changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.followup.result import CHANGE_LABELS, CHANGES, Change, Comparison, Difference
from CovidCTLib.report.canvas import paint
from CovidCTLib.report.embedded import Picture, embed_image
from CovidCTLib.report.planes import Box, Plane, cut, lung_box, position_mm

CHANGE_COLOURS: dict[Change, tuple[int, int, int]] = {change: label.colour for change, label in CHANGE_LABELS.items()}
"""Of Okabe and Ito's colour-blind safe set; none of them stands for an opacity's kind in the same picture."""

MOST_SLICES = 4
"""Slices that are shown of each later study."""

GAP_MM = 12.0
"""Least distance of two of them, in mm; nearer ones look alike."""

_PICTURE_PX = (420, 360)
_ALPHA = 0.6
_MM2_PER_CM2 = 100.0


@dataclass(frozen=True)
class SliceRow:
    """One slice in three pictures: first study, later study, difference."""

    title: str
    pictures: tuple[Picture, Picture, Picture]


def side_by_side(first: AxialArrays, comparison: Comparison) -> tuple[SliceRow, ...]:
    """Paint the slices that changed most, worst first; where nothing is opaque, the one with most lung.

    Parameters
    ----------
    first
        The first study.
    comparison
        Of a later study with it; without a difference there is nothing to paint.
    """
    difference = comparison.difference
    if difference is None:
        return ()
    box = lung_box(first)
    return tuple(_row(first, comparison, difference, index, box) for index in _chosen(first, difference))


def _chosen(first: AxialArrays, difference: Difference) -> list[int]:
    """Slices with most change, then with most that persists; never two close to each other."""
    changed = np.count_nonzero((difference.labels == 1) | (difference.labels == 2), axis=(1, 2))
    same = np.count_nonzero(difference.labels == 3, axis=(1, 2))
    if not (changed.any() or same.any()):
        return [int(np.argmax(np.count_nonzero(first.lungs, axis=(1, 2))))]
    step_mm = first.geometry.spacing_zyx_mm[0]
    chosen: list[int] = []
    for index in sorted(range(len(changed)), key=lambda k: (changed[k], same[k]), reverse=True):
        if len(chosen) == MOST_SLICES or not (changed[index] or same[index]):
            break
        if all(abs(index - other) * step_mm >= GAP_MM for other in chosen):
            chosen.append(index)
    return chosen


def _row(first: AxialArrays, comparison: Comparison, difference: Difference, index: int, box: Box) -> SliceRow:
    position = f"S {position_mm(first, 'axial', index):.1f} mm"
    row_mm, column_mm = first.geometry.spacing_zyx_mm[1:]
    pixel_cm2 = row_mm * column_mm / _MM2_PER_CM2
    areas = {
        change: np.count_nonzero(difference.labels[index] == value) * pixel_cm2 for value, change in CHANGES.items()
    }
    areas_in_words = ", ".join(f"{change} {area:.1f} cm²" for change, area in areas.items())
    later_title = f"Study {comparison.study}, on the first"
    before, after = cut(first, "axial", index, box), cut(difference.later, "axial", index, box)
    pictures = (
        embed_image(
            paint(before, "findings", *_PICTURE_PX),
            f"Axial slice at {position} of the first study with lungs and opacities: {_opaque_cm2(before):.1f} cm².",
            "First study",
        ),
        embed_image(
            paint(after, "findings", *_PICTURE_PX),
            f"The same place in study {comparison.study}, day {comparison.days}, after registration: opacities of "
            f"{_opaque_cm2(after):.1f} cm².",
            later_title,
        ),
        embed_image(
            _painted_difference(paint(after, "none", *_PICTURE_PX), difference.labels[index][box[1:]]),
            f"What changed at {position}: {areas_in_words} of opacity.",
            "Change",
            areas_in_words,
        ),
    )
    return SliceRow(f"Slice at {position}", pictures)


def _opaque_cm2(plane: Plane) -> float:
    """Area of ground-glass opacity and consolidation."""
    return plane.area_cm2((plane.opacities == 1) | (plane.opacities == 2))


def _painted_difference(image: Image.Image, labels: NDArray[np.uint8]) -> Image.Image:
    """Blend the colours of what changed over a picture of the CT."""
    picture = np.asarray(image, dtype=np.float32)
    shown = np.asarray(Image.fromarray(np.ascontiguousarray(labels)).resize(image.size, Image.Resampling.NEAREST))
    blended = picture.copy()
    for value, change in CHANGES.items():
        mask = shown == value
        blended[mask] += np.float32(_ALPHA) * (np.asarray(CHANGE_COLOURS[change], np.float32) - picture[mask])
    return Image.fromarray(np.rint(blended).astype(np.uint8))
