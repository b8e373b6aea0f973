"""Pleural effusion: what is dropped, what a network of three channels gives, and that it is no lung."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from CovidCTLib.lungs.effusion import FAT_HU, FLUID_HU, MAX_GAP_MM, MIN_PART_ML, clean_effusion
from CovidCTLib.lungs.network import lung_logit, segment_chest_by_network
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork

SPACING = (5.0, 2.0, 2.0)
ML = 5 * 2 * 2 / 1000


def chest() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Lungs in slices 4 to 15, and no effusion."""
    lungs = np.zeros((20, 60, 80), bool)
    lungs[4:16, 15:45, 10:30] = lungs[4:16, 15:45, 50:70] = True
    return lungs, np.zeros_like(lungs)


def water(mask: NDArray[np.bool_]) -> NDArray[np.int16]:
    """HU of a chest that is as dense as water everywhere."""
    return np.zeros(mask.shape, np.int16)


def test_small_parts_are_dropped_and_larger_ones_stay() -> None:
    lungs, effusion = chest()
    effusion[5:9, 45:50, 12:22] = True
    assert effusion.sum() * ML > MIN_PART_ML
    kept = effusion.copy()
    effusion[12, 46:48, 60:63] = True
    clean_effusion(effusion, lungs, water(lungs), SPACING)
    assert np.array_equal(effusion, kept)


def test_fluid_far_from_the_lungs_and_lung_itself_are_no_effusion() -> None:
    lungs, effusion = chest()
    effusion[:] = True
    clean_effusion(effusion, lungs, water(lungs), SPACING)
    gap = round(MAX_GAP_MM / SPACING[0])
    assert not (effusion & lungs).any()
    assert not effusion[: 4 - gap].any()
    assert effusion[4 - gap].any()
    assert not effusion[:, :, 80 - 1].all()


def test_without_lungs_nothing_is_effusion() -> None:
    lungs, effusion = chest()
    effusion[5:9, 45:50, 12:22] = True
    clean_effusion(effusion, np.zeros_like(lungs), water(lungs), SPACING)
    assert not effusion.any()


@pytest.mark.parametrize(
    ("core_hu", "stays"),
    [(FLUID_HU[0] - 1, False), (FLUID_HU[0], True), (12, True), (FLUID_HU[1], True), (FLUID_HU[1] + 1, False)],
)
def test_only_what_is_as_dense_as_fluid_is_effusion(core_hu: float, stays: bool) -> None:
    lungs, effusion = chest()
    effusion[5:9, 45:53, 12:26] = True
    found, hu = effusion.copy(), water(lungs)
    # The rim is half lung and says nothing.
    hu[found] = -400
    hu[5:9, 46:52, 13:25] = core_hu
    clean_effusion(effusion, lungs, hu, SPACING)
    assert np.array_equal(effusion, found if stays else np.zeros_like(found))


def test_consolidation_that_was_taken_for_fluid_is_lung_where_it_touches_one() -> None:
    lungs, effusion = chest()
    whole = lungs.copy()
    beside, apart = effusion.copy(), effusion.copy()
    beside[5:9, 45:53, 12:26] = True
    apart[5:9, 47:55, 50:66] = True
    effusion |= beside | apart
    clean_effusion(effusion, lungs, np.full(lungs.shape, -50, np.int16), SPACING)
    assert not effusion.any()
    assert np.array_equal(lungs, whole | beside)


def test_consolidation_at_the_side_of_the_picture_is_lung_to_its_last_voxel() -> None:
    lungs, effusion = chest()
    whole = lungs.copy()
    beside = np.zeros_like(lungs)
    beside[0:9, 20:40, 0:10] = True
    effusion |= beside
    clean_effusion(effusion, lungs, np.full(lungs.shape, -50, np.int16), SPACING)
    assert not effusion.any()
    assert np.array_equal(lungs, whole | beside)


@pytest.mark.parametrize(("slices", "stays"), [((3, 9), True), ((2, 5), True), ((1, 4), False), ((1, 3), False)])
def test_what_lies_below_the_lungs_only_is_no_effusion(slices: tuple[int, int], stays: bool) -> None:
    lungs, effusion = chest()
    # A strip of the lung in slice 3 is too little to count; of slices 2 to 4 a third is beside the lungs.
    lungs[3, 15:16, 10:30] = True
    effusion[slices[0] : slices[1], 46:54, 10:30] = True
    found = effusion.copy()
    clean_effusion(effusion, lungs, water(lungs), SPACING)
    assert np.array_equal(effusion, found if stays else np.zeros_like(found))


@pytest.mark.parametrize("hu", [FAT_HU, -100])
def test_fat_that_was_taken_for_fluid_is_no_lung(hu: float) -> None:
    lungs, effusion = chest()
    whole = lungs.copy()
    effusion[5:9, 45:53, 12:26] = True
    clean_effusion(effusion, lungs, np.full(lungs.shape, hu, np.int16), SPACING)
    assert not effusion.any()
    assert np.array_equal(lungs, whole)


def test_dense_tissue_that_was_taken_for_fluid_is_no_lung() -> None:
    lungs, effusion = chest()
    whole = lungs.copy()
    effusion[5:9, 45:53, 12:26] = True
    clean_effusion(effusion, lungs, np.full(lungs.shape, 120, np.int16), SPACING)
    assert not effusion.any()
    assert np.array_equal(lungs, whole)


def test_a_layer_too_thin_to_have_a_core_is_judged_as_a_whole() -> None:
    lungs, effusion = chest()
    effusion[4:16, 45:47, 10:30] = True
    found = effusion.copy()
    assert found.sum() * ML > MIN_PART_ML
    clean_effusion(effusion, lungs, water(lungs), SPACING)
    assert np.array_equal(effusion, found)


class _ByGrey(torch.nn.Module):
    """Calls dark pixels lung, grey ones of fluid effusion, and all others neither."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = images[:, images.shape[1] // 2]
        lung = (grey < 0.4).float()
        fluid = ((grey - (10 + 1024) / 1174).abs() < 0.02).float()
        return 10 * torch.stack([1 - lung - fluid, lung, fluid], dim=1)


def network(outputs: int) -> LoadedNetwork:
    card = ModelCard(
        name="lungs", version="0", architecture={"kind": "windows-unet", "outputs": outputs, "slices": 3}, size=128,
        framing="body", expects="", gives="", sha256="", thresholds={}, training={}, validation={}, limits=(),
        licence="",
    )  # fmt: skip
    return LoadedNetwork(_ByGrey(), card, torch.device("cpu"), torch.float32)


def test_a_network_of_three_channels_gives_lungs_and_effusion_apart() -> None:
    hu = np.full((20, 64, 96), -1000, np.int16)
    hu[:, 4:60, 4:92] = 100
    hu[4:16, 15:40, 12:40] = hu[4:16, 15:40, 56:84] = -850
    hu[5:10, 40:48, 58:82] = 10
    found = segment_chest_by_network(hu, SPACING, network(3))
    assert found.effusion is not None
    assert not (found.lungs & found.effusion).any()
    true = hu == 10
    overlap = 2 * (true & found.effusion).sum() / (true.sum() + found.effusion.sum())
    assert overlap > 0.9
    assert (found.lungs & (hu == -850)).sum() > 0.95 * (hu == -850).sum()


def test_the_logit_of_lung_is_against_both_other_classes() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 3, 1, 1)
    chance = logits.softmax(dim=1)[0, 1, 0, 0]
    assert float(lung_logit(logits).sigmoid()) == pytest.approx(float(chance))
    single = torch.full((1, 1, 2, 2), 0.7)
    assert torch.equal(lung_logit(single), single[:, 0])


def test_a_card_says_whether_its_network_tells_effusion() -> None:
    assert network(3).card.finds_effusion
    assert not network(1).card.finds_effusion
