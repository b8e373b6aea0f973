"""Opacities that are faded, condensed, made up or carried over: where they lie, how they are labelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO
from CovidCTLib.training.augmentation import make_augmentation
from CovidCTLib.training.lesions import (
    DENSE,
    MIN_CARRIED_PIXELS,
    RandOpacityCondensedd,
    RandOpacityFadedd,
    RandOpacityPastedd,
    can_give,
    carry_over,
)
from CovidCTLib.training.sampling import SampledSlices
from CovidCTLib.training.slices import INFECTION, UNKNOWN, SliceSet


def _lungs_with_patch() -> dict[str, torch.Tensor]:
    """Lungs of value 0.2 with a patch of consolidation of value 0.8."""
    label = torch.zeros(2, 96, 96)
    label[0, 10:90, 10:90] = 1
    label[1, 30:50, 30:50] = OPACITY_CONSOLIDATION
    image = torch.where(label[:1] > 0, 0.2, 0.9)
    image[label[1:] > 0] = 0.8
    return {"image": image, "label": label}


def test_a_faded_opacity_keeps_its_place_and_loses_its_class() -> None:
    sample = _lungs_with_patch()
    faded = RandOpacityFadedd(prob=1.0, least_left=0.3).set_random_state(0)(sample)
    assert 0.2 + 0.3 * 0.6 <= float(faded["image"][0, 40, 40]) < 0.7
    assert torch.equal(faded["image"][:, 60:], sample["image"][:, 60:])
    assert torch.equal(faded["label"][1] == INFECTION, sample["label"][1] == OPACITY_CONSOLIDATION)
    assert float(sample["label"][1].max()) == OPACITY_CONSOLIDATION, "the sample that came in is left alone"


def test_made_up_opacities_lie_in_healthy_lung_and_are_labelled() -> None:
    classes = set()
    for seed in range(12):
        sample = _lungs_with_patch()
        pasted = RandOpacityPastedd(prob=1.0).set_random_state(seed)(sample)
        new = pasted["label"][1] != sample["label"][1]
        assert new.any()
        assert (sample["label"][0][new] == 1).all()
        assert (sample["label"][1][new] == 0).all()
        classes |= set(pasted["label"][1][new].unique().tolist())
        assert float((pasted["image"] - sample["image"])[0][new].mean()) > 0.02
    assert classes == {INFECTION, OPACITY_CONSOLIDATION}


def test_no_opacity_is_made_up_where_the_truth_is_not_known() -> None:
    sample = _lungs_with_patch()
    sample["label"][1] = UNKNOWN
    for transform in (
        RandOpacityPastedd(prob=1.0),
        RandOpacityFadedd(prob=1.0, least_left=0.3),
        RandOpacityCondensedd(prob=1.0),
    ):
        assert torch.equal(transform.set_random_state(0)(sample)["image"], sample["image"])


def test_a_condensed_opacity_becomes_as_dense_as_soft_tissue_and_no_denser() -> None:
    seen = set()
    for seed in range(12):
        sample = _lungs_with_patch()
        sample["label"][1][sample["label"][1] > 0] = OPACITY_GGO
        sample["image"][sample["label"][1:] > 0] = 0.4
        condensed = RandOpacityCondensedd(prob=1.0).set_random_state(seed)(sample)
        middle, label = float(condensed["image"][0, 40, 40]), int(condensed["label"][1, 40, 40])
        assert 0.4 < middle <= DENSE[1]
        assert (label == OPACITY_CONSOLIDATION) == (middle > 0.4 + 0.7 * (DENSE[0] - 0.4)) or label == INFECTION
        assert torch.equal(condensed["image"][:, 60:], sample["image"][:, 60:])
        seen.add(label)
    assert seen == {INFECTION, OPACITY_CONSOLIDATION}


def _slice(lesion: tuple[slice, slice] | None, value: float) -> dict[str, np.ndarray]:
    label = np.zeros((2, 96, 96), np.float32)
    label[0, 10:90, 10:90] = 1
    image = np.where(label[:1] > 0, np.float32(0.2), np.float32(0.9))
    if lesion is not None:
        label[1][lesion] = OPACITY_GGO
        image[0][lesion] = value
    return {"image": image, "label": label}


def test_lesions_are_carried_over_to_healthy_lung_only() -> None:
    receiver = _slice((slice(30, 50), slice(30, 50)), 0.5)
    receiver["image"][0, 60, 60] = 0.95
    before = {name: values.copy() for name, values in receiver.items()}
    donor = _slice((slice(40, 80), slice(40, 95)), 0.7)
    assert carry_over(receiver["image"], receiver["label"], donor)
    assert receiver["label"][1, 70, 70] == OPACITY_GGO
    assert receiver["image"][0, 70, 70] == pytest.approx(0.7)
    assert receiver["image"][0, 60, 60] == pytest.approx(0.95), "a vessel stays"
    outside = before["label"][0] == 0
    assert np.array_equal(receiver["label"][1][outside], before["label"][1][outside])
    assert np.array_equal(receiver["image"][0, 32:38, 32:38], before["image"][0, 32:38, 32:38])


def test_too_little_on_healthy_lung_changes_nothing() -> None:
    receiver = _slice(None, 0)
    before = {name: values.copy() for name, values in receiver.items()}
    donor = _slice((slice(85, 96), slice(85, 96)), 0.7)
    assert not carry_over(receiver["image"], receiver["label"], donor)
    assert all(np.array_equal(receiver[name], before[name]) for name in before)


def test_only_slices_with_known_lungs_and_enough_opacity_give_theirs() -> None:
    opacities = np.zeros((4, 96, 96), np.uint8)
    opacities[1:, :10, :20] = OPACITY_GGO
    opacities[2, :, 7:] = 0
    opacities[3, 20:] = UNKNOWN
    lungs = np.ones_like(opacities)
    assert (opacities[2] > 0).sum() < MIN_CARRIED_PIXELS
    assert can_give(lungs, opacities).tolist() == [False, True, False, True]
    assert not can_give(np.full_like(lungs, UNKNOWN), opacities).any()


def test_only_clear_slices_get_lesions_of_others_and_are_abnormal_then() -> None:
    slices = SliceSet(
        image=np.full((2, 96, 96), 0.2, np.float16),
        lungs=np.ones((2, 96, 96), np.uint8),
        opacities=np.zeros((2, 96, 96), np.uint8),
        effusion=np.zeros((2, 96, 96), np.uint8),
        abnormal=np.asarray([0, 1], np.int8),
        patient=np.asarray(["a", "b"]),
        case=np.asarray(["a", "b"]),
        source=np.asarray(["volume", "volume"]),
        number=np.zeros(2, np.int32),
        step_mm=np.zeros(2, np.float32),
        checksum=np.asarray(["", ""]),
    )
    slices.opacities[1, 20:60, 20:60] = OPACITY_GGO
    slices.image[1, 20:60, 20:60] = 0.6
    for shown, carried, expected in ((0, 0.0, 0), (0, 1.0, 1), (1, 1.0, 1)):
        samples = SampledSlices(slices, np.eye(2)[shown], 96, "lungs", 0, 0, 6, pasted=0.0, carried=carried)
        for sample in (samples[n] for n in range(6)):
            assert sample["abnormal"] == expected
            area = int((sample["label"][1] > 0).sum())
            assert (area > 0) == bool(expected)
            # The lesion of the second slice lies where it lay, not twice.
            assert area < 2 * 40 * 40


def test_the_lung_network_is_shown_dense_opacities_as_lung() -> None:
    lungs = np.zeros((96, 96), np.float32)
    lungs[20:76, 16:44] = lungs[20:76, 52:80] = 1
    sample = {
        "image": np.where(lungs > 0, 0.13, 0.9).astype(np.float32)[None],
        "label": np.stack([lungs, np.zeros_like(lungs)]),
    }

    def dense_shares(pasted: float) -> list[float]:
        """Share of the lungs that is nearly as bright as the chest wall, sample by sample."""
        augmentation = make_augmentation(96, "body", pasted)
        shares = []
        for seed in range(40):
            augmentation.set_random_state(seed=seed)
            made = augmentation({name: values.copy() for name, values in sample.items()})
            # The rim of the lungs is blurred by the turning.
            inside = ndimage.binary_erosion(np.asarray(made["label"][0]) == 1, iterations=3)
            shares.append(float((np.asarray(made["image"][0])[inside] > 0.6).mean()))
        return shares

    assert sum(share > 0.01 for share in dense_shares(1.0)) >= 5
    assert max(dense_shares(0.0)) < 0.01
