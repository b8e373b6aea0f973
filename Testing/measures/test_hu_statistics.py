from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from CovidCTLib.measures.hu_statistics import hu_statistics, mass_g, percentile


def histogram(values):
    values = np.asarray(values, dtype=np.int64)
    hu = np.arange(values.min(), values.max() + 1)
    return hu, np.bincount(values - values.min(), minlength=hu.size)


@pytest.fixture(scope="module")
def lung_like_values():
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(-850, 60, 20_000), rng.normal(-100, 150, 3_000)]).round().astype(int)


def test_moments_agree_with_scipy(lung_like_values):
    found = hu_statistics(*histogram(lung_like_values))
    assert found is not None
    assert found.mean_hu == pytest.approx(lung_like_values.mean(), rel=1e-12)
    assert found.sd_hu == pytest.approx(lung_like_values.std(), rel=1e-12)
    assert found.skewness == pytest.approx(scipy.stats.skew(lung_like_values), rel=1e-10)
    assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(lung_like_values), rel=1e-10)
    assert found.percentile_15_hu == pytest.approx(np.percentile(lung_like_values, 15), abs=1e-9)


def test_two_values_have_closed_form_moments():
    found = hu_statistics(*histogram([-900, -900, -900, -100]))
    assert found is not None
    assert found.mean_hu == -700
    assert found.sd_hu == pytest.approx(800 * np.sqrt(3) / 4)
    assert found.skewness == pytest.approx(2 / np.sqrt(3))
    assert found.kurtosis == pytest.approx(-2 / 3)


def test_a_constant_has_no_skewness_and_no_kurtosis():
    found = hu_statistics(*histogram([-820] * 7))
    assert found is not None
    assert (found.mean_hu, found.sd_hu, found.percentile_15_hu) == (-820, 0, -820)
    assert found.skewness is None
    assert found.kurtosis is None


def test_no_voxel_has_no_statistics():
    assert hu_statistics(np.arange(3), np.zeros(3, dtype=np.int64)) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1024, 3071), min_size=1, max_size=40), st.floats(0, 100))
def test_percentiles_agree_with_numpy(values, percent):
    assert percentile(*histogram(values), percent) == pytest.approx(np.percentile(values, percent), abs=1e-6)


def test_water_weighs_a_gram_a_ml_and_air_nothing():
    hu = np.array([-1000, -500, 0, 1000])
    assert mass_g(hu, np.array([7, 0, 0, 0]), 0.5) == 0
    assert mass_g(hu, np.array([0, 2, 4, 0]), 0.5) == pytest.approx(0.5 + 2)


def test_noise_around_air_weighs_nothing_on_average():
    assert mass_g(np.array([-1020, -980]), np.array([5, 5]), 1.0) == 0
