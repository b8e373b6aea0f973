"""The pictures of a comparison: keypoints, matches, and a slice in five windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from CovidCTLib.comparison.slices import ScanSlice, SlicePair
from CovidCTLib.hu import READING_WINDOW, WINDOWS, Window, apply_window
from CovidCTLib.report.canvas import draw_scale_bar, mark_sides, write_text

STRIP_WINDOWS: tuple[Window, ...] = (*WINDOWS, READING_WINDOW)
"""The four presets of the population study (row C2), and the window in which the report shows lungs."""

HALF_PX = 620
"""Largest width and height of one slice in the pictures of keypoints, in pixels."""

TILE_PX = 300
"""Largest width and height of one picture of a strip, in pixels."""

_GAP_PX = 16
_DOT_PX = 2
_RING_PX = 5
_LINE_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Okabe and Ito's colour-blind safe set, in turn, so that neighbouring lines can be told apart."""

_KEYPOINT_COLOUR = (230, 159, 0)


def keypoint_picture(pair: SlicePair) -> Image.Image:
    """Paint both slices side by side with a dot at every keypoint."""
    canvas, placed = _side_by_side(pair)
    draw = ImageDraw.Draw(canvas)
    for points, (left, scale) in zip((pair.matches.first, pair.matches.second), placed, strict=True):
        for row, column in points:
            x, y = left + (column + 0.5) * scale[1], (row + 0.5) * scale[0]
            draw.ellipse([x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX], fill=_KEYPOINT_COLOUR)
    return canvas


def match_picture(pair: SlicePair) -> Image.Image:
    """Paint both slices side by side with a line between the keypoints of each of the best matches."""
    canvas, ((left, scale), (other_left, other_scale)) = _side_by_side(pair)
    draw = ImageDraw.Draw(canvas)
    for number, (one, other) in enumerate(pair.matches.pairs):
        colour = _LINE_COLOURS[number % len(_LINE_COLOURS)]
        row, column = pair.matches.first[one]
        start = left + (column + 0.5) * scale[1], (row + 0.5) * scale[0]
        row, column = pair.matches.second[other]
        end = other_left + (column + 0.5) * other_scale[1], (row + 0.5) * other_scale[0]
        draw.line([start, end], colour, 1)
        for x, y in (start, end):
            draw.ellipse([x - _RING_PX, y - _RING_PX, x + _RING_PX, y + _RING_PX], outline=colour, width=2)
    return canvas


def window_strip(entry: ScanSlice, windows: Sequence[Window] = STRIP_WINDOWS) -> Image.Image:
    """Paint a slice once in each window, in a row, each with the window's name, level and width."""
    tiles = []
    for window in windows:
        tile, _ = _painted(entry, TILE_PX, window)
        write_text(tile, (6, 6), window.name, 15, bold=True)
        write_text(tile, (6, 26), f"{window.level_hu:g} / {window.width_hu:g} HU", 13)
        tiles.append(tile)
    return _in_a_row(tiles)


def _painted(entry: ScanSlice, largest_px: int, window: Window) -> tuple[Image.Image, tuple[float, float]]:
    """Paint a slice in its true proportions; also gives the pixels of the picture per row and column of the slice."""
    rows, columns = entry.hu.shape
    height_mm, width_mm = rows * entry.pixel_mm[0], columns * entry.pixel_mm[1]
    px_per_mm = largest_px / max(height_mm, width_mm)
    size = max(1, round(width_mm * px_per_mm)), max(1, round(height_mm * px_per_mm))
    grey = np.rint(apply_window(entry.hu, window) * 255).astype(np.uint8)
    image = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    mark_sides(image, ("R", "L"))
    if entry.spacing_known:
        draw_scale_bar(image, px_per_mm)
    return image, (size[1] / rows, size[0] / columns)


def _side_by_side(pair: SlicePair) -> tuple[Image.Image, list[tuple[int, tuple[float, float]]]]:
    """Paint both slices beside each other; also gives where each begins and its scale."""
    painted = [_painted(entry, HALF_PX, READING_WINDOW) for entry in (pair.first, pair.second)]
    for name, (image, _) in zip("AB", painted, strict=True):
        write_text(image, (8, 6), f"Scan {name}", 18, bold=True)
    canvas = _in_a_row([image for image, _ in painted])
    begin = painted[0][0].width + _GAP_PX
    return canvas, [(0, painted[0][1]), (begin, painted[1][1])]


def _in_a_row(images: Sequence[Image.Image]) -> Image.Image:
    """Put pictures beside each other, tops aligned."""
    width = sum(image.width for image in images) + _GAP_PX * (len(images) - 1)
    canvas = Image.new("RGB", (width, max(image.height for image in images)), (255, 255, 255))
    left = 0
    for image in images:
        canvas.paste(image, (left, 0))
        left += image.width + _GAP_PX
    return canvas
