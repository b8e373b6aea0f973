"""Stored values to HU, damaged pixels, encodings."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_maker import AXIAL, chest_like, edit, enhanced_dataset, save, slice_dataset, write_series
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan
from CovidCTLib.reading.dicom_pixels import fill_missing, stored_to_hu


def test_slope_and_intercept_are_those_of_each_slice(tmp_path):
    hu = chest_like()
    for k, plane in enumerate(hu):
        slope, intercept = (2, -1024 - 2 * k) if k % 2 else (0.5, -2000 + k)
        stored = np.rint((plane.astype(float) - intercept) / slope).astype(np.uint16)
        save(
            slice_dataset(stored, (0, 0, 2.0 * k), series="1.2.3", slope=slope, intercept=intercept),
            tmp_path / f"{k}.dcm",
        )
    # A slope of 2 keeps every other HU only.
    assert np.abs(read_scan(tmp_path).hu.astype(int) - hu).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, ">u2", ">i2"])
def test_stored_values_of_any_width_and_sign_become_hu(dtype):
    stored = np.array([[0, 1, 100], [5, 7, 127]], dtype=dtype)
    hu, extremes, _ = stored_to_hu(stored, slope=10, intercept=-1000, bits_stored=np.dtype(dtype).itemsize * 8)
    np.testing.assert_array_equal(hu, [[-1000, -990, 0], [-950, -930, 270]])
    assert hu.dtype == np.int16
    assert extremes == (-1000, 270)


def test_twelve_signed_bits_are_extended_and_old_overlay_bits_dropped():
    signed = np.array([[0x0830, 0x0FFF, 0x0010]], dtype=np.uint16).view(np.int16)
    np.testing.assert_array_equal(stored_to_hu(signed, bits_stored=12)[0], [[-1024, -1, 16]])
    overlay = np.array([[0x1400, 0xF400, 0x0400]], dtype=np.uint16)
    hu, _, _ = stored_to_hu(overlay, intercept=-1024, bits_stored=12)
    np.testing.assert_array_equal(hu, [[0, 0, 0]])


@pytest.mark.parametrize(
    ("stored", "padding", "bits_stored"),
    [
        (np.array([[-2000, 1024]], np.int16), None, 16),
        (np.array([[63536, 1024]], np.uint16), None, 16),
        (np.array([[63536, 1024]], np.uint16), None, 12),
        (np.array([[-32768, 1024]], np.int16), (-32768, -32768), 16),
        (np.array([[-32768, 1024]], np.int16), (32768, 32768), 16),
        (np.array([[63000, 1024]], np.uint16), (63000 - 65536, 63000 - 65536), 16),
        (np.array([[10, 1024]], np.uint16), (10, 10), 12),
        (np.array([[15, 1024]], np.uint16), (10, 20), 12),
        (np.array([[10, 1024]], np.uint16), (10, 20), 12),
        (np.array([[20, 1024]], np.uint16), (10, 20), 12),
    ],
)
def test_padding_and_the_outside_of_the_scan_circle_become_air(stored, padding, bits_stored):
    hu, extremes, _ = stored_to_hu(stored, intercept=-1024, bits_stored=bits_stored, padding=padding)
    np.testing.assert_array_equal(hu, [[-1024, 0]])
    assert extremes == (0, 0)


def test_values_beside_the_padding_range_stay():
    hu, _, _ = stored_to_hu(np.array([[3989, 4001]], np.uint16), intercept=-1024, padding=(3990, 4000))
    np.testing.assert_array_equal(hu, [[2965, 2977]])


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_a_padding_range_given_backwards_is_the_same_range(dtype):
    stored = np.array([[389, 390, 395, 400, 401]], dtype)
    for padding in ((390, 400), (400, 390)):
        hu, extremes, _ = stored_to_hu(stored, intercept=-1400, padding=padding)
        np.testing.assert_array_equal(hu, [[-1011, -1024, -1024, -1024, -999]])
        assert extremes == (-1011, -999)


def test_a_slice_of_nothing_but_padding_has_no_extremes():
    hu, extremes, _ = stored_to_hu(np.full((2, 2), -2000, np.int16))
    assert extremes is None
    assert (hu == -1024).all()


def test_values_beyond_int16_are_limited():
    hu, _, _ = stored_to_hu(np.array([[0, 65535]], np.uint16), slope=1, intercept=0)
    np.testing.assert_array_equal(hu, [[0, 32767]])


def test_padding_of_the_file_becomes_air(tmp_path):
    hu = chest_like()
    hu[:, :, :3] = -1010
    write_series(tmp_path, hu, PixelPaddingValue=4, PixelPaddingRangeLimit=14)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, np.where(hu == -1010, -1024, hu))
    assert scan.notices == ()


@pytest.mark.parametrize(("value", "limit"), [(1024, None), (1024, 1034), (124, None)])
def test_a_padding_value_of_tissue_or_lung_is_ignored_inside_the_body_and_said(tmp_path, value, limit):
    hu = chest_like()
    hu[:, 5:9, 8:12] = value - 1024
    write_series(tmp_path, hu, PixelPaddingValue=value, **({} if limit is None else {"PixelPaddingRangeLimit": limit}))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    (notice,) = scan.notices
    assert (notice.code, notice.severity) == ("padding-ignored", "warn")
    assert notice.value >= 12 * 16


@pytest.mark.parametrize("value", [1024, 4000])
def test_padding_that_is_denser_than_air_is_taken_in_pieces_at_the_side(tmp_path, value):
    hu = chest_like()
    hu[:, :6, :6] = hu[:, -6:, -6:] = value - 1024
    write_series(tmp_path, hu, PixelPaddingValue=value)
    expected = hu.copy()
    expected[:, :6, :6] = expected[:, -6:, -6:] = -1024
    found = np.asarray(read_scan(tmp_path).hu)
    assert (found != expected).mean() < 0.001


def test_a_stored_value_of_minus_2000_that_is_tissue_stays():
    stored = np.full((8, 8), -2100, np.int16)
    stored[3:5, 3:5] = -2000
    hu, _, _ = stored_to_hu(stored, intercept=2040)
    assert (hu[3:5, 3:5] == 40).all()


def noisy_chest(seed=0):
    """HU of a small chest with noise: air, a body, lungs in it, dense bone."""
    hu = np.random.default_rng(seed).normal(0, 15, (8, 48, 64))
    hu += -1000
    hu[:, 6:42, 6:58] += 1050
    hu[:, 12:34, 12:28] -= 900
    hu[:, 12:34, 36:52] -= 900
    hu[:, 34:38, 30:34] += 1300
    return np.clip(hu, -1024, 3000).astype(np.int16)


def test_signed_values_that_call_themselves_unsigned_are_found_and_named(tmp_path):
    hu = noisy_chest()
    write_series(tmp_path, hu.view(np.uint16), slope=1, intercept=0)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    assert [notice.code for notice in scan.notices] == ["pixel-sign"]


def test_unsigned_12_bit_values_that_call_themselves_signed_are_found_and_named(tmp_path):
    hu = noisy_chest()
    write_series(tmp_path, hu, BitsStored=12, HighBit=11, PixelRepresentation=1)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    assert [notice.code for notice in scan.notices] == ["pixel-sign"]


@pytest.mark.parametrize("lost", [{"RescaleSlope": None, "RescaleIntercept": None}, {"RescaleIntercept": 0}])
def test_slices_that_lost_their_rescale_take_that_of_their_neighbours(tmp_path, lost):
    hu = noisy_chest()
    write_series(tmp_path, hu)
    for k in (2, 3):
        edit(tmp_path / f"im{k:03d}.dcm", **lost)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    assert [(notice.code, notice.value) for notice in scan.notices] == [("rescale-of-neighbours", 2)]


def test_slices_whose_rescale_fits_neither_way_are_refused(tmp_path):
    write_series(tmp_path, noisy_chest())
    pixels = pydicom.dcmread(tmp_path / "im003.dcm").pixel_array
    edit(tmp_path / "im003.dcm", RescaleIntercept=0, PixelData=(pixels + 700).astype(np.uint16).tobytes())
    with pytest.raises(InputError, match=r"but 1 of 8 have no rescale to HU, or another one .* either way"):
        read_scan(tmp_path)


def test_a_compression_that_no_decoder_reads_is_named(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        dataset.save_as(path)
    with pytest.raises(InputError, match=r"compressed in another \(MPEG2.*the files are whole"):
        read_scan(tmp_path)


def test_missing_slices_are_filled_in_proportion():
    volume = np.zeros((4, 2, 2), np.int16)
    volume[3] = 30
    fill_missing(volume, [0, 3])
    assert volume[:, 0, 0].tolist() == [0, 10, 20, 30]


def test_values_that_look_like_hu_are_taken_without_a_rescale_and_said(tmp_path):
    write_series(tmp_path, slope=None, intercept=None)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [(n.code, n.severity) for n in scan.notices] == [("no-rescale", "warn")]


def test_values_that_do_not_look_like_hu_are_refused_without_a_rescale(tmp_path):
    write_series(tmp_path, chest_like() + 1024, slope=None, intercept=None)
    with pytest.raises(InputError, match=r"12 of 12 slices lack them, and their values run from 24 to"):
        read_scan(tmp_path)


def test_values_with_a_wrong_rescale_are_refused(tmp_path):
    write_series(tmp_path, chest_like() + 1024, slope=1, intercept=0)
    with pytest.raises(InputError, match=r"air near -1000.* run from 24 to .* 1024 seems to have been added"):
        read_scan(tmp_path)


@pytest.mark.parametrize("syntax", [RLELossless, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_encoding_gives_the_same_volume(tmp_path, syntax):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        if syntax.is_compressed:
            dataset.compress(syntax)
            dataset.save_as(path)
            continue
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        little = syntax != ExplicitVRBigEndian
        pydicom.dcmwrite(path, dataset, little_endian=little, implicit_vr=syntax.is_implicit_VR, force_encoding=True)
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())


def test_files_without_preamble_are_read(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.preamble = None
        pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
        path.rename(path.with_suffix(""))
    assert (tmp_path / "im003").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())


def test_an_enhanced_multi_frame_ct_is_read_frame_by_frame(tmp_path):
    save(enhanced_dataset(chest_like()), tmp_path / "all.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.geometry.spacing_xyz_mm == (0.7, 0.8, 2.5)
    assert scan.geometry.origin_lps_mm == (-10, -20, -300)
    facts = scan.facts
    assert (facts.kernel, facts.tube_voltage_kv, facts.slice_thickness_mm, facts.slice_count) == ("E40", 100, 3, 12)


def test_an_enhanced_perfusion_map_is_no_ct(tmp_path):
    save(enhanced_dataset(chest_like(), frame_type="PERFUSION"), tmp_path / "all.dcm")
    with pytest.raises(InputError, match=r"holds only projections, dose sheets or maps computed from a CT"):
        read_scan(tmp_path)


def test_an_enhanced_ct_whose_frames_are_not_all_described_is_damaged(tmp_path):
    save(enhanced_dataset(chest_like()), tmp_path / "all.dcm")
    edit(tmp_path / "all.dcm", NumberOfFrames=5)
    with pytest.raises(InputError, match=r"no readable DICOM image"):
        read_scan(tmp_path)


def test_a_shifted_slice_is_interpolated_between_pixels(tmp_path):
    # Half a pixel in x from slice to slice: a ramp along x stays a ramp.
    hu = np.broadcast_to((np.arange(24) * 40 - 1000)[None, None], (4, 20, 24)).astype(np.int16)
    write_series(tmp_path, hu, positions=[(0.35 * k, 0.0, 2.0 * k) for k in range(4)], orientation=AXIAL)
    scan = read_scan(tmp_path)
    assert scan.hu.shape == (4, 20, 26)
    np.testing.assert_array_equal(scan.hu[1, 5, 1:24], np.arange(1, 24) * 40 - 1020)
    np.testing.assert_array_equal(scan.hu[2, 5, 1:25], hu[2, 5])
    assert scan.hu[2, 5, 0] == scan.hu[2, 5, 25] == -1024


@pytest.mark.parametrize("modality", ["MR", "PT"])
def test_a_modality_that_contradicts_the_ct_class_is_said(tmp_path, modality):
    write_series(tmp_path, modality=modality)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    (notice,) = scan.notices
    assert (notice.code, notice.severity) == ("modality-contradicts", "warn")
    assert f"their Modality is {modality}" in notice.text
    assert list_series(tmp_path)[0].modality == modality


def test_a_missing_sop_class_is_taken_from_the_meta_header_or_the_modality(tmp_path):
    write_series(tmp_path, SOPClassUID=None)
    assert read_scan(tmp_path).notices == ()


@pytest.mark.parametrize(
    "words", [("DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MIP"), ("DERIVED", "SECONDARY", "VOLUME RENDERING")]
)
def test_pictures_are_known_by_words_inside_longer_values(tmp_path, words):
    write_series(tmp_path, image_type=words)
    with pytest.raises(InputError, match=r"holds only projections, dose sheets or maps computed from a CT"):
        read_scan(tmp_path)
