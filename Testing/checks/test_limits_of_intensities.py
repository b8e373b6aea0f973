"""Checks of the intensities at their limits, by samples whose values are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from check_phantoms import sample_of

from CovidCTLib.checks.intensities import check_clipping, check_hounsfield, check_metal, check_noise
from CovidCTLib.checks.sample import SAMPLE_SIDE_PX, SAMPLE_SLICES, Sample, take_sample
from CovidCTLib.errors import Notice, QualityError
from CovidCTLib.framing import Body


def test_counts_and_shares_of_a_sample_have_an_inclusive_low_and_an_exclusive_high_end():
    sample = sample_of({-1024: 50, -1000: 10, -500: 20, 0: 30, 40: 40})
    assert sample.count(-500, 40) == 50
    assert sample.count(-499, 41) == 70
    assert sample.count(-500) == 90
    assert sample.count(-2000) == 150
    assert sample.count(-2000, -1024) == 0
    assert sample.count(-2000, -1000) == 50
    # Padding is left out of the whole.
    assert sample.share(0, None) == 70 / 100
    assert sample.share(-1000, 0) == 30 / 100
    assert sample.share(40, None, 0) == 40 / 70
    assert sample_of({-1024: 5}).share(0, None) == 0.0


def test_the_most_frequent_value_and_the_value_under_which_a_share_lies():
    sample = sample_of({-1024: 900, -1000: 100, 40: 60, 300: 20})
    assert sample.peak_hu(-500) == pytest.approx(40, abs=10)
    assert sample.peak_hu(100) == pytest.approx(300, abs=10)
    even = sample_of(dict.fromkeys(range(-100, 100), 1))
    assert even.quantile_hu(0.0) == -100
    assert even.quantile_hu(0.5) == 0
    assert even.quantile_hu(0.25) == -50
    # Padding is left out.
    assert sample.quantile_hu(0.001) == -1000
    assert sample.quantile_hu(0.9) == 300


@pytest.mark.parametrize(
    ("shape", "sampled"),
    [
        ((10, 64, 64), (10, 64, 64)),
        ((96, 128, 200), (96, 128, 200)),
        ((97, 255, 255), (48, 255, 255)),
        ((192, 256, 256), (96, 128, 128)),
        ((300, 512, 640), (75, 128, 160)),
    ],
)
def test_a_sample_has_at_most_so_many_slices_and_at_least_so_many_pixels(shape, sampled):
    assert (SAMPLE_SLICES, SAMPLE_SIDE_PX) == (96, 128)
    hu = np.broadcast_to(np.int16(-1024), shape).copy()
    hu[0] = 77
    found = take_sample(hu)
    assert found.hu.shape == sampled
    assert found.voxels == pytest.approx(np.prod(shape) / np.prod(sampled))
    assert found.counts.sum() == np.prod(sampled)
    assert found.counts[0] >= np.prod(sampled[1:]) * (sampled[0] - 1)


def test_a_sample_begins_in_the_middle_of_its_first_step():
    hu = np.arange(192, dtype=np.int16)[:, None, None] + np.zeros((1, 256, 256), np.int16)
    found = take_sample(hu).hu
    assert found[0, 0, 0] == 1
    hu = np.arange(256, dtype=np.int16)[None, :, None] + np.zeros((2, 1, 256), np.int16)
    assert take_sample(hu).hu[0, :3, 0].tolist() == [1, 3, 5]
    hu = np.arange(256, dtype=np.int16)[None, None] + np.zeros((2, 256, 1), np.int16)
    assert take_sample(hu).hu[0, 0, :3].tolist() == [1, 3, 5]


HEALTHY = {-1000: 300, -850: 300, -100: 200, 40: 190, 700: 10}
"""A chest: air, lung, fat, muscle, bone."""


def codes(sample: Sample) -> dict[str, Notice]:
    try:
        notices = check_hounsfield(sample)
    except QualityError as error:
        notices = (error.notice,)
    return {notice.code: notice for notice in notices}


def test_a_chest_is_in_order():
    assert codes(sample_of(HEALTHY)) == {}


@pytest.mark.parametrize(
    ("counts", "refusal", "value"),
    [
        # Dense is 20 % of the tissue, and then a little more.
        ({**HEALTHY, -100: 100, 40: 300, 700: 100}, None, None),
        ({**HEALTHY, -100: 100, 40: 300, 700: 101}, "hu-scale", 20.2),
        # Soft tissue is 5 % of all, padding left out, and then a little less.
        ({-1024: 999, -1000: 475, -850: 475, 199: 10, 40: 30, -100: 10}, None, None),
        ({-1024: 999, -1000: 475, -850: 475, 200: 10, 40: 40}, "no-soft-tissue", 4.0),
        ({-1024: 999, -1000: 475, -850: 475, -201: 10, -200: 40}, "no-soft-tissue", 4.0),
        # Lung and air are half a percent, and then a little less.
        ({-1001: 95, -1000: 3, -501: 2, 40: 800, -100: 100}, None, None),
        ({-1001: 96, -1000: 2, -501: 2, 40: 900}, "no-air", 0.4),
        ({-1001: 95, -1000: 3, -500: 2, 40: 900}, "no-air", 0.3),
        # All values are turned over.
        ({1000: 300, 850: 300, 100: 200, -40: 190, -700: 10}, "hu-scale", 60.6),
        # Lungs were cut out: one value takes 60 % of all, and then a little less; its sentence is the next test's.
        ({-1000: 600, -850: 390, 40: 10}, "no-soft-tissue", 1.0),
        # All lies 1024 higher.
        ({24: 300, 174: 300, 924: 200, 1064: 300}, "hu-offset-lost", 1064.0),
    ],
)
def test_a_scan_is_refused_beyond_its_limits_and_not_at_them(counts, refusal, value):
    found = {code: notice for code, notice in codes(sample_of(counts)).items() if notice.severity == "refuse"}
    assert list(found) == ([] if refusal is None else [refusal])
    if refusal is not None:
        assert found[refusal].value == pytest.approx(value, abs=12 if refusal == "hu-offset-lost" else 0)


@pytest.mark.parametrize(
    ("fat", "told"), [({-150: 1, -21: 2}, False), ({-151: 1, -21: 2}, True), ({-150: 2, -20: 1}, True)]
)
def test_a_picture_without_fat_is_told(fat, told):
    # 0.3 % of the tissue, and then a little less; the range has an inclusive low and an exclusive high end.
    found = codes(sample_of({-1000: 300, -850: 300, **fat, 40: 997}))
    assert list(found) == (["no-fat"] if told else [])
    if told:
        assert (found["no-fat"].severity, found["no-fat"].value, found["no-fat"].limit) == ("warn", 0.2, 0.3)
        assert "map of a material" in found["no-fat"].text


@pytest.mark.parametrize(
    ("counts", "cut_out"), [({-1000: 600, -850: 390, 40: 10}, True), ({-1000: 599, -850: 391, 40: 10}, False)]
)
def test_lungs_that_were_cut_out_are_told_by_the_one_value_around_them(counts, cut_out):
    text = codes(sample_of(counts))["no-soft-tissue"].text
    assert ("60 % of all voxels have one value: the lungs seem to have been cut out" in text) is cut_out
    assert ("rescale intercept" in text) is not cut_out


def test_values_of_the_opposite_sign_are_told_as_such_and_another_scale_is_not():
    turned_over = {1000: 300, 850: 300, 100: 200, -40: 190, -700: 10}
    assert "opposite sign" in codes(sample_of(turned_over))["hu-scale"].text
    # Bone that was cut off does not matter, and air that varies around 0, as an offset of 1000 leaves it, is no tissue.
    assert "opposite sign" in codes(sample_of({**turned_over, -700: 0}))["hu-scale"].text
    assert "hu-offset-lost" in codes(sample_of({-10: 150, 10: 150, 150: 300, 900: 150, 1050: 250}))
    assert "rescale slope" in codes(sample_of({**HEALTHY, -100: 100, 40: 300, 700: 101}))["hu-scale"].text


@pytest.mark.parametrize(
    ("air", "muscle", "opposite"),
    [
        # Air from 700 HU on is 20 % of all, muscle from -100 to -21 HU is 5 %, and then a little less.
        ({700: 200}, {-100: 25, -21: 25}, True),
        ({699: 1, 700: 199}, {-100: 25, -21: 25}, False),
        ({700: 200}, {-101: 1, -100: 24, -21: 25}, False),
        ({700: 200}, {-100: 25, -21: 24, -20: 1}, False),
    ],
)
def test_the_opposite_sign_is_told_at_its_limits(air, muscle, opposite):
    text = codes(sample_of({**air, **muscle, 300: 600, -600: 150}))["hu-scale"].text
    assert ("opposite sign" in text) is opposite
    assert ("rescale slope" in text) is not opposite


@pytest.mark.parametrize(("peak", "shifted"), [(-170, -150.0), (-130, None), (110, None), (160, 130.0)])
def test_a_shift_is_told_where_the_most_frequent_tissue_is_neither_fat_nor_muscle(peak, shifted):
    found = codes(sample_of({-1000: 300, -850: 300, peak: 380, -90: 10, 700: 10}))
    assert list(found) == ([] if shifted is None else ["hu-shifted"])
    if shifted is not None:
        assert (found["hu-shifted"].limit, found["hu-shifted"].severity) == (shifted, "warn")
        # The middle of the averaged peak.
        assert found["hu-shifted"].value == pytest.approx(peak, abs=10)


@pytest.mark.parametrize(("air", "told"), [(-950, False), (-949, True)])
def test_air_that_is_not_thin_enough_is_told(air, told):
    found = codes(sample_of({air: 300, -850: 300, -90: 10, 40: 380, 700: 10}))
    assert list(found) == (["no-true-air"] if told else [])
    if told:
        assert (found["no-true-air"].value, found["no-true-air"].limit) == (-949, -950)
        assert "emphysema (under -950 HU)" in found["no-true-air"].text


def test_one_voxel_of_a_thousand_of_true_air_is_enough():
    assert codes(sample_of({-1000: 2, -850: 500, -90: 10, 40: 488})) == {}
    assert list(codes(sample_of({-1000: 1, -850: 500, -90: 10, 40: 1489}))) == ["no-true-air"]
    # More than 8 of 8,000.
    assert codes(sample_of({-1000: 9, -850: 4000, -90: 80, 40: 3911})) == {}
    assert list(codes(sample_of({-1000: 8, -850: 4000, -90: 80, 40: 3912}))) == ["no-true-air"]


@pytest.mark.parametrize(
    ("top", "at_top", "severity", "limit"),
    [
        (149, 1, "warn", 300),
        (150, 1, "note", 300),
        (300, 1, "note", 300),
        (301, 1, None, None),
        (301, 100, None, None),
        (301, 101, "note", 2000),
        (1999, 101, "note", 2000),
        (2000, 10_000, None, None),
    ],
)
def test_clipping_is_told_by_the_highest_value_and_how_many_have_it(top, at_top, severity, limit):
    sample = sample_of({-850: 1_000_000 - at_top, top: at_top})
    found = {notice.code: notice for notice in check_clipping(sample, top)}
    if severity is None:
        assert "clipped-hu" not in found
        return
    notice = found["clipped-hu"]
    assert (notice.severity, notice.value, notice.limit) == (severity, top, limit)
    assert ("look less dense" in notice.text) is (severity == "warn")


@pytest.mark.parametrize(
    ("step", "each", "told"), [(5, 501, False), (6, 601, True), (10, 1001, True), (10, 1000, False), (1, 400, False)]
)
def test_steps_are_told_above_five_hu_where_voxels_enough_were_seen(step, each, told):
    # From -1000 to 100, exclusive: 1100 HU; more than 100 voxels a HU are needed.
    sample = sample_of(dict.fromkeys(range(-1000, 100, step), each))
    found = {notice.code: notice for notice in check_clipping(sample, 3000)}
    assert ("coarse-hu" in found) is told
    if told:
        assert found["coarse-hu"].value == pytest.approx(1100 / len(range(-1000, 100, step)), abs=0.05)


@pytest.mark.parametrize(("voxels", "told"), [(5, False), (6, True)])
def test_metal_is_told_above_half_a_ml(voxels, told):
    sample = sample_of({2499: 1000, 2500: voxels}, voxels=10.0)
    found = check_metal(sample, 0.01, body_of(True, sample.hu.shape))
    assert [notice.value for notice in found] == ([0.6] if told else [])


def body_of(inside: bool, shape: tuple[int, int, int]) -> Body:
    """A body that is everywhere, or nowhere."""
    mask = np.full(shape, inside)
    return Body(mask, mask, (1, 1, 1), shape)


def test_metal_beside_the_body_is_not_told():
    sample = sample_of({2499: 1000, 2500: 60}, voxels=10.0)
    assert check_metal(sample, 0.01, body_of(False, sample.hu.shape)) == ()


@pytest.mark.parametrize(("sd", "told"), [(97.0, False), (103.0, True)])
def test_noise_is_the_standard_deviation_in_even_soft_tissue(sd, told):
    # In each block of 4 x 4 pixels half lie a deviation above, half below: no chance at all.
    pattern = np.where(np.indices((64, 64)).sum(axis=0) % 2, sd, -sd)
    hu = np.rint(60 + pattern).astype(np.int16)[None].repeat(20, axis=0)
    found = check_noise(hu, (2.0, 2.0, 2.0))
    assert [notice.value for notice in found] == ([sd] if told else [])
    # Tissue of other density is not looked at: lung, bone, and a block with an edge is among the upper ones.
    assert check_noise(hu - 700, (2.0, 2.0, 2.0)) == ()
    assert check_noise(hu - 60, (2.0, 2.0, 2.0)) == ()
    assert len(check_noise(hu - 59, (2.0, 2.0, 2.0))) == told
    # The mean of a block lies between 0 and 120 HU, both exclusive.
    assert len(check_noise(hu + 59, (2.0, 2.0, 2.0))) == told
    assert check_noise(hu + 60, (2.0, 2.0, 2.0)) == ()


def test_noise_beside_the_body_is_not_counted():
    # A quiet body in the left half, a noisy cushion of water in the right one.
    pattern = np.where(np.indices((64, 64)).sum(axis=0) % 2, 150, -150)
    plane = np.where(np.arange(64) < 32, 50, 60 + pattern)
    hu = plane.astype(np.int16)[None].repeat(20, axis=0)
    trunk = np.zeros((20, 32, 32), bool)
    trunk[:, :, :16] = True
    body = Body(trunk, trunk, (1, 2, 2), hu.shape)
    assert check_noise(hu, (2.0, 2.0, 2.0), body) == ()
    # The other way round, the noise is that of the body, however quiet the cushion is.
    assert len(check_noise(hu, (2.0, 2.0, 2.0), Body(~trunk, ~trunk, (1, 2, 2), hu.shape))) == 1
    assert len(check_noise(hu[:, :, ::-1], (2.0, 2.0, 2.0), body)) == 1


@pytest.mark.parametrize("along_columns", [False, True])
@pytest.mark.parametrize(("end", "told"), [(33, False), (34, True)])
def test_a_block_of_noise_counts_where_its_middle_lies_in_the_body(end, told, along_columns):
    # Blocks of six pixels; only those of rows (or columns) 30 to 35 are soft tissue, and 33 is their middle.
    pattern = np.where(np.indices((96, 96)).sum(axis=0) % 2, 150, -150) + 60
    at = np.arange(96)[:, None]
    hu = np.where((at >= 30) & (at < 36), pattern, -800).astype(np.int16)[None].repeat(20, axis=0)
    trunk = np.broadcast_to(at < end, hu.shape)
    if along_columns:
        hu, trunk = hu.transpose(0, 2, 1), trunk.transpose(0, 2, 1)
    found = check_noise(hu, (2.0, 1.0, 1.0), Body(trunk, trunk, (1, 1, 1), (20, 96, 96)))
    assert [notice.code for notice in found] == (["noisy"] if told else [])


def test_blocks_of_noise_are_six_mm_large_and_four_pixels_at_least():
    # A stripe pattern of a period of 8 pixels is noise in blocks of 8 and more, and half of it in blocks of 4.
    hu = np.where(np.arange(96) % 8 < 4, 200, -80).astype(np.int16) * np.ones((12, 96, 1), np.int16)
    assert len(check_noise(hu, (2.0, 0.75, 0.75))) == 1
    assert check_noise(hu, (2.0, 1.5, 1.5)) == ()
    assert check_noise(hu, (2.0, 5.0, 5.0)) == ()


def test_noise_is_not_told_from_a_few_blocks():
    pattern = np.where(np.indices((64, 64)).sum(axis=0) % 2, 150, -150) + 60
    hu = np.full((20, 64, 64), -1000, np.int16)
    # Nine slices are looked at; two blocks each are 18, three are 27.
    hu[:, :4, :8] = pattern[:4, :8]
    assert check_noise(hu, (2.0, 2.0, 2.0)) == ()
    hu[:, :4, :12] = pattern[:4, :12]
    assert len(check_noise(hu, (2.0, 2.0, 2.0))) == 1
