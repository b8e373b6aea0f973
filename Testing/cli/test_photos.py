"""``covidct photos``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.cli.main import main

sys.path[:0] = [str(Path(__file__).parents[1] / "photos")]

from picture_maker import true_values, write_pictures  # noqa: E402

AIR, FAT = true_values()
NUMBERS = ["--air", str(AIR), "--fat", str(FAT)]


@pytest.fixture
def folder(tmp_path):
    """Three slices of a drawn chest."""
    write_pictures(tmp_path / "pictures")
    return tmp_path / "pictures"


@pytest.fixture
def out(tmp_path):
    """Where the volume goes."""
    return tmp_path / "ct.nii.gz"


def photos(*words):
    """Run the command."""
    return main(["photos", *map(str, words)])


def error_of(capsys):
    """The one line of an error."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_numbers_give_a_volume_that_reads_back_as_a_ct_from_pictures(folder, out, capsys):
    from CovidCTLib.reading import read_scan

    assert photos(folder, "-o", out, *NUMBERS, "--first", "feet") == 0
    said = capsys.readouterr()
    assert "References:    air 34, fat 187 in all slices" in said.out
    assert said.err == ""
    scan = read_scan(out)
    assert scan.hu.shape == (3, 512, 512)
    assert (scan.facts.source_format, scan.facts.spacing_known) == ("NIfTI from pictures", False)
    assert [notice.code for notice in scan.notices] == ["from-pictures", "spacing-unknown"]
    assert np.median(scan.hu[:, 130:140, 240:270]) == pytest.approx(42, abs=10)
    assert {path.name for path in out.parent.iterdir()} == {
        "pictures", "ct.nii.gz", "ct.photos.png", "ct.photos.json", "ct.photos.csv",
    }  # fmt: skip


def test_a_given_spacing_is_known(folder, out):
    from CovidCTLib.reading import read_scan

    assert photos(folder, "-o", out, *NUMBERS, "--spacing", 0.7, 0.8, 5) == 0
    scan = read_scan(out)
    assert scan.facts.spacing_known
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 5))
    assert [notice.code for notice in scan.notices] == ["from-pictures"]


def test_automatic_references_are_shown_and_near_the_truth(folder, out, capsys):
    assert photos(folder, "-o", out, "--auto") == 0
    capsys.readouterr()
    record = json.loads((out.parent / "ct.photos.json").read_text(encoding="utf-8"))
    for entry in record["pictures"]:
        assert entry["air"] == pytest.approx(AIR, abs=4)
        assert entry["fat"] == pytest.approx(FAT, abs=4)
        assert entry["method"] == "automatic"


def test_a_mask_painted_on_the_grey_slices_gives_the_references(folder, out, tmp_path, capsys):
    assert photos(folder, "-o", tmp_path / "grey.nii.gz", "--uncalibrated", "--first", "feet") == 0
    grey = sitk.ReadImage(str(tmp_path / "grey.nii.gz"))
    values = sitk.GetArrayFromImage(grey)
    mask = np.zeros(values.shape, np.uint8)
    mask[:2, 4:30, 4:30], mask[:2, 250:262, 24:30] = 3, 5
    painted = sitk.GetImageFromArray(mask)
    painted.CopyInformation(grey)
    # A program that turns the axes must not matter.
    sitk.WriteImage(sitk.DICOMOrient(painted, "RAI"), str(tmp_path / "mask.nrrd"))
    words = ["--references", tmp_path / "mask.nrrd", "--air-label", 3, "--fat-label", 5, "--first", "feet"]
    assert photos(folder, "-o", out, *words) == 0
    said = capsys.readouterr()
    assert "file 3 was left out: no air is painted on it" in said.err
    assert "1 of 3 slices have no references and were left out" in said.err
    with (tmp_path / "ct.photos.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["air"]) == pytest.approx(values[0, 4:30, 4:30].mean(), abs=0.1)
    assert rows[2]["left_out"] == "no air is painted on it"


def test_the_grey_slices_are_refused_as_a_ct(folder, tmp_path, capsys):
    assert photos(folder, "-o", tmp_path / "grey.nii.gz", "--uncalibrated", "--quiet") == 0
    capsys.readouterr()
    assert main(["analyze", str(tmp_path / "grey.nii.gz"), "-o", str(tmp_path / "results")]) == 1
    assert "like an 8-bit picture" in error_of(capsys)


def test_file_names_are_told_on_request_only_and_in_one_line(folder, out, capsys):
    (folder / "Jane\nDoe.txt").write_text("x")
    assert photos(folder, "-o", out, *NUMBERS) == 0
    said = capsys.readouterr()
    assert "file 1 was skipped: no picture" in said.err
    assert "Doe" not in said.err + said.out + (out.parent / "ct.photos.json").read_text(encoding="utf-8")
    assert photos(folder, "-o", out, *NUMBERS, "--names", "--overwrite", "--quiet") == 0
    assert r"file 1 ('Jane\nDoe.txt') was skipped" in error_of(capsys)


def test_nothing_is_overwritten_unless_asked(folder, out, capsys):
    out.write_bytes(b"old")
    assert photos(folder, "-o", out, *NUMBERS) == 1
    assert "Nothing was overwritten; choose another name. Or allow it with --overwrite." in error_of(capsys)
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Exactly one way to the references was expected"),
        (["--auto", *NUMBERS], "--uncalibrated), but 2 were given"),
        (["--air", "3"], "--air and --fat belong together, but --fat is missing"),
        (["--fat", "3"], "--air and --fat belong together, but --air is missing"),
        (["--auto", "--air-label", "3"], "--air-label and --fat-label belong to --references"),
        (["--air", "50", "--fat", "50"], "fat must be brighter than air"),
        ([*NUMBERS, "--spacing", "0", "1", "1"], "The spacing must be three numbers within 0.05 and 20 mm"),
        (["--air", "nan", "--fat", "5"], "a finite number was expected"),
    ],
)
def test_wrong_options_are_one_line_and_code_2(folder, out, capsys, words, message):
    assert photos(folder, "-o", out, *words) == 2
    assert message in error_of(capsys)
    assert not out.exists()


@pytest.mark.parametrize("name", ["ct.nii", "ct.png", ".nii.gz"])
def test_the_output_must_be_a_compressed_nifti(folder, tmp_path, capsys, name):
    assert photos(folder, "-o", tmp_path / name, *NUMBERS) == 2
    assert "The output must be a file that ends in .nii.gz" in error_of(capsys)


def test_an_empty_folder_is_one_line(tmp_path, out, capsys):
    (tmp_path / "empty").mkdir()
    assert photos(tmp_path / "empty", "-o", out, "--auto") == 1
    assert "it holds no files" in error_of(capsys)


def test_a_mask_of_another_grid_is_one_line(folder, out, tmp_path, capsys):
    sitk.WriteImage(sitk.Image([16, 16, 3], sitk.sitkUInt8), str(tmp_path / "mask.nii.gz"))
    assert photos(folder, "-o", out, "--references", tmp_path / "mask.nii.gz") == 1
    assert "grid of the stacked pictures (512 x 512 x 3) was expected" in error_of(capsys)


@pytest.mark.parametrize("argument", ["--auto", "--uncalibrated"])
def test_an_output_in_no_folder_is_one_line(folder, tmp_path, capsys, argument):
    assert photos(folder, "-o", tmp_path / "nowhere" / "ct.nii.gz", argument) == 1
    assert "The output must lie in a folder that exists" in error_of(capsys)
