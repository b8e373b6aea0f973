"""DICOM files that are cut off, or whose header does not fit their pixels."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_maker import chest_like, compress_series, edit, write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan


def test_a_slope_of_zero_is_refused(tmp_path):
    write_series(tmp_path)
    edit(tmp_path / "im004.dcm", RescaleSlope=0)
    with pytest.raises(InputError, match=r"rescale slope to HU must not be 0"):
        read_scan(tmp_path)


@pytest.mark.parametrize("left", [0.3, 0.9, 0.999])
def test_truncated_files_are_counted_and_refused(tmp_path, left):
    write_series(tmp_path)
    for name in ("im002.dcm", "im007.dcm"):
        content = (tmp_path / name).read_bytes()
        header = len(content) - 20 * 24 * 2
        (tmp_path / name).write_bytes(content[: header + int(left * (len(content) - header))])
    with pytest.raises(InputError, match=r"must be whole, but 2 of 12 are truncated"):
        read_scan(tmp_path)
    assert "2 of 12 are truncated" in list_series(tmp_path)[0].reason


@pytest.mark.parametrize("length", [0, 60, 140, 300])
def test_files_cut_off_in_the_header_are_refused(tmp_path, length):
    write_series(tmp_path)
    (tmp_path / "im002.dcm").write_bytes((tmp_path / "im002.dcm").read_bytes()[:length])
    with pytest.raises(InputError, match=r"1 DICOM files beside its 11 slices are damaged or truncated"):
        read_scan(tmp_path)


def test_a_folder_of_nothing_but_damaged_files_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"")
    (tmp_path / "b.dcm").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"no readable DICOM image \(2 damaged files\)"):
        read_scan(tmp_path)


def test_an_encoding_that_cannot_be_decoded_is_counted_and_refused(tmp_path):
    write_series(tmp_path)
    dataset = pydicom.dcmread(tmp_path / "im005.dcm")
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "im005.dcm")
    content = (tmp_path / "im005.dcm").read_bytes()
    # The segment table of the only frame says nonsense.
    at = content.rindex((2).to_bytes(4, "little") + (64).to_bytes(4, "little"))
    (tmp_path / "im005.dcm").write_bytes(content[:at] + b"\x63\0\0\0" + content[at + 4 :])
    with pytest.raises(InputError, match=r"must be readable, but 1 of 12 are damaged or truncated"):
        read_scan(tmp_path)


def test_a_picture_of_another_size_than_its_header_says_is_refused(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        edit(path, Rows=10)
    edit(tmp_path / "im000.dcm", PixelData=b"\0" * 16)
    with pytest.raises(InputError, match=r"must be readable, but 1 of 12 are damaged"):
        read_scan(tmp_path)


def test_an_element_of_a_length_that_fits_no_number_is_damage(tmp_path):
    # Found by mutation: pydicom raises an error of its own that is no ValueError.
    write_series(tmp_path)
    path = tmp_path / "im002.dcm"
    content = path.read_bytes()
    at = content.index(b"\x28\0\x03\x01US\x02\0")
    path.write_bytes(content[: at + 6] + b"\x03\0" + content[at + 8 :])
    with pytest.raises(InputError, match=r"1 DICOM files beside its 11 slices are damaged"):
        read_scan(tmp_path)


@pytest.mark.parametrize("value", ["1e400", "nan"])
@pytest.mark.filterwarnings("ignore")
def test_numbers_that_are_not_finite_are_damage(tmp_path, value):
    write_series(tmp_path)
    content = (tmp_path / "im002.dcm").read_bytes()
    at = content.index(b"\x28\0\x52\x10DS")
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    new = value.encode().ljust(length)[:length]
    (tmp_path / "im002.dcm").write_bytes(content[: at + 8] + new + content[at + 8 + length :])
    with pytest.raises(InputError, match=r"1 DICOM files beside its 11 slices are damaged"):
        read_scan(tmp_path)


def test_a_deflated_file_that_inflates_to_too_much_is_refused_before_it_is(tmp_path, monkeypatch):
    write_series(tmp_path)
    compress_series(tmp_path, DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())
    monkeypatch.setattr("CovidCTLib.reading.dicom_encoding.MAX_INFLATED_BYTES", 500)
    monkeypatch.setattr(pydicom, "dcmread", lambda *_, **__: pytest.fail("it was inflated"))
    with pytest.raises(InputError, match=r"no readable DICOM image \(12 damaged files\)"):
        read_scan(tmp_path)


def test_headers_that_claim_more_than_compressed_files_can_hold_are_refused_before_memory_is_taken(
    tmp_path, monkeypatch
):
    write_series(tmp_path)
    compress_series(tmp_path, RLELossless)
    for path in tmp_path.iterdir():
        edit(path, Rows=12000, Columns=12000)
    monkeypatch.setattr(np, "empty", lambda *_, **__: pytest.fail("memory was taken"))
    with pytest.raises(InputError, match=r"the headers claim 1728000000 voxels and the files hold \d+ bytes"):
        read_scan(tmp_path)


def test_headers_that_claim_more_than_plain_files_hold_are_damage(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        edit(path, Rows=40)
    with pytest.raises(InputError, match=r"must be readable, but 12 of 12 are damaged"):
        read_scan(tmp_path)
