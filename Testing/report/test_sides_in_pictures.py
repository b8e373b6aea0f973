"""An asymmetric phantom through every picture of the report: letters, sides, orientation, cut marks and scale bars.

What is drawn is held against lengths in the patient, written here as numbers: nothing of the code that draws is asked
where a thing should be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder, box_of
from report_maker import make_analysis
from sides_phantom import SHAPE, STEP_MM, arrays

from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import GGO
from CovidCTLib.report.html import render_report
from CovidCTLib.report.pictures import montage, plane_rows
from CovidCTLib.report.planes import PLANES, Place, cut, lung_box, position_mm

SIZE_MM = {"axial": (120.0, 120.0), "coronal": (100.0, 120.0), "sagittal": (100.0, 120.0)}
"""Height and width of the whole scan in each plane."""


BLOCK_MM = {
    "axial": (27.0, 45.0, 20.0, 32.0),
    "coronal": (20.0, 40.0, 20.0, 32.0),
    "sagittal": (20.0, 40.0, 27.0, 45.0),
}
"""Top, bottom, left and right of the block in each plane: the head up, the right or the front on the left."""

PLACE = Place(13, 11, 12, "chosen here")
CUTS_MM = {"axial": (34.5, 25.0), "coronal": (32.5, 25.0), "sagittal": (32.5, 34.5)}
"""The place's distance from the top and from the left in each plane, to the middle of its voxel."""

LETTERS = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
WHOLE = (slice(0, 20), slice(0, 40), slice(0, 60))


@pytest.fixture(scope="module")
def analysis():
    """The phantom, measured."""
    return make_analysis(arrays())


@pytest.fixture
def recorder(monkeypatch):
    """What is drawn while a test runs."""
    return DrawingRecorder(monkeypatch)


@pytest.fixture(scope="module")
def planes(analysis):
    """The nine pictures of the three planes, three of each, and their rows of the page."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        recorder = DrawingRecorder(monkeypatch)
        rows = plane_rows(analysis, PLACE, WHOLE)
    assert len(recorder.pictures) == 9
    return {
        name: (row, recorder.pictures[3 * k : 3 * k + 3])
        for k, (name, row) in enumerate(zip(PLANES, rows, strict=True))
    }


@pytest.mark.parametrize("name", PLANES)
def test_letters_of_the_sides_stand_where_the_sides_are(planes, name):
    assert [drawn.sides() for drawn in planes[name][1]] == [LETTERS[name]] * 3


@pytest.mark.parametrize("name", PLANES)
def test_the_block_lies_where_it_lies_in_the_patient(planes, name):
    plain = planes[name][1][0]
    height_mm, width_mm = SIZE_MM[name]
    scale = plain.image.height / height_mm
    assert plain.image.width == pytest.approx(width_mm * scale, abs=1)
    top, bottom, left, right = BLOCK_MM[name]
    middle = round((top + bottom) / 2 * scale), round((left + right) / 2 * scale)
    found = box_of(plain.pixels().min(axis=2) > 128, middle)
    expected = [top * scale, bottom * scale - 1, left * scale, right * scale - 1]
    np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize(("overlay", "colour"), [(1, GGO.colour), (2, (252, 255, 164))])
def test_findings_and_heat_lie_on_the_block(planes, name, overlay, colour):
    plain, painted = planes[name][1][0].pixels(), planes[name][1][overlay].pixels()
    scale = len(plain) / SIZE_MM[name][0]
    top, bottom, left, right = BLOCK_MM[name]
    y, x = round((top + bottom) / 2 * scale), round((left + right) / 2 * scale)
    # White CT under the overlay: the blue of yellow colours is what goes away.
    assert plain[y, x].min() > 250
    assert painted[y, x, 2] < 200
    assert np.argmin(colour) == 2
    # At the mirrored places there is nothing but CT.
    for other in ((y, -x), (-y, x), (-y, -x)):
        assert np.abs(painted[other] - plain[other]).max() < 40


@pytest.mark.parametrize("name", PLANES)
def test_cut_marks_point_at_the_place(planes, name):
    for drawn in planes[name][1]:
        scale = drawn.image.height / SIZE_MM[name][0]
        row, column = CUTS_MM[name]
        rows, columns = drawn.cut_marks()
        np.testing.assert_allclose(rows, [row * scale], rtol=2e-3)
        np.testing.assert_allclose(columns, [column * scale], rtol=2e-3)
        assert len(drawn.polygons) == 4


def test_cut_marks_count_from_the_edge_of_the_box(analysis, recorder):
    plane_rows(analysis, PLACE, (slice(3, 18), slice(5, 30), slice(4, 50)))
    for name, drawn in zip(PLANES, recorder.pictures[::3], strict=True):
        expected = {
            "axial": (6.5 * 3, 8.5 * 2, 25 * 3.0),
            "coronal": (4.5 * 5, 8.5 * 2, 15 * 5.0),
            "sagittal": (4.5 * 5, 6.5 * 3, 15 * 5.0),
        }[name]
        scale = drawn.image.height / expected[2]
        rows, columns = drawn.cut_marks()
        assert (rows[0], columns[0]) == (
            pytest.approx(expected[0] * scale, rel=5e-3),
            pytest.approx(expected[1] * scale, rel=5e-3),
        )


@pytest.mark.parametrize("name", PLANES)
def test_the_scale_bar_is_as_long_as_it_says(planes, name):
    for drawn in planes[name][1]:
        length_mm, length_px = drawn.scale_bar()
        assert length_px / length_mm == pytest.approx(drawn.image.height / SIZE_MM[name][0], rel=5e-3)


def test_the_words_of_a_plane_say_where_it_is_and_how_large_the_findings_are(planes):
    titles = [planes[name][0].title for name in PLANES]
    # The middle of the plane in the patient: origin and steps as above.
    assert titles == ["Axial, slice 13, S 25.0 mm", "Coronal, P -17.0 mm", "Sagittal, L -36.0 mm"]
    alts = {name: [picture.alt for picture in planes[name][0].pictures] for name in PLANES}
    # 16 x 14 and 24 x 18 voxels of 6 mm2; 13 x 14 of 10 mm2; 13 x 16 of 15 mm2.
    for name, lungs_cm2, block_cm2 in (("axial", 39, 2.2), ("coronal", 45, 2.4), ("sagittal", 31, 3.6)):
        assert f"({lungs_cm2} cm²) and the opacities: ground-glass opacity {block_cm2} cm²" in alts[name][1]
        assert f"largest value 1.00, at least 0.5 on {block_cm2} cm²" in alts[name][2]
        assert "in the lung reading window, without overlay" in alts[name][0]
    assert [picture.caption for row, _ in planes.values() for picture in row.pictures] == [""] * 9
    assert [picture.title for picture in planes["axial"][0].pictures] == [
        "CT alone", "CT with findings", "CT with localization",
    ]  # fmt: skip


def test_a_plane_without_findings_says_so(analysis):
    rows = plane_rows(analysis, Place(1, 0, 0, ""), WHOLE)
    assert rows[0].pictures[1].alt.endswith("the opacities: none in this plane.")
    assert rows[0].pictures[2].alt.endswith("with the localization, which is zero in this plane.")


def test_half_of_the_localization_counts_as_at_least_a_half(analysis):
    heat = np.zeros(SHAPE, np.float32)
    heat[13, 9:15, 10:16] = 0.5
    heat[13, 20:22, 40:42] = 0.49
    rows = plane_rows(replace(analysis, axial=replace(analysis.axial, localization=heat)), PLACE, WHOLE)
    assert "largest value 0.50, at least 0.5 on 2.2 cm²" in rows[0].pictures[2].alt


def test_without_a_known_spacing_shares_of_the_lungs_take_the_place_of_areas(analysis, recorder):
    unknown = replace(analysis, axial=replace(analysis.axial, spacing_known=False))
    rows = plane_rows(unknown, PLACE, WHOLE)
    assert [row.title for row in rows] == ["Axial, slice 13", "Coronal, voxel 11", "Sagittal, voxel 12"]
    # 36 of 224 + 432 voxels of lung.
    assert (
        "outlines of the lungs and the opacities: ground-glass opacity 5 % of the lungs' area"
        in rows[0].pictures[1].alt
    )
    assert all(drawn.scale_bar() is None for drawn in recorder.pictures)
    assert [drawn.sides() for drawn in recorder.pictures[::3]] == [LETTERS[name] for name in PLANES]


def test_tiles_of_the_montage_have_letters_bar_words_and_the_block(analysis, recorder):
    tiles = montage(analysis, WHOLE)
    assert [drawn.sides() for drawn in recorder.pictures] == [("R", "L")] * len(tiles)
    # Slices 12 to 15 hold the block, 5 mm apart; the montage leaves 8 mm between two.
    assert [tile.title.partition(",")[0] for tile in tiles] == ["Slice 12", "Slice 14"]
    assert tiles[0].title == "Slice 12, S 20.0 mm"
    # 36 voxels of 6 mm2; 656 voxels of lung.
    assert tiles[0].caption == "opacity 2.2 cm² (5 %), probability 0.90"
    assert tiles[1].alt == (
        "Axial CT, number 2 of the worst slices, slice 14, S 30.0 mm: ground-glass opacity 2.2 cm²; probability 0.90."
    )
    drawn = recorder.pictures[0]
    scale = drawn.image.height / 120
    assert drawn.image.size == (330, 330)
    length_mm, length_px = drawn.scale_bar()
    assert length_px / length_mm == pytest.approx(scale)
    assert drawn.cut_marks() == ([], [])
    y, x = round(36 * scale), round(26 * scale)
    assert drawn.pixels()[y, x, 2] < 200
    assert drawn.pixels()[y, -x].max() < 60


def test_a_tile_without_probability_or_share_says_so(analysis):
    slices = [replace(entry, probability=None, opacity_percent=None) for entry in analysis.slices]
    tile = montage(replace(analysis, slices=tuple(slices)), WHOLE)[0]
    assert tile.caption == "opacity 2.2 cm², no probability"
    unknown = replace(analysis, axial=replace(analysis.axial, spacing_known=False))
    assert montage(unknown, WHOLE)[0].caption == "opacity 5 %, probability 0.90"
    assert montage(unknown, WHOLE)[0].title == "Slice 12"


def test_letters_of_every_picture_of_the_page_are_right_left_or_front_back(analysis, recorder):
    render_report(analysis)
    sides = [drawn.sides() for drawn in recorder.pictures]
    assert sides == [("R", "L")] * 6 + [("A", "P")] * 3 + [("R", "L")] * (len(sides) - 9)
    # Nine of three planes, two tiles, four 3D views.
    assert len(sides) == 15


def test_planes_are_cut_with_their_own_sides_sizes_and_places(analysis):
    axial = analysis.axial
    for name, index, pixel_mm, size_mm in (
        ("axial", 13, (3.0, 2.0), (120.0, 120.0)),
        ("coronal", 11, (5.0, 2.0), (100.0, 120.0)),
        ("sagittal", 12, (5.0, 3.0), (100.0, 120.0)),
    ):
        plane = cut(axial, name, index, WHOLE)
        assert (plane.pixel_mm, plane.size_mm, plane.sides) == (pixel_mm, size_mm, LETTERS[name])
        assert plane.area_cm2(plane.opacities == 1) == pytest.approx(
            {"axial": 36 * 6, "coronal": 24 * 10, "sagittal": 24 * 15}[name] / 100
        )
    assert position_mm(axial, "axial", 0) == -40.0
    assert position_mm(axial, "coronal", 2) == -44.0
    assert position_mm(axial, "sagittal", 3) == -54.0


def test_positions_of_turned_planes_are_taken_at_their_middle():
    turn = np.radians(8)
    direction = (1, 0, 0, 0, np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn))
    turned = replace(arrays(), geometry=Geometry(SHAPE, STEP_MM[::-1], (0.0, 0.0, 0.0), direction))
    # Half of 39 steps of 3 mm along y, and k steps of 5 mm along z.
    assert position_mm(turned, "axial", 4) == pytest.approx(58.5 * np.sin(turn) + 20 * np.cos(turn))
    assert position_mm(turned, "coronal", 4) == pytest.approx(12 * np.cos(turn) - 47.5 * np.sin(turn))


def test_the_box_of_lungs_and_opacities_has_a_margin_of_whole_voxels_on_every_side():
    made = arrays()
    made.opacities[:] = 0
    made.opacities[2, 36, 57] = 1
    # 12 mm are 3, 4 and 6 voxels; the opacity reaches beyond the lungs.
    assert lung_box(made) == (slice(0, 20), slice(4, 40), slice(2, 60))
    made.opacities[:] = 0
    assert lung_box(made) == (slice(0, 20), slice(4, 38), slice(2, 60))
    assert lung_box(made, margin_mm=2.0) == (slice(2, 19), slice(7, 35), slice(7, 55))
    assert lung_box(made, margin_mm=0.0) == (slice(3, 18), slice(8, 34), slice(8, 54))
