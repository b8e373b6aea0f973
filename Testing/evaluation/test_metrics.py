"""Overlap and surfaces against closed forms, and against MONAI."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from CovidCTLib.errors import InputError
from CovidCTLib.evaluation.metrics import Mask, Overlap, overlap, surface_agreement


def a_box(*where: tuple[int, int], shape: tuple[int, int, int] = (24, 24, 24)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(low, high) for low, high in where)] = True
    return mask


def a_ball(radius_mm: float, spacing: tuple[float, float, float]) -> Mask:
    axes = [np.arange(-24, 24.1, s) for s in spacing]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius_mm**2


@pytest.mark.parametrize("shift", [0, 1, 3, 9])
def test_the_dice_of_a_shifted_box_is_its_share_of_overlap(shift: int) -> None:
    counts = overlap(a_box((4, 14), (4, 14), (4, 13)), a_box((4, 14), (4, 14), (4 + shift, 13 + shift)))
    assert counts.dice == pytest.approx(max(0, 9 - shift) / 9)
    assert counts.predicted == counts.truth == 900


def test_the_dice_of_nothing_against_nothing_is_undefined() -> None:
    assert Overlap(0, 0, 0).dice is None
    assert Overlap(5, 0, 0).dice == 0.0
    assert surface_agreement(a_box((2, 4), (2, 4), (2, 4)), np.zeros((24, 24, 24), bool), (1, 1, 1)) is None


def test_equal_masks_agree_entirely() -> None:
    agreement = surface_agreement(*[a_box((4, 9), (4, 9), (4, 9))] * 2, (5.0, 1.0, 1.0))
    assert agreement is not None
    assert (agreement.surface_dice, agreement.hausdorff_95_mm) == (1.0, 0.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.8, 1.5)])
def test_a_slab_shifted_along_an_axis_is_off_by_the_spacing_of_that_axis(
    axis: int, spacing: tuple[float, float, float]
) -> None:
    # A slab one voxel thick is all surface, and each voxel is two voxels from the other slab.
    slabs = []
    for place in (10, 12):
        where = [(2, 22)] * 3
        where[axis] = (place, place + 1)
        slabs.append(a_box(*where))
    for tolerance, share in ((2 * spacing[axis], 1.0), (1.99 * spacing[axis], 0.0)):
        agreement = surface_agreement(*slabs, spacing, tolerance)
        assert agreement is not None
        assert agreement.surface_dice == share
        assert agreement.hausdorff_95_mm == pytest.approx(2 * spacing[axis])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.75)])
def test_balls_in_each_other_are_the_difference_of_their_radii_apart(spacing: tuple[float, float, float]) -> None:
    agreement = surface_agreement(a_ball(20, spacing), a_ball(14, spacing), spacing, 6 + max(spacing))
    assert agreement is not None
    assert agreement.hausdorff_95_mm == pytest.approx(6, abs=max(spacing))
    assert agreement.surface_dice == 1.0
    narrow = surface_agreement(a_ball(20, spacing), a_ball(14, spacing), spacing, 6 - max(spacing))
    assert narrow is not None
    assert narrow.surface_dice < 0.1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 0.8, 0.8)])
def test_surfaces_agree_with_monai(spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(3)
    found = a_ball(12, (1.0, 1.0, 1.0))
    truth = np.roll(found, 2, axis=2) & (rng.random(found.shape) > 0.02)
    agreement = surface_agreement(found, truth, spacing)
    assert agreement is not None
    tensors = [torch.from_numpy(mask)[None, None] for mask in (found, truth)]
    dice = compute_surface_dice(*tensors, [2.0], include_background=True, spacing=spacing)
    distance = compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=spacing)
    assert agreement.surface_dice == pytest.approx(float(dice), abs=1e-6)
    assert agreement.hausdorff_95_mm == pytest.approx(float(distance), abs=1e-4)


def test_a_single_slice_has_its_surface_within_the_slice() -> None:
    squares = [a_box((0, 1), (4, 12), (4 + shift, 12 + shift), shape=(1, 24, 24)) for shift in (0, 1)]
    agreement = surface_agreement(*squares, (7.0, 1.0, 1.0), 0.5)
    assert agreement is not None
    # Of 28 edge pixels, two edges along the shift share 7 pixels each with the other square.
    assert agreement.surface_dice == pytest.approx(14 / 28)


def test_masks_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"Two masks of one shape \(z, y, x\) were expected"):
        overlap(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 5), bool))
    with pytest.raises(InputError, match="Compare masks on the same grid"):
        surface_agreement(np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 1, 1))
