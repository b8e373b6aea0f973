"""Values of volume files that are stored in another way than the header says."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.errors import InputError
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import check_hu
from CovidCTLib.reading.stored_values import agree_on_values


@pytest.fixture(scope="module")
def hu():
    return make_chest_phantom((40, 128, 128), (7.0, 2.9, 2.9)).scan.hu


def written(path, values):
    """A file of an array on the phantom's grid."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((2.9, 2.9, 7.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_signed_values_that_call_themselves_unsigned_are_read_as_signed_and_it_is_said(hu, tmp_path, ending):
    scan = read_scan(written(tmp_path / f"ct{ending}", hu.view(np.uint16)))
    np.testing.assert_array_equal(scan.hu, hu)
    (notice,) = (one for one in scan.notices if one.code == "pixel-sign")
    assert notice.value == np.count_nonzero(hu < 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda hu: (hu + 1024).astype(np.uint16), "an offset, and no sign"),
        (lambda hu: np.where(hu > 0, 60000, 1000).astype(np.uint16), "no chest either way"),
        (lambda hu: hu, "as it is"),
        (lambda hu: hu.astype(np.float32), "no stored integers"),
    ],
)
def test_values_that_are_no_other_chest_are_left_alone(hu, change, why):
    values = change(hu)
    same, notices = agree_on_values(values)
    assert same is values, why
    assert notices == ()


@pytest.mark.parametrize("kind", [np.int16, np.uint16])
def test_bytes_in_the_other_order_are_named(hu, tmp_path, kind):
    path = written(tmp_path / "ct.mha", hu.byteswap().view(kind))
    with pytest.raises(InputError, match=r"two bytes of each in the other order.*big or little endian"):
        read_scan(path)


def test_bytes_that_make_no_chest_in_either_order_are_another_fault(hu):
    noise = np.random.default_rng(0).integers(-30000, 30000, hu.shape).astype(np.int16)
    assert agree_on_values(noise) == (noise, ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda hu: np.clip(hu, -160, 240), "many are exactly -160 or 240: a window was cut out"),
        (lambda hu: np.rint(hu / 6.25).astype(np.int16), "as if HU had been divided by about 6"),
    ],
)
def test_a_window_that_was_cut_out_is_not_called_a_division(hu, change, said):
    with pytest.raises(InputError, match=said) as refused:
        check_hu(change(hu).astype(np.int16))
    assert refused.value.notice.code == "not-hu"
