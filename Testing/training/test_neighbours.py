"""Slices beside a slice: the same ones in training, in judging and in use."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from made_slices import made_slices

from CovidCTLib.framing import Frame
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.neighbours import neighbours_of, steps_to_neighbour
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.training.lesions import (
    LABEL_EFFUSION,
    LABEL_LUNGS,
    LABEL_OPACITIES,
    can_give_effusion,
    carry_effusion,
)
from CovidCTLib.training.loop import predict
from CovidCTLib.training.sampling import SampledSlices, beside
from CovidCTLib.training.slices import SliceSet
from CovidCTLib.training.tasks import LUNGS


@pytest.mark.parametrize(("step_mm", "steps"), [(1.0, 5), (2.0, 2), (3.0, 2), (4.0, 1), (6.0, 1), (10.0, 1)])
def test_the_neighbour_lies_about_5_mm_away_and_is_never_the_slice_itself(step_mm: float, steps: int) -> None:
    assert steps_to_neighbour(step_mm) == steps


def test_the_outermost_slice_stands_for_what_is_not_there() -> None:
    found = neighbours_of(np.array([3, 4, 9]), 3, 9, 2, 3)
    assert found.tolist() == [[3, 3, 5], [3, 4, 6], [7, 9, 9]]


@pytest.fixture
def ramp() -> SliceSet:
    """Two volumes, of 5 and 2 slices of one value each, and a single slice; number 2 of the first is left out."""
    made = made_slices(4)
    slices = made.only(np.arange(8))
    values = np.arange(8, dtype=np.float16)[:, None, None] / 10
    return dataclasses.replace(
        slices,
        image=np.broadcast_to(values, (8, 96, 96)).copy(),
        number=np.asarray([0, 1, 3, 4, 5, 0, 1, 0], np.int32),
        case=np.asarray(["a"] * 5 + ["b"] * 2 + ["c"]),
        step_mm=np.asarray([5.0] * 7 + [0.0], np.float32),
    )


def test_neighbours_in_training_stay_in_the_volume_and_never_lie_further_than_asked(ramp: SliceSet) -> None:
    assert [beside(ramp, 0, steps) for steps in (-1, 1, 2, 3, 9)] == [0, 1, 1, 2, 4]
    assert [beside(ramp, 2, steps) for steps in (-1, -2, 1, 2)] == [2, 1, 3, 4]
    assert beside(ramp, 5, 1) == 6
    assert beside(ramp, 6, 1) == 6


def test_samples_hold_the_slices_beside_a_slice(ramp: SliceSet) -> None:
    samples = SampledSlices(ramp, np.eye(8)[3], 96, "body", 0, 0, 1, seen=3)
    shown = {tuple(samples._stored(3, np.random.default_rng(seed))["image"][:, 0, 0].round(1)) for seed in range(60)}
    levels = [tuple(np.float32(v).round(1) for v in row) for row in ((0.2, 0.3, 0.4), (0.3, 0.3, 0.3))]
    assert set(levels) <= shown
    single = samples._stored(7, np.random.default_rng(0))["image"][:, 0, 0]
    assert np.ptp(single) == 0


class _Reporter(torch.nn.Module):
    """Gives the mean of each slice that it is shown, as three maps."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3), keepdim=True).expand(-1, -1, *images.shape[2:])


def test_judging_in_training_shows_what_use_shows(ramp: SliceSet) -> None:
    task = dataclasses.replace(LUNGS, size=32)
    outputs = predict(_Reporter(), ramp, task, torch.device("cpu"))
    levels = outputs[:, :, 0, 0].round(decimals=1).tolist()
    assert levels[3] == pytest.approx([0.2, 0.3, 0.4], abs=0.01)
    assert levels[0] == pytest.approx([0.0, 0.0, 0.1], abs=0.01)
    assert levels[7] == pytest.approx([0.7] * 3, abs=0.01)


def test_a_loaded_network_sees_neighbours_across_batches() -> None:
    card = ModelCard(
        name="lungs", version="0", architecture={"kind": "windows-unet", "slices": 3, "outputs": 3}, size=32,
        framing="body", expects="", gives="", sha256="", thresholds={}, training={}, validation={}, limits=(),
        licence="",
    )  # fmt: skip
    network = LoadedNetwork(_Reporter(), card, torch.device("cpu"), torch.float32)
    hu = np.repeat((np.arange(30) * 30 - 1000).astype(np.int16), 32 * 32).reshape(30, 32, 32)
    frame = Frame(0, 0, 32, 32)
    chosen = np.arange(4, 27)
    rows = np.concatenate([out[:, :, 0, 0].numpy() for _, out in network.run_slices(hu, frame, chosen, 2.5)])
    level = (np.arange(30) * 30 - 1000 + 1024) / 1174
    expected = level[np.clip(chosen[:, None] + [-2, 0, 2], 4, 26)]
    assert rows == pytest.approx(expected, abs=1e-3)


def test_effusion_is_carried_over_to_labelled_lung_only() -> None:
    image, label = np.full((3, 40, 40), 0.2, np.float32), np.zeros((3, 40, 40), np.float32)
    label[LABEL_LUNGS, :, :20] = 1
    label[LABEL_OPACITIES, 10:12, :20] = 1
    donor = {"image": np.full((3, 40, 40), 0.9, np.float32), "label": np.zeros((3, 40, 40), np.float32)}
    donor["label"][LABEL_EFFUSION, 8:30, 10:30] = 1
    assert carry_effusion(image, label, donor)
    there = label[LABEL_EFFUSION] == 1
    assert there[8:30, 10:20].all()
    assert there.sum() == 22 * 10
    assert (label[LABEL_LUNGS][there] == 0).all()
    assert (label[LABEL_OPACITIES][there] == 0).all()
    assert (image[:, there] > 0.6).all()
    assert image[0, :, 25:].max() == pytest.approx(0.2)


def test_too_little_effusion_is_not_carried_over() -> None:
    label = np.zeros((3, 40, 40), np.float32)
    label[LABEL_LUNGS, :, :2] = 1
    donor = {"image": np.ones((1, 40, 40), np.float32), "label": np.zeros((3, 40, 40), np.float32)}
    donor["label"][LABEL_EFFUSION] = 1
    assert not carry_effusion(np.zeros((1, 40, 40), np.float32), label, donor)
    assert not label[LABEL_EFFUSION].any()
    assert can_give_effusion(donor["label"][[LABEL_EFFUSION]].astype(np.uint8)).tolist() == [True]
    assert can_give_effusion(np.full((1, 40, 40), 255, np.uint8)).tolist() == [False]
