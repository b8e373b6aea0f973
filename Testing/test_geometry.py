"""Grids, and the way to the canonical orientation and back."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import OBLIQUE_TOLERANCE_DEG, CanonicalGrid, Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
AXES = [(order, flips) for order in permutations(range(3)) for flips in product([1.0, -1.0], repeat=3)]


def direction_of(order, flips):
    """Columns are the index axes: axis a runs along patient axis order[a], forwards or backwards."""
    matrix = np.zeros((3, 3))
    for a, patient in enumerate(order):
        matrix[patient, a] = flips[a]
    return tuple(matrix.ravel())


def rotation(degrees, axis="z"):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }[axis]
    return np.array(turned)


def voxel_positions(geometry):
    """LPS of every voxel centre, shape (3, z, y, x)."""
    index = np.indices(geometry.shape_zyx)[::-1].reshape(3, -1)
    points = geometry.ijk_to_lps @ np.vstack([index, np.ones(index.shape[1])])
    return points[:3].reshape(3, *geometry.shape_zyx)


def smooth(points):
    """A body that changes slowly: a wide Gaussian blob on a slope, in HU."""
    blob = np.exp(-((points[0] - 5) ** 2 + (points[1] + 8) ** 2 + (points[2] - 3) ** 2) / (2 * 18.0**2))
    return -800 + 700 * blob + 2.0 * points[0] - 1.5 * points[1]


@pytest.fixture
def oblique():
    """A grid that is turned by 25 and 20 degrees, around the blob of `smooth`."""
    matrix = rotation(25, "x") @ rotation(20, "z")
    centre = matrix @ (np.array([29, 31, 23]) * np.array([1.5, 1.2, 2.0]) / 2)
    return Geometry((24, 32, 30), (1.5, 1.2, 2.0), tuple(np.array([5.0, -8.0, 3.0]) - centre), tuple(matrix.ravel()))


def test_a_grid_tells_spacing_volume_and_matrices():
    grid = Geometry((4, 5, 6), (0.5, 0.6, 2.0), (10.0, 20.0, 30.0))
    assert grid.spacing_zyx_mm == (2.0, 0.6, 0.5)
    assert grid.voxel_volume_mm3 == pytest.approx(0.6)
    np.testing.assert_allclose(grid.ijk_to_lps @ [1, 2, 3, 1], [10.5, 21.2, 36, 1])
    np.testing.assert_allclose(grid.ijk_to_ras @ [1, 2, 3, 1], [-10.5, -21.2, 36, 1])
    np.testing.assert_array_equal(grid.direction_matrix, np.eye(3))


def test_a_grid_agrees_with_simpleitk_in_every_point():
    image = sitk.Image(6, 5, 4, sitk.sitkInt16)
    image.SetSpacing((0.5, 0.6, 2.0))
    image.SetOrigin((10, 20, 30))
    image.SetDirection((rotation(20, "x") @ rotation(-35, "z")).ravel().tolist())
    grid = Geometry.from_image(image)
    assert grid.shape_zyx == (4, 5, 6)
    for index in [(0, 0, 0), (5, 4, 3), (1, 3, 2)]:
        np.testing.assert_allclose((grid.ijk_to_lps @ [*index, 1])[:3], image.TransformIndexToPhysicalPoint(index))


def test_an_array_on_a_grid_becomes_an_image_and_comes_back():
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    grid = Geometry((4, 5, 6), (0.5, 0.6, 2.0), (1, 2, 3), direction_of((1, 2, 0), (1, -1, 1)))
    image = grid.to_image(array[:, ::-1][:, ::-1])
    assert Geometry.from_image(image) == grid
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)


def test_an_array_of_another_shape_does_not_go_on_a_grid():
    with pytest.raises(InputError, match=r"The array has shape \(4, 5, 7\); the grid needs \(4, 5, 6\)"):
        Geometry((4, 5, 6)).to_image(np.zeros((4, 5, 7)))


@pytest.mark.parametrize("spacing", [(0, 1, 1), (1, -1, 1), (1, 1, np.nan), (np.inf, 1, 1), (1, 1)])
def test_a_spacing_that_is_not_positive_is_refused(spacing):
    with pytest.raises(InputError, match="spacing must be three positive numbers in mm, not"):
        Geometry((4, 5, 6), spacing)


@pytest.mark.parametrize(
    "direction",
    [(1, 0.5, 0, 0, 1, 0, 0, 0, 1), (0,) * 9, (2, 0, 0, 0, 1, 0, 0, 0, 1), (np.nan,) * 9, (1, 0, 0, 1)],
)
def test_axes_that_are_not_perpendicular_unit_vectors_are_refused(direction):
    with pytest.raises(InputError, match="must hold three perpendicular unit vectors"):
        Geometry((4, 5, 6), direction_lps=direction)


@pytest.mark.parametrize(("order", "flips"), AXES)
def test_all_48_axis_orders_and_flips_become_canonical_and_come_back(order, flips):
    sizes_lps = (6, 5, 4)
    shape = tuple(sizes_lps[order[a]] for a in (2, 1, 0))
    own = Geometry(
        shape, tuple((0.5, 0.6, 2.0)[order[a]] for a in range(3)), (11.0, -7.0, 3.0), direction_of(order, flips)
    )
    points = voxel_positions(own)
    array = np.random.default_rng(0).permutation(120).reshape(shape).astype(np.int16)
    grid = CanonicalGrid(own)
    assert not grid.resamples
    assert grid.geometry.shape_zyx == (4, 5, 6)
    assert grid.geometry.spacing_xyz_mm == (0.5, 0.6, 2.0)
    np.testing.assert_allclose(grid.geometry.direction_matrix, np.eye(3), atol=1e-12)
    taken = grid.take(array, -1024)
    assert np.shares_memory(taken, array)
    np.testing.assert_array_equal(grid.give_back(taken), array)
    assert grid.give_back(taken).flags.c_contiguous
    # Every voxel keeps its place in the patient.
    for k in range(3):
        np.testing.assert_allclose(grid.take(points[k], 0), voxel_positions(grid.geometry)[k], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    axes=st.sampled_from(AXES),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    origin=st.tuples(*[st.floats(-1000, 1000)] * 3),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
)
def test_axis_aligned_grids_of_any_spacing_and_origin_come_back_unchanged(axes, spacing, origin, shape):
    own = Geometry(shape, spacing, origin, direction_of(*axes))
    grid = CanonicalGrid(own)
    array = np.arange(np.prod(shape)).reshape(shape)
    points = voxel_positions(own)
    assert grid.angle_deg == 0
    np.testing.assert_array_equal(grid.give_back(grid.take(array, 0)), array)
    for k in range(3):
        np.testing.assert_allclose(grid.take(points[k], 0), voxel_positions(grid.geometry)[k], atol=1e-9)
    assert sorted(grid.geometry.spacing_xyz_mm) == sorted(spacing)
    assert grid.geometry.voxel_volume_mm3 == pytest.approx(own.voxel_volume_mm3)


@settings(max_examples=40, deadline=None)
@given(axes=st.sampled_from(AXES), turn=st.floats(-9.9, 9.9), about=st.sampled_from("xyz"))
def test_slightly_turned_grids_are_permuted_and_keep_every_place(axes, turn, about):
    direction = rotation(turn, about) @ np.array(direction_of(*axes)).reshape(3, 3)
    own = Geometry((3, 4, 5), (0.7, 0.8, 1.9), (1.0, 2.0, 3.0), tuple(direction.ravel()))
    grid = CanonicalGrid(own)
    assert not grid.resamples
    assert grid.angle_deg == pytest.approx(abs(turn), abs=1e-4)
    points = voxel_positions(own)
    for k in range(3):
        np.testing.assert_allclose(grid.take(points[k], 0), voxel_positions(grid.geometry)[k], atol=1e-9)


@pytest.mark.parametrize(("angle", "resamples"), [(0, False), (9.9, False), (10.1, True), (45, True)])
def test_only_clearly_oblique_grids_are_resampled(angle, resamples):
    own = Geometry((16, 16, 16), direction_lps=tuple(rotation(angle, "y").ravel()))
    grid = CanonicalGrid(own)
    assert grid.angle_deg == pytest.approx(angle, abs=1e-6)
    assert grid.resamples is resamples
    assert OBLIQUE_TOLERANCE_DEG == 10


def test_the_grid_of_an_oblique_scan_lies_along_the_patient_and_holds_all_of_it(oblique):
    grid = CanonicalGrid(oblique).geometry
    assert grid.direction_lps == IDENTITY
    own, canonical = voxel_positions(oblique), voxel_positions(grid)
    for k in range(3):
        assert canonical[k].min() <= own[k].min() + 1e-9
        assert canonical[k].max() >= own[k].max() - grid.spacing_xyz_mm[k]


def test_an_oblique_scan_is_resampled_to_what_lies_there(oblique):
    grid = CanonicalGrid(oblique)
    hu = np.rint(smooth(voxel_positions(oblique))).astype(np.int16)
    taken = grid.take(hu, -2000)
    assert taken.dtype == np.int16
    # ITK repeats the outermost voxels by half a voxel; these are left out.
    inside = binary_erosion(taken > -2000, iterations=2)
    error = np.abs(taken - smooth(voxel_positions(grid.geometry)))[inside]
    # Linear interpolation errs by at most spacing^2 / 8 times the blob's curvature (700 / 18^2 HU per mm2) on each
    # axis, 2.1 HU together; both roundings to int16 add 1 HU at most.
    assert error.max() < 3.1
    assert 0.2 < inside.mean() < 0.9


def test_an_oblique_scan_comes_back_within_the_error_of_linear_interpolation(oblique):
    grid = CanonicalGrid(oblique)
    hu = smooth(voxel_positions(oblique)).astype(np.float32)
    back = grid.give_back(grid.take(hu, -1024), labels=False)
    core = (slice(3, -3),) * 3
    assert back.shape == oblique.shape_zyx
    assert np.abs(back - hu)[core].max() < 8


def test_labels_of_an_oblique_scan_come_back_by_nearest_neighbour(oblique):
    grid = CanonicalGrid(oblique)
    centre = np.array([5.0, -8.0, 3.0])[:, None, None, None]
    ball = np.linalg.norm(voxel_positions(grid.geometry) - centre, axis=0) < 14
    back = grid.give_back(ball.astype(np.uint8) * 3)
    assert back.dtype == np.uint8
    assert set(np.unique(back)) == {0, 3}
    volume = (back > 0).sum() * oblique.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.02)


def test_labels_of_an_oblique_scan_are_taken_by_nearest_neighbour(oblique):
    grid = CanonicalGrid(oblique)
    ball = np.linalg.norm(voxel_positions(oblique) - np.array([5.0, -8.0, 3.0])[:, None, None, None], axis=0) < 14
    taken = grid.take(ball.astype(np.uint8) * 2, 0, labels=True)
    assert set(np.unique(taken)) == {0, 2}
    assert (taken > 0).sum() * grid.geometry.voxel_volume_mm3 == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.02)


def test_the_strongest_axes_are_settled_first_on_a_steep_grid():
    # At 50 degrees about x, the index axes change their nearest patient axes.
    grid = CanonicalGrid(Geometry((16, 17, 18), (1.0, 2.0, 3.0), direction_lps=tuple(rotation(50, "x").ravel())))
    assert grid.resamples
    assert grid.angle_deg == pytest.approx(40, abs=1e-6)
    assert grid.geometry.spacing_xyz_mm == (1.0, 3.0, 2.0)


@pytest.mark.parametrize("turn", [0, 30])
def test_arrays_of_another_shape_are_refused_both_ways(turn):
    grid = CanonicalGrid(Geometry((4, 5, 6), direction_lps=tuple(rotation(turn).ravel())))
    with pytest.raises(InputError, match=r"shape \(6, 5, 4\); the scan's grid is \(4, 5, 6\)"):
        grid.take(np.zeros((6, 5, 4)), 0)
    with pytest.raises(InputError, match=r"shape \(1, 2, 3\); the axial grid is"):
        grid.give_back(np.zeros((1, 2, 3)))


def test_a_grid_without_further_words_has_voxels_of_one_mm_at_the_origin_along_the_patients_axes():
    grid = Geometry((2, 3, 4))
    assert (grid.spacing_xyz_mm, grid.origin_lps_mm) == ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(grid.direction_matrix, np.eye(3))
    np.testing.assert_array_equal(grid.ijk_to_lps, np.eye(4))
    np.testing.assert_array_equal(grid.ijk_to_ras, np.diag([-1, -1, 1, 1]))


def test_sizes_of_a_grid_are_products_of_its_spacing():
    grid = Geometry((2, 3, 4), (0.5, 2.0, 3.0))
    assert grid.spacing_zyx_mm == (3.0, 2.0, 0.5)
    assert grid.voxel_volume_mm3 == 3.0


@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0, 0.0), (1.0, -1.0, 1.0), (np.inf, 1.0, 1.0), (1.0, np.nan, 1.0), (1.0, 1.0)]
)
def test_a_spacing_that_is_no_three_positive_numbers_is_refused(spacing):
    with pytest.raises(InputError, match="must be three positive numbers in mm"):
        Geometry((2, 3, 4), spacing)


@pytest.mark.parametrize(
    ("direction", "refused"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1.0004), False),
        ((1, 0, 0, 0, 1, 0, 0, 0, 1.002), True),
        ((1, 0, 0, 0, 1, 0, 0, 0, np.nan), True),
        ((1, 0, 0, 1), True),
    ],
)
def test_a_direction_may_be_off_by_rounding_and_no_more(direction, refused):
    if not refused:
        Geometry((2, 3, 4), direction_lps=direction)
        return
    with pytest.raises(InputError, match="three perpendicular unit vectors"):
        Geometry((2, 3, 4), direction_lps=direction)


@pytest.mark.parametrize(("angle_deg", "resamples"), [(0.0, False), (9.99, False), (10.01, True), (44.0, True)])
def test_a_scan_is_resampled_beyond_ten_degrees(angle_deg, resamples):
    grid = CanonicalGrid(Geometry((4, 5, 6), direction_lps=tuple(rotation(angle_deg).ravel())))
    assert grid.angle_deg == pytest.approx(angle_deg, abs=1e-4)
    assert grid.resamples is resamples


def test_axes_that_a_turn_by_ninety_degrees_leaves_at_zero_are_not_flipped():
    # Rounded cosines: the zeros of the matrix are a hair under and over 0.
    for tiny in (-1e-17, 0.0, 1e-17):
        grid = CanonicalGrid(Geometry((3, 4, 5), direction_lps=(1, tiny, 0, 0, 1, tiny, tiny, 0, 1)))
        array = np.arange(60).reshape(3, 4, 5)
        np.testing.assert_array_equal(grid.take(array, 0), array)


def test_the_resampled_grid_covers_the_scan_with_its_own_spacing():
    # Turned by 30 degrees about z: 40 x 20 mm between the centres of the outermost voxels.
    turn = np.radians(30)
    cos, sin = np.cos(turn), np.sin(turn)
    own = Geometry((5, 11, 21), (2.0, 2.0, 3.0), (7.0, 8.0, 9.0), (cos, -sin, 0, sin, cos, 0, 0, 0, 1))
    grid = CanonicalGrid(own).geometry
    assert grid.spacing_xyz_mm == (2.0, 2.0, 3.0)
    assert grid.origin_lps_mm == pytest.approx((7 - 20 * sin, 8.0, 9.0))
    width_mm, depth_mm = 40 * cos + 20 * sin, 40 * sin + 20 * cos
    assert grid.shape_zyx == (5, int(depth_mm / 2) + 1, int(width_mm / 2) + 1)
    np.testing.assert_array_equal(grid.direction_matrix, np.eye(3))


def test_the_resampled_grid_does_not_lose_a_voxel_to_rounding():
    # By 90 degrees less a hair the box has whole spacings along each axis; none may be cut off.
    own = Geometry((4, 11, 21), (2.0, 2.0, 3.0), direction_lps=tuple(rotation(45, "x").ravel()))
    grid = CanonicalGrid(own).geometry
    reach_mm = 20 * np.cos(np.pi / 4) + 9 * np.sin(np.pi / 4)
    assert grid.shape_zyx[1] == int(reach_mm / 2 + 1e-6) + 1
    assert grid.shape_zyx[2] == 21


def test_grids_are_the_same_up_to_a_hundredth_of_the_smallest_spacing_at_every_corner():
    own = Geometry((3, 4, 5), (2.0, 3.0, 4.0), (1.0, 2.0, 3.0))
    moved = own.ijk_to_lps.copy()
    assert own.distance_mm(moved) == 0.0
    moved[0, 3] += 0.0199
    assert own.lies_on(moved)
    moved[1, 3] += 0.0199
    # Both together are further than 0.02 mm.
    assert own.distance_mm(moved) == pytest.approx(np.hypot(0.0199, 0.0199))
    assert not own.lies_on(moved)
    wider = own.ijk_to_lps.copy()
    wider[0, 0] += 0.01
    # Four steps of 0.01 mm to the last voxel.
    assert own.distance_mm(wider) == pytest.approx(0.04)
    assert not own.lies_on(wider)
    wider[0, 0] = np.nan
    assert not own.lies_on(wider)


def test_the_spacing_of_a_single_slice_counts_too():
    own = Geometry((1, 4, 5), (1.0, 1.0, 5.0))
    thicker = own.ijk_to_lps.copy()
    thicker[2, 2] = 6.0
    assert own.distance_mm(thicker) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("direction", "axes"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1, 2)),
        # Sagittal slices: i to the back, j to the feet, k to the right.
        ((0, 0, -1, 1, 0, 0, 0, -1, 0), (2, 0, 1)),
        # Coronal slices: i to the left, j to the feet, k to the back.
        ((1, 0, 0, 0, 0, 1, 0, -1, 0), (0, 2, 1)),
    ],
)
def test_the_index_axis_along_each_patient_axis(direction, axes):
    grid = CanonicalGrid(Geometry((4, 5, 6), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), direction))
    assert tuple(grid.index_axis_of(axis) for axis in range(3)) == axes
