"""References by numbers, by a mask and automatically."""

from __future__ import annotations

import numpy as np
import pytest
from picture_maker import AIR, as_grey, chest_hu, true_values

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.photos.anchors import Anchor
from CovidCTLib.photos.automatic import find_references, fit_line
from CovidCTLib.photos.references import References, references_from_mask, references_from_numbers, to_hu


def grey(*seeds, low=-1200.0, high=300.0, **chest):
    """Drawn slices as pictures."""
    return [as_grey(chest_hu(512, seed, **chest), low, high).astype(np.float32) for seed in seeds]


def errors_hu(found, low=-1200.0, high=300.0):
    """Errors of the resulting HU at -1000 and at -100 HU."""
    air, fat = true_values(low, high)
    return [float(to_hu(np.array(value), found)) - hu for value, hu in ((air, -1000), (fat, -100))]


def test_the_formula_is_the_reverse_normalization():
    hu = to_hu(np.array([10, 190, 100, 0, 255]), References(10, 190, "numbers"))
    assert hu.tolist() == [-1000, -100, -550, -1024, 225]
    assert hu.dtype == np.float32


@pytest.mark.parametrize(
    ("air", "fat", "reason"),
    [
        (50, 50, "fat must be brighter than air by at least 2 levels, but air is 50 and fat 50"),
        (200, 20, "fat must be brighter"),
        (float("nan"), 20, "air and fat must be numbers, but are nan and 20"),
        (0, float("inf"), "air and fat must be numbers"),
    ],
)
def test_numbers_that_are_no_pair_are_refused(air, fat, reason):
    with pytest.raises(OptionsError, match=f"The references cannot be used: {reason}"):
        references_from_numbers(air, fat)


def test_a_mask_gives_the_mean_under_each_label_and_names_what_is_missing():
    values = np.zeros((4, 8, 8), np.float32)
    values[:, 0], values[:, 1] = np.arange(8), np.arange(8) + 100
    mask = np.zeros((4, 8, 8), np.uint16)
    mask[0, 0, :4], mask[0, 1, :2] = 1, 2
    mask[1, 0, :4] = 1
    mask[2, 1, 1:3], mask[2, 0, 1] = 1, 2
    found = references_from_mask(values, mask)
    assert found[0] == References(1.5, 100.5, "mask")
    assert found[1] == "no fat is painted on it"
    assert found[2].startswith("fat must be brighter than air")
    assert found[3] == "no air is painted on it"


def test_a_mask_on_another_grid_is_refused():
    with pytest.raises(
        InputError, match=r"grid of the stacked pictures \(8 x 8 x 3\) was expected, but it has 8 x 8 x 4"
    ):
        references_from_mask(np.zeros((3, 8, 8), np.float32), np.ones((4, 8, 8), np.uint16))


@pytest.mark.parametrize(("label", "found"), [(0, "no label at all"), (7, "only 7")])
def test_a_mask_without_the_labels_is_refused(label, found):
    mask = np.full((3, 8, 8), label, np.uint16)
    with pytest.raises(InputError, match=rf"labels 1 \(air\) and 2 \(fat\) was expected, but it holds {found}"):
        references_from_mask(np.zeros((3, 8, 8), np.float32), mask)


@pytest.mark.parametrize("labels", [(1, 1), (0, 2)])
def test_labels_must_differ_and_not_be_the_background(labels):
    with pytest.raises(OptionsError, match="Air and fat need two different labels other than 0"):
        references_from_mask(np.zeros((1, 8, 8), np.float32), np.ones((1, 8, 8), np.uint16), *labels)


@pytest.mark.parametrize(("low", "high"), [(-1350, 150), (-1200, 800), (-1024, 1500), (-1400, 200)])
def test_references_of_a_drawn_chest_are_found_in_any_window(low, high):
    (found,) = find_references(grey(0, low=low, high=high))
    assert np.abs(errors_hu(found, low, high)).max() < 20
    assert not found.doubts
    assert {"outside air", "lung", "fat", "soft tissue"} <= set(found.cues)


def test_a_picture_cropped_to_the_lungs_has_references_too():
    (found,) = find_references(grey(0, cropped=True))
    assert np.abs(errors_hu(found)).max() < 30


def test_noise_does_not_hide_the_tissues():
    noisy = chest_hu(512, 1) + np.random.default_rng(0).normal(0, 80, (512, 512))
    (found,) = find_references([as_grey(noisy).astype(np.float32)])
    assert np.abs(errors_hu(found)).max() < 30


def test_padding_outside_the_scan_circle_is_not_taken_for_air():
    hu = chest_hu(512)
    y, x = np.mgrid[:512, :512] - 255.5
    hu[y**2 + x**2 > 255**2] = -2000
    (found,) = find_references([as_grey(hu, -1400, 200).astype(np.float32)])
    assert np.abs(errors_hu(found, -1400, 200)).max() < 20


def test_clipped_air_is_called_doubtful():
    (found,) = find_references(grey(0, low=-950, high=300))
    assert any("air is clipped to black" in doubt for doubt in found.doubts)


def test_a_window_that_clips_the_lungs_has_no_references():
    (found,) = find_references(grey(0, low=-160, high=240))
    assert found == "its window clips the lungs to black, so their HU are lost"


def test_a_picture_without_tissue_has_no_references():
    random = np.random.default_rng(0)
    flat = np.full((512, 512), 100, np.float32)
    ramp = np.full((512, 512), 7, np.float32)
    ramp[:300] = 90
    for picture in (flat, ramp, random.uniform(0, 255, (512, 512)).astype(np.float32)):
        (found,) = find_references([picture])
        assert isinstance(found, str) or found.doubts


def test_slices_of_one_window_help_one_that_shows_no_lungs():
    stack = [*grey(0, 1, 2, 3), *grey(4, lungs=False)]
    found = find_references(stack)
    assert len({(one.air, one.fat) for one in found}) == 1


def test_a_slice_of_another_window_keeps_its_own_or_is_doubtful():
    pictures = [*grey(0, 1, 2, 3), *grey(4, low=-1000, high=1000)]
    other = find_references(pictures)[-1]
    assert other.doubts or np.abs(errors_hu(other, -1000, 1000)).max() < 30


def test_progress_reaches_its_end():
    shares = []
    find_references(grey(0), shares.append)
    assert shares == [1.0]


def test_a_line_goes_through_anchors_that_lie_on_one_and_says_how_sure_it_is():
    anchors = [Anchor("outside air", 10, -1000, 10), Anchor("fat", 100, -100, 10), Anchor("soft tissue", 115, 50, 10)]
    line = fit_line(anchors)
    assert (line.slope, line.intercept) == (pytest.approx(10), pytest.approx(-1100))
    assert max(line.misfit_sd) < 1e-6
    assert line.value_at(-1000) == pytest.approx(10)
    assert line.sd_hu_at(-1000) == pytest.approx(10, abs=0.2)


def test_no_line_without_both_ends_or_that_falls():
    air, fat = Anchor("outside air", 10, -1000, 10), Anchor("fat", 100, -100, 10)
    assert fit_line([air]) is None
    assert fit_line([fat, Anchor("soft tissue", 115, 50, 10)]) is None
    assert fit_line([Anchor("outside air", 200, AIR, 10), fat]) is None
    assert fit_line([Anchor("outside air", 100, AIR, 10), fat]) is None
