"""Painting of planes as small pictures: grey CT, findings, heat map, side markers, scale bar; and their encoding."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from CovidCTLib.hu import READING_WINDOW, apply_window
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS
from CovidCTLib.report.planes import Plane

Overlay = Literal["none", "findings", "localization"]

HEAT_MAP = "inferno"
"""Perceptually uniform colour map of the localization (van der Walt and Smith, matplotlib 2.0)."""

SCALE_BAR_MM = 50.0
"""Length of the scale bar, in mm; shorter in pictures of less than twice that width."""

JPEG_QUALITY = 84
"""At this quality neither noise of the CT nor outlines change visibly at 100 %."""

_OVERSAMPLING = 2
_FILL_ALPHA = 0.38
_LINE_ALPHA = 0.95
_LUNG_LINE_ALPHA = 0.8
_HEAT_ALPHA = 0.72
_HEAT_FULL_AT = 0.35
"""Localization at which the heat map reaches its full display opacity; under it the CT shines through."""

RGB = NDArray[np.float32]


def heat_colours(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Colour of localization values.

    Parameters
    ----------
    values
        Any shape, in [0, 1].

    Returns
    -------
    ndarray
        float32, one more axis of length 3 (red, green, blue), in [0, 1].
    """
    return np.asarray(colormaps[HEAT_MAP](values), dtype=np.float32)[..., :3]


def paint(
    plane: Plane, overlay: Overlay, width_px: int, height_px: int, cuts_mm: tuple[float, ...] = ()
) -> Image.Image:
    """Paint a plane with its true proportions.

    Parameters
    ----------
    plane
        What to paint.
    overlay
        ``"none"``: the CT in the reading window; ``"findings"``: with outlines of the lungs and filled opacities;
        ``"localization"``: with the heat map and its colour bar.
    width_px, height_px
        The picture is as large as fits into this, in pixels.
    cuts_mm
        Up to two distances, from the top and from the left edge in mm, at which other planes cut this one; ticks at
        the edges mark them.
    """
    height_mm, width_mm = plane.size_mm
    scale = min(width_px / width_mm, height_px / height_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    fine = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    grey = _resize(apply_window(plane.hu, READING_WINDOW), fine, smooth=True)
    picture = np.repeat(np.clip(grey, 0, 1)[..., None], 3, axis=2)
    if overlay == "findings":
        _blend_findings(picture, plane, fine)
    elif overlay == "localization":
        _blend_lungs(picture, plane, fine)
        _blend_heat(picture, plane, fine)
    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8)).reduce(_OVERSAMPLING)
    mark_sides(image, plane.sides)
    if plane.spacing_known:
        draw_scale_bar(image, scale)
    for axis, distance_mm in enumerate(cuts_mm):
        _draw_ticks(image, axis, distance_mm * scale)
    if overlay == "localization":
        _draw_colour_bar(image)
    return image


def data_uri(image: Image.Image) -> str:
    """Encode a picture as a JPEG in a ``data:`` URI, without metadata."""
    buffer = io.BytesIO()
    # Without chroma subsampling the thin coloured outlines stay crisp.
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def write_text(
    image: Image.Image, where: tuple[float, float], text: str, size_px: int, anchor: str = "la", bold: bool = False
) -> None:
    """Write white text with a dark outline, which reads on black and on white."""
    ImageDraw.Draw(image).text(
        where,
        text,
        fill=(255, 255, 255),
        font=_font(size_px, bold),
        anchor=anchor,
        stroke_width=2,
        stroke_fill=(0, 0, 0),
    )


@lru_cache(maxsize=16)
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    # The font of matplotlib: the only one that is sure to be on every machine.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size_px)


def _resize(values: NDArray[np.float32], size: tuple[int, int], smooth: bool = False) -> NDArray[np.float32]:
    """Resize to (width, height); linearly, or by a bicubic kernel."""
    kernel = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.array(image.resize(size, kernel), dtype=np.float32)


def _resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return _resize(mask.astype(np.float32), size) >= np.float32(0.5)


def _outline(mask: NDArray[np.bool_], thickness: int) -> NDArray[np.bool_]:
    """Inner border of a mask, ``thickness`` pixels wide."""
    inner = mask.copy()
    for axis in (0, 1):
        # A square erosion, one axis after the other; the picture's edge is no border.
        whole = np.moveaxis(inner.copy(), axis, 0)
        part = np.moveaxis(inner, axis, 0)
        for step in range(1, thickness + 1):
            part[step:] &= whole[:-step]
            part[:-step] &= whole[step:]
    return mask & ~inner


def _blend(picture: RGB, mask: NDArray[np.bool_], colour: tuple[int, int, int], alpha: float) -> None:
    picture[mask] += np.float32(alpha) * (np.asarray(colour, dtype=np.float32) / 255 - picture[mask])


def _thickness(size: tuple[int, int]) -> int:
    return max(1, round(max(size) / _OVERSAMPLING / 320)) * _OVERSAMPLING


def _blend_lungs(picture: RGB, plane: Plane, size: tuple[int, int]) -> None:
    for label in LUNG_LABELS:
        mask = _resize_mask(plane.lungs == label.value, size)
        _blend(picture, _outline(mask, _thickness(size)), label.colour, _LUNG_LINE_ALPHA)


def _blend_findings(picture: RGB, plane: Plane, size: tuple[int, int]) -> None:
    _blend_lungs(picture, plane, size)
    for value, label in enumerate(OPACITY_LABELS, start=1):
        mask = _resize_mask(plane.opacities == value, size)
        _blend(picture, mask, label.colour, _FILL_ALPHA)
        _blend(picture, _outline(mask, _OVERSAMPLING), label.colour, _LINE_ALPHA)


def _blend_heat(picture: RGB, plane: Plane, size: tuple[int, int]) -> None:
    heat = np.clip(_resize(plane.localization, size), 0, 1)
    alpha = np.float32(_HEAT_ALPHA) * np.clip(heat / np.float32(_HEAT_FULL_AT), 0, 1)[..., None]
    picture += alpha * (heat_colours(heat) - picture)


def mark_sides(image: Image.Image, sides: tuple[str, str]) -> None:
    """Write the letters of the patient's sides at the left and the right edge of a picture."""
    size_px = max(12, round(image.width / 22))
    # Clear of the ticks at the edge.
    inset = _tick_px(image) + round(size_px / 3)
    write_text(image, (inset, image.height / 2), sides[0], size_px, "lm", bold=True)
    write_text(image, (image.width - inset, image.height / 2), sides[1], size_px, "rm", bold=True)


def draw_scale_bar(image: Image.Image, px_per_mm: float) -> None:
    """Draw a bar of a round length, at most `SCALE_BAR_MM`, with its length in mm, at the lower left."""
    length_mm = SCALE_BAR_MM
    while length_mm * px_per_mm > image.width / 2 and length_mm > 1:
        length_mm = {5: 2.0, 2: 1.0, 1: 0.5}[int(f"{length_mm:e}"[0])] * 10 ** np.floor(np.log10(length_mm))
    size_px = max(10, round(image.width / 32))
    left, bottom = size_px, image.height - size_px
    right = left + length_mm * px_per_mm
    draw = ImageDraw.Draw(image)
    for colour, width in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        draw.line([(left, bottom), (right, bottom)], colour, width)
        for x in (left, right):
            draw.line([(x, bottom - size_px / 3), (x, bottom + size_px / 3)], colour, width)
    write_text(image, ((left + right) / 2, bottom - size_px / 2), f"{length_mm:g} mm", size_px, "mb")


def _tick_px(image: Image.Image) -> int:
    return max(5, round(image.width / 60))


def _draw_ticks(image: Image.Image, axis: int, at_px: float) -> None:
    """Small triangles at both edges where another plane cuts; ``axis`` 0: a horizontal line, 1: a vertical one."""
    reach = _tick_px(image)
    draw = ImageDraw.Draw(image)
    for edge, inward in ((0, 1), ((image.width if axis == 0 else image.height) - 1, -1)):
        along = [(edge, at_px - reach), (edge, at_px + reach), (edge + inward * reach, at_px)]
        draw.polygon([(a, b) if axis == 0 else (b, a) for a, b in along], (255, 255, 255), (0, 0, 0))


def _draw_colour_bar(image: Image.Image) -> None:
    size_px = max(10, round(image.width / 36))
    height, width = max(8, round(image.height * 0.34)), max(6, round(image.width / 48))
    ramp = heat_colours(np.linspace(1, 0, height, dtype=np.float32))
    bar = np.repeat(np.rint(ramp * 255).astype(np.uint8)[:, None], width, axis=1)
    left, top = image.width - width - size_px, round(size_px * 1.2)
    ImageDraw.Draw(image).rectangle(
        [left - 1, top - 1, left + width, top + height], fill=None, outline=(255, 255, 255), width=1
    )
    image.paste(Image.fromarray(bar), (left, top))
    for value in (0.0, 0.5, 1.0):
        write_text(image, (left - size_px / 2, top + (1 - value) * (height - 1)), f"{value:g}", size_px, "rm")
