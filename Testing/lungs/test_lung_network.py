"""What is done to the lung network's answer: small parts go, small holes are filled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from CovidCTLib.framing import Body
from CovidCTLib.lungs.network import (
    MAX_HOLE_MM2,
    LungCleanup,
    clean_lungs,
    fill_cavities,
    fill_small_holes,
    keep_large_parts,
    segment_chest_by_network,
)
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork


class _Dark(torch.nn.Module):
    """Calls dark pixels inside the frame lung."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.527 - x


@pytest.fixture
def dark() -> LoadedNetwork:
    card = ModelCard("lungs", "1", {}, 64, "body", "", "", "")
    return LoadedNetwork(_Dark(), card, torch.device("cpu"), torch.float32)


def test_lungs_come_back_on_the_scans_pixels(dark: LoadedNetwork) -> None:
    hu = np.full((18, 96, 96), 40, np.int16)
    truth = np.zeros(hu.shape, bool)
    truth[3:15, 20:70, 12:40] = truth[3:15, 20:70, 56:84] = True
    hu[truth] = -850
    seen: list[float] = []
    lungs = segment_chest_by_network(hu, (5.0, 3.0, 3.0), dark, seen.append).lungs
    assert 2 * (lungs & truth).sum() / (lungs.sum() + truth.sum()) > 0.97
    assert seen[-1] == 1.0


def test_small_parts_are_removed_and_both_lungs_stay() -> None:
    mask = np.zeros((10, 60, 60), bool)
    mask[2:8, 10:50, 5:25] = mask[2:8, 10:50, 35:55] = True
    both = mask.copy()
    mask[5, 2:4, 2:4] = True
    mask[9, 30:34, 30:34] = True
    everywhere = np.ones((10, 60, 60), bool)
    keep_large_parts(mask, Body(everywhere, everywhere, (1, 1, 1), (10, 60, 60)))
    assert np.array_equal(mask, both)


def test_air_outside_the_body_is_no_lung_however_large() -> None:
    mask = np.zeros((10, 60, 60), bool)
    mask[2:8, 14:30, 14:22] = mask[2:8, 14:30, 26:34] = True
    lungs = mask.copy()
    mask[2:8, 10:55, 44:58] = True
    body = np.zeros(mask.shape, bool)
    body[:, 10:34, 10:38] = True
    body &= ~lungs
    keep_large_parts(mask, Body(body, body, (1, 1, 1), (10, 60, 60)))
    assert np.array_equal(mask, lungs)


def test_lungs_behind_a_thin_chest_wall_stay(dark: LoadedNetwork) -> None:
    hu = np.full((24, 128, 128), -1000, np.int16)
    hu[:, 30:100, 14:114] = 40
    truth = np.zeros(hu.shape, bool)
    truth[3:21, 33:97, 17:58] = truth[3:21, 33:97, 70:111] = True
    hu[truth] = -850
    lungs = segment_chest_by_network(hu, (5.0, 3.0, 3.0), dark).lungs
    assert 2 * (lungs & truth).sum() / (lungs.sum() + truth.sum()) > 0.95


def test_an_empty_mask_stays_empty() -> None:
    mask = np.zeros((3, 10, 10), bool)
    keep_large_parts(mask, Body(mask, mask, (1, 1, 1), (3, 10, 10)))
    fill_small_holes(mask, 1.0)
    assert not mask.any()


def test_only_small_holes_are_filled() -> None:
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 5:55, 5:55] = True
    mask[0, 10:13, 10:13] = False
    mask[0, 30:42, 30:42] = False
    mask[0, 5:9, 30:34] = False
    assert 9 < MAX_HOLE_MM2 < 144
    fill_small_holes(mask, 1.0)
    assert mask[0, 10:13, 10:13].all()
    assert not mask[0, 30:42, 30:42].any()
    assert not mask[0, 5:9, 30:34].any()


EVERYWHERE = np.ones((10, 60, 60), bool)
WHOLE = Body(EVERYWHERE, EVERYWHERE, (1, 1, 1), (10, 60, 60))


def lungs_and_a_part(part_hu: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask of two lungs and of a smaller part with its own HU, HU, and mask of the part."""
    part = np.zeros((10, 60, 60), bool)
    part[1:7, 2:8, 26:34] = True
    mask = part.copy()
    mask[2:8, 10:50, 5:25] = mask[2:8, 10:50, 35:55] = True
    hu = np.full(mask.shape, 40, np.int16)
    hu[mask] = np.random.default_rng(0).normal(-850, 40, mask.sum()).round()
    hu[part] = part_hu
    return mask, hu, part


@pytest.mark.parametrize(("part_hu", "goes"), [(-960, True), (-840, False)])
def test_a_part_as_dark_as_gas_goes_and_one_like_lung_stays(part_hu: int, goes: bool) -> None:
    mask, hu, part = lungs_and_a_part(part_hu)
    whole = mask.copy()
    keep_large_parts(mask, WHOLE, hu)
    assert not mask[part].any() if goes else mask[part].all()
    np.testing.assert_array_equal(mask & ~part, whole & ~part)


def test_gas_is_told_by_the_scans_own_hu() -> None:
    mask, hu, part = lungs_and_a_part(-960)
    keep_large_parts(mask, WHOLE, hu + np.int16(120))
    assert not mask[part].any()


def test_a_dark_lung_is_no_gas() -> None:
    mask, hu, _ = lungs_and_a_part(-840)
    hu[:, :, 35:55][mask[:, :, 35:55]] = -970
    whole = mask.copy()
    keep_large_parts(mask, WHOLE, hu)
    np.testing.assert_array_equal(mask, whole)


def test_cavities_are_filled_and_what_opens_to_the_outside_is_not() -> None:
    mask = np.zeros((9, 20, 20), bool)
    mask[1:8, 2:18, 2:18] = True
    mask[3:5, 5:8, 5:8] = False
    mask[3:9, 12, 12] = False
    fill_cavities(mask)
    assert mask[3:5, 5:8, 5:8].all()
    assert not mask[3:8, 12, 12].any()
    empty = np.zeros((3, 4, 4), bool)
    fill_cavities(empty)
    assert not empty.any()


def test_each_step_has_its_switch() -> None:
    whole, hu, part = lungs_and_a_part(-960)
    whole[4, 20:22, 10:12] = False
    off = LungCleanup(large_parts=False, no_gas=False, holes=False)

    def cleaned(cleanup: LungCleanup) -> np.ndarray:
        mask = whole.copy()
        clean_lungs(mask, hu, WHOLE, (5.0, 1.0, 1.0), cleanup)
        return mask

    np.testing.assert_array_equal(cleaned(off), whole)
    assert cleaned(LungCleanup(no_gas=False))[part].all()
    assert not cleaned(LungCleanup())[part].any()
    assert cleaned(LungCleanup())[4, 20:22, 10:12].all()
    assert not cleaned(LungCleanup(holes=False))[4, 20:22, 10:12].any()
    assert cleaned(LungCleanup(holes=False, cavities=True))[4, 20:22, 10:12].all()
