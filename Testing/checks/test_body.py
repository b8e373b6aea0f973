"""Size, shape and direction of the body by boxes whose edges are known."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks.body import MAX_LONGER_TIMES, MAX_PIXEL_RATIO, MIN_LONG_AXIS_SHARE, check_body
from CovidCTLib.errors import QualityError
from CovidCTLib.framing import Body
from CovidCTLib.geometry import CanonicalGrid, Geometry

AXIAL = (1, 0, 0, 0, 1, 0, 0, 0, 1)


def boxed(width_mm, depth_mm, spacing_xyz=(2.0, 2.0, 3.0), step=(1, 1, 1), direction=AXIAL):
    """A body that is a box as long as the scan, in air; and its grid."""
    width, depth = round(width_mm / spacing_xyz[0] / step[2]), round(depth_mm / spacing_xyz[1] / step[1])
    trunk = np.zeros((12, depth + 4, width + 6), bool)
    trunk[:, 2:-2, 3:-3] = True
    shape = tuple(size * by for size, by in zip(trunk.shape, step, strict=True))
    return CanonicalGrid(Geometry(shape, spacing_xyz, (0, 0, 0), direction)), Body(trunk, trunk, step, shape)


def notices_of(*arguments, **keywords):
    grid, body = boxed(*arguments, **keywords)
    return {notice.code: notice for notice in check_body(grid, body, True)}


@pytest.mark.parametrize("step", [(1, 1, 1), (1, 2, 1), (1, 1, 2)])
@pytest.mark.parametrize(
    ("width", "depth", "word", "who", "size", "limit"),
    [
        (152, 120, None, None, None, None),
        (148, 120, "wide", "a small child", 148, 150),
        (620, 400, None, None, None, None),
        (624, 400, "wide", "a very large patient", 624, 620),
        (160, 100, None, None, None, None),
        (160, 96, "deep", "a small child", 96, 100),
        (600, 448, None, None, None, None),
        (600, 452, "deep", "a very large patient", 452, 450),
    ],
)
def test_usual_sizes_end_at_their_limits(step, width, depth, word, who, size, limit):
    notices = notices_of(width, depth, step=step)
    if word is None:
        assert notices == {}
        return
    assert list(notices) == ["body-size-doubtful"]
    notice = notices["body-size-doubtful"]
    assert (notice.value, notice.limit, notice.unit) == (size, limit, "mm")
    assert f"the body is {size} mm {word}: {who}, or" in notice.text


@pytest.mark.parametrize(
    ("width", "depth", "said"),
    [
        (80, 60, None),
        (76, 60, "80 to 900 mm wide was expected, but by its voxel size this one is 76 mm wide"),
        (904, 640, "900 mm wide was expected, but by its voxel size this one is 904 mm wide"),
        (84, 52, None),
        (84, 48, "50 to 650 mm deep was expected, but by its voxel size this one is 48 mm deep"),
        (896, 652, "650 mm deep was expected, but by its voxel size this one is 652 mm deep"),
    ],
)
def test_a_body_of_an_impossible_size_is_refused(width, depth, said):
    if said is None:
        assert set(notices_of(width, depth)) == {"body-size-doubtful"}
        return
    with pytest.raises(QualityError, match=said) as refused:
        notices_of(width, depth)
    assert refused.value.notice.code == "impossible-body"
    assert refused.value.notice.limit in (50, 80, 650, 900)
    # Where the spacing is not the true one, nothing is said of sizes.
    assert check_body(*boxed(width, depth), False) == ()


@pytest.mark.parametrize(
    ("width", "depth", "ratio", "limit"),
    [(416, 160, None, None), (424, 160, 2.65, 2.6), (240, 400, None, None), (232, 400, 0.58, 0.6)],
)
def test_the_width_is_a_usual_multiple_of_the_depth(width, depth, ratio, limit):
    notices = notices_of(width, depth)
    if ratio is None:
        assert notices == {}
    else:
        assert list(notices) == ["body-shape-doubtful"]
        assert (notices["body-shape-doubtful"].value, notices["body-shape-doubtful"].limit) == (ratio, limit)


def test_the_size_is_that_of_the_middle_slice_and_slices_without_body_do_not_count():
    grid, body = boxed(300, 200)
    trunk = body.trunk.copy()
    # Of 12 slices 3 are empty, 4 are half as wide and deep, 5 are whole.
    trunk[:3] = False
    trunk[3:7, :, : 3 + 75] = False
    trunk[3:7, : 2 + 50] = False
    assert check_body(grid, Body(trunk, trunk, body.step, body.shape), True) == ()
    # Of the 9 that are left 5 are 140 mm wide and 100 mm deep now.
    trunk[3:8, :, : 3 + 80] = False
    trunk[3:8, : 2 + 50] = False
    (notice,) = check_body(grid, Body(trunk, trunk, body.step, body.shape), True)
    assert (notice.code, notice.value) == ("body-size-doubtful", 140)


def test_without_a_body_nothing_is_said():
    grid, body = boxed(300, 200)
    nothing = np.zeros_like(body.trunk)
    assert check_body(grid, Body(nothing, nothing, body.step, body.shape), True) == ()


@pytest.mark.parametrize(("y", "found"), [(2.0 * MAX_PIXEL_RATIO, False), (2.0 * MAX_PIXEL_RATIO + 0.01, True)])
def test_pixels_are_square_within_a_twentieth(y, found):
    for spacing in ((2.0, y, 3.0), (y, 2.0, 3.0)):
        notices = notices_of(300, 200, spacing_xyz=spacing)
        assert ("pixels-not-square" in notices) == found
        if found:
            assert notices["pixels-not-square"].value == pytest.approx(y / 2.0, abs=1e-3)
    # Slices of the file that are coronal ones have their distance as one side of an axial pixel.
    coronal = (1, 0, 0, 0, 0, 1, 0, -1, 0)
    grid = CanonicalGrid(Geometry((106, 12, 156), (2.0, 3.0, y), (0, 0, 0), coronal))
    assert "pixels-not-square" not in {n.code for n in check_body(grid, boxed(300, 200)[1], True)}


def _along(axis, share=1.0, own_share=0.0, direction=AXIAL):
    """A body that is cut through at both ends of an axis by a share of the end planes, and at its own by another."""
    trunk = np.zeros((40, 40, 40), bool)
    # A cross of single lines touches all six sides, so that nothing is trimmed off.
    trunk[:, 20, 20] = trunk[20, :, 20] = trunk[20, 20, :] = True
    for along, part in ((axis, share), (0, own_share)):
        side = round(40 * np.sqrt(part))
        for end in (0, -1):
            plane = np.zeros((40, 40), bool)
            plane[:side, :side] = True
            target = np.moveaxis(trunk, along, 0)
            target[end] |= plane
    return CanonicalGrid(Geometry(trunk.shape, (8.0, 8.0, 8.0), (0, 0, 0), direction)), Body(
        trunk, trunk, (1, 1, 1), trunk.shape
    )


@pytest.mark.parametrize("axis", [1, 2])
def test_a_body_cut_through_at_the_ends_of_another_axis_lies_along_it(axis):
    with pytest.raises(QualityError, match=f"the body lies along axis {3 - axis} of the file") as refused:
        check_body(*_along(axis), True)
    assert refused.value.notice.code == "not-axial"
    assert refused.value.hint == ""
    # Sides of 16 of 40 voxels are 16 % of an end plane, over the least share; 15 are 14 %.
    with pytest.raises(QualityError, match="Axial slices were expected"):
        check_body(*_along(axis, share=0.16), False)
    assert check_body(*_along(axis, share=0.14), False) == ()
    assert 0.14 < MIN_LONG_AXIS_SHARE < 0.16


@pytest.mark.parametrize("axis", [1, 2])
def test_a_body_that_is_cut_through_at_its_own_ends_as_well_is_left_alone(axis):
    assert MAX_LONGER_TIMES == 2
    # 24 x 24 of 40 x 40 are 36 %; 18 x 18 are 20 %, more than the half of it; 16 x 16 are 16 %, less.
    assert check_body(*_along(axis, share=0.36, own_share=0.2), False) == ()
    with pytest.raises(QualityError, match="Axial slices were expected"):
        check_body(*_along(axis, share=0.36, own_share=0.16), False)


def test_one_end_is_enough_and_air_around_the_body_is_not_an_end():
    _, body = _along(1)
    trunk = np.zeros((44, 46, 42), bool)
    trunk[2:42, 3:43, 1:41] = body.trunk
    # Cut through at the back alone.
    trunk[:, 3, :] = False
    trunk[22, 3, 21] = True
    padded = CanonicalGrid(Geometry(trunk.shape, (8.0, 8.0, 8.0)))
    with pytest.raises(QualityError, match="100 % of its end plane") as refused:
        check_body(padded, Body(trunk, trunk, (1, 1, 1), trunk.shape), False)
    assert refused.value.notice.limit == 50


def test_slices_of_the_file_that_are_the_true_axial_ones_can_be_taken_for_them():
    # The header says that the slices of the file are sagittal ones: their number grows to the left.
    sagittal = (0, 0, 1, 1, 0, 0, 0, 1, 0)
    grid, body = _along(2, direction=sagittal)
    assert grid.index_axis_of(0) == 2
    with pytest.raises(QualityError, match="let them be taken for axial") as refused:
        check_body(grid, body, False)
    assert refused.value.hint == "--assume-axial does that."


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((10, 60, 79), "at least 80 mm wide were expected, as a body is, but by their voxel size these are 79 mm wide"),
        ((10, 49, 90), "at least 50 mm high were expected, as a body is, but by their voxel size these are 49 mm high"),
        ((10, 50, 80), None),
    ],
)
def test_slices_that_are_smaller_than_a_body_are_refused_where_no_body_can_be_found(shape, said):
    grid = CanonicalGrid(Geometry(shape, (1.0, 1.0, 1.0)))
    body = Body(np.zeros(shape, bool), np.zeros(shape, bool), (1, 1, 1), shape)
    if said is None:
        assert check_body(grid, body, True) == ()
    else:
        with pytest.raises(QualityError, match=said) as refused:
            check_body(grid, body, True)
        assert refused.value.notice.code == "impossible-body"
    # Without a spacing nobody knows how large they are.
    assert check_body(grid, body, False) == ()
