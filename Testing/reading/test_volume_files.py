"""NIfTI, NRRD and MetaImage: what is read, and what is refused."""

from __future__ import annotations

import gzip
import re
import struct
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import check_hu, check_range, check_size, looks_like_hu
from CovidCTLib.reading.volume_files import read_volume_file

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]
SHAPE = (12, 20, 24)


def write(path, array, *, spacing=(0.7, 0.8, 2.5), compress=False, vector=False):
    image = sitk.GetImageFromArray(array, isVector=vector)
    if array.ndim == 3:
        image.SetSpacing(spacing)
        image.SetOrigin((-10.0, -20.0, -300.0))
    sitk.WriteImage(image, str(path), compress)
    return path


@pytest.mark.parametrize(("ending", "compress"), [*product(ENDINGS, [False, True])])
def test_every_format_gives_the_volume_that_was_written(tmp_path, ending, compress):
    scan = read_scan(write(tmp_path / f"ct{ending}", chest_like(), compress=compress))
    np.testing.assert_array_equal(scan.hu, chest_like())
    np.testing.assert_allclose(scan.geometry.spacing_xyz_mm, (0.7, 0.8, 2.5), atol=1e-6)
    np.testing.assert_allclose(scan.geometry.origin_lps_mm, (-10, -20, -300), atol=1e-6)
    expected = {"ni": "NIfTI", "nr": "NRRD", "nh": "NRRD", "mh": "MetaImage"}[ending[1:3]]
    assert (scan.facts.source_format, scan.facts.slice_count) == (expected, 12)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_every_number_type_becomes_rounded_int16(tmp_path, dtype):
    hu = chest_like().astype(dtype)
    if hu.dtype.kind == "f":
        hu += 0.3
    hu[0, 0, :2] = -3024, 40000 if dtype != np.int16 else 32767
    scan = read_scan(write(tmp_path / "ct.nrrd", hu))
    expected = chest_like()
    expected[0, 0, :2] = -1024, 32767
    np.testing.assert_array_equal(scan.hu, expected)
    assert scan.hu.dtype == np.int16


def test_upper_case_endings_and_letters_beyond_ascii_are_read(tmp_path):
    path = write(tmp_path / "ct.mha", chest_like()).rename(tmp_path / "Münchën ct.MHA")
    np.testing.assert_array_equal(read_scan(path).hu, chest_like())


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_four_dimensional_image_of_one_time_point_counts_as_three(tmp_path, ending):
    scan = read_scan(write(tmp_path / f"ct{ending}", chest_like()[None]))
    np.testing.assert_array_equal(scan.hu, chest_like())


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_a_time_series_is_refused(tmp_path, ending):
    path = write(tmp_path / f"ct{ending}", np.stack([chest_like(), chest_like()]))
    with pytest.raises(InputError, match=r"has 4 dimensions \(24 x 20 x 12 x 2\). Give one 3D scan"):
        read_scan(path)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_a_single_picture_is_refused(tmp_path, ending):
    path = write(tmp_path / f"ct{ending}", chest_like()[0])
    with pytest.raises(InputError, match=r"A 3D CT was expected, but this image has 2 dimensions|at least 2 slices"):
        read_scan(path)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_a_colour_image_is_refused(tmp_path, ending):
    path = write(tmp_path / f"ct{ending}", np.zeros((*SHAPE, 3), np.uint8), vector=True)
    with pytest.raises(InputError, match=r"one value a voxel, but this image has 3 \(colour or vectors\)"):
        read_scan(path)


def test_complex_values_are_refused(tmp_path):
    path = write(tmp_path / "ct.mha", chest_like())
    image = sitk.RealAndImaginaryToComplex(
        sitk.GetImageFromArray(chest_like().astype(np.float32)), sitk.GetImageFromArray(np.ones(SHAPE, np.float32))
    )
    path = tmp_path / "ct.nii"
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match=r"real numbers, but the voxels are complex64|has 2 \(colour or vectors\)"):
        read_scan(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, ending, dtype, value):
    hu = chest_like().astype(dtype)
    hu[3, 4, 5:7] = value
    with pytest.raises(InputError, match=r"2 are NaN or infinite"):
        read_scan(write(tmp_path / f"ct{ending}", hu))


def test_a_constant_image_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"All voxels have the same value"):
        read_scan(write(tmp_path / "ct.nrrd", np.full(SHAPE, -1000, np.int16)))


def test_a_labelmap_is_refused(tmp_path):
    labels = (chest_like() > 0).astype(np.uint8) * 3
    with pytest.raises(InputError, match=r"holds only 2 different values from 0 to 3, like a mask or labelmap"):
        read_scan(write(tmp_path / "ct.nii.gz", labels))


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 255, "run from 0 to 255, like an 8-bit picture"),
        (24, 2000, "run from 24 to 2000: 1024 seems to have been added to all HU"),
        (0, 30000, "run from 0 to 30000. Give the original CT in HU, not normalized"),
        (-400, 300, "run from -400 to 300. Give the original CT in HU"),
    ],
)
def test_values_that_cannot_be_hu_are_refused(tmp_path, low, high, message):
    values = np.linspace(low, high, int(np.prod(SHAPE))).reshape(SHAPE).astype(np.int16)
    with pytest.raises(InputError, match=f"air near -1000.*{message}"):
        read_scan(write(tmp_path / "ct.nrrd", values))


@pytest.mark.parametrize(
    ("low", "high", "code"),
    [(0, 255, "looks-8-bit"), (24, 2000, "hu-offset-lost"), (0, 30000, "not-hu"), (-64, 100, "not-hu")],
)
def test_values_that_cannot_be_hu_are_refused_with_code_value_and_limit(low, high, code):
    with pytest.raises(InputError) as caught:
        check_range(low, high)
    notice = caught.value.notice
    assert (notice.code, notice.severity, notice.value, notice.limit) == (code, "refuse", low, -500)
    assert ("divided by about 15.6" in notice.text) == (low == -64)


def test_values_normalized_to_one_are_refused(tmp_path):
    values = np.linspace(0, 1, int(np.prod(SHAPE))).reshape(SHAPE).astype(np.float32)
    with pytest.raises(InputError, match=r"only 2 different values from 0 to 1"):
        read_scan(write(tmp_path / "ct.nii", values))


@pytest.mark.parametrize(("low", "fits"), [(-1000, True), (-500, True), (-499, False)])
def test_air_counts_up_to_minus_five_hundred(low, fits):
    assert looks_like_hu(low, 100) is fits
    if fits:
        check_range(low, 100)
    else:
        with pytest.raises(InputError, match=r"air near -1000"):
            check_range(low, 100)


def test_air_alone_does_not_look_like_hu():
    assert not looks_like_hu(-1024, -600)


@pytest.mark.parametrize("count", [32, 33])
def test_up_to_thirty_two_values_are_labels(count):
    values = np.arange(6400).reshape(4, 40, 40).astype(np.int16) % count
    with pytest.raises(InputError, match=r"like a mask" if count == 32 else "8-bit picture"):
        check_hu(values)


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


def sheared(path, shear):
    write(path, chest_like())
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)
    struct.pack_into("<4f", content, 76, 1, 1, 1, float(np.hypot(1, shear)))
    struct.pack_into("<12f", content, 280, 1, 0, 0, 0, 0, 1, shear, 0, 0, 0, 1, 5)
    path.write_bytes(content)
    return path


def test_a_shear_by_rounding_is_read(tmp_path):
    scan = read_scan(sheared(tmp_path / "ct.nii", 2e-4))
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.notices == ()


def test_a_small_shear_is_straightened_and_noted(tmp_path):
    scan = read_scan(sheared(tmp_path / "ct.nii", 0.006))
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [(notice.code, notice.severity) for notice in scan.notices] == [("axes-straightened", "note")]


def test_a_real_shear_is_resampled_as_a_gantry_tilt(tmp_path):
    scan = read_scan(sheared(tmp_path / "ct.nii", 0.2))
    hu = chest_like()
    assert [notice.code for notice in scan.notices] == ["gantry-tilt"]
    assert scan.notices[0].value == pytest.approx(np.degrees(np.arctan(0.2)), abs=0.01)
    # Slice 10 was shifted by two rows against the first.
    origin = np.asarray(scan.geometry.origin_lps_mm)
    for k, row, column in ((0, 7, 9), (5, 8, 4), (10, 11, 20)):
        lps = np.array([-column, -(row + 0.2 * k), 5 + k])
        index = np.rint((lps - origin) @ scan.geometry.direction_matrix / scan.geometry.spacing_xyz_mm).astype(int)
        assert abs(int(scan.hu[tuple(index[::-1])]) - int(hu[k, row, column])) <= 1


def test_axes_that_are_sheared_beyond_a_gantry_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"sheared by at most 45 degrees .* has axes 56 degrees off"):
        read_scan(sheared(tmp_path / "ct.nii", 1.5))


def test_a_name_of_another_type_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"one of the types \.nii, .* but its name does not end in one"):
        read_volume_file(tmp_path / "ct.tif")


AXES = [(order, flips) for order in permutations(range(3)) for flips in product([1, -1], repeat=3)]


@pytest.mark.parametrize(("order", "flips"), AXES)
def test_a_nifti_of_any_axis_order_and_flip_becomes_canonical_and_comes_back(tmp_path, order, flips):
    """Write the same body with its voxels stored along other axes, by NIfTI's own affine."""
    body = chest_like((17, 20, 24))  # canonical: z to S, y to P, x to L
    spacing_lps = np.array([0.7, 0.8, 2.5])
    # Index axis a runs along patient axis order[a] (0 = L, 1 = P, 2 = S), forwards or backwards.
    stored = np.transpose(body, [2 - order[2 - axis] for axis in range(3)])
    stored = stored[tuple(slice(None, None, flips[2 - axis]) for axis in range(3))]
    direction, origin = np.zeros((3, 3)), np.array([-10.0, -20.0, -300.0])
    for a, patient in enumerate(order):
        direction[patient, a] = flips[a]
        if flips[a] < 0:
            origin[patient] += (body.shape[2 - patient] - 1) * spacing_lps[patient]
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    image.SetSpacing([float(spacing_lps[patient]) for patient in order])
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    sitk.WriteImage(image, str(tmp_path / "ct.nii"))
    scan = read_scan(tmp_path / "ct.nii")
    np.testing.assert_array_equal(scan.hu, stored)
    grid = CanonicalGrid(scan.geometry)
    assert not grid.resamples
    np.testing.assert_array_equal(grid.take(scan.hu, -1024), body)
    np.testing.assert_allclose(grid.geometry.direction_matrix, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(grid.geometry.origin_lps_mm, (-10, -20, -300), atol=1e-4)
    np.testing.assert_allclose(grid.geometry.spacing_xyz_mm, spacing_lps, atol=1e-6)
    np.testing.assert_array_equal(grid.give_back(body), stored)


def test_a_compressed_nifti_that_goes_on_without_end_is_given_up(tmp_path, monkeypatch):
    path = write(tmp_path / "ct.nii", chest_like())
    with gzip.open(tmp_path / "ct.nii.gz", "wb") as file:
        file.write(path.read_bytes() + bytes(9 << 20))
    monkeypatch.setattr("CovidCTLib.reading.integrity.MAX_EXCESS_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"A NIfTI file of 11872 bytes was expected .* goes on for more than 1 MiB"):
        read_scan(tmp_path / "ct.nii.gz")


def stored_chest(offset, lowest):
    """HU of air with noise, lung, fat and muscle, with an offset added and cut off below."""
    hu = np.random.default_rng(1).normal(0, 8, (12, 40, 40))
    hu += np.repeat([-1000, -850, -100, 50, 50], 8)
    return np.maximum(np.rint(hu) + offset, lowest).astype(np.int16)


@pytest.mark.parametrize("offset", [1000, 1024])
@pytest.mark.parametrize("lowest", [-24, 0])
def test_both_offsets_in_use_are_named_and_told_apart_by_air(tmp_path, offset, lowest):
    path = write(tmp_path / "ct.nii.gz", stored_chest(offset, lowest))
    air, other = offset - 1000, 2024 - offset
    with pytest.raises(InputError, match=rf"{offset} seems to have been added .*, as air lies near {air} .*{other}"):
        read_scan(path)


def test_gzip_is_known_by_content_and_not_by_name(tmp_path):
    plain = write(tmp_path / "ct.nii", chest_like()).read_bytes()
    for name, content in (
        ("plain.nii.gz", plain),
        ("compressed.nii", gzip.compress(plain)),
        ("twice.nii.gz", gzip.compress(gzip.compress(plain))),
    ):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_scan(tmp_path / name).hu, chest_like())
