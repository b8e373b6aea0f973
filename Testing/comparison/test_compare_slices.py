"""Slices of two scans beside each other: which are chosen, what matches, and the files."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder, box_of
from PIL import Image

from CovidCTLib.comparison import compare_slices, find_lung_mask, match_slices, take_slice
from CovidCTLib.comparison.keypoints import KeypointMatches
from CovidCTLib.comparison.output import comparison_record, write_comparison
from CovidCTLib.comparison.pictures import STRIP_WINDOWS, keypoint_picture, match_picture, window_strip
from CovidCTLib.comparison.slices import SlicePair
from CovidCTLib.errors import InputError, OptionsError, OutputError, QualityError
from CovidCTLib.hu import READING_WINDOW, WINDOWS, apply_window
from CovidCTLib.options import Options
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.scan import ScanFacts


@pytest.fixture(scope="module")
def phantom():
    """A phantom with vessels."""
    return make_chest_phantom((40, 96, 96), (6.5, 3.1, 3.1), noise_hu=5.0)


@pytest.fixture(scope="module")
def pair(phantom):
    """Its representative slice beside the same slice, moved by 5 rows and 3 columns."""
    entry = take_slice(phantom.scan, lungs=phantom.lungs)
    moved = np.roll(entry.hu, (5, 3), axis=(0, 1))
    return compare_slices(entry, replace(entry, hu=moved))


def test_the_representative_slice_is_the_one_with_most_lung(phantom):
    entry = take_slice(phantom.scan, lungs=phantom.lungs)
    assert entry.index == int(np.argmax((phantom.lungs > 0).sum(axis=(1, 2))))
    assert entry.reason == "the representative slice (largest lung area)"
    np.testing.assert_array_equal(entry.hu, phantom.scan.hu[entry.index])


def test_a_slice_is_counted_from_the_feet_whatever_the_scans_orientation(phantom):
    upside_down = make_chest_phantom(
        (40, 96, 96), (6.5, 3.1, 3.1), noise_hu=5.0, direction_lps=(1, 0, 0, 0, 1, 0, 0, 0, -1)
    )
    entry = take_slice(upside_down.scan, index=7)
    np.testing.assert_array_equal(entry.hu, phantom.scan.hu[7])
    assert (entry.slices, entry.reason) == (40, "chosen by its number")
    assert entry.pixel_mm == pytest.approx((3.1, 3.1))


@pytest.mark.parametrize("index", [-1, 40])
def test_a_slice_outside_the_scan_is_refused(phantom, index):
    with pytest.raises(OptionsError, match=rf"A slice from 0 to 39 .* was expected, but {index} was given"):
        take_slice(phantom.scan, index=index)


def test_a_scan_without_lungs_is_refused(phantom):
    with pytest.raises(QualityError, match=r"no slice of it shows any\. Choose a slice by its number with --slices"):
        take_slice(phantom.scan, lungs=np.zeros_like(phantom.lungs))
    with pytest.raises(InputError, match=r"The representative slice needs the lungs of the scan"):
        take_slice(phantom.scan)


def test_lungs_are_found_by_the_engine_of_the_options(phantom, monkeypatch):
    seen = []
    # Stand-ins, since the real ones load torch.
    network, contour = (types.ModuleType(f"CovidCTLib.lungs.{name}") for name in ("network", "contour"))
    masks = types.SimpleNamespace(lungs=np.ones(2, dtype=np.bool_))
    network.segment_chest_by_network = lambda *given: seen.append(given) or masks
    contour.segment_lungs_by_contours = lambda *given: (np.ones(3, dtype=np.bool_), ())
    for module in (network, contour):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    store = types.SimpleNamespace(lungs=lambda: "network")
    assert find_lung_mask(phantom.scan, Options(), store).tolist() == [1, 1]
    assert seen[0][2] == "network"
    assert find_lung_mask(phantom.scan, Options(lungs="contour")).tolist() == [1, 1, 1]


def test_matches_of_a_moved_slice_are_apart_by_its_motion(pair):
    matches = pair.matches
    ways = matches.second[matches.pairs[:, 1]] - matches.first[matches.pairs[:, 0]]
    np.testing.assert_allclose(np.median(ways, axis=0), (5, 3), atol=0.2)
    right = np.abs(ways - (5, 3)).max(axis=1) < 1
    best = len(right) * 4 // 5
    assert right[:best].mean() > 0.9


def test_matches_are_the_best_ones_and_each_keypoint_is_used_once(pair):
    matches = pair.matches
    assert len(matches.pairs) == min(50, matches.matched) == len(matches.distances)
    assert (np.diff(matches.distances) >= 0).all()
    assert len(set(matches.pairs[:, 0])) == len(set(matches.pairs[:, 1])) == len(matches.pairs)


def test_fewer_matches_can_be_kept_and_they_are_the_first(pair):
    grey = [apply_window(entry.hu, READING_WINDOW) for entry in (pair.first, pair.second)]
    few = match_slices(*grey, most=3)
    np.testing.assert_array_equal(few.pairs, pair.matches.pairs[:3])
    assert few.matched == pair.matches.matched


def test_distances_are_l1_of_the_descriptors(pair):
    same = match_slices(*[apply_window(pair.first.hu, READING_WINDOW)] * 2)
    # A keypoint with two directions may find itself in the other one.
    assert 0.9 * len(same.first) <= same.matched <= len(same.first)
    assert not same.distances.any()


def test_a_slice_that_shows_nothing_is_refused(pair):
    with pytest.raises(InputError, match=r"this one shows nothing that makes a SIFT keypoint\. Choose another slice"):
        compare_slices(pair.first, replace(pair.second, hu=np.full((96, 96), -1000, np.int16)))


def test_a_strip_has_five_pictures_the_presets_and_the_reading_window(pair):
    assert (*WINDOWS, READING_WINDOW) == STRIP_WINDOWS
    strip = window_strip(pair.first)
    one = window_strip(pair.first, [READING_WINDOW])
    assert strip.height == one.height
    assert strip.width == 5 * one.width + 4 * 16


def test_pictures_show_keypoints_and_lines_of_both_slices(pair):
    points, lines = (np.asarray(paint(pair)) for paint in (keypoint_picture, match_picture))
    coloured = [(picture.max(axis=2) != picture.min(axis=2)) for picture in (points, lines)]
    half = points.shape[1] // 2
    for mask in coloured:
        assert mask[:, :half].any()
        assert mask[:, half:].any()


def test_each_half_says_which_scan_it_is(pair):
    same = replace(pair, second=pair.first)
    picture = np.asarray(keypoint_picture(same))
    width = (picture.shape[1] - 16) // 2
    left, right = picture[4:30, :120], picture[4:30, width + 16 : width + 136]
    assert (left == 255).any()
    assert (right == 255).any()
    assert not np.array_equal(left, right), "A is not B"


def test_a_slice_of_unknown_spacing_has_no_scale_bar_and_no_pixel_size(pair, phantom):
    scan = replace(phantom.scan, facts=ScanFacts(spacing_known=False))
    entry = take_slice(scan, index=pair.first.index)
    assert np.asarray(window_strip(entry)).tobytes() != np.asarray(window_strip(pair.first)).tobytes()
    assert comparison_record(replace(pair, first=entry))["slices"]["a"]["pixel_mm"] is None


def test_all_files_are_written_and_agree(pair, tmp_path):
    files = {file.name: file for file in write_comparison(pair, tmp_path / "out")}
    assert set(files) == {
        "comparison.html", "comparison.json", "keypoints.png", "matches.png", "windows_a.png", "windows_b.png",
    }  # fmt: skip
    record = json.loads(files["comparison.json"].read_text())
    assert record["keypoints"] == {"a": len(pair.matches.first), "b": len(pair.matches.second)}
    assert record["matched"] == pair.matches.matched
    assert len(record["best_matches"]) == len(pair.matches.pairs)
    page = files["comparison.html"].read_text()
    assert page.count("<img ") == 4
    assert f"{len(pair.matches.first)} keypoints in scan A" in page
    with Image.open(files["matches.png"]) as picture:
        assert picture.size == match_picture(pair).size


def test_a_folder_with_content_is_not_written_to(pair, tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(OutputError, match=r"must be empty"):
        write_comparison(pair, tmp_path)


ONE_KEYPOINT = KeypointMatches(np.array([[5.5, 8.5]]), np.zeros((0, 2)), np.zeros((0, 2), np.int64), np.zeros(0), 0)
"""In the middle of the block."""


def test_slices_beside_each_other_keep_their_sides_and_their_scale(phantom, monkeypatch):
    recorder = DrawingRecorder(monkeypatch)
    # Unequal pixels, and a white block near the front on the right.
    hu = np.full((40, 60), -1350, np.int16)
    hu[4:8, 6:12] = 150
    entry = replace(take_slice(phantom.scan, index=7), hu=hu, pixel_mm=(3.0, 2.0))
    strip = window_strip(entry, [READING_WINDOW])
    keypoints = keypoint_picture(SlicePair(entry, entry, ONE_KEYPOINT))
    tile, first, second = recorder.pictures[:3]
    for drawn in (tile, first, second):
        assert drawn.sides() == ("R", "L")
        assert drawn.image.size[0] == drawn.image.size[1]
        length_mm, length_px = drawn.scale_bar()
        assert length_px / length_mm == pytest.approx(drawn.image.width / 120)
    scale = strip.height / 120
    middle = round(18 * scale), round(18 * scale)
    found = box_of(np.asarray(strip).min(axis=2) > 128, middle)
    np.testing.assert_allclose(found, np.array([12, 24, 12, 24]) * scale - (0, 1, 0, 1), atol=2)
    orange = np.asarray(keypoints).astype(int)
    dots = np.argwhere(np.abs(orange - (230, 159, 0)).max(axis=2) < 5)
    np.testing.assert_allclose(dots.mean(axis=0), np.array([18, 18]) * first.image.width / 120, atol=1)
