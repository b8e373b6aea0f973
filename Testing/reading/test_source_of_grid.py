"""The DICOM study of a CT whose voxels another program has read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dicom_maker import SECRET, write_series

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.dicom_source import source_of_grid

FRAME = "1.2.826.0.1.3680043.8.498.9"


@pytest.fixture
def series(tmp_path):
    write_series(tmp_path / "ct", FrameOfReferenceUID=FRAME)
    return sorted((tmp_path / "ct").iterdir())


@pytest.fixture
def grid(series):
    return read_scan(series[0].parent).geometry


def test_images_are_those_of_the_slices_in_their_order(series, grid):
    expected = read_scan(series[0].parent, with_source=True).source
    found = source_of_grid(series[::-1], grid)
    assert found.images == expected.images
    assert found.header.PatientName == SECRET


def test_a_grid_whose_slices_run_the_other_way_is_the_same_ct(series, grid):
    z = grid.shape_zyx[0]
    x, y, low = grid.origin_lps_mm
    top = (x, y, low + (z - 1) * grid.spacing_xyz_mm[2])
    turned = Geometry(grid.shape_zyx, grid.spacing_xyz_mm, top, (1, 0, 0, 0, 1, 0, 0, 0, -1))
    expected = source_of_grid(series, grid).images
    assert source_of_grid(series, turned).images == expected[::-1]


def test_rounding_of_a_position_is_no_other_place(series, grid):
    x, y, z = grid.origin_lps_mm
    moved = replace(grid, origin_lps_mm=(x + 0.01, y, z))
    assert len(source_of_grid(series, moved).images) == len(series)


@pytest.mark.parametrize("moved_mm", [0.1, 2.5, 100.0])
def test_a_ct_that_was_moved_is_refused(series, grid, moved_mm):
    x, y, z = grid.origin_lps_mm
    with pytest.raises(InputError, match=r"Each slice of the CT must lie on one of its DICOM images, but of 12 slices"):
        source_of_grid(series, replace(grid, origin_lps_mm=(x + moved_mm, y, z)))


def test_a_ct_with_fewer_slices_than_images_is_refused(series, grid):
    z, y, x = grid.shape_zyx
    with pytest.raises(InputError, match=r"but of 11 slices 11 do, and there are 12 images"):
        source_of_grid(series, replace(grid, shape_zyx=(z - 1, y, x)))


def test_two_images_of_one_slice_are_refused(series, grid):
    with pytest.raises(InputError, match=r"but of 12 slices 12 do, and there are 13 images"):
        source_of_grid([*series, series[0]], grid)


def test_a_file_that_is_gone_or_damaged_is_counted(series, grid):
    series[0].unlink()
    series[1].write_bytes(b"no DICOM")
    with pytest.raises(InputError, match=r"but 2 of 12 are gone or damaged\. Load the CT again") as refused:
        source_of_grid(series, grid)
    assert SECRET not in str(refused.value)
