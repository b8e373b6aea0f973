"""Result folders whose files lie on another grid than their record."""

from __future__ import annotations

import gzip
import shutil
import struct
from dataclasses import replace

import pytest
from analysis_maker import make_analysis

from CovidCTLib.errors import InputError
from CovidCTLib.results import write_results
from CovidCTLib.results.reading import read_analysis


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz"])
def test_files_of_another_analysis_are_told_by_their_grid(folder, tmp_path, name):
    write_results(make_analysis(), tmp_path / "other", report=False)
    shutil.copy(tmp_path / "other" / name, folder / name)
    with pytest.raises(InputError, match=rf"{name} must lie on the grid that analysis.json states"):
        read_analysis(folder)


STORED = ("segmentation.seg.nrrd", "localization.nii.gz", "labelmap.nii.gz", "ct.nii.gz")


def moved_copy(analysis, folder, name, **changes):
    """Put a file of the same analysis on another grid of the same size in the place of a file of the folder."""
    geometry = replace(analysis.scan.geometry, **changes)
    other = folder.parent / "other"
    write_results(replace(analysis, scan=replace(analysis.scan, geometry=geometry)), other, report=False, scan=True)
    shutil.copy(other / name, folder / name)


@pytest.mark.parametrize("name", STORED)
def test_files_of_another_spacing_origin_or_direction_are_refused(folder, analysis, name, tmp_path):
    own = analysis.scan.geometry
    doubled = tuple(2 * step for step in own.spacing_xyz_mm)
    flipped = tuple(
        -value if column == 0 else value for value, column in zip(own.direction_lps, 3 * (0, 1, 2), strict=True)
    )
    further = (own.origin_lps_mm[0], own.origin_lps_mm[1] + 3.0, own.origin_lps_mm[2])
    width_mm = 2 * (own.shape_zyx[2] - 1) * own.spacing_xyz_mm[0]
    for changes, found in (
        ({"spacing_xyz_mm": doubled}, r"its voxels are [0-9. x]+ mm large instead of [0-9. x]+ mm"),
        ({"origin_lps_mm": further}, r"it lies up to 3 mm from it"),
        ({"direction_lps": flipped}, rf"it lies up to {width_mm:.3g} mm from it"),
    ):
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        moved_copy(analysis, folder, name, **changes)
        with pytest.raises(
            InputError, match=rf"{name} must lie on the grid that analysis.json states, but lies on another \({found}\)"
        ):
            read_analysis(folder)


@pytest.mark.parametrize("name", STORED)
def test_a_hundredth_of_a_voxel_is_rounding_and_more_is_another_grid(folder, analysis, name, tmp_path):
    own = analysis.scan.geometry
    for share, refused in ((0.009, False), (0.011, True)):
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        first = own.origin_lps_mm[0] + share * min(own.spacing_xyz_mm)
        moved_copy(analysis, folder, name, origin_lps_mm=(first, *own.origin_lps_mm[1:]))
        if refused:
            with pytest.raises(InputError, match="but lies on another"):
                read_analysis(folder)
        else:
            assert read_analysis(folder).scan.geometry == own


def test_a_spacing_that_contradicts_its_own_matrix_is_refused(folder):
    path = folder / "localization.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[80:84] = struct.pack("<f", 9.0)
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"localization.nii.gz must lie on the grid .*its voxels are 9 x "):
        read_analysis(folder)
