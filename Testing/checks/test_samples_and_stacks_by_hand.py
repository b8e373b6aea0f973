"""Samples, metal and the order of slices at their limits, by arrays that are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from check_phantoms import sample_of

from CovidCTLib.checks.intensities import METAL_HU, check_metal
from CovidCTLib.checks.sample import take_sample
from CovidCTLib.checks.stack import check_stack
from CovidCTLib.errors import QualityError
from CovidCTLib.framing import Body


def test_all_but_padding_is_the_whole_of_a_share_and_the_highest_value_counts():
    sample = sample_of({-1024: 7, -1023: 30, 1023: 10})
    assert sample.share(1023, None) == 10 / 40
    assert sample.quantile_hu(0.5) == -1023
    assert sample.quantile_hu(0.8) == 1023


def test_metal_is_looked_for_in_the_body_at_the_middle_of_each_step():
    hu = np.full((4, 256, 256), 40, np.int16)
    sample = take_sample(hu)
    assert sample.every == (1, 2, 2)
    # Rows 100 to 199 and columns 60 to 159 of the scan are body, on a grid of every second voxel.
    trunk = np.zeros((4, 128, 128), bool)
    trunk[:, 50:100, 30:80] = True
    body = Body(trunk, trunk, (1, 2, 2), hu.shape)
    for where, ml in (
        ((slice(None), slice(100, 102), slice(60, 160)), 2.0),
        ((slice(None), slice(98, 100), slice(60, 160)), None),
        ((slice(None), slice(198, 200), slice(60, 160)), 2.0),
        ((slice(None), slice(200, 202), slice(60, 160)), None),
        ((slice(None), slice(100, 200), slice(158, 160)), 2.0),
        ((slice(None), slice(100, 200), slice(160, 162)), None),
    ):
        metal = hu.copy()
        metal[where] = METAL_HU
        # 50 voxels of the sample in each of 4 slices, each of which stands for 4 of 2.5 mm3.
        found = check_metal(take_sample(metal), 0.0025, body)
        assert [notice.value for notice in found] == ([] if ml is None else [ml])


@pytest.mark.parametrize(("spacing_mm", "refused"), [(2.4, True), (1.6, False)])
def test_the_order_is_looked_at_every_three_mm(spacing_mm, refused):
    # Neighbours are exchanged pair by pair: every second slice is in order.
    order = np.arange(24).reshape(-1, 2)[:, ::-1].ravel()
    gradient = np.linspace(-900, 0, 16)[None, None] * np.ones((1, 16, 1))
    hu = np.rint(gradient + 30.0 * order[:, None, None]).astype(np.int16)
    if refused:
        with pytest.raises(QualityError, match="mixed up"):
            check_stack(hu, spacing_mm)
    else:
        assert "slices-out-of-order" not in {notice.code for notice in check_stack(hu, spacing_mm)}


def test_slices_are_compared_by_every_pixel_that_the_shorter_side_allows():
    # 64 rows are looked at one by one, however many columns there are. Slices differ in one column alone.
    hu = np.broadcast_to(np.linspace(-900, 0, 1280), (10, 64, 1280)).astype(np.int16)
    hu[:, :, 5] = -500 + 20 * np.arange(10)[:, None]
    assert "copied-slices" not in {notice.code for notice in check_stack(hu, 3.0)}
    assert "copied-slices" not in {notice.code for notice in check_stack(hu.transpose(0, 2, 1), 3.0)}
    hu[4] = hu[3]
    (copied,) = [notice for notice in check_stack(hu, 3.0) if notice.code == "copied-slices"]
    assert copied.value == 1
