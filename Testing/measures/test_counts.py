"""What is counted in the zones: the box of the lungs, slabs, bins, limits, sides; all in small whole numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure_phantoms import make_axial, make_box_lungs

from CovidCTLib.errors import InputError
from CovidCTLib.measures.counts import LOCALIZATION_TOLERANCE, SLAB_SLICES, add_counts, count_labels, count_zones
from CovidCTLib.measures.regions import ZONES, thirds_of_slices


def one_lung(slices=9, side=1):
    """A lung in rows 1 to 2 and columns 3 to 6 of each slice."""
    lungs = np.zeros((slices, 5, 8), np.uint8)
    lungs[:, 1:3, 3:7] = side
    return lungs


def test_each_hu_has_its_own_bin_from_the_lowest_to_the_highest_that_occurs():
    lungs = one_lung()
    hu = np.full(lungs.shape, 2000)
    hu[lungs > 0] = -850
    hu[0, 1, 3], hu[8, 2, 6] = -1024, 3071
    zones = count_zones(make_axial(hu, lungs), 0.2)
    lower, upper = zones["right_lower"], zones["right_upper"]
    assert (lower.lowest_hu, lower.histogram.shape) == (-1024, (4, 3071 + 1024 + 1))
    assert lower.hu[0] == -1024
    assert lower.hu[-1] == 3071
    assert lower.all_hu[[0, -850 + 1024, -1]].tolist() == [1, 23, 0]
    assert upper.all_hu[[0, -850 + 1024, -1]].tolist() == [0, 23, 1]
    assert zones["left_lower"].voxels == 0
    assert {zone: counts.voxels for zone, counts in zones.items()} == {
        zone: 24 if zone.startswith("right") else 0 for zone in ZONES
    }


@pytest.mark.parametrize("extreme", [-32768, 32767])
def test_the_ends_of_the_type_are_counted(extreme):
    lungs = one_lung()
    zones = count_zones(make_axial(extreme, lungs), 0.2)
    assert (zones["right_middle"].lowest_hu, zones["right_middle"].histogram.shape) == (extreme, (4, 1))
    assert zones["right_middle"].voxels == 24


def test_lungs_that_reach_the_border_are_counted_whole():
    lungs = np.ones((3, 5, 8), np.uint8)
    lungs[:, :, 4:] = 2
    zones = count_zones(make_axial(-800, lungs), 0.2)
    assert [zones[f"right_{third}"].voxels for third in ("lower", "middle", "upper")] == [20] * 3
    assert [zones[f"left_{third}"].voxels for third in ("lower", "middle", "upper")] == [20] * 3


def test_rows_and_columns_of_the_box_are_not_exchanged():
    lungs = np.zeros((3, 5, 30), np.uint8)
    lungs[:, 1:3, 20:29] = 2
    zones = count_zones(make_axial(-800, lungs), 0.2)
    assert [zones[f"left_{third}"].voxels for third in ("lower", "middle", "upper")] == [18] * 3


def test_without_lung_every_count_is_nothing():
    zones = count_zones(make_axial(-800, np.zeros((4, 5, 6))), 0.2)
    assert list(zones) == list(ZONES)
    for counts in zones.values():
        assert (counts.voxels, counts.histogram.shape, counts.localization_sum, counts.localized_voxels) == (
            0,
            (4, 1),
            0,
            0,
        )


@pytest.mark.parametrize("slices", [1, 2, SLAB_SLICES, SLAB_SLICES + 1, 3 * SLAB_SLICES + 2, 60])
def test_no_slice_is_lost_between_slabs_whatever_their_number(slices):
    lungs = one_lung(slices)
    lungs[:, 0, 0] = 2
    # Gaps inside the lungs, and another extent of the left one.
    if slices > 6:
        lungs[2] = 0
        lungs[: slices // 2, 0, 0] = 0
    zones = count_zones(make_axial(np.arange(slices)[:, None, None], lungs, localization=0.5), 0.2)
    for side, label in (("right", 1), ("left", 2)):
        shows = (lungs == label).any(axis=(1, 2))
        thirds = thirds_of_slices(shows)
        for number, third in enumerate(("lower", "middle", "upper")):
            counts = zones[f"{side}_{third}"]
            mine = (lungs == label) & (thirds == number)[:, None, None]
            assert counts.voxels == mine.sum()
            assert counts.localization_sum == pytest.approx(0.5 * mine.sum())
            assert counts.localized_voxels == mine.sum()
            # The HU of each slice is its number.
            by_slice = dict(zip(counts.hu.tolist(), counts.all_hu.tolist(), strict=True))
            assert all(by_slice.get(k, 0) == mine[k].sum() for k in range(slices))


def test_memory_of_a_slab_stays_small(monkeypatch):
    seen = []
    from CovidCTLib.measures import counts

    count_slab = counts._count_slab
    monkeypatch.setattr(counts, "_count_slab", lambda axial, slab: seen.append(slab[0]) or count_slab(axial, slab))
    count_zones(make_axial(-800, one_lung(72)), 0.2)
    # Thirds of 24 slices, each in slabs of 8.
    assert [part.stop - part.start for part in seen] == [8] * 9


def test_kinds_limits_and_bands_are_counted_by_their_documented_ends():
    lungs = one_lung(1)
    hu = np.full(lungs.shape, -850)
    opacities = np.zeros(lungs.shape, np.uint8)
    hu[0, 1, 3:7], opacities[0, 1, 3:7] = (-201, -200, -199, -200), (1, 1, 2, 3)
    (counts,) = [part for part in count_zones(make_axial(hu, lungs, opacities), 0.2).values() if part.voxels]
    assert (counts.ggo_voxels, counts.consolidation_voxels, counts.opacity_voxels) == (2, 1, 3)
    # At the limit counts; effusion is no opacity.
    assert counts.high_opacity_voxels(-200) == 2
    assert counts.high_opacity_voxels(-199.5) == 1
    assert counts.high_opacity_voxels(-5000) == 3
    assert counts.high_opacity_voxels(5000) == 0
    # From the low limit, inclusive, to the high one, exclusive.
    assert counts.band_voxels(-850, -200) == 5
    assert counts.band_voxels(-200, -199) == 2
    assert counts.band_voxels(-np.inf, -850) == 0
    assert counts.band_voxels(-np.inf, np.inf) == 8


def test_sums_of_regions_are_sums_of_all_their_counts():
    rng = np.random.default_rng(4)
    lungs = make_box_lungs()
    axial = make_axial(
        rng.integers(-1024, 300, lungs.shape), lungs, rng.integers(0, 4, lungs.shape), rng.random(lungs.shape)
    )
    parts = list(count_zones(axial, 0.5).values())
    whole = add_counts(parts)
    inside = lungs > 0
    localized = inside & (axial.localization >= np.float32(0.5))
    opaque = (axial.opacities == 1) | (axial.opacities == 2)
    assert whole.voxels == inside.sum()
    assert whole.localized_voxels == localized.sum()
    assert whole.shared_voxels == (localized & opaque).sum()
    assert whole.localization_sum == pytest.approx(float(axial.localization[inside].sum()), rel=1e-6)
    assert whole.lowest_hu == axial.hu[inside].min()
    for part, zone in zip(parts, ZONES, strict=True):
        side = ZONES[zone][0]
        rows = thirds_of_slices((lungs == side).any(axis=(1, 2))) == ZONES[zone][1]
        mine = (lungs == side) & rows[:, None, None]
        assert part.shared_voxels == (localized & opaque & mine).sum()
        assert part.localized_voxels == (localized & mine).sum()


@pytest.mark.parametrize(
    ("value", "threshold", "counts"), [(0.2, 0.2, 8), (0.1999, 0.2, 0), (0.0, 0.0, 0), (1e-6, 0.0, 8)]
)
def test_a_voxel_is_localized_at_the_threshold_and_above_zero(value, threshold, counts):
    zones = count_zones(make_axial(-800, one_lung(1), localization=value), threshold)
    assert sum(part.localized_voxels for part in zones.values()) == counts


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (1 + 0.9 * LOCALIZATION_TOLERANCE, False),
        (-0.9 * LOCALIZATION_TOLERANCE, False),
        (1 + 1.1 * LOCALIZATION_TOLERANCE, True),
        (-1.1 * LOCALIZATION_TOLERANCE, True),
        (np.nan, True),
    ],
)
def test_a_localization_may_leave_its_range_by_a_thousandth_and_no_more(value, refused):
    assert LOCALIZATION_TOLERANCE == 1e-3
    axial = make_axial(-800, one_lung(1), localization=0.5)
    axial.localization[0, 1, 3] = value
    if refused:
        with pytest.raises(InputError, match="must lie within 0 and 1, but goes from"):
            count_zones(axial, 0.2)
    else:
        count_zones(axial, 0.2)
    # Outside the lungs it does not matter.
    outside = replace(axial, localization=np.where(axial.lungs > 0, np.float32(0.5), np.float32(7)))
    count_zones(outside, 0.2)


def test_each_label_of_a_labelmap_has_the_counts_that_are_made_by_hand():
    # Eight voxels a slice, in columns that are no rows; label 3 goes over the end of a slab, and label 2 has no voxel.
    labels = np.zeros((10, 4, 9), np.uint8)
    labels[:6, 1:3, 4:8], labels[6:, 1:3, 4:8] = 1, 3
    assert 6 < SLAB_SLICES < 10
    hu = np.select([labels == 1, labels == 3], [-850, -700], 500)
    opacities, localization = np.zeros(labels.shape, np.uint8), np.zeros(labels.shape)
    hu[0, 1, 4:8], opacities[0, 1, 4:8] = (-400, -300, -100, 10), (1, 1, 2, 3)
    localization[0] = 0.5
    localization[9, 1:3, 4:6] = [[0.25], [0.125]]
    first, second, third = count_labels(make_axial(hu, labels, opacities, localization), labels, 3, 0.25)
    # The effusion, at 10 HU, is left out everywhere.
    for counts in (first, second, third):
        assert (counts.lowest_hu, counts.histogram.shape) == (-850, (4, -100 + 850 + 1))
        assert (counts.hu[0], counts.hu[-1]) == (-850, -100)
    assert (first.voxels, first.ggo_voxels, first.consolidation_voxels) == (47, 2, 1)
    assert first.all_hu[[0, 450, 550, 750]].tolist() == [44, 1, 1, 1]
    assert (first.localization_sum, first.localized_voxels, first.shared_voxels) == (7 * 0.5, 7, 3)
    assert (second.voxels, second.localization_sum, second.localized_voxels, second.shared_voxels) == (0, 0, 0, 0)
    assert (third.voxels, third.all_hu[150], third.opacity_voxels) == (32, 32, 0)
    # At the threshold counts.
    assert (third.localization_sum, third.localized_voxels, third.shared_voxels) == (2 * 0.25 + 2 * 0.125, 2, 0)
