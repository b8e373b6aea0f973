from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.lungs.contour import segment_lungs_by_contours
from CovidCTLib.lungs.sides import extend_sides, find_body_midline, split_sides
from CovidCTLib.phantom import make_chest_phantom

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHAPE = (60, 160, 200)
SPACING = (4.0, 1.8, 1.8)


def ellipsoid(centre_zyx: tuple[float, float, float], semi_zyx: tuple[float, float, float]) -> np.ndarray:
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    terms = (((a - c) / s) ** 2 for a, c, s in zip((z, y, x), centre_zyx, semi_zyx, strict=True))
    return sum(terms) <= 1


RIGHT = ellipsoid((30, 80, 55), (27, 50, 34))
LEFT = ellipsoid((30, 80, 145), (27, 50, 34))


def bridge(slices: slice, rows: slice, columns: slice = slice(60, 140)) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[slices, rows, columns] = True
    return mask


def sides_of(mask: np.ndarray, **keywords: float) -> np.ndarray:
    sides = split_sides(mask, SPACING, **keywords)
    assert sides.dtype == np.uint8
    np.testing.assert_array_equal(sides > 0, mask)
    return sides


def test_separate_lungs_are_told_apart_exactly():
    sides = sides_of(RIGHT | LEFT)
    np.testing.assert_array_equal(sides == 1, RIGHT)
    np.testing.assert_array_equal(sides == 2, LEFT)


@pytest.mark.parametrize(
    "joint",
    [
        bridge(slice(24, 36), slice(30, 36)),
        bridge(slice(24, 36), slice(118, 126)),
        bridge(slice(20, 40), slice(45, 49)) | bridge(slice(28, 33), slice(110, 114)),
        bridge(slice(10, 50), slice(78, 81)),
    ],
    ids=["in front", "behind", "in front and behind", "in many slices"],
)
def test_lungs_that_touch_are_cut_within_two_voxels_of_the_junction(joint):
    mask = RIGHT | LEFT | joint
    sides = sides_of(mask)
    true_cut = 99.5  # the middle of the bridge, between columns 99 and 100
    x = np.arange(SHAPE[2])
    assert np.all(sides[(mask) & (x <= true_cut - 2)] == 1)
    assert np.all(sides[(mask) & (x >= true_cut + 2)] == 2)


def test_a_junction_off_the_middle_is_cut_where_the_lungs_are_thinnest():
    # A larger right lung that crosses the midline meets the left one in a neck at column 117.
    large = ellipsoid((30, 80, 65), (27, 50, 50))
    small = ellipsoid((30, 80, 150), (27, 50, 35))
    assert np.argwhere(large)[:, 2].max() == 115
    assert np.argwhere(small)[:, 2].min() == 115
    sides = sides_of(large | small)
    x = np.arange(SHAPE[2])
    assert np.all(sides[large & (x <= 113)] == 1)
    assert np.all(sides[small & (x >= 117)] == 2)


def test_lungs_with_a_gap_of_one_voxel_are_not_mixed():
    mask = RIGHT | LEFT | bridge(slice(20, 40), slice(60, 100))
    mask[:, :, 104] = False
    sides = sides_of(mask)
    x = np.arange(SHAPE[2])
    assert np.all(sides[mask & (x < 104)] == 1)
    assert np.all(sides[mask & (x > 104)] == 2)


def test_a_collapsed_lung_keeps_its_side():
    collapsed = ellipsoid((20, 95, 125), (7, 14, 8))
    sides = sides_of(RIGHT | collapsed)
    assert np.count_nonzero(collapsed) < 0.03 * np.count_nonzero(RIGHT)
    assert np.all(sides[collapsed] == 2)
    assert np.all(sides[RIGHT] == 1)


@pytest.mark.parametrize(("lung", "side"), [(RIGHT, 1), (LEFT, 2)])
def test_a_single_lung_gets_its_side_by_the_middle_of_the_image(lung, side):
    assert np.all(sides_of(lung)[lung] == side)


def test_a_single_lung_gets_its_side_by_the_body_where_that_is_known():
    sides = sides_of(RIGHT, body_midline_x=10.0)
    assert np.all(sides[RIGHT] == 2)


def test_a_single_lung_in_two_pieces_is_not_taken_for_two_lungs():
    pieces = RIGHT.copy()
    pieces[28:32] = False
    assert np.all(sides_of(pieces)[pieces] == 1)


def test_small_islands_belong_to_the_nearer_lung():
    right_island = ellipsoid((30, 148, 70), (1, 4, 4))
    left_island = ellipsoid((30, 12, 130), (1, 4, 4))
    sides = sides_of(RIGHT | LEFT | right_island | left_island)
    assert np.all(sides[right_island] == 1)
    assert np.all(sides[left_island] == 2)


def test_lungs_with_missing_slices_stay_on_their_sides():
    mask = RIGHT | LEFT
    mask[20:24] = False
    mask[40:43] = False
    sides = sides_of(mask)
    assert np.all(sides[mask & RIGHT] == 1)
    assert np.all(sides[mask & LEFT] == 2)


def test_lungs_fused_beyond_recognition_are_cut_at_the_midline():
    block = bridge(slice(10, 50), slice(30, 130), slice(30, 170))
    sides = sides_of(block, body_midline_x=105.0)
    # The band around the meeting, 9 mm or 5 voxels and 2 for touching, is settled by the shape.
    assert abs(np.argwhere(sides == 1)[:, 2].max() - 105) <= 7
    assert abs(np.argwhere(sides == 2)[:, 2].min() - 105) <= 7


def test_an_empty_mask_gives_an_empty_result():
    assert not split_sides(np.zeros((4, 20, 20), bool), SPACING).any()


def test_a_mask_of_a_single_voxel_gets_a_side():
    mask = np.zeros((5, 40, 40), bool)
    mask[2, 20, 33] = True
    assert split_sides(mask, (1.0, 0.7, 0.7))[2, 20, 33] == 2


def test_the_input_is_not_changed():
    mask = RIGHT | LEFT
    kept = mask.copy()
    split_sides(mask, SPACING)
    np.testing.assert_array_equal(mask, kept)


def test_the_sides_of_the_chest_phantom_are_right():
    phantom = make_chest_phantom((60, 96, 96), (4.5, 3.4, 3.4))
    sides = split_sides(phantom.lungs > 0, phantom.scan.geometry.spacing_zyx_mm)
    np.testing.assert_array_equal(sides, phantom.lungs)


def test_the_midline_of_the_body_is_found_beside_the_middle_of_the_image():
    hu = np.full((6, 64, 100), -1000, np.int16)
    hu[:, 10:50, 30:91] = 40
    assert find_body_midline(hu) == pytest.approx(60, abs=1)


def test_the_midline_without_tissue_is_the_middle_of_the_image():
    assert find_body_midline(np.full((6, 64, 101), -1000, np.int16)) == 50


def a_body(spine_at: int = 100, width: int = 200) -> np.ndarray:
    """HU of a body with `RIGHT` and `LEFT` in it, a spine and ribs."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 10:150, 5:195] = 40
    hu[RIGHT | LEFT] = -850
    hu[:, 20:145:20, 8:14] = hu[:, 20:145:20, 186:192] = 300
    hu[:, 125:150, 20:180] = np.where(np.arange(160) % 10 < 4, 200, 40)  # ribs
    hu[:, 110:145, spine_at - 10 : spine_at + 10] = 200
    return hu[:, :, :width]


def test_the_spine_is_the_midline_of_the_body():
    assert find_body_midline(a_body(108), 1.8) == pytest.approx(108, abs=3)


def test_a_view_without_spine_takes_the_side_that_cuts_the_body():
    hu = a_body()
    hu[hu > 130] = 40
    assert find_body_midline(hu[:, :, :100], 1.8) == 99
    assert find_body_midline(hu[:, :, 100:], 1.8) == 0


@pytest.mark.parametrize(("view", "side"), [(slice(0, 104), 1), (slice(96, 200), 2)])
def test_a_lung_whose_fellow_is_out_of_view_is_not_split(view, side):
    lung = (RIGHT if side == 1 else LEFT)[:, :, view]
    midline = find_body_midline(a_body()[:, :, view], 1.8)
    sides = split_sides(np.ascontiguousarray(lung), SPACING, body_midline_x=midline)
    assert np.all(sides[lung] == side)


@pytest.mark.parametrize(("view", "side"), [(slice(0, 104), 1), (slice(96, 200), 2)])
def test_a_lung_with_a_waist_whose_fellow_is_out_of_view_is_not_split(view, side):
    lung = RIGHT if side == 1 else LEFT
    # A furrow from front to back leaves two halves side by side, joined by a thin bridge.
    middle = 55 if side == 1 else 145
    lung = lung & ~bridge(slice(0, 60), slice(0, 160), slice(middle - 3, middle + 3))
    lung |= bridge(slice(28, 32), slice(78, 82), slice(middle - 3, middle + 3))
    lung = np.ascontiguousarray(lung[:, :, view])
    midline = find_body_midline(a_body()[:, :, view], 1.8)
    assert np.all(split_sides(lung, SPACING, body_midline_x=midline)[lung] == side)


def test_a_junction_that_bends_is_cut_where_it_is_thinnest():
    # The anterior junction line runs obliquely: the bridge's waist wanders from column 92 to 108.
    mask = RIGHT | LEFT
    x = np.arange(SHAPE[2])
    for k in range(20, 40):
        waist = 92 + 16 * (k - 20) / 19
        half = 2 + np.abs(x - waist) / 4
        rows = np.abs(np.arange(SHAPE[1])[:, None] - 40) <= half
        mask[k] |= rows & (x > 60) & (x < 140)
    sides = sides_of(mask)
    for k in range(20, 40):
        waist = 92 + 16 * (k - 20) / 19
        assert np.all(sides[k][mask[k] & (x <= waist - 3)] == 1)
        assert np.all(sides[k][mask[k] & (x >= waist + 3)] == 2)


def test_opacity_beyond_the_lungs_joins_the_nearer_lung():
    sides = np.where(RIGHT, 1, 2 * LEFT).astype(np.uint8)
    more = bridge(slice(28, 32), slice(20, 30), slice(50, 60)) | bridge(slice(28, 32), slice(78, 82), slice(104, 115))
    extended = extend_sides(sides, more)
    np.testing.assert_array_equal(extended > 0, (sides > 0) | more)
    np.testing.assert_array_equal(extended[sides > 0], sides[sides > 0])
    assert np.all(extended[28:32, 20:30, 50:60] == 1)
    assert np.all(extended[28:32, 78:82, 104:115] == 2)


@pytest.mark.parametrize(
    ("last_of_right", "first_of_left", "first_given_to_left"), [(9, 20, 15), (9, 21, 15), (4, 31, 18)]
)
def test_lungs_are_parted_half_way_between_their_nearest_columns(last_of_right, first_of_left, first_given_to_left):
    sides = np.zeros((1, 4, 40), np.uint8)
    sides[0, :, 2 : last_of_right + 1], sides[0, :, first_of_left:38] = 1, 2
    extended = extend_sides(sides, np.ones(sides.shape, bool))
    expected = np.where(np.arange(40) < first_given_to_left, 1, 2)
    np.testing.assert_array_equal(extended[0], np.broadcast_to(expected, (4, 40)))


def test_opacity_joins_the_nearer_lung_where_lungs_overlap_in_a_column():
    sides = np.zeros((1, 40, 40), np.uint8)
    sides[0, 2:12, 2:30], sides[0, 25:38, 20:38] = 1, 2
    more = np.zeros(sides.shape, bool)
    more[0, 12:14, 22:26] = more[0, 23:25, 22:26] = True
    extended = extend_sides(sides, more)
    assert np.all(extended[0, 12:14, 22:26] == 1)
    assert np.all(extended[0, 23:25, 22:26] == 2)


@pytest.mark.parametrize("side", [1, 2])
def test_opacity_joins_the_only_lung_and_slices_without_lung_stay_empty(side):
    sides = np.zeros((2, 10, 20), np.uint8)
    sides[0, 2:8, 8:12] = side
    more = np.zeros(sides.shape, bool)
    more[:, 4, [6, 7, 12]] = True
    extended = extend_sides(sides, more)
    assert np.all(extended[0, 4, [6, 7, 12]] == side)
    assert not extended[1].any()


def test_lungs_that_need_no_extension_are_not_copied():
    sides = np.where(RIGHT, 1, 0).astype(np.uint8)
    assert extend_sides(sides, RIGHT) is sides


def test_an_extension_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"must have their shape \(2, 4, 4\), not \(2, 4, 5\)"):
        extend_sides(np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 5), bool))


@pytest.mark.parametrize("mask", [np.zeros((4, 4), bool), np.zeros((4, 4, 4), np.uint8)])
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(InputError, match=r"three dimensions \(z, y, x\) of bool was expected, but it has shape \(4, 4"):
        split_sides(mask, SPACING)


def test_a_spacing_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="spacing must be three positive numbers in mm, not"):
        split_sides(np.zeros((4, 20, 20), bool), (1.0, -1.0, 1.0))


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared CTs are not at {SHARED}")


@needs_shared
@pytest.mark.parametrize("case", ["01", "02", "03", "04", "06", "09"])
def test_both_lungs_of_a_real_scan_have_a_plausible_share(case):
    image = sitk.ReadImage(str(SHARED / "volumes" / f"case_{case}_lungs.nii.gz"))
    grid = CanonicalGrid(Geometry.from_image(image))
    lungs = grid.take(sitk.GetArrayFromImage(image), 0) > 0
    sides = split_sides(lungs, grid.geometry.spacing_zyx_mm)
    np.testing.assert_array_equal(sides > 0, lungs)
    assert 0.45 < np.count_nonzero(sides == 1) / np.count_nonzero(lungs) < 0.6
    # In no slice does a piece of lung change its side.
    for k in range(len(lungs)):
        pieces, count = ndimage.label(lungs[k])
        if count:
            low = ndimage.minimum(sides[k], pieces, np.arange(1, count + 1))
            high = ndimage.maximum(sides[k], pieces, np.arange(1, count + 1))
            np.testing.assert_array_equal(low, high)


@needs_shared
@pytest.mark.parametrize("side", [1, 2])
def test_one_lung_of_a_real_scan_in_view_keeps_its_side(side):
    folder = SHARED / "volumes"
    image = sitk.ReadImage(str(folder / "case_06_ct.nii.gz"))
    grid = CanonicalGrid(Geometry.from_image(image))
    hu = grid.take(sitk.GetArrayFromImage(image), -1024)
    lungs = grid.take(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "case_06_lungs.nii.gz"))), 0) > 0
    spacing = grid.geometry.spacing_zyx_mm
    whole = split_sides(lungs, spacing, body_midline_x=find_body_midline(hu, spacing[2]))
    columns = np.flatnonzero((whole == side).any(axis=(0, 1)))
    view = slice(0, columns[-1] + 1) if side == 1 else slice(columns[0], None)
    part = np.ascontiguousarray(lungs[:, :, view])
    found = split_sides(part, spacing, body_midline_x=find_body_midline(hu[:, :, view], spacing[2]))
    assert np.mean(found[part] == whole[:, :, view][part]) > 0.98


@needs_shared
@pytest.mark.parametrize("case", ["normal", "cap"])
def test_the_sides_of_contour_lungs_fall_on_either_side_of_the_body(case):
    image = sitk.ReadImage(str(SHARED / "controls" / f"{case}_001_ct.nii.gz"))
    grid = CanonicalGrid(Geometry.from_image(image))
    hu = grid.take(sitk.GetArrayFromImage(image), -1024)[::2]
    spacing = (2 * grid.geometry.spacing_zyx_mm[0], *grid.geometry.spacing_zyx_mm[1:])
    lungs, _ = segment_lungs_by_contours(hu, spacing)
    midline = find_body_midline(hu)
    sides = split_sides(lungs, spacing, body_midline_x=midline)
    np.testing.assert_array_equal(sides > 0, lungs)
    assert 0.42 < np.count_nonzero(sides == 1) / np.count_nonzero(lungs) < 0.6
    x = np.arange(hu.shape[2])
    assert np.mean((sides == 1) & (x > midline + 10)) < 0.01 * np.mean(sides == 1)
    assert np.mean((sides == 2) & (x < midline - 10)) < 0.01 * np.mean(sides == 2)
