"""Our DICOM results, read back: the same voxels and numbers, and a plain refusal of what is not whole."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from CovidCTLib import dicom_results
from CovidCTLib.cli.main import main
from CovidCTLib.dicom_results import (
    find_dicom_results,
    holds_dicom_results,
    read_dicom_results,
    read_segments,
    write_dicom,
)
from CovidCTLib.dicom_results.reading_back import read_stored
from CovidCTLib.dicom_results.reading_measurements import read_measurements
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import CONSOLIDATION, GGO, LEFT_LUNG, RIGHT_LUNG


@pytest.fixture
def a_copy(results, tmp_path):
    """The DICOM results, to be changed."""
    return shutil.copytree(results, tmp_path / "copy")


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_the_round_trip_gives_the_same_voxels_and_numbers(an_analysis, tmp_path, kind):
    write_dicom(an_analysis, tmp_path / "dicom", kind=kind)
    found = read_dicom_results(tmp_path / "dicom", an_analysis.scan)
    assert np.array_equal(found.lungs, an_analysis.lungs)
    assert np.array_equal(found.opacities, an_analysis.opacities)
    assert np.array_equal(found.localization, an_analysis.localization)
    assert found.measures == an_analysis.measures
    assert (found.case, found.notices, found.models) == (an_analysis.case, an_analysis.notices, an_analysis.models)
    assert found.scan.geometry == an_analysis.scan.geometry


def test_the_numbers_of_the_content_tree_are_those_of_the_analysis_to_the_last_bit(results, an_analysis):
    told = {
        (entry.region, entry.name): entry.value
        for entry in read_measurements(pydicom.dcmread(results / "measurements.dcm"))
    }
    kept = {(entry.region, entry.name): entry.value for entry in an_analysis.measures if entry.value is not None}
    assert told == kept
    assert len(kept) == 9


def test_results_are_found_among_the_ct_without_it_and_not_where_there_are_none(results, ct_folder, tmp_path):
    study = shutil.copytree(ct_folder, tmp_path / "study")
    assert not holds_dicom_results(study)
    with pytest.raises(InputError, match="the folder holds none"):
        read_dicom_results(study)
    shutil.copytree(results, study / "results")
    (found,) = find_dicom_results(study)
    assert found.report.name == "measurements.dcm"
    assert read_dicom_results(study).scan.hu.max() == -1024
    assert find_dicom_results(tmp_path / "nowhere") == ()


def test_results_in_a_zip_archive_are_read(results, tmp_path, an_analysis):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", results)
    assert read_dicom_results(archive).measures == an_analysis.measures


def test_two_analyses_in_a_folder_are_refused(a_copy, an_analysis):
    write_dicom(replace(an_analysis, models=()), a_copy / "second")
    with pytest.raises(InputError, match="holds 2"):
        read_dicom_results(a_copy)


def test_a_missing_segmentation_is_refused_and_a_missing_localization_noted(a_copy):
    (a_copy / "localization.dcm").unlink()
    found = read_dicom_results(a_copy)
    assert found.notices[-1].code == "localization-not-stored"
    assert not found.localization.any()
    (a_copy / "segmentation.dcm").unlink()
    with pytest.raises(InputError, match="1 segmentations"):
        read_dicom_results(a_copy)


def test_a_damaged_segmentation_is_refused(a_copy):
    made = pydicom.dcmread(a_copy / "segmentation.dcm")
    made.PixelData = made.PixelData[:100]
    made.save_as(a_copy / "segmentation.dcm")
    with pytest.raises(InputError, match="content is damaged"):
        read_dicom_results(a_copy)


def test_an_sr_that_another_program_changed_is_refused(a_copy):
    made = pydicom.dcmread(a_copy / "measurements.dcm")
    pending = [made]
    while pending:
        item = pending.pop(0)
        if item.get("ValueType") == "NUM":
            item.MeasuredValueSequence[0].FloatingPointValue = 12345.0
            break
        pending.extend(item.get("ContentSequence", ()))
    made.save_as(a_copy / "measurements.dcm")
    with pytest.raises(InputError, match="1 differ"):
        read_dicom_results(a_copy)


@pytest.mark.parametrize("content", [b"\x00\x01", b"x" * 40])
def test_a_damaged_record_is_refused(a_copy, content):
    made = pydicom.dcmread(a_copy / "measurements.dcm")
    made.private_block(0x0073, "COVIDCT RECORD")[1].value = content
    made.save_as(a_copy / "measurements.dcm")
    with pytest.raises(InputError, match="Analyze the CT again"):
        read_dicom_results(a_copy)


def test_a_localization_out_of_range_or_damaged_is_refused(a_copy):
    made = pydicom.dcmread(a_copy / "localization.dcm")
    made.FloatPixelData = np.full(len(made.FloatPixelData) // 4, 2, "<f4").tobytes()
    made.save_as(a_copy / "localization.dcm")
    with pytest.raises(InputError, match="values from 0 to 1"):
        read_dicom_results(a_copy)
    made.FloatPixelData = made.FloatPixelData[:16]
    made.save_as(a_copy / "localization.dcm")
    with pytest.raises(InputError, match="parametric map is damaged"):
        read_dicom_results(a_copy)


def test_segments_are_read_onto_the_ct_for_measuring_and_no_other_grid(results, an_analysis):
    segments = read_segments(results / "segmentation.dcm", an_analysis.scan.geometry)
    assert set(segments) == {RIGHT_LUNG, LEFT_LUNG, GGO, CONSOLIDATION}
    assert np.array_equal(segments[GGO], an_analysis.opacities == 1)
    with pytest.raises(InputError, match="lie elsewhere"):
        read_segments(results / "segmentation.dcm", Geometry((12, 20, 24), (0.75, 0.8, 2.5)))
    with pytest.raises(InputError, match="lie elsewhere"):
        read_segments(results / "segmentation.dcm", replace(an_analysis.scan.geometry, shape_zyx=(12, 20, 25)))


def test_other_objects_are_no_segments(results, an_analysis, ct_folder, tmp_path):
    with pytest.raises(InputError, match="type is"):
        read_segments(results / "report.dcm", an_analysis.scan.geometry)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(InputError, match="damaged or cut off"):
        read_segments(tmp_path / "text.dcm", an_analysis.scan.geometry)


def test_the_report_is_made_of_a_study_from_the_archive(results, ct_folder, tmp_path, capsys):
    out = tmp_path / "report"
    assert main(["report", str(results), "--ct", str(ct_folder), "-o", str(out)]) == 0
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "analysis.json").is_file()
    assert main(["report", str(results)]) == 2
    assert "Name a new folder" in capsys.readouterr().err
    assert main(["report", str(out), "-o", str(tmp_path / "other")]) == 2
    assert "Leave -o out" in capsys.readouterr().err


def test_a_follow_up_takes_studies_from_the_archive_without_a_new_analysis(results, an_analysis, tmp_path, capsys):
    later = shutil.copytree(results, tmp_path / "later")
    made = pydicom.dcmread(later / "measurements.dcm")
    made.StudyDate = "20200401"
    made.save_as(later / "measurements.dcm")
    out = tmp_path / "course"
    assert main(["followup", str(results), str(later), "-o", str(out), "--no-registration", "--quiet"]) == 0
    told = (out / "followup.csv").read_text(encoding="utf-8")
    assert "2020-03-17" in told
    assert "2020-04-01" in told
    assert "different patients" not in capsys.readouterr().err


def change_record(file, change):
    """Change the record in an SR; None takes it out."""
    report = pydicom.dcmread(file)
    block = report.private_block(0x0073, "COVIDCT RECORD")
    if change is None:
        del block[1]
    else:
        record = json.loads(zlib.decompress(bytes(block[1].value)))
        change(record)
        packed = zlib.compress(json.dumps(record).encode())
        block[1].value = packed + b"\0" * (len(packed) % 2)
    report.save_as(file)


@pytest.mark.parametrize("change", [lambda record: record.pop("geometry"), lambda record: record.update(geometry={})])
def test_a_record_without_a_usable_grid_is_damaged(a_copy, change):
    change_record(a_copy / "measurements.dcm", change)
    with pytest.raises(InputError, match="geometry"):
        read_dicom_results(a_copy)


def test_an_sr_whose_record_goes_while_it_is_read_is_damaged(a_copy):
    (stored,) = find_dicom_results(a_copy)
    change_record(a_copy / "measurements.dcm", None)
    with pytest.raises(InputError, match="record"):
        read_stored(stored)
    # Without its record it is an SR of another program.
    assert find_dicom_results(a_copy) == ()


def test_the_package_gives_no_names_but_its_own():
    with pytest.raises(AttributeError, match=r"'CovidCTLib\.dicom_results' has no attribute 'write_dicm'"):
        _ = dicom_results.write_dicm
