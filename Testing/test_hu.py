"""Named values, windows and bands in HU, by the numbers that their sources give."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib import hu as named
from CovidCTLib.hu import (
    AERATION_BANDS,
    READING_WINDOW,
    WINDOWS,
    Window,
    apply_window,
    bands_between,
    scale_for_network,
)


def test_values_are_those_of_the_scale_of_the_scanners_and_of_the_published_methods():
    assert (named.AIR_HU, named.FAT_HU, named.OUTSIDE_SCAN_CIRCLE_HU, named.LOWEST_HU) == (-1000, -100, -2000, -1024)
    # The networks were trained with these two, so that other values need other weights.
    assert (named.NETWORK_LOW_HU, named.NETWORK_HIGH_HU) == (-1024, 150)
    assert (named.HIGH_OPACITY_HU, named.VESSEL_HU) == (-200, -500)


def test_windows_are_the_presets_of_the_population_study_and_the_one_for_reading_lungs():
    presets = {window.name: (window.level_hu, window.width_hu) for window in WINDOWS}
    assert presets == {"soft tissue": (50, 350), "lungs": (-200, 2000), "bone": (400, 1800), "brain": (40, 80)}
    assert (READING_WINDOW.name, READING_WINDOW.level_hu, READING_WINDOW.width_hu) == ("lung reading", -600, 1500)


def test_bands_are_those_of_lung_ct_analyzer_without_gaps():
    limits = [(band.name, band.low_hu, band.high_hu) for band in AERATION_BANDS]
    assert limits == [
        ("emphysema", -np.inf, -950),
        ("inflated", -950, -750),
        ("infiltrated", -750, -400),
        ("collapsed", -400, 0),
        ("vessels", 0, np.inf),
    ]


def test_a_window_lies_half_its_width_on_both_sides_of_its_level():
    window = Window("any", 40, 80)
    assert (window.low_hu, window.high_hu) == (0, 80)


@pytest.mark.parametrize(("hu", "grey"), [(-500, 0), (0, 0), (1, 1 / 80), (20, 0.25), (40, 0.5), (80, 1), (900, 1)])
def test_grey_values_run_from_the_low_to_the_high_end_of_the_window(hu, grey):
    shown = apply_window(np.array([[hu]], np.int16), Window("any", 40, 80))
    assert shown.dtype == np.float32
    assert shown[0, 0] == pytest.approx(grey)


@pytest.mark.parametrize(("hu", "scaled"), [(-2000, 0), (-1024, 0), (-437, 0.5), (150, 1), (3000, 1)])
def test_networks_see_minus_1024_as_0_and_150_as_1(hu, scaled):
    values = np.array([hu], np.int16)
    assert scale_for_network(values)[0] == pytest.approx(scaled)
    assert values[0] == hu
    assert scale_for_network(values).dtype == np.float32


def test_another_window_of_a_network_has_its_own_ends():
    scaled = scale_for_network(np.array([-900, -800, -700, -600, -500], np.int16), (-800, -600))
    np.testing.assert_allclose(scaled, [0, 0, 0.5, 1, 1])


def test_bands_keep_their_names_and_stay_without_gaps_when_their_limits_are_moved():
    bands = bands_between([-960, -700, -300, 50])
    assert [(band.name, band.low_hu, band.high_hu) for band in bands] == [
        ("emphysema", -np.inf, -960),
        ("inflated", -960, -700),
        ("infiltrated", -700, -300),
        ("collapsed", -300, 50),
        ("vessels", 50, np.inf),
    ]
    assert bands_between([-950, -750, -400, 0]) == AERATION_BANDS
    with pytest.raises(ValueError, match="zip"):
        bands_between([-950, -750])
