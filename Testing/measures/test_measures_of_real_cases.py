"""Two real CTs with their radiologists' masks: one with disease, one with next to none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import SimpleITK as sitk
from measure_phantoms import make_axial, unread, value_of

from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_GGO, RIGHT
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.options import Options

VOLUMES = Path(__file__).parents[2] / ".." / "shared" / "data" / "volumes"

pytestmark = pytest.mark.skipif(not VOLUMES.is_dir(), reason="the shared CTs are not beside the repository")


def read_case(case):
    images = [sitk.ReadImage(str(VOLUMES / f"{case}_{kind}.nii.gz")) for kind in ("ct", "lungs", "opacities")]
    grid = CanonicalGrid(Geometry.from_image(images[0]))
    hu, mask, opacities = (grid.take(sitk.GetArrayFromImage(image), 0) for image in images)
    lungs = np.where(mask > 0, RIGHT, 0).astype(np.uint8)
    left_half = lungs[:, :, lungs.shape[2] // 2 :]
    left_half[left_half > 0] = LEFT
    return make_axial(hu, lungs, opacities, opacities > 0, grid.geometry)


@pytest.fixture(scope="module")
def case_01():
    return read_case("case_01")


@pytest.fixture(scope="module")
def case_06():
    return read_case("case_06")


@pytest.mark.parametrize("case", ["case_01", "case_06"])
def test_measures_agree_with_a_direct_count(case, request):
    axial = request.getfixturevalue(case)
    measures = measure_regions(axial, Options())
    inside = axial.lungs > 0
    voxel_ml = axial.geometry.voxel_volume_mm3 / 1000
    opacity = np.isin(axial.opacities, (OPACITY_GGO, OPACITY_CONSOLIDATION)) & inside
    hu = axial.hu[inside]
    expected = {
        "volume_ml": hu.size * voxel_ml,
        "opacity_percent": 100 * opacity.sum() / hu.size,
        "high_opacity_percent": 100 * (opacity & (axial.hu >= -200)).sum() / hu.size,
        "aeration_emphysema_percent": 100 * (hu < -950).mean(),
        "hu_mean": hu.mean(dtype=float),
        "hu_sd": hu.std(dtype=float),
        "hu_skewness": scipy.stats.skew(hu.astype(float)),
        "hu_kurtosis": scipy.stats.kurtosis(hu.astype(float)),
        "hu_percentile_15": np.percentile(hu, 15),
        "corona_score_cm3": axial.localization[inside].sum(dtype=float) * voxel_ml,
    }
    for name, value in expected.items():
        assert value_of(measures, "both_lungs", name) == pytest.approx(value, rel=1e-9)


def test_the_diseased_case_is_worse_than_the_healthy_one(case_01, case_06):
    diseased, healthy = (measure_regions(axial, Options()) for axial in (case_01, case_06))
    assert value_of(diseased, "both_lungs", "opacity_percent") == pytest.approx(15.8, abs=0.1)
    assert value_of(healthy, "both_lungs", "opacity_percent") < 0.05
    assert value_of(diseased, "both_lungs", "severity_0_24") == 8
    assert value_of(healthy, "both_lungs", "severity_0_24") == 1
    for measures in (diseased, healthy):
        assert 2000 < value_of(measures, "both_lungs", "volume_ml") < 8000
        assert 600 < value_of(measures, "both_lungs", "mass_g") < 2000
        assert -850 < value_of(measures, "both_lungs", "hu_mean") < -650


def test_slices_close_towards_apices_and_bases_and_are_open_between(case_01):
    rows = measure_slices(case_01, unread(case_01), Options())
    with_lung = [row.openness for row in rows if row.openness != "no lung"]
    first, last = with_lung.index("open"), len(with_lung) - with_lung[::-1].index("open")
    assert set(with_lung[first:last]) == {"open"}
    assert 1 <= first <= 4
    assert 1 <= len(with_lung) - last <= 4
    (representative,) = [row for row in rows if row.representative]
    assert representative.openness == "open"
    assert representative.vessel_ratio_percent == pytest.approx(14, abs=3)


def test_without_the_contour_there_are_fewer_vessels(case_06):
    middle = slice(10, 14)
    part = make_axial(case_06.hu[middle], case_06.lungs[middle], geometry=Geometry((4, 512, 512)))
    with_rim = measure_slices(part, unread(part), Options())
    without_rim = measure_slices(part, unread(part), Options(), without_contour=True)
    for one, other in zip(with_rim, without_rim, strict=True):
        assert 0 < other.vessel_area_mm2 < one.vessel_area_mm2
