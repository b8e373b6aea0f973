"""Which slices are judged, and how their verdicts make the case's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.slices.classifier import MIN_LUNG_MM2, classify_slices, decide_case


class _MeanBrightness(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mean(dim=(1, 2, 3)) - 0.5) * 20


@pytest.fixture
def loaded() -> LoadedNetwork:
    card = ModelCard("slices", "1", {}, 224, "lungs", "", "", "")
    return LoadedNetwork(_MeanBrightness(), card, torch.device("cpu"), torch.float32)


def test_only_slices_with_enough_lung_are_judged(loaded: LoadedNetwork) -> None:
    hu = np.full((3, 64, 64), -800, np.int16)
    hu[2] = 100
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[0, :4, :4] = 1
    lungs[1:] = 1
    assert 16 < MIN_LUNG_MM2 < 64 * 64
    findings = classify_slices(hu, lungs, (2.0, 1.0, 1.0), loaded, 0.5)
    assert findings[0] == SliceFinding(None, False)
    assert findings[1].probability is not None
    assert not findings[1].positive
    assert findings[2].positive


def test_case_is_positive_above_the_threshold_only() -> None:
    findings = [SliceFinding(0.9, True)] + [SliceFinding(0.1, False)] * 9 + [SliceFinding(None, False)]
    at, under = (decide_case(findings, 0.5, threshold) for threshold in (0.1, 0.05))
    assert at.positive is False
    assert under.positive is True
    assert under.positive_fraction == pytest.approx(0.1)
    assert (under.positive_slices, under.lung_slices) == (1, 10)


def test_a_higher_threshold_never_makes_a_case_positive() -> None:
    findings = [SliceFinding(0.9, True)] * 3 + [SliceFinding(0.1, False)] * 7
    verdicts = [bool(decide_case(findings, 0.5, t / 20).positive) for t in range(20)]
    assert all(earlier >= later for earlier, later in pairwise(verdicts))


def test_without_lung_slices_the_decision_is_absent_with_a_reason() -> None:
    decision = decide_case([SliceFinding(None, False)], 0.5, 0.1)
    assert decision.positive is None
    assert decision.positive_fraction is None
    assert decision.reason == "no slice shows enough lung to be judged"


def test_the_decision_says_like_covid_or_not_and_what_it_was_judged_on() -> None:
    findings = [SliceFinding(0.9, True), SliceFinding(0.1, False), SliceFinding(None, False)]
    like = decide_case(findings, 0.5, 0.2, "Judged on 3 cases.")
    assert like.verdict == "like COVID-19"
    assert like.words == (
        "1 of 2 lung slices (50 %) are called like COVID-19, at a probability of at least 0.50. A case is called so "
        "when their share is above 20 %. Judged on 3 cases."
    )
    assert decide_case(findings, 0.5, 0.5).verdict == "not like COVID-19"
    assert decide_case(findings, 0.5, 0.5).words.endswith("is above 50 %.")
    assert decide_case(findings[2:], 0.5, 0.5).verdict == ""
