"""NIfTI, NRRD and MetaImage: what is read, and what is refused."""

from __future__ import annotations

import gzip
import struct
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like
from volume_file_maker import ENDINGS, SHAPE, write

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import check_hu, check_range, looks_like_hu
from CovidCTLib.reading.volume_files import read_volume_file


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
