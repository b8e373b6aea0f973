"""Losses of partly labelled slices: what is not labelled teaches nothing; lung and effusion exclude each other."""

from __future__ import annotations

import pytest
import torch

from CovidCTLib.training.losses import lung_loss
from CovidCTLib.training.slices import UNKNOWN

NEITHER, LUNG, EFFUSION = range(3)


def gradient(lungs: int, effusion: int) -> list[float]:
    """Gradient of the loss by the three logits of pixels that have one pair of labels and even chances."""
    logits = torch.zeros(1, 3, 8, 8, requires_grad=True)
    labels = [torch.full((1, 8, 8), value, dtype=torch.uint8) for value in (lungs, effusion)]
    lung_loss(logits, labels[0], labels[1]).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    return logits.grad.mean(dim=(0, 2, 3)).tolist()


def test_unlabelled_pixels_teach_nothing() -> None:
    assert gradient(UNKNOWN, UNKNOWN) == pytest.approx([0, 0, 0], abs=1e-7)


def test_no_lung_leaves_open_whether_it_is_effusion() -> None:
    neither, lung, effusion = gradient(0, UNKNOWN)
    assert lung > 0
    assert neither == pytest.approx(effusion)
    assert effusion < 0


def test_no_effusion_leaves_open_whether_it_is_lung() -> None:
    neither, lung, effusion = gradient(UNKNOWN, 0)
    assert effusion > 0
    assert neither == pytest.approx(lung)
    assert lung < 0


def test_lung_is_no_effusion_even_where_effusion_is_not_labelled() -> None:
    neither, lung, effusion = gradient(1, UNKNOWN)
    assert lung < 0
    assert effusion > 0
    assert neither > 0


def test_effusion_is_no_lung_even_where_lungs_are_not_labelled() -> None:
    neither, lung, effusion = gradient(UNKNOWN, 1)
    assert effusion < 0
    assert lung > 0
    assert neither > 0


def test_right_answers_cost_next_to_nothing_and_wrong_ones_much() -> None:
    lungs = torch.zeros(1, 8, 8, dtype=torch.uint8)
    effusion = torch.zeros(1, 8, 8, dtype=torch.uint8)
    lungs[:, :4] = 1
    effusion[:, 6:] = 1
    right = torch.stack([(lungs + effusion) == 0, lungs == 1, effusion == 1], dim=1).float() * 20
    assert float(lung_loss(right, lungs, effusion)) < 0.01
    assert float(lung_loss(right.flip(1), lungs, effusion)) > 5


def test_a_network_of_one_logit_learns_that_effusion_is_no_lung() -> None:
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    lungs = torch.full((1, 8, 8), UNKNOWN, dtype=torch.uint8)
    effusion = torch.zeros(1, 8, 8, dtype=torch.uint8)
    effusion[:, :2] = 1
    lung_loss(logits, lungs, effusion).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0, 0, :2] > 0).all()
    assert (logits.grad[0, 0, 2:] == 0).all()
