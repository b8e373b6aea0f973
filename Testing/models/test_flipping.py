"""The mean with mirrored slices: each answer is mirrored back to its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from CovidCTLib.framing import Frame
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.flipping import run_slices
from CovidCTLib.models.store import LoadedNetwork


class _Ramp(torch.nn.Module):
    """Adds a ramp along x to what it sees, so that left and right differ."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.linspace(0, 1, x.shape[-1])


@pytest.fixture
def ramp() -> LoadedNetwork:
    card = ModelCard("lungs", "1", {}, 32, "body", "", "", "")
    return LoadedNetwork(_Ramp(), card, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("frame", [Frame(0, 0, 64, 64), Frame(-4, 10, 80, 80), Frame(5, -3, 32, 32)])
def test_the_image_stays_in_place_and_the_ramp_becomes_its_mean(ramp: LoadedNetwork, frame: Frame) -> None:
    hu = np.random.default_rng(0).integers(-1000, 100, (3, 64, 64)).astype(np.int16)
    ((slices, mean),) = run_slices(ramp, hu, frame, np.array([0, 2]), flip=True)
    np.testing.assert_array_equal(slices, [0, 2])
    torch.testing.assert_close(mean, frame.to_grid(hu[[0, 2]], 32) + 0.5, atol=1e-4, rtol=0)


def test_without_mirroring_the_network_answers_alone(ramp: LoadedNetwork) -> None:
    hu = np.random.default_rng(0).integers(-1000, 100, (2, 64, 64)).astype(np.int16)
    frame = Frame(0, 0, 64, 64)
    ((_, answer),) = run_slices(ramp, hu, frame, np.arange(2), flip=False)
    torch.testing.assert_close(answer, frame.to_grid(hu, 32) + torch.linspace(0, 1, 32))
