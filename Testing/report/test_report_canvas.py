"""Painting of planes: true proportions, the reading window, colours of the labels, the scale bar."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from CovidCTLib.labels import GGO
from CovidCTLib.report.canvas import data_uri, heat_colours, paint
from CovidCTLib.report.planes import Plane


def make_plane(rows: int = 60, columns: int = 60, pixel_mm: tuple[float, float] = (5.0, 5.0), hu: int = -600) -> Plane:
    shape = (rows, columns)
    return Plane(
        np.full(shape, hu, dtype=np.int16),
        np.zeros(shape, dtype=np.uint8),
        np.zeros(shape, dtype=np.uint8),
        np.zeros(shape, dtype=np.float32),
        pixel_mm,
        ("R", "L"),
        True,
    )


@pytest.mark.parametrize(
    ("rows", "columns", "pixel_mm"), [(60, 60, (6.0, 1.0)), (10, 100, (10.0, 2.0)), (30, 90, (2, 1))]
)
def test_the_proportions_are_those_of_the_patient(rows: int, columns: int, pixel_mm: tuple[float, float]) -> None:
    image = paint(make_plane(rows, columns, pixel_mm), "none", 300, 300)
    assert image.height / image.width == pytest.approx(rows * pixel_mm[0] / (columns * pixel_mm[1]), rel=0.02)
    assert max(image.size) == 300


@pytest.mark.parametrize(("hu", "grey"), [(-1350, 0), (-2000, 0), (-600, 128), (150, 255), (900, 255)])
def test_grey_values_follow_the_reading_window(hu: int, grey: int) -> None:
    pixels = np.asarray(paint(make_plane(hu=hu), "none", 200, 200))
    np.testing.assert_allclose(pixels[60, 100], grey, atol=1)


def test_findings_are_filled_and_outlined_in_the_label_colour() -> None:
    plane = make_plane()
    plane.opacities[10:25, 20:45] = 1
    pixels = np.asarray(paint(plane, "findings", 300, 300)).astype(int)
    inside, edge, outside = pixels[85, 160], pixels[50:53, 160], pixels[200, 160]
    np.testing.assert_allclose(inside, 128 + 0.38 * (np.array(GGO.colour) - 128), atol=3)
    assert np.abs(edge - np.array(GGO.colour)).sum(axis=1).min() < 30
    np.testing.assert_allclose(outside, 128, atol=1)


def test_lungs_are_outlined_but_not_filled() -> None:
    plane = make_plane()
    plane.lungs[10:50, 20:40] = 1
    pixels = np.asarray(paint(plane, "findings", 300, 300)).astype(int)
    np.testing.assert_allclose(pixels[100, 170], 128, atol=1)
    assert np.ptp(pixels[100, 98:104], axis=1).max() > 60


def test_the_heat_map_leaves_the_ct_where_the_localization_is_zero() -> None:
    plane = make_plane()
    plane.localization[:, 30:] = 1.0
    pixels = np.asarray(paint(plane, "localization", 300, 300)).astype(int)
    np.testing.assert_allclose(pixels[200, 90], 128, atol=1)
    expected = 128 + 0.72 * (255 * heat_colours(np.asarray(1.0)) - 128)
    np.testing.assert_allclose(pixels[200, 220], expected, atol=2)


def test_the_colour_map_grows_brighter_all_the_way() -> None:
    brightness = heat_colours(np.linspace(0, 1, 50)) @ np.array([0.2126, 0.7152, 0.0722])
    assert np.all(np.diff(brightness) > 0)


@pytest.mark.parametrize(("width_mm", "bar_mm"), [(300.0, 50.0), (80.0, 20.0), (30.0, 10.0)])
def test_the_scale_bar_has_its_length(width_mm: float, bar_mm: float) -> None:
    plane = make_plane(60, 60, (width_mm / 60, width_mm / 60), hu=-1024)
    # On black, the bar is the lowest row of white.
    pixels = np.asarray(paint(plane, "none", 400, 400)).min(axis=2) > 200
    longest = max(np.flatnonzero(row).size for row in pixels[370:])
    assert longest == pytest.approx(bar_mm * 400 / width_mm, abs=3)


def test_ticks_mark_where_other_planes_cut() -> None:
    pixels = np.asarray(paint(make_plane(hu=-1024), "none", 300, 300, cuts_mm=(100.0, 200.0)))
    assert pixels[100, 2].min() > 200
    assert pixels[2, 200].min() > 200
    assert pixels[40, 2].max() < 60


def test_pictures_are_jpeg_without_metadata() -> None:
    head, _, body = data_uri(Image.new("RGB", (32, 16), (255, 0, 0))).partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    assert (image.size, image.format) == ((32, 16), "JPEG")
    assert not image.getexif()
