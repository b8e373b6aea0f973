"""A map of a material that does not say that it is one is not taken for the CT beside it."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_maker import write_series

from CovidCTLib.errors import InputError
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import lacks_fat


@pytest.fixture(scope="module")
def chest():
    return make_chest_phantom((36, 64, 64), (7.0, 5.8, 5.8), noise_hu=0).scan.hu


def iodine(hu, air):
    """Iodine in tenths of mg/ml: blood and little else; air as given."""
    return np.where(hu > -500, np.clip(hu // 4, 0, 60), air).astype(np.int16)


def study(folder, *volumes):
    """A folder with a series each, numbered from 1."""
    for number, hu in enumerate(volumes, start=1):
        write_series(folder, hu, number=number, distance=7.0, prefix=f"s{number}_", pixel_spacing=(5.8, 5.8))
    return folder


@pytest.mark.parametrize("air", [0, -1000])
def test_the_ct_is_read_where_a_larger_map_lies_beside_it(chest, tmp_path, air):
    folder = study(tmp_path, np.concatenate([iodine(chest, air)] * 2), chest)
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.hu, chest)
    (notice,) = (one for one in scan.notices if one.code == "several-series")
    assert "(series 2 of the list, 36 slices)" in notice.text
    assert "Series 1 is no CT in HU, by its values, and was left out." in notice.text


def test_the_larger_of_two_cts_is_read_as_before(chest, tmp_path):
    scan = read_scan(study(tmp_path, chest[:12], chest))
    assert len(scan.hu) == 36
    assert "left out" not in next(one.text for one in scan.notices if one.code == "several-series")


def test_a_map_that_is_asked_for_is_read_or_refused_as_it_is(chest, tmp_path):
    folder = study(tmp_path, iodine(chest, -1000), chest)
    assert lacks_fat(read_scan(folder, series="1").hu)
    other = study(tmp_path / "other", iodine(chest, 0), chest)
    with pytest.raises(InputError, match="8-bit picture"):
        read_scan(other, series="1")


def test_of_maps_alone_the_largest_is_read_for_the_checks_to_refuse(chest, tmp_path):
    scan = read_scan(study(tmp_path, iodine(chest, -1000), iodine(chest, -1000)[:15]))
    assert len(scan.hu) == 36
    with pytest.raises(InputError, match="8-bit picture"):
        read_scan(study(tmp_path / "other", iodine(chest, 0), iodine(chest, 0)[:15]))


def test_a_chest_has_fat_and_a_map_has_none(chest):
    assert not lacks_fat(chest)
    assert lacks_fat(iodine(chest, -1000))
