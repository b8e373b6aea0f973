"""Measures of regions of interest and of lobes, by voxels that are counted by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from measure_phantoms import LUNG_HU, SHAPE, VOXEL_ML, find, make_axial, make_box_lungs
from scipy.stats import kurtosis, skew

from CovidCTLib.errors import InputError
from CovidCTLib.measures.areas import measure_areas
from CovidCTLib.measures.lobes import lobe_notices, measure_lobes
from CovidCTLib.measures.regions import area_region
from CovidCTLib.options import Options


def an_area():
    """Ten voxels: four lung alone, three ground glass, one consolidation, two effusion beside the lung."""
    mask = np.zeros(SHAPE, bool)
    opacities = np.zeros(SHAPE, np.uint8)
    mask[5, 3, 1:7] = mask[6, 3, 1:3] = True
    opacities[5, 3, 1:4], opacities[5, 3, 4] = 1, 2
    mask[6, 7, 0:2] = True
    opacities[6, 7, 0:2] = 3
    hu = np.full(SHAPE, LUNG_HU, np.int16)
    hu[5, 3, 1:5] = -500
    hu[6, 7, 0:2] = 10
    return make_axial(hu, make_box_lungs(), opacities), mask


def test_an_area_has_the_volumes_that_are_counted_in_it():
    axial, mask = an_area()
    table = measure_areas(axial, {"spot": mask})
    expected = {
        "area_volume_ml": 10 * VOXEL_ML,
        "area_lung_volume_ml": 8 * VOXEL_ML,
        "area_ggo_volume_ml": 3 * VOXEL_ML,
        "area_consolidation_volume_ml": 1 * VOXEL_ML,
        "area_opacity_volume_ml": 4 * VOXEL_ML,
        "area_effusion_volume_ml": 2 * VOXEL_ML,
        "area_opacity_percent": 50.0,
        "area_hu_mean": (4 * LUNG_HU + 4 * -500 + 2 * 10) / 10,
    }
    values_hu = axial.hu[mask]
    expected |= {"area_hu_skewness": skew(values_hu), "area_hu_kurtosis": kurtosis(values_hu)}
    for name, value in expected.items():
        assert find(table, area_region("spot"), name).value == pytest.approx(value), name


def test_without_spacing_an_area_has_shares_and_hu_but_no_volumes():
    axial, mask = an_area()
    table = measure_areas(replace(axial, spacing_known=False), {"spot": mask})
    assert find(table, area_region("spot"), "area_volume_ml").value is None
    assert find(table, area_region("spot"), "area_opacity_percent").value == pytest.approx(50.0)


def test_an_empty_area_is_called_empty_whether_the_spacing_is_known_or_not():
    axial, mask = an_area()
    for known in (True, False):
        table = measure_areas(replace(axial, spacing_known=known), {"nothing": np.zeros_like(mask)})
        assert {(entry.value, entry.reason) for entry in table} == {(None, "the area holds no voxel")}


def lobes_of(right_thirds: int):
    """Lobes 1 to 3 in the right lung, three slices each; so many of them are given."""
    lobes = np.zeros(SHAPE, np.uint8)
    for lobe in range(1, right_thirds + 1):
        lobes[3 * lobe - 2 : 3 * lobe + 1, 2:6, 1:7] = lobe
    return lobes


def test_points_of_the_lobes_that_are_given_stand_beside_the_absent_sum():
    lobes = lobes_of(2)
    # A quarter of lobe 1, and nothing of lobe 2.
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[1:4, 2, 1:7] = 1
    table = measure_lobes(make_axial(LUNG_HU, make_box_lungs(), opacities), lobes, Options())
    found = find(table, "both_lungs", "lobar_severity_0_25")
    assert (found.value, found.reason) == (None, "2 of 5 lobes are given; they have 2 of 10 points")
    assert find(table, "right_upper_lobe", "lobar_severity").value == 2
    assert find(table, "right_middle_lobe", "lobar_severity").value == 0
    absent = find(table, "right_lower_lobe", "lobar_severity")
    assert (absent.value, absent.reason) == (None, "this lobe was not given")


@pytest.mark.parametrize(("given", "said"), [(3, None), (2, r"hold 33\.3 % less than the right lung")])
def test_lobes_that_hold_less_than_their_lung_are_named_with_the_share(given, said):
    notices = lobe_notices(make_axial(LUNG_HU, make_box_lungs()), lobes_of(given))
    texts = [notice.text for notice in notices if notice.code == "lobes-differ"]
    if said is None:
        assert texts == []
    else:
        (text,) = texts
        assert re.search(said, text)


def test_lobes_that_hold_more_than_their_lung_are_named_so():
    lobes = lobes_of(3)
    lobes[1:10, 6, 1:7] = 3
    (notice,) = (n for n in lobe_notices(make_axial(LUNG_HU, make_box_lungs()), lobes) if n.code == "lobes-differ")
    assert "hold 25.0 % more than the right lung" in notice.text


def test_lobes_of_the_left_lung_are_compared_with_the_left_lung():
    lobes = lobes_of(3)
    # Seven of the nine slices of the left lung.
    lobes[4:8, 2:6, 10:18], lobes[8:11, 2:6, 10:18] = 4, 5
    (notice,) = lobe_notices(make_axial(LUNG_HU, make_box_lungs()), lobes)
    assert notice.text.startswith("The lobes of the left lung together hold 22.2 % less than the left lung")
    assert notice.value == 22.22


@pytest.mark.parametrize("highest", [0, 5])
def test_lobes_from_none_to_five_are_taken_and_a_sixth_is_refused(highest):
    axial = make_axial(LUNG_HU, make_box_lungs())
    lobes = np.full(SHAPE, highest, np.uint8)
    assert measure_lobes(axial, lobes, Options())
    with pytest.raises(InputError, match="from 0 to 5"):
        measure_lobes(axial, np.full(SHAPE, 6, np.uint8), Options())
