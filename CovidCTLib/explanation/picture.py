"""The pictures of an explained slice: CT, the network's view, opacities, LIME, Grad-CAM, and the hiding tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from CovidCTLib.analysis import Analysis
from CovidCTLib.explanation.sentences import VERDICT_WORDS, probability_words
from CovidCTLib.explanation.slice_explanation import METHODS, SliceExplanation
from CovidCTLib.framing import Frame, lung_frame
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.report.canvas import paint, write_text
from CovidCTLib.report.planes import Plane, cut, lung_box

FOR_COLOUR = (230, 159, 0)
AGAINST_COLOUR = (86, 180, 233)
"""Orange and sky blue of Okabe and Ito's palette, which the colour blind tell apart; signs say the same."""

NAMED_COLOUR = (255, 255, 255)
"""Outline of what is hidden in the test: white, which no heat map colour but the hottest comes near."""

THRESHOLD_COLOUR = (86, 180, 233)
"""The line in the chart left of which a slice is not like COVID-19: sky blue, as what speaks against the verdict."""

PANEL_PX = (420, 340)
"""Largest width and height of a panel, in pixels."""

COLUMNS = 4
_TITLE_PX = 26
_GAP_PX = 8
_LINE_PX = 2
_BACK = (11, 15, 20)
_SMALLEST_SIGN_PX = 300
"""Area in pixels of the picture from which a region carries its sign."""


@dataclass(frozen=True)
class Panel:
    """One panel: picture, title, caption, and words for those who cannot see it."""

    image: Image.Image
    title: str
    caption: str
    alt: str


def make_panels(analysis: Analysis, explained: SliceExplanation) -> tuple[Panel, ...]:
    """Paint the panels of a slice.

    Parameters
    ----------
    analysis
        The analysis that was explained.
    explained
        The slice.

    Returns
    -------
    tuple of Panel
        CT, lung crop, opacities, Grad-CAM at 14, at 28 and fused, LIME, all in the radiological
        convention with side markers and, where the spacing is known, a scale bar; then the chart of the hiding tests.
    """
    axial = analysis.axial
    frame = lung_frame(axial.lungs, axial.geometry.spacing_zyx_mm)
    box = lung_box(axial)
    plane = cut(axial, "axial", explained.index, box)

    def in_plane(values: NDArray[np.generic]) -> NDArray[np.float32]:
        return _from_grid(values, frame, axial.hu.shape[1:])[box[1], box[2]]

    where = f"slice {explained.index}"
    share = {test.method: test.share_percent for test in explained.tests}
    panels = [
        Panel(
            paint(plane, "none", *PANEL_PX),
            "CT",
            f"{READING_WINDOW.name} window",
            f"Axial CT, {where}, in the {READING_WINDOW.name} window.",
        ),
        Panel(
            paint(_crop_plane(analysis, explained, frame), "none", *PANEL_PX),
            "What the network sees",
            "lungs in their frame, all else black",
            f"Lung crop of {where} on the network's grid of {explained.image.shape[0]} by "
            f"{explained.image.shape[1]} pixels.",
        ),
        Panel(
            paint(plane, "findings", *PANEL_PX),
            "Opacities of the U-Net",
            f"{share['opacities']:.0f} % of the slice's lung",
            f"Axial CT, {where}, with outlines of the lungs and the opacities of the U-Net: {share['opacities']:.1f} % "
            "of the lung in this slice.",
        ),
    ]
    for method, heat in explained.maps.items():
        image = paint(replace(plane, localization=in_plane(heat)), "localization", *PANEL_PX)
        _outline(image, in_plane(explained.regions[method]), NAMED_COLOUR)
        largest = float(heat[explained.lungs].max())
        panels.append(
            Panel(
                image,
                METHODS[method],
                f"up to {largest:.2f} in the lungs",
                f"Axial CT, {where}, with the map of {METHODS[method]} as heat colours, {largest:.2f} at its largest "
                f"in the lungs; a white outline holds the {share[method]:.1f} % of the lung that it names.",
            )
        )
    panels.append(_lime_panel(plane, explained, where, in_plane))
    panels.append(
        Panel(
            draw_tests(explained, analysis.case.slice_threshold),
            "Probability after hiding",
            "the table below has the numbers",
            f"Chart of the hiding tests of {where}: probability before, {probability_words(explained.probability)}, "
            "and after hiding what each explanation names or random regions; slices are called like COVID-19 from "
            f"{analysis.case.slice_threshold:.2f}.",
        )
    )
    return tuple(panels)


def draw_row(panels: tuple[Panel, ...]) -> Image.Image:
    """Put the panels of a slice into one picture with their titles."""
    entries = [(panel.title, panel.image) for panel in panels]
    width = max(image.width for _, image in entries)
    height = max(image.height for _, image in entries)
    rows = -(-len(entries) // COLUMNS)
    step_x, step_y = width + _GAP_PX, height + _TITLE_PX + _GAP_PX
    whole = Image.new("RGB", (_GAP_PX + COLUMNS * step_x, _GAP_PX + rows * step_y), _BACK)
    for number, (title, image) in enumerate(entries):
        left = _GAP_PX + number % COLUMNS * step_x
        top = _GAP_PX + number // COLUMNS * step_y
        write_text(whole, (left + 2, top + 4), title, 15, bold=True)
        whole.paste(image, (left + (width - image.width) // 2, top + _TITLE_PX + (height - image.height) // 2))
    return whole


def draw_tests(explained: SliceExplanation, threshold: float) -> Image.Image:
    """Draw the hiding tests of a slice: probabilities before, after, and after hiding random regions.

    Parameters
    ----------
    explained
        The slice.
    threshold
        Probability from which, inclusive, a slice is called like COVID-19.
    """
    width, height = PANEL_PX
    image = Image.new("RGB", PANEL_PX, _BACK)
    draw = ImageDraw.Draw(image)
    left, right, top = 14, width - 14, 36
    row_px = (height - 74) / max(1, len(explained.tests))

    def at(value: float) -> float:
        return left + value * (right - left)

    for number, test in enumerate(explained.tests):
        y = top + (number + 0.62) * row_px
        text = f"{METHODS[test.method]}: {VERDICT_WORDS[test.verdict]}"
        write_text(image, (left, y - 0.26 * row_px), text, 12, "lm")
        draw.line([(left, y), (right, y)], (70, 80, 90), 1)
        if test.after is None or test.random_mean is None or test.random_lowest is None:
            continue
        draw.line([(at(test.random_lowest), y), (at(test.random_mean), y)], (200, 200, 200), 3)
        x = at(test.random_mean)
        draw.polygon([(x - 6, y), (x, y - 6), (x + 6, y), (x, y + 6)], _BACK, (255, 255, 255))
        x = at(test.after)
        draw.ellipse([x - 6, y - 6, x + 6, y + 6], FOR_COLOUR, (0, 0, 0))
    if explained.tests:
        x = at(explained.probability)
        for y in range(top, height - 44, 8):
            draw.line([(x, y), (x, y + 4)], (255, 255, 255), 1)
        write_text(
            image,
            (x, 8),
            f"before {probability_words(explained.probability)}",
            12,
            "ra" if explained.probability > 0.5 else "la",
        )
        # In a line of their own, for both may lie close together.
        draw.line([(at(threshold), top + 8), (at(threshold), height - 46)], THRESHOLD_COLOUR, 1)
        write_text(image, (min(max(at(threshold), left + 46), right - 46), 24), f"threshold {threshold:.2f}", 12, "ma")
    for value, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
        write_text(image, (at(value), height - 42), f"{value:g}", 12, anchor)
    draw.ellipse([left, height - 18, left + 10, height - 8], FOR_COLOUR)
    write_text(image, (left + 16, height - 13), "named region hidden", 12, "lm")
    x = width / 2
    y = height - 13
    draw.polygon([(x, y), (x + 6, y - 6), (x + 12, y), (x + 6, y + 6)], _BACK, (255, 255, 255))
    write_text(image, (x + 18, height - 13), "random: mean, lowest", 12, "lm")
    return image


def _lime_panel(
    plane: Plane,
    explained: SliceExplanation,
    where: str,
    in_plane: Callable[[NDArray[np.generic]], NDArray[np.float32]],
) -> Panel:
    """The CT with LIME's regions outlined, for in orange with plus, against in blue with minus."""
    image = paint(plane, "none", *PANEL_PX)
    for region, colour, sign in (
        (explained.against, AGAINST_COLOUR, "−"),
        (explained.regions["lime"], FOR_COLOUR, "+"),
    ):
        _sign(image, _outline(image, in_plane(region), colour), sign)
    lung = int(np.count_nonzero(explained.lungs))
    shares = [100 * int(np.count_nonzero(region)) / lung for region in (explained.regions["lime"], explained.against)]
    return Panel(
        image,
        METHODS["lime"],
        f"for (orange, +) and against (blue, −); fit R² {explained.superpixels.fit:.2f}",
        f"Axial CT, {where}, with LIME's superpixels: {shares[0]:.0f} % of the lung speak for the verdict like "
        f"COVID-19 (orange, plus), {shares[1]:.0f} % against it (blue, minus).",
    )


def _crop_plane(analysis: Analysis, explained: SliceExplanation, frame: Frame) -> Plane:
    """The lung crop as a plane: its values take the place of the reading window's greys."""
    low = READING_WINDOW.level_hu - READING_WINDOW.width_hu / 2
    hu = np.rint(low + explained.image * READING_WINDOW.width_hu).astype(np.int16)
    size = explained.image.shape[0]
    _, y_mm, x_mm = analysis.axial.geometry.spacing_zyx_mm
    nothing = np.zeros(hu.shape, dtype=np.uint8)
    return Plane(
        hu,
        nothing,
        nothing,
        np.zeros(hu.shape, dtype=np.float32),
        (frame.rows * y_mm / size, frame.columns * x_mm / size),
        ("R", "L"),
        analysis.axial.spacing_known,
    )


def _from_grid(values: NDArray[np.generic], frame: Frame, shape_yx: tuple[int, ...]) -> NDArray[np.float32]:
    """Bring values of the network's grid to the pixels of the slice; 0 beyond the frame."""
    import torch

    whole = np.zeros((shape_yx[0], shape_yx[1]), dtype=np.float32)
    grid = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    rows, columns, inside = frame.from_grid(grid[None], (shape_yx[0], shape_yx[1]))
    whole[rows, columns] = inside[0].numpy()
    return whole


def _outline(image: Image.Image, region: NDArray[np.float32], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Draw the border of a region of the plane, in place; gives the region in the picture's pixels."""
    resized = Image.fromarray(np.ascontiguousarray(region)).resize(image.size, Image.Resampling.BILINEAR)
    mask = np.asarray(resized, dtype=np.float32) >= np.float32(0.5)
    border = mask & ~ndimage.binary_erosion(mask, iterations=_LINE_PX, border_value=1)
    image.paste(colour, (0, 0), Image.fromarray((border * 255).astype(np.uint8)))
    return mask


def _sign(image: Image.Image, mask: NDArray[np.bool_], sign: str) -> None:
    """Write a sign into each larger part of a region, at its innermost point."""
    parts, count = ndimage.label(mask)
    for number in range(1, count + 1):
        part = parts == number
        if int(part.sum()) >= _SMALLEST_SIGN_PX:
            depth = ndimage.distance_transform_edt(part)
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            write_text(image, (float(x), float(y)), sign, 16, "mm", bold=True)
