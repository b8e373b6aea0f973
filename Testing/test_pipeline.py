"""The whole way of a CT through the library, with the shipped weights."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from CovidCTLib import Analysis, Options, Scan, analyze, read_scan
from CovidCTLib.analysis import Progress
from CovidCTLib.cli.demo import COMPARED
from CovidCTLib.errors import CancelledError, InputError, QualityError
from CovidCTLib.geometry import Geometry
from CovidCTLib.lungs import network
from CovidCTLib.lungs.network import ChestMasks
from CovidCTLib.models.store import ModelStore
from CovidCTLib.phantom import Phantom, make_chest_phantom


@pytest.fixture(scope="module")
def models() -> ModelStore:
    return ModelStore(device="cpu")


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_chest_phantom((60, 192, 192), (5.0, 1.9, 1.9))


@pytest.fixture(scope="module")
def phantom_analysis(phantom: Phantom, models: ModelStore) -> Analysis:
    return analyze(phantom.scan, models=models)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_phantom_lungs_are_found_on_their_sides(phantom: Phantom, phantom_analysis: Analysis) -> None:
    for side in (1, 2):
        assert _dice(phantom_analysis.lungs == side, phantom.lungs == side) > 0.9


def test_phantom_opacities_are_found(phantom: Phantom, phantom_analysis: Analysis) -> None:
    assert _dice(phantom_analysis.opacities > 0, phantom.opacities > 0) > 0.5
    flagged = "readings-disagree" in [notice.code for notice in phantom_analysis.notices]
    assert flagged is not phantom_analysis.case.positive


def test_the_demo_comes_near_the_truth_of_its_chest(models: ModelStore) -> None:
    sample = make_chest_phantom()
    analysis = analyze(sample.scan, models=models)
    reach = {"right_lung": 0.02, "left_lung": 0.02, "ggo": 0.15, "consolidation": 0.25}
    for _, key, region, measure in COMPARED:
        assert analysis.measure(region, measure).value == pytest.approx(sample.volumes_ml[key], rel=reach[key]), key
    assert [notice.code for notice in analysis.notices if notice.severity != "note"] == []


def test_a_pneumothorax_is_told_by_the_analysis_itself(phantom: Phantom, models: ModelStore) -> None:
    depth = ndimage.distance_transform_edt(phantom.lungs == 2, sampling=(5.0, 1.9, 1.9))
    free = (depth > 0) & (depth <= 20)
    hu = np.where(free, np.int16(-998), phantom.scan.hu)
    analysis = analyze(dataclasses.replace(phantom.scan, hu=hu), Options(lungs="contour"), models=models)
    notice = next(notice for notice in analysis.notices if notice.code == "free-air")
    free_ml = np.count_nonzero(free) * 5.0 * 1.9 * 1.9 / 1000
    assert notice.value == pytest.approx(free_ml, rel=0.3)
    assert "On the left side" in notice.text
    # The free air is counted as lung and as emphysema, as the sentence says.
    assert analysis.measure("left_lung", "aeration_emphysema_ml").value > 0.7 * free_ml


def test_results_lie_on_the_scans_own_grid(phantom: Phantom, phantom_analysis: Analysis) -> None:
    shape = phantom.scan.geometry.shape_zyx
    for array in (phantom_analysis.lungs, phantom_analysis.opacities, phantom_analysis.localization):
        assert array.shape == shape
    assert phantom_analysis.localization.dtype == np.float32
    assert set(np.unique(phantom_analysis.labelmap)) <= {0, 1, 2, 3, 4, 5}
    assert not (phantom_analysis.opacities > 0)[phantom_analysis.lungs == 0].any()


def test_measures_agree_with_the_arrays(phantom: Phantom, phantom_analysis: Analysis) -> None:
    voxel_ml = phantom.scan.geometry.voxel_volume_mm3 / 1000
    for region, side in (("right_lung", 1), ("left_lung", 2)):
        measured = phantom_analysis.measure(region, "volume_ml").value
        assert measured == pytest.approx((phantom_analysis.lungs == side).sum() * voxel_ml)
    corona = phantom_analysis.measure("both_lungs", "corona_score_cm3").value
    assert corona == pytest.approx(phantom_analysis.localization.sum(dtype=np.float64) * voxel_ml, rel=1e-5)


def test_analysis_says_how_it_was_made(phantom_analysis: Analysis) -> None:
    assert [model.name for model in phantom_analysis.models] == ["lungs", "opacities", "slices"]
    assert all(len(model.sha256) == 64 for model in phantom_analysis.models)
    assert {"lungs", "opacities", "slices", "measures"} == set(phantom_analysis.seconds)
    assert phantom_analysis.options.slice_threshold == phantom_analysis.case.slice_threshold
    assert "no-pleural-effusion" not in [notice.code for notice in phantom_analysis.notices]
    assert phantom_analysis.measure("both_lungs", "pleural_effusion_volume_ml").value == 0
    assert {"covidct", "torch", "monai"} <= set(phantom_analysis.versions)


def test_effusion_by_the_network_comes_with_how_rough_its_volume_is(
    phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    fluid = np.zeros(phantom.lungs.shape, bool)
    fluid[4:8, -30:-20, 20:30] = True
    masks = ChestMasks((phantom.lungs > 0) & ~fluid, fluid)
    monkeypatch.setattr(network, "segment_chest_by_network", lambda *_: masks)
    found = analyze(phantom.scan, Options(device="cpu", threads=2))
    voxel_ml = phantom.scan.geometry.voxel_volume_mm3 / 1000
    assert found.measure("both_lungs", "pleural_effusion_volume_ml").value == pytest.approx(400 * voxel_ml)
    (notice,) = [notice for notice in found.notices if notice.code == "rough-effusion"]
    assert notice.severity == "note"
    assert "Judged on 6 cases with pleural effusion" in notice.text
    assert "Pieces under 3 ml are not told from the pleura" in notice.text


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, True)])
def test_turned_scans_give_the_same_measures(
    phantom: Phantom,
    phantom_analysis: Analysis,
    models: ModelStore,
    permutation: tuple[int, ...],
    flips: tuple[bool, ...],
) -> None:
    image = phantom.scan.geometry.to_image(phantom.scan.hu)
    turned = sitk.Flip(sitk.PermuteAxes(image, permutation), flips, False)
    analysis = analyze(turned, models=models)
    assert analysis.lungs.shape == turned.GetSize()[::-1]
    for before, after in zip(phantom_analysis.measures, analysis.measures, strict=True):
        assert (before.region, before.name) == (after.region, after.name)
        assert after.value == (None if before.value is None else pytest.approx(before.value, rel=1e-5, abs=1e-5))
    labels = sitk.GetImageFromArray(analysis.lungs)
    labels.CopyInformation(turned)
    assert np.array_equal(
        sitk.GetArrayFromImage(sitk.Resample(labels, image, sitk.Transform(), sitk.sitkNearestNeighbor)),
        phantom_analysis.lungs,
    )


def test_an_oblique_scan_comes_back_on_its_own_grid(
    phantom: Phantom, phantom_analysis: Analysis, models: ModelStore
) -> None:
    image = phantom.scan.geometry.to_image(phantom.scan.hu)
    angle = np.radians(25)
    direction = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    centre = np.asarray(image.TransformContinuousIndexToPhysicalPoint([s / 2 for s in image.GetSize()]))
    reference = sitk.Image((230, 230, 60), sitk.sitkInt16)
    reference.SetSpacing(image.GetSpacing())
    reference.SetDirection(direction)
    offset = np.reshape(direction, (3, 3)) @ (np.asarray(reference.GetSize()) / 2 * np.asarray(image.GetSpacing()))
    reference.SetOrigin(tuple(centre - offset))
    turned = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, -1000)
    analysis = analyze(turned, models=models)
    assert analysis.lungs.shape == (60, 230, 230)
    assert "oblique" in [notice.code for notice in analysis.notices]
    straight = phantom_analysis.measure("both_lungs", "volume_ml").value
    assert analysis.measure("both_lungs", "volume_ml").value == pytest.approx(straight, rel=0.03)
    own_ml = (analysis.lungs > 0).sum() * np.prod(image.GetSpacing()) / 1000
    assert own_ml == pytest.approx(straight, rel=0.03)

    assert not analysis.localization[analysis.lungs == 0].any()


def test_a_cut_field_of_view_keeps_its_lungs_and_is_told(phantom: Phantom, models: ModelStore) -> None:
    part = np.ascontiguousarray(phantom.scan.hu[:, 60:140, 35:160])
    true = phantom.lungs[:, 60:140, 35:160] > 0
    geometry = Geometry(part.shape, phantom.scan.geometry.spacing_xyz_mm)  # type: ignore[arg-type]
    analysis = analyze(part, geometry=geometry, models=models)
    assert (analysis.lungs > 0).sum() == pytest.approx(true.sum(), rel=0.08)
    assert "lungs-cut-at-side" in [notice.code for notice in analysis.notices]


def test_arrays_need_their_grid_and_must_be_hu(phantom: Phantom, models: ModelStore) -> None:
    with pytest.raises(InputError, match="An array needs its grid"):
        analyze(phantom.scan.hu, models=models)
    with pytest.raises(InputError, match="air near -1000"):
        analyze(phantom.scan.hu + 1024, geometry=phantom.scan.geometry, models=models)


def test_progress_rises_and_names_its_stages(phantom: Phantom, models: ModelStore) -> None:
    seen: list[Progress] = []
    analyze(phantom.scan, models=models, progress=seen.append)
    assert all(a.fraction <= b.fraction for a, b in pairwise(seen))
    assert list(dict.fromkeys(p.stage for p in seen)) == ["lungs", "opacities", "slices", "measures"]


@pytest.mark.parametrize("calls", [0, 5, 12])
def test_cancel_ends_the_analysis_at_any_stage(phantom: Phantom, models: ModelStore, calls: int) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > calls

    with pytest.raises(CancelledError, match="was cancelled"):
        analyze(phantom.scan, models=models, cancelled=cancelled)


def test_the_input_is_not_changed(phantom: Phantom, models: ModelStore) -> None:
    hu = phantom.scan.hu.copy()
    analyze(dataclasses.replace(phantom.scan, hu=hu), models=models)
    assert np.array_equal(hu, phantom.scan.hu)


def test_two_runs_give_the_same(phantom: Phantom, phantom_analysis: Analysis, models: ModelStore) -> None:
    again = analyze(phantom.scan, models=models)
    assert np.array_equal(again.labelmap, phantom_analysis.labelmap)
    assert np.array_equal(again.localization, phantom_analysis.localization)


def test_options_of_the_caller_are_used(phantom: Phantom, models: ModelStore) -> None:
    strict = analyze(phantom.scan, Options(slice_threshold=0.999999, case_threshold=0.99), models=models)
    assert strict.case.positive is False
    assert strict.case.slice_threshold == 0.999999
    assert strict.case.case_threshold == 0.99


def test_contour_lungs_need_no_lung_network(models: ModelStore) -> None:
    healthy = make_chest_phantom((60, 192, 192), (5.0, 1.9, 1.9), diseased=False)
    analysis = analyze(healthy.scan, Options(lungs="contour"), models=models)
    assert [model.name for model in analysis.models] == ["opacities", "slices"]
    assert _dice(analysis.lungs > 0, healthy.lungs > 0) > 0.85


def test_a_scan_without_lungs_is_refused(models: ModelStore) -> None:
    rng = np.random.default_rng(0)
    hu = np.full((30, 128, 128), -1000, np.int16)
    y, x = np.mgrid[:128, :128]
    hu[:, (y - 64) ** 2 + (x - 64) ** 2 < 50**2] = -100
    hu[:, (y - 64) ** 2 + (x - 64) ** 2 < 45**2] = 35
    hu = (hu + rng.normal(0, 10, hu.shape)).astype(np.int16)
    with pytest.raises(QualityError, match="No lungs in view"):
        analyze(Scan.from_array(hu), models=models)


def test_images_that_are_no_volume_are_refused(models: ModelStore) -> None:
    with pytest.raises(InputError, match="3D CT was expected"):
        analyze(sitk.Image((64, 64), sitk.sitkInt16), models=models)


@pytest.mark.parametrize("case", ["case_04", "case_06"])
def test_real_cases_give_sensible_lungs_and_opacities(shared_data: Path, models: ModelStore, case: str) -> None:
    analysis = analyze(read_scan(shared_data / "volumes" / f"{case}_ct.nii.gz"), models=models)
    lungs, opacities = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / "volumes" / f"{case}_{what}.nii.gz"))) > 0
        for what in ("lungs", "opacities")
    )
    assert _dice(analysis.lungs > 0, lungs) > 0.95
    share = 100 * (opacities & lungs).sum() / lungs.sum()
    assert analysis.measure("both_lungs", "opacity_percent").value == pytest.approx(share, abs=4)


def test_a_whole_hospital_ct_is_read_and_analyzed(shared_data: Path, models: ModelStore) -> None:
    analysis = analyze(read_scan(shared_data / "dicom" / "covid_P001"), models=models)
    assert analysis.case.positive is True
    volume = analysis.measure("both_lungs", "volume_ml").value
    assert volume is not None
    assert 1500 < volume < 8000


def test_the_normal_control_has_next_to_no_opacity(shared_data: Path, models: ModelStore) -> None:
    analysis = analyze(read_scan(shared_data / "controls" / "normal_001_ct.nii.gz"), models=models)
    share = analysis.measure("both_lungs", "opacity_percent").value
    assert share is not None
    assert share < 1
    assert analysis.case.positive is False


def test_a_thin_patient_among_blankets_keeps_both_lungs(shared_data: Path, models: ModelStore) -> None:
    analysis = analyze(read_scan(shared_data / "controls" / "cap_001_ct.nii.gz"), models=models)
    right, left = (analysis.measure(side, "volume_ml").value for side in ("right_lung", "left_lung"))
    assert right is not None
    assert left is not None
    assert 2000 < right < 4500
    assert 2000 < left < 4500
    # It is another pneumonia, which the classifier was shown as such.
    assert analysis.case.positive is False
