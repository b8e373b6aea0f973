"""The stack in HU."""

from __future__ import annotations

import json

import numpy as np
import pytest
from picture_maker import FAT, SOFT, true_values, write_pictures

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.photos import calibrate, read_stack
from CovidCTLib.photos.contact_sheet import write_contact_sheet
from CovidCTLib.photos.record import photo_record, write_record, write_table
from CovidCTLib.photos.references import References
from CovidCTLib.photos.volume import find_stack_references

PAIR = References(*true_values(), "numbers")
DOUBTED = References(*true_values(), "automatic", ("too few tissues were recognized",), 12.345, 8.0, {"fat": 186.9})


@pytest.fixture
def stack(pictures):
    """Three slices from the feet to the head."""
    return read_stack(pictures, first="feet")


def test_hu_come_out_where_they_belong(stack):
    volume = calibrate(stack, [PAIR] * 3)
    assert (volume.hu.shape, volume.hu.dtype) == ((3, 512, 512), np.int16)
    assert np.median(volume.hu[:, 256, 22:30]) == pytest.approx(FAT, abs=15)
    assert np.median(volume.hu[:, 130:140, 240:270]) == pytest.approx(SOFT, abs=10)
    assert volume.notices == ()


def test_slices_without_references_are_left_out_with_their_reason(stack):
    volume = calibrate(stack, [PAIR, PAIR, "no fat is painted on it"], (0.7, 0.7, 5.0))
    assert [record.slice_index for record in volume.records] == [0, 1, None]
    assert volume.records[2].reason == "no fat is painted on it"
    assert volume.spacing_known
    assert volume.geometry.spacing_xyz_mm == (0.7, 0.7, 5.0)
    assert [notice.text for notice in volume.notices] == ["1 of 3 slices have no references and were left out."]


def test_a_gap_inside_the_stack_makes_the_spacing_unknown(stack):
    volume = calibrate(stack, [PAIR, "no air is painted on it", PAIR], (0.7, 0.7, 5.0))
    assert not volume.spacing_known
    assert "spacing-not-kept" in {notice.code for notice in volume.notices}


def test_without_spacing_a_nominal_one_is_taken_and_not_called_known(stack):
    volume = calibrate(stack, [PAIR] * 3)
    assert not volume.spacing_known
    assert volume.geometry.spacing_xyz_mm == (360 / 512, 360 / 512, 5.0)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.0), (700, 0.7, 5), (-0.7, 0.7, 5)])
def test_a_spacing_of_another_unit_is_refused(stack, spacing):
    with pytest.raises(OptionsError, match=r"The spacing must be three numbers within 0\.05 and 20 mm"):
        calibrate(stack, [PAIR] * 3, spacing)


def test_fewer_than_two_slices_make_no_volume(stack):
    with pytest.raises(
        InputError, match=r"At least 2 slices with references were expected, but there are 1 of 3 \(for "
    ):
        calibrate(stack, [PAIR, "no fat is painted on it", "no fat is painted on it"])


def test_there_must_be_one_entry_a_slice(stack):
    with pytest.raises(InputError, match="each of the 3 slices were expected, but there are 1"):
        calibrate(stack, [PAIR])


def test_doubtful_slices_are_counted_and_said(stack):
    volume = calibrate(stack, [PAIR, DOUBTED, PAIR])
    assert volume.doubtful == 1
    assert volume.notices[0].text == "The references of 1 of 3 slices are doubtful; look at the contact sheet."


def test_automatic_references_of_a_stack_are_near_the_truth(stack):
    air, fat = true_values()
    for found in find_stack_references(stack):
        assert abs(found.air - air) * 1500 / 255 < 20
        assert abs(found.fat - fat) * 1500 / 255 < 20


def test_record_and_table_hold_every_file_but_no_name_unless_asked(stack, pictures, tmp_path):
    (pictures / "slice2 Doe\nJane.txt").write_text("x")
    stack = read_stack(pictures, first="feet")
    volume = calibrate(stack, [PAIR, "no fat is painted on it", DOUBTED])
    record = photo_record(stack, volume)
    write_record(tmp_path / "a.json", record)
    write_table(tmp_path / "a.csv", record)
    text = (tmp_path / "a.json").read_text(encoding="utf-8") + (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert "Doe" not in text
    assert ".png" not in text
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == record
    assert [entry["file"] for entry in record["skipped"]] == [2]
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "1", "2", "3", "4"]
    assert lines[3].endswith("no fat is painted on it")
    assert record["pictures"][2]["air_sd_hu"] == 12.35

    named = photo_record(stack, volume, names=True)
    write_table(tmp_path / "b.csv", named)
    assert "slice2 Doe Jane.txt" in (tmp_path / "b.csv").read_text(encoding="utf-8")


def test_the_contact_sheet_marks_the_references(stack, tmp_path):
    from PIL import Image

    volume = calibrate(stack, [PAIR, "no fat is painted on it", DOUBTED])
    write_contact_sheet(tmp_path / "a.png", stack, volume, None, (1, 2))
    colours = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    blue = np.abs(colours - (0, 115, 178)).max(axis=2) < 12
    orange = np.abs(colours - (230, 158, 0)).max(axis=2) < 12
    assert blue.sum() > 500
    assert orange.sum() > 100

    mask = np.zeros(stack.grey.shape, np.uint16)
    mask[0, 300:340, 200:300] = 2
    write_contact_sheet(tmp_path / "b.png", stack, volume, mask, (1, 2))
    colours = np.asarray(Image.open(tmp_path / "b.png").convert("RGB")).astype(int)
    assert not (np.abs(colours - (0, 115, 178)).max(axis=2) < 12).any()


def test_a_large_folder_shows_doubtful_slices_first(tmp_path):
    from CovidCTLib.photos import contact_sheet

    write_pictures(tmp_path / "one", 2, 64)
    source = read_stack(tmp_path / "one").sources[0]
    from CovidCTLib.photos.volume import SliceRecord

    records = [SliceRecord(source, DOUBTED if index % 50 == 7 else PAIR, index) for index in range(200)]
    chosen = contact_sheet._chosen(records)
    assert len(chosen) == contact_sheet.MOST_SHOWN
    assert {7, 57, 107, 157} <= set(chosen)
    assert chosen == sorted(chosen, reverse=True)
