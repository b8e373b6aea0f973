"""Registration of lungs: phantoms and a real case that a known smooth field deformed, and what cannot be registered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from follow_up_phantoms import analysis_of, smooth_field

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.errors import CancelledError, InputError
from CovidCTLib.followup import registration as registration_module
from CovidCTLib.followup.difference import find_difference
from CovidCTLib.followup.registration import moved_hu, moved_labels, register_lungs
from CovidCTLib.geometry import Geometry

REAL_CASE = "case_01"
REAL_SPACING_MM = (6.0, 4.0, 4.0)
"""Voxels that the real case is brought to, along x and y by averaging."""


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.fixture(scope="module")
def axial(phantom):
    """The phantom's arrays."""
    return analysis_of(phantom.scan.hu, phantom.lungs, np.zeros_like(phantom.lungs), phantom.scan.geometry).axial


@pytest.fixture(scope="module")
def real_case(shared_data) -> AxialArrays:
    """A CT of a COVID patient on coarse voxels, with the radiologists' lungs and opacities."""
    images = [
        sitk.DICOMOrient(sitk.ReadImage(str(shared_data / "volumes" / f"{REAL_CASE}_{kind}.nii.gz")), "LPS")
        for kind in ("ct", "lungs", "opacities")
    ]
    factor = max(1, round(REAL_SPACING_MM[1] / images[0].GetSpacing()[0]))
    small = sitk.BinShrink(sitk.Cast(images[0], sitk.sitkFloat32), [factor, factor, 1])
    labels = [sitk.Resample(image, small, sitk.Transform(), sitk.sitkNearestNeighbor, 0) for image in images[1:]]
    hu = np.rint(sitk.GetArrayFromImage(small)).astype(np.int16)
    lungs, opacities = (sitk.GetArrayFromImage(image).astype(np.uint8) for image in labels)
    # The masks know one lung only; which one does not matter to the registration.
    lungs[opacities > 0] = 1
    return AxialArrays(hu, lungs, opacities, np.zeros(hu.shape, np.float32), Geometry.from_image(small))


def test_a_real_case_is_recovered_from_a_known_smooth_field(real_case):
    grid = real_case.geometry
    field = smooth_field(grid, 6.0)
    deformed = AxialArrays(
        moved_hu(real_case.hu, grid, grid, field),
        moved_labels(real_case.lungs, grid, grid, field),
        moved_labels(real_case.opacities, grid, grid, field),
        real_case.localization,
        grid,
    )
    found = register_lungs(real_case, deformed)
    assert found.dice >= 0.95
    assert found.dice > found.dice_before
    assert found.folded_percent <= 1
    difference = find_difference(real_case, deformed, found)
    true = real_case.opacities > 0
    back = difference.later.opacities > 0
    volume = np.count_nonzero(back) / np.count_nonzero(true)
    assert volume == pytest.approx(1, abs=0.1)
    before = dice(true, deformed.opacities > 0)
    assert dice(true, back) > before + 0.1
    assert dice(true, back) >= 0.75
    volumes = difference.volumes_ml["both_lungs"]
    assert volumes["persistent"] > 3 * max(volumes["new"], volumes["resolved"])


def test_lungs_of_another_grid_and_position_are_found(axial, monkeypatch):
    monkeypatch.setattr(registration_module, "CONTROL_MM", ())
    grid = axial.geometry
    moved_grid = replace(grid, origin_lps_mm=tuple(value + 40 for value in grid.origin_lps_mm))
    found = register_lungs(axial, replace(axial, geometry=moved_grid))
    assert found.dice > 0.99
    np.testing.assert_allclose(found.transform.TransformPoint((0.0, 0.0, 100.0)), (40, 40, 140), atol=1.0)


def test_without_hu_the_shapes_alone_are_laid_upon_each_other(axial, monkeypatch):
    monkeypatch.setattr(registration_module, "CONTROL_MM", ())
    bare = replace(axial, hu=np.broadcast_to(np.int16(-1024), axial.hu.shape))
    found = register_lungs(axial, bare, by_hu=False)
    assert not found.by_hu
    assert found.dice > 0.99
    assert (find_difference(axial, bare, found).later.hu == -1024).all()


def test_a_study_without_lungs_or_spacing_is_refused(axial):
    empty = replace(axial, lungs=np.zeros_like(axial.lungs))
    with pytest.raises(InputError, match=r"both studies show lung, but one shows none\. Check the lungs"):
        register_lungs(axial, empty)
    with pytest.raises(InputError, match=r"spacing of both studies is known, but that of one is not"):
        register_lungs(replace(axial, spacing_known=False), axial)


def test_an_optimization_that_finds_no_way_is_an_error_in_plain_words(axial, monkeypatch):
    def fail(*args):
        raise RuntimeError("all samples map outside")

    monkeypatch.setattr(registration_module, "_optimize", fail)
    with pytest.raises(InputError, match=r"found no way from one to the other\. Check that both show the same chest"):
        register_lungs(axial, axial)


def test_a_cancel_ends_the_registration(axial):
    with pytest.raises(CancelledError, match=r"The follow-up was cancelled; nothing was changed\."):
        register_lungs(axial, axial, cancelled=lambda: True)


def test_labels_stay_labels_and_the_outside_is_empty(phantom):
    grid = phantom.scan.geometry
    away = sitk.TranslationTransform(3, (1000.0, 0.0, 0.0))
    assert not moved_labels(phantom.lungs, grid, grid, away).any()
    assert (moved_hu(phantom.scan.hu, grid, grid, away) == -1024).all()
    half = sitk.TranslationTransform(3, (2.0, 1.0, 0.0))
    assert set(np.unique(moved_labels(phantom.lungs, grid, grid, half))) == {0, 1, 2}
