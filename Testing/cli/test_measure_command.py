"""``covidct measure``: segmentations as users have them, from the arguments to the files."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "segments"))

from segment_maker import a_scan, make_analysis, mask_of, masks, write_masks, write_volume

from CovidCTLib.cli.main import main
from CovidCTLib.pipeline import measure
from CovidCTLib.results import write_results


@pytest.fixture(autouse=True)
def small_lungs(monkeypatch):
    """Let the lungs of these tests, of a few millilitres, pass for those of a chest."""
    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.1)
    # Boxes are no chest; what the checks of the whole scan say of them is not asked here.
    monkeypatch.setattr("CovidCTLib.work.check_scan", lambda *_: ())


@pytest.fixture
def ct(tmp_path):
    return str(write_volume(tmp_path / "ct.nrrd", a_scan().hu))


@pytest.fixture
def results(tmp_path):
    """A folder of earlier results, whose numbers are those of its voxels."""
    analysis = measure(a_scan(), masks(), before=make_analysis())
    write_results(analysis, tmp_path / "results", report=False)
    return tmp_path / "results"


def record(folder):
    return json.loads((Path(folder) / "analysis.json").read_text(encoding="utf-8"))


def rows(folder):
    with (Path(folder) / "measures.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_results_measured_again_give_the_same_numbers(ct, results, tmp_path, capsys):
    assert main(["measure", ct, str(results), "-o", str(tmp_path / "out"), "--no-report"]) == 0
    assert record(tmp_path / "out")["measures"] == record(results)["measures"]
    assert record(tmp_path / "out")["slices"] == record(results)["slices"]
    assert "Results:" in capsys.readouterr().out


def test_a_corrected_segmentation_is_measured_and_the_rest_is_taken_from_the_results(ct, results, tmp_path, capsys):
    labels = {name: mask.astype(np.uint8) for name, mask in masks().items()}
    labels["ggo"][:, :7] = 0
    folder = write_masks(tmp_path / "masks", {**labels, "area A": mask_of("ggo"), "liver": mask_of("ggo")})
    words = ["measure", ct, str(folder), "-o", str(tmp_path / "out"), "--results", str(results)]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "covidct: warning: Opacities corrected by hand" in shown.err
    assert "1 segment is not known and was left out: 'liver'" in shown.out
    assert "(corrected by hand)" in shown.out
    told = record(tmp_path / "out")["provenance"]
    assert (told["lungs"], told["opacities"], told["slices"]) == ("network", "corrected", "before")
    table = rows(tmp_path / "out")
    assert {row["labels_from"] for row in table} == {"opacities corrected by hand"}
    assert any(row["region"] == "area:area A" and row["measure"] == "area_volume_ml" for row in table)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Opacities corrected by hand" in page
    assert "Regions of interest" in page
    assert "opacity volume (U-Net)" not in page


def test_labelmaps_take_their_names_from_words_or_a_table(ct, results, tmp_path):
    labels = np.zeros(a_scan().hu.shape, np.uint8)
    for value, mask in enumerate(masks().values(), start=1):
        labels[mask] = value
    path = write_volume(tmp_path / "labels.nrrd", labels)
    (tmp_path / "table.csv").write_text("value,name\n1,right lung\n2,left lung\n3,ggo\n4,consolidation\n")
    given = (["--labels", "right_lung=1", "left_lung=2", "ggo=3", "consolidation=4"],
             ["--color-table", str(tmp_path / "table.csv")])  # fmt: skip
    for number, words in enumerate(given):
        out = str(tmp_path / f"out{number}")
        assert main(["measure", ct, str(path), "-o", out, "--results", str(results), "--no-report", *words]) == 0
    first, second = (record(tmp_path / f"out{number}")["measures"] for number in range(2))
    assert first == second
    volumes = {(row["region"], row["name"]): row["value"] for row in first}
    assert volumes["both_lungs", "ggo_volume_ml"] == pytest.approx(mask_of("ggo").sum() * 0.0015)


def test_lobes_are_in_summary_table_and_report(ct, results, tmp_path, capsys):
    z = np.arange(a_scan().hu.shape[0])[:, None, None]
    right, left = mask_of("right_lung"), mask_of("left_lung")
    lobes = {
        "lung_upper_lobe_right": right & (z >= 7), "lung_middle_lobe_right": right & (z >= 5) & (z < 7),
        "lung_lower_lobe_right": right & (z < 5), "lung_upper_lobe_left": left & (z >= 6),
        "lung_lower_lobe_left": left & (z < 6),
    }  # fmt: skip
    folder = write_masks(tmp_path / "masks", {**lobes, "ggo": mask_of("ggo")})
    assert main(["measure", ct, str(folder), "-o", str(tmp_path / "out"), "--results", str(results)]) == 0
    assert "Lobes:         severity" in capsys.readouterr().out
    regions = {row["region"] for row in rows(tmp_path / "out")}
    assert {"right_upper_lobe", "left_lower_lobe"} <= regions
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Severity, five lobes" in page
    assert "right middle lobe" in page


def test_thresholds_of_the_classifier_need_it_to_run(ct, results, tmp_path, capsys):
    words = ["measure", ct, str(results), "-o", str(tmp_path / "out"), "--slice-threshold", "0.9"]
    assert main(words) == 2
    assert "slice_threshold must be that of the analysis before" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_kind_of_segmentation(capsys):
    assert main(["measure", "--help"]) == 0
    text = capsys.readouterr().out
    for word in (".seg.nrrd", "--labels", "DICOM SEG", "TotalSegmentator", "--results"):
        assert word in text
