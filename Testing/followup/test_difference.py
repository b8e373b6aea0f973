"""What is new, resolved and persistent by closed forms, and the sides of its pictures; nothing is registered here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from drawing_recorder import DrawingRecorder

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.followup.difference import find_difference
from CovidCTLib.followup.pictures import CHANGE_COLOURS, side_by_side
from CovidCTLib.followup.registration import Registration
from CovidCTLib.followup.result import Comparison
from CovidCTLib.geometry import Geometry

SHAPE = (12, 40, 60)
STEP_MM = (5.0, 3.0, 2.0)
VOXEL_ML = 0.03
GRID = Geometry(SHAPE, STEP_MM[::-1], (-60.0, -50.0, -40.0))

NEW = (slice(5, 7), slice(10, 16), slice(10, 14))
RESOLVED = (slice(5, 7), slice(10, 13), slice(40, 50))
PERSISTENT = (slice(5, 7), slice(20, 24), slice(40, 45))
"""New in front on the right, resolved in front on the left, persistent at the back on the left."""


def study(*opaque, hu=-800, geometry=GRID):
    """A study with a right lung, a larger left one, and opacities of kinds in boxes."""
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[2:10, 8:24, 8:22] = 1
    lungs[2:10, 8:34, 36:54] = 2
    opacities = np.zeros(SHAPE, np.uint8)
    for kind, box in opaque:
        opacities[box] = kind
    return AxialArrays(
        np.full(SHAPE, hu, np.int16), lungs, opacities, np.zeros(SHAPE, np.float32), geometry
    )  # fmt: skip


def registration(transform=None, by_hu=True):
    """A registration that needs none: the studies lie on each other, or apart by what is given."""
    return Registration(transform or sitk.TranslationTransform(3), 0.9, 0.95, 0.0, by_hu)


@pytest.fixture(scope="module")
def found():
    """Ground glass and consolidation that come, go and stay, in the first and in the later study."""
    first = study((1, RESOLVED), (2, PERSISTENT))
    later = study((2, NEW), (1, PERSISTENT), hu=-500)
    return first, find_difference(first, later, registration())


def test_labels_are_new_resolved_and_persistent(found):
    _, difference = found
    expected = np.zeros(SHAPE, np.uint8)
    expected[NEW], expected[RESOLVED], expected[PERSISTENT] = 1, 2, 3
    np.testing.assert_array_equal(difference.labels, expected)


def test_volumes_are_those_of_the_boxes_by_side(found):
    _, difference = found
    # 2 x 6 x 4, 2 x 3 x 10 and 2 x 4 x 5 voxels.
    right = {"new": 48 * VOXEL_ML, "resolved": 0.0, "persistent": 0.0}
    left = {"new": 0.0, "resolved": 60 * VOXEL_ML, "persistent": 40 * VOXEL_ML}
    both = {change: right[change] + left[change] for change in right}
    for region, expected in (("right_lung", right), ("left_lung", left), ("both_lungs", both)):
        assert difference.volumes_ml[region] == pytest.approx(expected)


def test_the_side_is_that_of_the_first_study_and_of_the_later_one_beside_its_lungs():
    first, later = study((1, RESOLVED)), study((2, NEW), (1, PERSISTENT))
    # What is right lung in the first study is called left in the later one, and the other way round.
    later.lungs[:] = np.where(later.lungs > 0, 3 - later.lungs, 0)
    volumes = find_difference(first, later, registration()).volumes_ml
    assert volumes["right_lung"] == pytest.approx({"new": 48 * VOXEL_ML, "resolved": 0.0, "persistent": 0.0})
    assert volumes["left_lung"] == pytest.approx({"new": 40 * VOXEL_ML, "resolved": 60 * VOXEL_ML, "persistent": 0.0})
    # Where the first study shows no lung, the later one decides.
    first.lungs[NEW] = 0
    volumes = find_difference(first, later, registration()).volumes_ml
    assert volumes["right_lung"]["new"] == 0
    assert volumes["left_lung"]["new"] == pytest.approx((48 + 40) * VOXEL_ML)


def test_effusion_and_what_lies_outside_the_lungs_is_no_opacity():
    outside = (slice(5, 7), slice(0, 4), slice(0, 4))
    first = study((3, RESOLVED), (1, outside))
    later = study((3, NEW), (2, outside))
    assert not find_difference(first, later, registration()).labels.any()


def test_the_later_study_is_laid_where_the_registration_says():
    # A point of the first study is found 6 mm further left and 3 mm further back in the later one.
    moved = tuple(slice(part.start + by, part.stop + by) for part, by in zip(PERSISTENT, (0, 1, 3), strict=True))
    first, later = study((1, PERSISTENT)), study((1, moved))
    difference = find_difference(first, later, registration(sitk.TranslationTransform(3, (6.0, 3.0, 0.0))))
    expected = np.where(first.opacities > 0, 3, 0)
    np.testing.assert_array_equal(difference.labels, expected)
    np.testing.assert_array_equal(difference.later.opacities, first.opacities)
    assert difference.later.geometry == GRID


def test_each_study_has_its_own_grid():
    turned = Geometry(SHAPE, STEP_MM[::-1], (-60.0, -50.0, -40.0 + 5.0))
    shifted = tuple(slice(part.start + by, part.stop + by) for part, by in zip(NEW, (-1, 0, 0), strict=True))
    difference = find_difference(study(), study((1, shifted), geometry=turned), registration())
    np.testing.assert_array_equal(np.unique(np.nonzero(difference.labels == 1)[0]), [5, 6])


def test_a_voxel_belongs_to_the_lung_of_the_first_study_or_else_of_the_later_one():
    first, later = study(), study((1, NEW))
    first.lungs[NEW] = 2
    assert find_difference(first, later, registration()).volumes_ml["left_lung"]["new"] == pytest.approx(48 * VOXEL_ML)
    first.lungs[NEW] = 0
    assert find_difference(first, later, registration()).volumes_ml["right_lung"]["new"] == pytest.approx(48 * VOXEL_ML)


def test_hu_of_the_later_study_are_shown_where_they_were_compared_and_air_where_not(found):
    _, difference = found
    assert (difference.later.hu == -500).all()
    assert not difference.later.localization.any()
    without = find_difference(study(), study(), registration(by_hu=False)).later.hu
    assert (without == -1024).all()
    assert without.shape == SHAPE


def test_pictures_of_the_change_have_sides_sizes_and_colours_where_they_belong(found, monkeypatch):
    recorder = DrawingRecorder(monkeypatch)
    seen = []
    monkeypatch.setattr(
        "CovidCTLib.followup.pictures.embed_image",
        lambda image, alt, *words: seen.append((image, alt, *words)) or alt,
    )
    first, difference = found
    comparison = Comparison(2, 10, registration(), difference)
    (row,) = side_by_side(first, comparison)
    assert [drawn.sides() for drawn in recorder.pictures] == [("R", "L")] * 3
    scales = [drawn.scale_bar() for drawn in recorder.pictures]
    # Lungs with a margin of 12 mm: rows 4 to 38 of 3 mm, in a picture of at most 420 x 360.
    scale = min(360 / (34 * 3.0), 420 / (58 * 2.0))
    assert [px / mm for mm, px in scales] == pytest.approx([scale] * 3)
    assert row.title == "Slice at S -15.0 mm"
    # 24 voxels of 6 mm2, 30 and 20.
    told = "new 1.4 cm², resolved 1.8 cm², persistent 1.2 cm²"
    assert seen[2][1] == f"What changed at S -15.0 mm: {told} of opacity."
    assert seen[0][1].endswith("lungs and opacities: 3.0 cm².")
    assert seen[1][1].endswith("after registration: opacities of 2.6 cm².")
    painted = np.asarray(seen[2][0]).astype(int)
    for change, (y_mm, x_mm) in {"new": (27.0, 20.0), "resolved": (22.5, 86.0), "persistent": (54.0, 81.0)}.items():
        y, x = round(y_mm * scale), round(x_mm * scale)
        grey = round((-500 + 1350) / 1500 * 255)
        np.testing.assert_allclose(painted[y, x], grey + 0.6 * (np.array(CHANGE_COLOURS[change]) - grey), atol=3)


def test_slices_that_changed_most_are_shown_and_never_two_close_to_each_other():
    first = study(*[(1, (slice(k, k + 1), slice(10, 12 + k), slice(40, 50))) for k in range(2, 10)])
    difference = find_difference(first, study(), registration())
    rows = side_by_side(first, Comparison(2, 10, registration(), difference))
    # Slices 9, 6 and 3: three of 5 mm are the first that are at least 12 mm apart.
    assert [row.title for row in rows] == ["Slice at S 5.0 mm", "Slice at S -10.0 mm", "Slice at S -25.0 mm"]


def test_without_change_the_slice_with_most_lung_is_shown_and_without_difference_none():
    first = study()
    lungs = first.lungs.copy()
    lungs[4, 8:36, 36:54] = 2
    first = replace(first, lungs=lungs)
    difference = find_difference(first, first, registration())
    (row,) = side_by_side(first, Comparison(2, 10, registration(), difference))
    assert row.title == "Slice at S -20.0 mm"
    assert side_by_side(first, Comparison(2, 10, None, None, "a reason")) == ()
