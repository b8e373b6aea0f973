"""``covidct compare`` in the terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from analysis_maker import make_analysis

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.cli.main import DONE, FAILED, WRONG_ARGUMENTS, main
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.results import write_results
from CovidCTLib.results.nifti_file import write_nifti


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two phantoms as files."""
    folder = tmp_path_factory.mktemp("scans")
    files = []
    for seed in (0, 1):
        phantom = make_chest_phantom((40, 72, 72), (6.5, 4.1, 4.1), seed=seed, noise_hu=5.0)
        files.append(folder / f"{seed}.nii.gz")
        write_nifti(files[-1], phantom.scan.hu, phantom.scan.geometry, "phantom")
    return [str(file) for file in files]


def test_slices_that_are_named_need_no_lungs(scans, tmp_path, capsys):
    assert main(["compare", *scans, "-o", str(tmp_path / "out"), "--slices", "20", "21"]) == DONE
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [record["slices"][name]["index_from_feet"] for name in "ab"] == [20, 21]
    said = capsys.readouterr().out
    assert f"A {record['keypoints']['a']}, B {record['keypoints']['b']}" in said
    assert "comparison.html" in said


def test_the_representative_slices_are_taken_where_none_is_named(scans, tmp_path, monkeypatch):
    from CovidCTLib import comparison

    def lungs_in_slice_22(scan, options, models):
        mask = (scan.hu < 10_000).astype("uint8")
        mask[:22] = mask[23:] = 0
        return mask

    monkeypatch.setattr(comparison, "find_lung_mask", lungs_in_slice_22)
    assert main(["compare", *scans, "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [record["slices"][name]["index_from_feet"] for name in "ab"] == [22, 22]
    assert "representative" in record["slices"]["a"]["reason"]


def test_a_folder_of_results_gives_its_ct_and_lungs(tmp_path):
    phantom = make_chest_phantom((40, 72, 72), (6.5, 4.1, 4.1), noise_hu=5.0)
    geometry, hu = phantom.scan.geometry, phantom.scan.hu
    heat = np.zeros(hu.shape, np.float32)
    axial = AxialArrays(hu, phantom.lungs, phantom.opacities, heat, geometry)
    made = make_analysis()
    analysis = replace(
        made, scan=phantom.scan, lungs=phantom.lungs, opacities=phantom.opacities, localization=heat, axial=axial,
        slices=(),
    )  # fmt: skip
    folder = tmp_path / "results"
    write_results(analysis, folder, report=False, scan=True)
    assert main(["compare", str(folder), str(folder), "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    most_lung = int(np.argmax((phantom.lungs > 0).sum(axis=(1, 2))))
    assert record["slices"]["a"]["index_from_feet"] == most_lung
    assert record["matched"] >= 0.9 * record["keypoints"]["a"]


def test_a_folder_of_results_without_its_ct_is_said(scans, tmp_path, capsys):
    write_results(make_analysis(), tmp_path / "without", report=False)
    assert main(["compare", str(tmp_path / "without"), scans[0], "-o", str(tmp_path / "out")]) == FAILED
    assert "Scan A: A CT was expected, but this folder of results holds none" in capsys.readouterr().err


def test_the_scan_that_cannot_be_read_is_named(scans, tmp_path, capsys):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    assert main(["compare", scans[0], str(broken), "-o", str(tmp_path / "out"), "--slices", "20", "20"]) == FAILED
    assert "covidct: Scan B: " in capsys.readouterr().err


def test_the_grid_of_both_cts_can_be_given(scans, tmp_path, monkeypatch):
    from CovidCTLib import reading

    asked = []
    real = reading.read_scan

    def read_scan(path, **options):
        asked.append(options)
        return real(path, **options)

    monkeypatch.setattr(reading, "read_scan", read_scan)
    words = ["--geometry", "qform", "--spacing", "6", "4", "4.5", "--assume-axial", "--slices", "20", "21", "--quiet"]
    assert main(["compare", *scans, "-o", str(tmp_path / "out"), *words]) == DONE
    assert asked == 2 * [{"assume_axial": True, "geometry": "qform", "spacing_zyx_mm": (6.0, 4.0, 4.5)}]


def test_a_wrong_spacing_is_said_with_its_option(scans, tmp_path, capsys):
    words = ["--spacing", "0", "4", "4", "--slices", "20", "21"]
    assert main(["compare", *scans, "-o", str(tmp_path / "out"), *words]) == WRONG_ARGUMENTS
    said = capsys.readouterr().err
    assert "The spacing must be three numbers from 0.05 to 50 mm (slices, rows, columns), not 0 4 4" in said
    assert "--spacing Z Y X" in said


def test_the_page_stands_on_paper_too_where_that_is_asked_for(scans, tmp_path, capsys):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    out = tmp_path / "out"
    assert main(["compare", *scans, "-o", str(out), "--slices", "20", "21", "--pdf"]) == DONE
    assert (out / "comparison.pdf").read_bytes().startswith(b"%PDF-")
    assert f"PDF:           {out / 'comparison.pdf'}" in capsys.readouterr().out


def test_a_slice_outside_the_scan_is_a_wrong_argument(scans, tmp_path, capsys):
    assert main(["compare", *scans, "-o", str(tmp_path / "out"), "--slices", "20", "40"]) == WRONG_ARGUMENTS
    said = capsys.readouterr().err
    assert "Scan B: A slice from 0 to 39 (counted from the feet) was expected, but 40 was given" in said
    assert not (tmp_path / "out").exists()
