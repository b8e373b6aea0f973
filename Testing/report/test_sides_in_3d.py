"""Sides in the 3D views of the report, by two small blocks whose distance is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder
from report_maker import make_analysis
from sides_phantom import SHAPE, arrays

from CovidCTLib.labels import CONSOLIDATION, GGO
from CovidCTLib.report.pictures import views_3d
from CovidCTLib.report.view3d import BACKGROUND, LOCALIZATION_COLOUR

# Two small blocks, one in the right lung in front near the head, one in the left lung at the back near the feet.
FRONT = (slice(14, 17), slice(9, 13), slice(10, 15))

BACK = (slice(4, 7), slice(28, 32), slice(46, 51))

APART_MM = (10 * 5.0, 19 * 3.0, 36 * 2.0)
"""From the first to the second towards the feet, the back and the left, in mm."""


@pytest.fixture
def recorder(monkeypatch):
    """What is drawn while a test runs."""
    return DrawingRecorder(monkeypatch)


def two_blocks(**changes):
    made = arrays()
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[FRONT], opacities[BACK] = 1, 2
    return make_analysis(replace(made, opacities=opacities, **changes))


def centre_of(pixels, colour):
    """Middle of what has a colour's hue, in pixels: row, column."""
    shown = np.abs(pixels - np.array(BACKGROUND)).max(axis=2) > 60
    hue = pixels / np.maximum(np.linalg.norm(pixels, axis=2, keepdims=True), 1)
    alike = shown & (hue @ (np.array(colour) / np.linalg.norm(colour)) > 0.975)
    assert alike.sum() > 50
    return np.array(np.nonzero(alike)).mean(axis=1)


def test_3d_views_show_the_sides_from_where_they_are_seen(recorder):
    # Without lungs nothing lies over the blocks.
    made = two_blocks(lungs=np.zeros(SHAPE, np.uint8))
    pictures = views_3d(made)
    assert [picture.title for picture in pictures] == ["Right front", "Front", "Left front", "Front"]
    for drawn, turn_deg in zip(recorder.pictures[:3], (-40, 0, 40), strict=True):
        assert drawn.sides() == ("R", "L")
        length_mm, length_px = drawn.scale_bar()
        px_per_mm = length_px / length_mm
        moved = (centre_of(drawn.pixels(), CONSOLIDATION.colour) - centre_of(drawn.pixels(), GGO.colour)) / px_per_mm
        down, back, left = APART_MM
        # To the right of a viewer in front lies the patient's left; of one at the left side, the back.
        turn = np.radians(turn_deg)
        np.testing.assert_allclose(moved, [down, left * np.cos(turn) + back * np.sin(turn)], atol=2.5)
    words = ["seen from the right and the front", "seen from the front", "seen from the left and the front"]
    for picture, where in zip(pictures[:3], words, strict=True):
        assert picture.alt.startswith(f"3D model of the translucent lungs with the opacities inside, {where}: ")
        # 60 voxels of 30 mm3 each.
        assert picture.alt.endswith(": ground-glass opacity 2 ml, consolidation 2 ml.")
        assert picture.caption == "lungs and opacities"


def test_the_3d_view_of_the_localization_shows_the_side_that_was_looked_at(recorder):
    heat = np.zeros(SHAPE, np.float32)
    heat[BACK] = 0.8
    made = two_blocks(localization=heat)
    picture = views_3d(made)[3]
    drawn = recorder.pictures[3]
    assert drawn.sides() == ("R", "L")
    shown = drawn.pixels()
    green = (shown[..., 1] - shown[..., 0] > 60) & (shown[..., 1] - shown[..., 2] > 20)
    assert np.argmax(LOCALIZATION_COLOUR) == 1
    row, column = np.array(np.nonzero(green)).mean(axis=1)
    assert row > drawn.image.height / 2
    assert column > drawn.image.width / 2
    assert picture.caption == "localization of at least 0.5"
    assert picture.alt.endswith("the localization is at least 0.5; its largest value is 0.80.")


def test_a_weak_localization_has_no_surface_and_the_view_says_so():
    heat = np.full(SHAPE, 0.4, np.float32)
    picture = views_3d(two_blocks(localization=heat))[3]
    assert picture.caption == "no localization of at least 0.5"
    assert picture.alt == "3D model of the translucent lungs alone: the localization reaches 0.40 at most, under 0.5."


def test_a_3d_view_without_known_spacing_has_letters_but_no_bar_and_no_volumes(recorder):
    pictures = views_3d(two_blocks(spacing_known=False))
    assert [drawn.sides() for drawn in recorder.pictures] == [("R", "L")] * 4
    assert all(drawn.scale_bar() is None for drawn in recorder.pictures)
    assert pictures[0].alt.endswith(": ground-glass opacity, consolidation.")


def test_the_lungs_in_3d_keep_their_own_sides(recorder):
    # Of the two lungs alone the left one is larger, so that more is drawn on the picture's right.
    made = make_analysis(
        replace(arrays(), opacities=np.zeros(SHAPE, np.uint8), localization=np.zeros(SHAPE, np.float32))
    )
    pictures = views_3d(made)
    assert pictures[1].alt.endswith("seen from the front: no opacity.")
    shown = np.abs(recorder.pictures[1].pixels() - np.array(BACKGROUND)).max(axis=2) > 12
    assert shown[:, 260:].sum() > 1.2 * shown[:, :260].sum()
