"""Colours that readers of any colour vision can tell apart, seen as they see them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from CovidCTLib.evaluation.examples import FOUND_COLOUR, TRUTH_COLOUR
from CovidCTLib.labels import LABELS, LUNG_LABELS, OPACITY_LABELS
from CovidCTLib.report.canvas import heat_colours
from CovidCTLib.report.chart import LINE_COLOURS
from CovidCTLib.report.view3d import LOCALIZATION_COLOUR

VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
"""Matrices on linear RGB at full severity (Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113)."""

LEAST_DIFFERENCE = 10.0
"""Least CIEDE2000 between any two colours of a picture; about 2 is just seen side by side (Sharma et al. 2005,
doi:10.1002/col.20070), and 10 at a glance."""

LEAST_BETWEEN_FINDINGS = 13.0
"""Least CIEDE2000 between the kinds of opacity and their neighbours in legends, which lie next to each other."""

LEAST_CONTRAST = 3.0
"""Least contrast of what is drawn to its ground (Web Content Accessibility Guidelines 2.1, 1.4.11)."""


def linear(colour: tuple[int, int, int]) -> NDArray[np.float64]:
    part = np.asarray(colour) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def seen(colour: tuple[int, int, int], vision: str) -> NDArray[np.float64]:
    """A colour in CIELAB, as this vision sees it."""
    light = np.clip(VISIONS[vision] @ linear(colour), 0, 1)
    return rgb2lab(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def difference(one: tuple[int, int, int], other: tuple[int, int, int], vision: str) -> float:
    return float(deltaE_ciede2000(seen(one, vision), seen(other, vision)))


def least(colours: list[tuple[int, int, int]], vision: str) -> float:
    return min(difference(one, other, vision) for one, other in itertools.combinations(colours, 2))


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def test_the_simulation_leaves_grey_grey_and_confuses_red_with_green() -> None:
    for vision in VISIONS:
        grey = seen((120, 120, 120), vision)
        assert np.hypot(grey[1], grey[2]) < 1
    assert difference((160, 90, 60), (105, 110, 60), "full") > 25
    assert difference((160, 90, 60), (105, 110, 60), "deuteranopia") < 6


@pytest.mark.parametrize("vision", VISIONS)
def test_all_labels_and_the_localization_differ_at_a_glance(vision: str) -> None:
    assert least([*(label.colour for label in LABELS), LOCALIZATION_COLOUR], vision) > LEAST_DIFFERENCE


@pytest.mark.parametrize("vision", VISIONS)
def test_kinds_of_opacity_and_neighbours_in_legends_differ_more(vision: str) -> None:
    assert least([label.colour for label in OPACITY_LABELS], vision) > LEAST_BETWEEN_FINDINGS
    legend = [label.colour for label in (*OPACITY_LABELS, *LUNG_LABELS)]
    assert min(difference(one, other, vision) for one, other in itertools.pairwise(legend)) > LEAST_BETWEEN_FINDINGS


@pytest.mark.parametrize("vision", VISIONS)
def test_lines_of_the_chart_differ_and_stand_out_from_paper(vision: str) -> None:
    colours = [rgb(colour) for colour in LINE_COLOURS]
    assert least(colours, vision) > LEAST_DIFFERENCE
    luminances = [float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in colours]
    assert min(1.05 / (luminance + 0.05) for luminance in luminances) > LEAST_CONTRAST


@pytest.mark.parametrize("vision", VISIONS)
def test_truth_and_prediction_differ(vision: str) -> None:
    assert difference(TRUTH_COLOUR, FOUND_COLOUR, vision) > 2 * LEAST_DIFFERENCE


@pytest.mark.parametrize("vision", VISIONS)
def test_the_heat_map_only_gets_lighter(vision: str) -> None:
    steps = np.rint(heat_colours(np.linspace(0, 1, 32)) * 255).astype(int)
    lightness = np.array([seen(tuple(step), vision)[0] for step in steps])
    assert (np.diff(lightness) > 0).all()
