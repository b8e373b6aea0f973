from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure_phantoms import make_axial, make_box_lungs, unread

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.hu import AerationBand
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.measures.checks import first_integer_hu
from CovidCTLib.options import Options


@pytest.fixture
def an_axial():
    return make_axial(-800, make_box_lungs())


@pytest.mark.parametrize("field", ["hu", "lungs", "opacities", "localization"])
def test_arrays_of_another_shape_are_refused(an_axial, field):
    cropped = replace(an_axial, **{field: getattr(an_axial, field)[1:]})
    with pytest.raises(InputError, match=r"must have the grid's shape \(14, 8, 20\), not \(13, 8, 20\)"):
        measure_regions(cropped, Options())


def test_arrays_of_another_type_are_refused(an_axial):
    with pytest.raises(InputError, match="array of HU must be of type int16, not float64"):
        measure_regions(replace(an_axial, hu=an_axial.hu.astype(float)), Options())


@pytest.mark.parametrize(("field", "highest"), [("lungs", 2), ("opacities", 3)])
def test_unknown_labels_are_refused(an_axial, field, highest):
    labels = getattr(an_axial, field).copy()
    labels[3, 3, 3] = 7
    with pytest.raises(InputError, match=f"array of {field} must hold labels from 0 to {highest}, but holds 7"):
        measure_slices(replace(an_axial, **{field: labels}), unread(an_axial), Options())


@pytest.mark.parametrize("value", [1.5, -0.5, np.nan])
def test_a_localization_out_of_range_inside_the_lungs_is_refused(an_axial, value):
    localization = an_axial.localization.copy()
    localization[5, 3, 3] = value
    with pytest.raises(InputError, match="localization must lie within 0 and 1, but goes from"):
        measure_regions(replace(an_axial, localization=localization), Options())


def test_one_finding_a_slice_is_needed(an_axial):
    with pytest.raises(InputError, match="each of the 14 slices was expected, but there are 13"):
        measure_slices(an_axial, unread(an_axial)[1:], Options())


def test_two_bands_of_one_name_are_refused(an_axial):
    bands = (AerationBand("air", -1000, -500), AerationBand("air", -500, 0))
    with pytest.raises(OptionsError, match="needs its own name, but 2 are called 'air'"):
        measure_regions(an_axial, Options(aeration_bands=bands))


def test_a_band_without_a_name_is_refused(an_axial):
    with pytest.raises(OptionsError, match="needs a name, but one has none"):
        measure_regions(an_axial, Options(aeration_bands=(AerationBand(" ", -1000, -500),)))


def test_a_limit_that_is_no_number_is_refused():
    with pytest.raises(OptionsError, match="must be a number, not NaN"):
        first_integer_hu(float("nan"))
    with pytest.raises(OptionsError, match="high opacity must be a finite number of HU, not nan"):
        Options(high_opacity_hu=float("nan"))


@pytest.mark.parametrize(
    ("limit", "first"),
    [(-200, -200), (-200.5, -200), (-199.5, -199), (float("-inf"), -32768), (float("inf"), 32768), (1e9, 32768)],
)
def test_limits_become_the_first_whole_hu_that_reaches_them(limit, first):
    assert first_integer_hu(limit) == first
