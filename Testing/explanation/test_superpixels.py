"""LIME on superpixels of the lungs."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.explanation.slice_explanation import Superpixels
from CovidCTLib.explanation.superpixels import (
    MIN_SUPERPIXELS,
    SUPERPIXEL_AREA,
    _ridge,
    explain_by_lime,
    lung_superpixels,
    regions_for_and_against,
)


@pytest.fixture
def lungs() -> np.ndarray:
    mask = np.zeros((96, 96), bool)
    mask[10:86, 8:40] = mask[10:86, 56:88] = True
    return mask


@pytest.fixture
def image(lungs: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(lungs, 0.2 + 0.05 * rng.random(lungs.shape), 0).astype(np.float32)


def test_superpixels_fill_the_lungs_and_nothing_else(image: np.ndarray, lungs: np.ndarray) -> None:
    segments = lung_superpixels(image, lungs)
    assert np.array_equal(segments > 0, lungs)
    assert set(np.unique(segments)) == set(range(segments.max() + 1))
    assert segments.max() == pytest.approx(lungs.sum() / SUPERPIXEL_AREA, rel=0.5)


def test_a_small_lung_still_has_superpixels_to_compare(image: np.ndarray) -> None:
    small = np.zeros(image.shape, bool)
    small[10:22, 10:22] = True
    assert 2 <= lung_superpixels(image, small).max() <= 2 * MIN_SUPERPIXELS


def test_lime_finds_the_weights_of_a_linear_classifier(image: np.ndarray, lungs: np.ndarray) -> None:
    segments = lung_superpixels(image, lungs)
    count = int(segments.max())
    truth = np.zeros(count)
    truth[2], truth[5] = 4.0, -3.0

    def log_odds(images: np.ndarray) -> np.ndarray:
        # Hidden pixels are set to 0, which no pixel of the image's lungs is.
        shown = np.stack([[(one[segments == n] > 0).mean() for n in range(1, count + 1)] for one in images])
        return shown @ truth

    found = explain_by_lime(image, lungs, 0.0, log_odds, 300, 0)
    assert np.array_equal(found.segments, segments)
    assert found.weights == pytest.approx(truth, abs=0.4)
    assert 0.95 < found.fit <= 1
    again = explain_by_lime(image, lungs, 0.0, log_odds, 300, 0)
    assert np.array_equal(found.weights, again.weights)
    other = explain_by_lime(image, lungs, 0.0, log_odds, 300, 1)
    assert not np.array_equal(found.weights, other.weights)
    for_it, against_it = regions_for_and_against(found)
    assert np.array_equal(for_it, segments == 3)
    assert np.array_equal(against_it, segments == 6)


def test_without_weights_no_region_is_named() -> None:
    segments = np.array([[0, 1], [2, 2]])
    for_it, against_it = regions_for_and_against(Superpixels(segments, np.zeros(2), 0.0))
    assert not for_it.any()
    assert not against_it.any()


def test_the_linear_model_is_a_weighted_ridge_regression() -> None:
    # One superpixel, shown in one of two samples that count alike: x and y lie 0.5 and 1 around their means, so that
    # the weight is (0.5 + 0.5) / (0.25 + 0.25 + 1), and what is left of y is 1/3 in place of 1.
    weights, fit = _ridge(np.array([[1.0], [0.0]]), np.array([2.0, 0.0]), np.ones(2))
    assert weights == pytest.approx([2 / 3])
    assert fit == pytest.approx(5 / 9)
    # A sample that counts three times is one that is there three times.
    thrice = _ridge(np.array([[1.0], [0.0], [0.0], [0.0]]), np.array([2.0, 0.0, 0.0, 0.0]), np.ones(4))
    weighted = _ridge(np.array([[1.0], [0.0]]), np.array([2.0, 0.0]), np.array([1.0, 3.0]))
    assert weighted[0] == pytest.approx(thrice[0])
    assert weighted[1] == pytest.approx(thrice[1])


def test_samples_that_hide_more_count_less(image: np.ndarray, lungs: np.ndarray, monkeypatch) -> None:
    given = {}

    def fitted(shown, answers, trust):
        given.update(shown=shown, trust=trust)
        return np.zeros(shown.shape[1]), 1.0

    monkeypatch.setattr("CovidCTLib.explanation.superpixels._ridge", fitted)
    explain_by_lime(image, lungs, 0.0, lambda images: np.zeros(len(images)), 60, 0)
    assert given["shown"][0].all()
    assert given["trust"][0] == 1
    # Cosine distance of the paper: 1 - (shown . all) / (|shown| |all|).
    for row, trust in zip(given["shown"], given["trust"], strict=True):
        cosine = row.sum() / np.sqrt(row.sum() * len(row)) if row.any() else 0.0
        assert trust == pytest.approx(np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.25**2)))


def test_a_classifier_that_always_says_the_same_is_explained_by_nothing(image: np.ndarray, lungs: np.ndarray) -> None:
    answer = explain_by_lime(image, lungs, 0.0, lambda images: np.full(len(images), 2.5), 60, 0)
    assert not answer.weights.any()
    assert answer.fit == 1
