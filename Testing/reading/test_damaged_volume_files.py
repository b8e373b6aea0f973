"""Volume files that are damaged, cut off, or claim more than they hold."""

from __future__ import annotations

import gzip
import re
import struct
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like
from volume_file_maker import ENDINGS, SHAPE, write

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import check_size


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, capfd, ending, content):
    path = tmp_path / f"ct{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged") as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "compress"), [(".nii", False), (".nii.gz", True), *product([".nrrd", ".mha"], [False, True])]
)
@pytest.mark.parametrize("left", [0.2, 0.6, 0.99])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, capfd, ending, compress, left):
    noisy = chest_like() + np.random.default_rng(1).integers(0, 50, SHAPE).astype(np.int16)
    path = write(tmp_path / f"ct{ending}", noisy, compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    with pytest.raises(InputError, match=r"damaged|claims .* bytes and") as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_a_compressed_file_with_changed_bytes_is_refused(tmp_path, capfd, ending):
    noisy = chest_like() + np.random.default_rng(1).integers(0, 50, SHAPE).astype(np.int16)
    path = write(tmp_path / f"ct{ending}", noisy, compress=True)
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 8):
        content[at] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged"):
        read_scan(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [("NDims", "-3"), ("NDims", "x"), ("NDims", "11"), ("DimSize", "24 20"), ("Offset", "0 0"), ("Rotten", "1")],
)
def test_a_meta_image_header_that_would_crash_itk_is_refused(tmp_path, field, value):
    path = write(tmp_path / "ct.mhd", chest_like())
    name = "DimSize" if field == "Rotten" else field
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(f"{field} = {value}\n" if line.startswith(f"{name} =") else line for line in lines))
    with pytest.raises(InputError, match=r"A readable MetaImage header was expected .* this one is damaged"):
        read_scan(path)


@pytest.mark.parametrize(("ending", "compress"), [*product([".mhd", ".nhdr"], [False, True])])
def test_a_header_without_its_data_file_is_refused(tmp_path, capfd, ending, compress):
    path = write(tmp_path / f"ct{ending}", chest_like(), compress=compress)
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    with pytest.raises(InputError, match=r"the file that it names is not beside it. Keep both in one folder"):
        read_scan(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
@pytest.mark.parametrize("names", ["LIST", "ct%03d.raw 1 12 1"])
def test_a_header_that_names_many_files_is_refused(tmp_path, ending, names):
    path = write(tmp_path / f"ct{ending}", chest_like())
    path.write_text(re.sub(r"ct\.raw\S*", names, path.read_text()))
    assert names in path.read_text()
    with pytest.raises(InputError, match=r"one file of data was expected, but this one names many. Save the CT as one"):
        read_scan(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ElementType", "MET_NOTHING", "damaged"),
        ("CompressedDataSize", "999999", "claims 999999 bytes and"),
        ("DimSize", "24 20 13", "claims 12480 bytes and 11520 are there"),
    ],
)
def test_a_compressed_meta_image_that_its_header_does_not_fit_is_refused(tmp_path, field, value, message):
    path = write(tmp_path / "ct.mhd", chest_like(), compress=True)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(f"{field} = {value}\n" if line.startswith(f"{field} =") else line for line in lines))
    with pytest.raises(InputError, match=message):
        read_scan(path)


def test_data_cut_off_in_a_file_of_their_own_are_refused(tmp_path):
    path = write(tmp_path / "ct.mhd", chest_like())
    (tmp_path / "ct.raw").write_bytes((tmp_path / "ct.raw").read_bytes()[:-2])
    with pytest.raises(InputError, match=r"claims 11520 bytes and 11518 are there"):
        read_scan(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_nifti_2_file_is_refused_with_what_to_do(tmp_path, order):
    header = bytearray(544)
    struct.pack_into(f"{order}i8s2h", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16)
    struct.pack_into(f"{order}8q", header, 16, 3, 24, 20, 12, 1, 1, 1, 1)
    path = tmp_path / "ct.nii"
    path.write_bytes(header + chest_like().tobytes())
    with pytest.raises(InputError, match=r"this is NIfTI-2. Save it as NIfTI-1, NRRD or MetaImage"):
        read_scan(path)


def test_a_nifti_1_file_of_the_other_byte_order_is_read(tmp_path):
    path = write(tmp_path / "ct.nii", chest_like())
    header = np.frombuffer(path.read_bytes()[:352], np.uint8).copy()
    fields = [(0, "i4", 1), (32, "i4", 1), (36, "i2", 1), (40, "i2", 8), (56, "f4", 3), (68, "i2", 4), (76, "f4", 9)]
    fields += [(112, "f4", 2), (120, "i2", 1), (124, "f4", 4), (140, "i4", 2), (252, "i2", 2), (256, "f4", 18)]
    for at, kind, count in fields:
        size = int(kind[1]) * count
        header[at : at + size] = np.frombuffer(header[at : at + size].tobytes(), kind).byteswap().view(np.uint8)
    path.write_bytes(header.tobytes() + chest_like().astype(">i2").tobytes())
    np.testing.assert_array_equal(read_scan(path).hu, chest_like())


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_more_than_any_ct_is_refused_at_once(tmp_path, ending):
    path = write(tmp_path / f"ct{ending}", chest_like())
    content = bytearray(gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 20000, 20000, 20000)
    path.write_bytes(gzip.compress(bytes(content)) if ending.endswith("gz") else bytes(content))
    with pytest.raises(InputError, match=r"at most 2147483648 voxels was expected, but the header says 20000 x 20000"):
        read_scan(path)


def test_a_header_whose_data_start_nowhere_is_refused(tmp_path):
    path = write(tmp_path / "ct.nii", chest_like())
    for offset in (1e30, np.inf, np.nan):
        content = bytearray(path.read_bytes())
        struct.pack_into("<f", content, 108, offset)
        path.write_bytes(content)
        with pytest.raises(InputError, match="its header or its compressed data are damaged"):
            read_scan(path)


def test_a_header_that_claims_more_than_the_file_holds_is_refused_at_once(tmp_path):
    path = write(tmp_path / "ct.nii.gz", chest_like())
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<4h", content, 40, 3, 1000, 1000, 1000)
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"claims 2000000352 bytes and 11872 are there"):
        read_scan(path)


@pytest.mark.parametrize(("shape", "message"), [((0, 5, 5), "voxels along every axis"), ((2**31, 1, 2), "at most")])
def test_a_size_that_no_ct_has_is_refused(shape, message):
    with pytest.raises(InputError, match=message):
        check_size(shape)


def test_a_size_at_the_limit_is_allowed():
    check_size((2**31, 1, 1))


def test_an_image_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "ct.mha", chest_like())

    def too_large(self):
        raise MemoryError

    monkeypatch.setattr(sitk.ImageFileReader, "Execute", too_large)
    with pytest.raises(InputError, match=r"24 x 20 x 12 voxels does not fit into memory"):
        read_scan(path)


def test_a_compressed_nifti_that_goes_on_without_end_is_given_up(tmp_path, monkeypatch):
    path = write(tmp_path / "ct.nii", chest_like())
    with gzip.open(tmp_path / "ct.nii.gz", "wb") as file:
        file.write(path.read_bytes() + bytes(9 << 20))
    monkeypatch.setattr("CovidCTLib.reading.integrity.MAX_EXCESS_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"A NIfTI file of 11872 bytes was expected .* goes on for more than 1 MiB"):
        read_scan(tmp_path / "ct.nii.gz")
