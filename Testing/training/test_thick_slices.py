"""Slices that are mixed with their neighbours, as thick reconstructions show them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from CovidCTLib.training.sampling import NEIGHBOUR_SHARE, SampledSlices
from CovidCTLib.training.slices import SliceSet


@pytest.fixture
def steps() -> SliceSet:
    """Three slices, of two volumes, each of one value: 0.0, 0.5 and, of the other volume, 1.0."""
    shape = (3, 32, 32)
    values = np.asarray([0.0, 0.5, 1.0], np.float16)[:, None, None]
    cases = np.asarray(["a", "a", "b"])
    return SliceSet(
        np.broadcast_to(values, shape).copy(),
        np.ones(shape, np.uint8),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.uint8),
        np.zeros(3, np.int8),
        cases,
        cases,
        np.asarray(["volume"] * 3),
        np.asarray([0, 1, 0], np.int32),
        np.full(3, 5.0, np.float32),
        np.asarray([""] * 3),
    )


def thickened(slices: SliceSet, k: int) -> set[float]:
    """Values that many draws give slice k."""
    samples = SampledSlices(slices, np.ones(3), 32, "lungs", 0, 0, 1, thickened=1.0)
    found = set()
    for seed in range(40):
        image = slices.image[k][None].astype(np.float32)
        samples._thicken(image, k, np.random.default_rng(seed))
        assert image.min() == image.max()
        found.add(round(float(image[0, 0, 0]), 6))
    return found


def test_a_thick_slice_holds_a_part_of_its_neighbour(steps: SliceSet) -> None:
    mixed = thickened(steps, 0) - {0.0}
    assert len(mixed) > 10
    assert min(mixed) >= 0.5 * NEIGHBOUR_SHARE[0]
    assert max(mixed) <= 0.5 * NEIGHBOUR_SHARE[1]


def test_a_slice_is_never_mixed_with_another_volume_finding_or_picture(steps: SliceSet) -> None:
    assert thickened(steps, 2) == {1.0}
    assert max(thickened(steps, 1)) == 0.5
    other = dataclasses.replace(steps, abnormal=np.asarray([1, 0, 0], np.int8))
    assert thickened(other, 0) == {0.0}
    pictures = dataclasses.replace(steps, source=np.asarray(["calibrated pictures"] * 3))
    assert thickened(pictures, 0) == {0.0}


def test_slices_between_which_others_were_left_out_are_no_neighbours(steps: SliceSet) -> None:
    apart = dataclasses.replace(steps, number=np.asarray([0, 2, 0], np.int32))
    assert thickened(apart, 0) == {0.0}
    assert len(thickened(steps, 0)) > 1


def test_thick_slices_keep_their_labels_and_can_be_left_out(steps: SliceSet) -> None:
    plain = SampledSlices(steps, np.asarray([1.0, 0.0, 0.0]), 32, "body", 3, 0, 8)
    same = SampledSlices(steps, np.asarray([1.0, 0.0, 0.0]), 32, "body", 3, 0, 8, thickened=0.0)
    thick = SampledSlices(steps, np.asarray([1.0, 0.0, 0.0]), 32, "body", 3, 0, 8, thickened=1.0)
    assert all((plain[n]["image"] == same[n]["image"]).all() for n in range(8))
    assert all((thick[n]["label"][1] == 0).all() for n in range(8))
    assert any(float(thick[n]["image"].mean()) > float(plain[n]["image"].mean()) + 0.02 for n in range(8))
