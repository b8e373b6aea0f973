"""Which slices are judged, and how their verdicts make the case's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import BATCH, LoadedNetwork
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
    assert len(findings) == 3
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


def test_the_area_of_lung_counts_both_spacings_and_its_limit_is_inclusive(loaded: LoadedNetwork) -> None:
    # A pixel has 4 x 0.5 = 2 mm2, so 250 pixels are the limit of 500 mm2.
    lungs = np.zeros((3, 64, 64), np.uint8)
    lungs[0].flat[:249] = 1
    lungs[1].flat[:250] = 2
    lungs[2] = 1
    findings = classify_slices(np.full(lungs.shape, -800, np.int16), lungs, (3.0, 4.0, 0.5), loaded, 0.5)
    assert MIN_LUNG_MM2 == 500.0
    assert [finding.probability is not None for finding in findings] == [False, True, True]


def test_a_probability_at_the_threshold_is_positive(loaded: LoadedNetwork) -> None:
    lungs = np.ones((1, 64, 64), np.uint8)
    hu = np.full(lungs.shape, -437, np.int16)
    (found,) = classify_slices(hu, lungs, (2.0, 1.0, 1.0), loaded, 0.5)
    assert found.probability is not None
    for threshold, positive in ((found.probability, True), (np.nextafter(found.probability, 1), False)):
        (again,) = classify_slices(hu, lungs, (2.0, 1.0, 1.0), loaded, float(threshold))
        assert again.positive is positive


def test_more_slices_than_a_batch_keep_their_order_and_progress_rises_to_one(loaded: LoadedNetwork) -> None:
    count = BATCH + 3
    lungs = np.ones((count, 32, 32), np.uint8)
    lungs[1] = 0
    hu = np.linspace(-900, 50, count).astype(np.int16)[:, None, None] * np.ones(lungs.shape, np.int16)
    seen: list[float] = []
    findings = classify_slices(hu, lungs, (2.0, 1.0, 1.0), loaded, 0.5, seen.append)
    assert findings[1] == SliceFinding(None, False)
    probabilities = [finding.probability for finding in findings if finding.probability is not None]
    assert len(probabilities) == count - 1
    assert probabilities == sorted(probabilities)
    assert seen == pytest.approx([BATCH / (count - 1), 1.0])


def test_the_decision_records_its_thresholds() -> None:
    decision = decide_case([SliceFinding(0.9, True), SliceFinding(0.1, False)], 0.7, 0.3)
    assert (decision.slice_threshold, decision.case_threshold) == (0.7, 0.3)
    assert decision.positive_fraction == 0.5
    absent = decide_case([SliceFinding(None, False)], 0.7, 0.3)
    assert (absent.positive_slices, absent.lung_slices) == (0, 0)
    assert (absent.slice_threshold, absent.case_threshold) == (0.7, 0.3)
