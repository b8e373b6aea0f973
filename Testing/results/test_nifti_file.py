"""NIfTI files, read back by SimpleITK."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from analysis_maker import all_orientations
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from CovidCTLib.errors import OutputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.results import compressed
from CovidCTLib.results.nifti_file import HEADER_BYTES, write_nifti


def written(path, array, geometry):
    """Write and read back."""
    write_nifti(path, array, geometry, "test")
    return sitk.ReadImage(str(path))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_voxels_come_back_as_they_were(tmp_path, dtype):
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)
    image = written(tmp_path / "a.nii.gz", array, Geometry(array.shape))
    back = sitk.GetArrayFromImage(image)
    assert back.dtype == dtype
    assert np.array_equal(back, array)


def test_big_endian_voxels_come_back_with_the_same_values(tmp_path):
    array = np.arange(60, dtype=">i2").reshape(3, 4, 5)
    assert np.array_equal(sitk.GetArrayFromImage(written(tmp_path / "a.nii.gz", array, Geometry(array.shape))), array)


@pytest.mark.parametrize("direction", all_orientations())
def test_the_grid_comes_back_for_every_axis_order_and_flip(tmp_path, direction):
    geometry = Geometry((2, 3, 4), (0.7, 0.9, 2.5), (-100.5, 20.25, -330.0), direction)
    image = written(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.uint8), geometry)
    assert np.allclose(image.GetDirection(), direction, atol=1e-6)
    assert np.allclose(image.GetSpacing(), geometry.spacing_xyz_mm)
    assert np.allclose(image.GetOrigin(), geometry.origin_lps_mm)


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-179, 179)] * 3),
    flip=st.booleans(),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_oblique_grids_come_back_by_both_of_niftis_ways(tmp_path_factory, angles, flip, spacing, origin):
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    if flip:
        matrix = matrix * np.array([1, 1, -1])
    geometry = Geometry((2, 3, 4), spacing, origin, tuple(matrix.ravel()))
    path = tmp_path_factory.mktemp("nifti") / "a.nii.gz"
    image = written(path, np.zeros((2, 3, 4), np.uint8), geometry)
    assert np.allclose(image.GetDirection(), geometry.direction_lps, atol=1e-4)
    assert np.allclose(image.GetOrigin(), geometry.origin_lps_mm, atol=1e-3)
    # The same with the affine switched off, so that the reader must take the quaternion.
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[254:256] = b"\0\0"
    path.with_name("q.nii").write_bytes(raw)
    image = sitk.ReadImage(str(path.with_name("q.nii")))
    assert np.allclose(image.GetDirection(), geometry.direction_lps, atol=1e-3)
    assert np.allclose(image.GetOrigin(), geometry.origin_lps_mm, atol=1e-3)


def test_the_file_holds_no_date_and_no_name(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_nifti(path, np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2)), "CovidCT")
    raw = path.read_bytes()
    assert raw[3] == 0, "gzip flags: no file name"
    assert raw[4:8] == bytes(4), "gzip date"
    assert gzip.decompress(raw)[:4] == HEADER_BYTES.to_bytes(4, "little")


def test_more_voxels_than_one_block_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "BLOCK_BYTES", 100)
    array = np.random.default_rng(0).integers(0, 255, (11, 6, 7)).astype(np.uint8)
    assert np.array_equal(sitk.GetArrayFromImage(written(tmp_path / "a.nii.gz", array, Geometry(array.shape))), array)


def test_a_type_without_a_code_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"type uint8, int16, float32 can be written, but the array is float64"):
        write_nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 2)), Geometry((2, 2, 2)), "")


def test_a_shape_that_is_not_the_grids_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"grid's shape \(2, 2, 2\) .* has shape \(2, 2, 3\)"):
        write_nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 3), np.uint8), Geometry((2, 2, 2)), "")


def test_an_axis_beyond_niftis_limit_is_refused(tmp_path):
    shape = (1, 1, 40000)
    with pytest.raises(OutputError, match="at most 32767 voxels an axis"):
        write_nifti(tmp_path / "a.nii.gz", np.zeros(shape, np.uint8), Geometry(shape), "")
