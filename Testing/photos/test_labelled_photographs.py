"""Photographs that are trained on and judged get HU as those of ``covidct photos --auto`` do."""

import numpy as np
import pytest
from picture_maker import as_grey, chest_hu

from CovidCTLib.hu import NETWORK_HIGH_HU, NETWORK_LOW_HU
from CovidCTLib.labelled_data.labelled import photograph_hu


@pytest.mark.parametrize("window", [(-1200.0, 300.0), (-1350.0, 150.0), (-1100.0, 400.0)])
@pytest.mark.parametrize("size", [256, 512, 1024])
def test_the_window_of_a_photograph_does_not_matter(window, size):
    hu = chest_hu(256)
    grey = np.kron(as_grey(hu, *window), np.ones((size // 256, size // 256), np.uint8))
    found = photograph_hu(grey)
    assert found.shape == (size, size)
    assert found.dtype == np.float32
    shown = np.kron(np.clip(hu, -1000, window[1]), np.ones((size // 256, size // 256)))
    inside = (shown > -990) & (shown < window[1])
    assert np.abs(found - shown)[inside].mean() < 60


def test_without_tissues_grey_values_span_the_networks_range():
    grey = np.tile(np.arange(0, 256, 51, dtype=np.uint8), (64, 11))[:, :64]
    found = photograph_hu(np.zeros((64, 64), np.uint8) + 128)
    assert found == pytest.approx(NETWORK_LOW_HU + (NETWORK_HIGH_HU - NETWORK_LOW_HU) * 128 / 255)
    assert np.isfinite(photograph_hu(grey)).all()
