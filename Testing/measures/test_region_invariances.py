"""What holds of the table of regions for any lungs: sums, mirrors, scales, and what must make no difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_phantoms import RIGHT_VOXELS, SHAPE, find, make_axial, make_box_lungs, make_random_axial, value_of

from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import AERATION_BANDS
from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.definitions import DEFINITIONS
from CovidCTLib.measures.regions import REGIONS, THIRDS
from CovidCTLib.options import Options

seeds = st.integers(0, 10**6)
quick = settings(deadline=None, max_examples=25)


def test_the_slab_size_does_not_matter(monkeypatch):
    axial = make_random_axial(5, (23, 6, 10))
    expected = measure_regions(axial, Options())
    monkeypatch.setattr("CovidCTLib.measures.counts.SLAB_SLICES", 1)
    for one, other in zip(measure_regions(axial, Options()), expected, strict=True):
        assert one.value == (pytest.approx(other.value, rel=1e-12) if other.value is not None else None)


def test_strides_of_flipped_and_permuted_arrays_do_not_matter(diseased_boxes):
    views = replace(
        diseased_boxes,
        **{
            name: np.asfortranarray(getattr(diseased_boxes, name)[::-1].copy())[::-1]
            for name in ("hu", "lungs", "opacities", "localization")
        },
    )
    assert measure_regions(views, Options()) == measure_regions(diseased_boxes, Options())


def test_the_arrays_are_not_changed(diseased_boxes):
    kept = [getattr(diseased_boxes, name).copy() for name in ("hu", "lungs", "opacities", "localization")]
    measure_regions(diseased_boxes, Options())
    for name, before in zip(("hu", "lungs", "opacities", "localization"), kept, strict=True):
        assert np.array_equal(getattr(diseased_boxes, name), before)


@quick
@given(seeds)
def test_right_and_left_and_the_thirds_add_up(seed):
    axial = make_random_axial(seed)
    measures = measure_regions(axial, Options())
    additive = [name for name in DEFINITIONS if name.endswith(("_ml", "_g", "_cm3")) and "effusion" not in name]

    def amount(region, name):
        return find(measures, region, name).value or 0.0

    for name in additive:
        both = pytest.approx(amount("both_lungs", name), rel=1e-9, abs=1e-12)
        assert amount("right_lung", name) + amount("left_lung", name) == both
        assert sum(amount(third, name) for third in THIRDS) == both
        for side in ("right", "left"):
            lung = pytest.approx(amount(f"{side}_lung", name), rel=1e-9, abs=1e-12)
            assert sum(amount(f"{side}_{third}", name) for third in THIRDS) == lung


@quick
@given(seeds)
def test_bands_add_up_to_the_volume_and_percentages_stay_within_0_and_100(seed):
    measures = measure_regions(make_random_axial(seed), Options())
    for region in REGIONS:
        if find(measures, region, "volume_ml").value is None:
            continue
        bands_ml = [value_of(measures, region, f"aeration_{band.name}_ml") for band in AERATION_BANDS]
        assert sum(bands_ml) == pytest.approx(value_of(measures, region, "volume_ml"))
        shares = [entry.value for entry in measures if entry.region == region and entry.name.endswith("_percent")]
        assert all(share is not None and 0 <= share <= 100 for share in shares)
        high = value_of(measures, region, "high_opacity_percent")
        assert high <= value_of(measures, region, "opacity_percent")


@quick
@given(seeds)
def test_mirroring_swaps_right_and_left(seed):
    axial = make_random_axial(seed)
    swapped = np.array([0, LEFT, RIGHT], dtype=np.uint8)[axial.lungs[:, :, ::-1]]
    mirrored = replace(
        axial,
        hu=axial.hu[:, :, ::-1],
        lungs=swapped,
        opacities=axial.opacities[:, :, ::-1],
        localization=axial.localization[:, :, ::-1],
    )
    found = {(entry.region, entry.name): entry.value for entry in measure_regions(mirrored, Options())}
    for entry in measure_regions(axial, Options()):
        other = entry.region
        if entry.region.startswith("right"):
            other = entry.region.replace("right", "left")
        elif entry.region.startswith("left"):
            other = entry.region.replace("left", "right")
        value = found[other, entry.name]
        assert value == (pytest.approx(entry.value, rel=1e-9, abs=1e-9) if entry.value is not None else None)


@quick
@given(seeds)
def test_turning_upside_down_swaps_upper_and_lower(seed):
    axial = make_random_axial(seed)
    turned = replace(
        axial,
        hu=axial.hu[::-1],
        lungs=axial.lungs[::-1],
        opacities=axial.opacities[::-1],
        localization=axial.localization[::-1],
    )
    before, after = measure_regions(axial, Options()), measure_regions(turned, Options())
    for name in ("volume_ml", "opacity_percent", "hu_mean", "severity"):
        for side in ("right", "left"):
            assert find(before, f"{side}_upper", name).value == find(after, f"{side}_lower", name).value
            assert find(before, f"{side}_middle", name).value == find(after, f"{side}_middle", name).value


@quick
@given(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 10))
def test_volumes_scale_with_the_voxel_and_ratios_do_not(x_mm, y_mm, z_mm):
    lungs = make_box_lungs()
    hu = np.where(np.arange(SHAPE[2]) % 2, -900, -700)
    axial = make_axial(hu, lungs, geometry=Geometry(SHAPE, (x_mm, y_mm, z_mm)))
    measures = measure_regions(axial, Options())
    voxel_ml = x_mm * y_mm * z_mm / 1000
    assert value_of(measures, "right_lung", "volume_ml") == pytest.approx(RIGHT_VOXELS * voxel_ml)
    assert value_of(measures, "right_lung", "mass_g") == pytest.approx(RIGHT_VOXELS * voxel_ml * 0.2)
    assert value_of(measures, "right_lung", "hu_mean") == -800
