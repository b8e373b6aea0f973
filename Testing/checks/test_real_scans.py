"""No shared CT is refused, each gets the warnings that are true of it, and spoiled copies are found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from check_phantoms import SPOILED, Chest, found_in

from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.lungs.contour import segment_lungs_by_contours
from CovidCTLib.lungs.sides import find_body_midline, split_sides
from CovidCTLib.reading import read_scan

NOMINAL = {"thick-slices", "clipped-hu", "coarse-hu"}
"""True of the set `volumes`: 6 mm apart by their headers, clipped at 150 HU, in steps of 6 HU (README of the data)."""

EXPECTED = {
    "volumes/case_01_ct.nii.gz": NOMINAL,
    "volumes/case_02_ct.nii.gz": NOMINAL,
    "volumes/case_03_ct.nii.gz": NOMINAL,
    "volumes/case_04_ct.nii.gz": NOMINAL,
    "volumes/case_06_ct.nii.gz": NOMINAL,
    "volumes/case_09_ct.nii.gz": {"clipped-hu", "coarse-hu"},
    "controls/normal_001_ct.nii.gz": set(),
    "controls/cap_001_ct.nii.gz": set(),
    "dicom/covid_P001": set(),
    # A tumour draws the heart over; half a lung is pressed together by fluid; a lung of which contours lose much.
    "cancer/cancer_006_ct.nii.gz": {"clipped-hu", "coarse-hu", "slice-jump"},
    "effusions/effusion_024_ct.nii.gz": {"clipped-hu", "coarse-hu", "contrast-enhanced"},
    "coronacases_volumes/corona_07_ct.nii.gz": {"clipped-hu", "coarse-hu", "contrast-enhanced"},
    "awkward/cip/ct-64.nrrd": {"coarse-pixels"},
    "awkward/cip/ct-64-transformed.nrrd": {"coarse-pixels", "oblique"},
}
"""What a radiologist would agree with: CIP's pixels are 4 mm wide, and the second one is turned by 20 degrees."""


def lung_mask(path: Path) -> Path | None:
    """The file of a CT's lungs; None where there is none."""
    given = (
        path.with_name(path.name.replace("_ct", "_lungs")),
        path.with_name(path.name.replace("ct-64", "lm-64")),
    )
    return next((mask for mask in given if mask != path and mask.exists()), None)


@pytest.mark.parametrize("name", EXPECTED)
def test_no_real_ct_is_refused_and_its_warnings_are_true(shared_data: Path, name: str) -> None:
    path = shared_data / name
    scan = read_scan(path)
    grid = CanonicalGrid(scan.geometry)
    hu, spacing = grid.take(scan.hu, LOWEST_HU), grid.geometry.spacing_zyx_mm
    notices = list(check_scan(hu, grid, True, scan.facts.slice_thickness_mm))
    # Of the coronacases' masks 255 means not labelled.
    mask = None if name.startswith("coronacases") else lung_mask(path)
    if mask is not None:
        lungs = grid.take(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))), 0) > 0
    else:
        lungs, _ = segment_lungs_by_contours(hu, spacing)
    sides = split_sides(np.ascontiguousarray(lungs), spacing, body_midline_x=find_body_midline(hu, spacing[2]))
    notices += check_lungs(sides, spacing, True, hu)
    assert {notice.code for notice in (*scan.notices, *notices)} == EXPECTED[name]


@pytest.fixture(scope="module")
def real_chest(shared_data: Path) -> Chest:
    """Case 4, every second pixel."""
    images = [sitk.ReadImage(str(shared_data / "volumes" / f"case_04_{kind}.nii.gz")) for kind in ("ct", "lungs")]
    grid = CanonicalGrid(read_scan(shared_data / "volumes" / "case_04_ct.nii.gz").geometry)
    hu, mask = (grid.take(sitk.GetArrayFromImage(image), 0)[:, ::2, ::2] for image in images)
    z, y, x = grid.geometry.spacing_zyx_mm
    spacing = (z, 2 * y, 2 * x)
    hu = np.maximum(hu, LOWEST_HU).astype(np.int16)
    return hu, split_sides(np.ascontiguousarray(mask > 0), spacing), spacing


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_real_ct_is_found_out(real_chest: Chest, name: str) -> None:
    change, code = SPOILED[name]
    assert code in found_in(change(*real_chest))
