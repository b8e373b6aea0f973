"""Patient data: marked in every text field, and looked for in everything that CovidCT writes or says."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import broken_files as broken
import pytest
from mark_search import SECRETS, WRITTEN_DATES, assert_clean, leaks
from marked_files import (
    IDENTIFIED,
    MARK,
    NUMBER,
    TYPED,
    marked_meta_image,
    marked_nifti,
    marked_nrrd,
    marked_pictures,
    text_fields,
)

from CovidCTLib.errors import CovidCTError
from CovidCTLib.reading.identifiers import known_kernel, known_maker
from CovidCTLib.report.content import IDENTIFIED as SAID_IN_THE_REPORT


def test_every_kind_of_text_that_ct_can_hold_is_marked(series):
    folder, marks = series
    assert {kind for _, kind in text_fields()} == {"AE", "CS", "SH", "LO", "PN", "ST", "LT", "UC", "UT", "UR"}
    assert len(marks) > 1300
    assert {"PatientName", "ConvolutionKernel", "Manufacturer", "StudyDescription", "InstitutionName"} <= set(marks)
    content = next(folder.rglob("*.dcm")).read_bytes()
    assert content.count(MARK.encode()) > 1000


@pytest.mark.parametrize("options", [(), ("--progress", "json"), ("--debug",), ("--assume-axial", "--no-report")])
def test_the_results_of_a_marked_dicom_folder_tell_nothing(program, series, tmp_path, options):
    done = program("analyze", series[0], "-o", tmp_path / "out", *options)
    assert done.code == 0, done.err
    assert_clean(tmp_path / "out")
    assert TYPED not in done.out
    record = json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))
    assert record["identifiers"] is None
    assert (record["scan"]["kernel"], record["scan"]["manufacturer"]) == ("other", "other")


def test_the_study_date_alone_comes_where_it_is_asked_for(program, series, tmp_path):
    others = tuple(secret for secret in SECRETS if secret != WRITTEN_DATES[1])
    assert program("analyze", series[0], "-o", tmp_path / "out", "--study-date", secrets=others).code == 0
    assert_clean(tmp_path / "out", (*others, TYPED))
    assert WRITTEN_DATES[1] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_with_identifiers_lets_five_fields_through_and_says_so(program, series, tmp_path):
    done = program("analyze", series[0], "-o", tmp_path / "out", "--with-identifiers")
    assert done.code == 0
    assert "warning: These results hold patient data because that was asked for (--with-identifiers)" in done.err
    marks = {keyword: series[1][keyword] for keyword in IDENTIFIED}
    record = json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))
    assert record["identifiers"] == {
        "patient_name": marks["PatientName"],
        "patient_id": marks["PatientID"],
        "birth_date": WRITTEN_DATES[0],
        "study_description": marks["StudyDescription"],
        "study_date": WRITTEN_DATES[1],
    }
    # The marked RescaleType is a unit that nobody knows, which is said without its text.
    codes = [notice["code"] for notice in record["notices"]]
    assert (codes[0], "unknown-unit" in codes) == ("patient-data", True)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert SAID_IN_THE_REPORT in report
    for value in record["identifiers"].values():
        assert value in report
    for name in ("analysis.json", "report.html"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        for value in record["identifiers"].values():
            text = text.replace(value, "")
        assert not leaks(text, (*SECRETS, TYPED)), "no other field comes through"
        (tmp_path / "out" / name).unlink()
    assert_clean(tmp_path / "out")


def test_without_identifiers_in_a_file_the_option_says_so(program, tmp_path):
    path = marked_nifti(tmp_path / "ct.nii.gz")
    assert program("analyze", path, "-o", "out", "--with-identifiers").code == 0
    record = json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))
    assert set(record["identifiers"].values()) == {None}
    assert record["notices"][0]["text"].startswith("Patient data were asked for (--with-identifiers), but the file")
    assert_clean(tmp_path / "out")


@pytest.mark.parametrize("options", [(), ("--json",), ("--debug",)])
def test_the_list_of_series_tells_nothing(program, series, options):
    done = program("series", series[0], *options)
    assert done.code == 0
    assert "other" in done.out


@pytest.mark.parametrize(
    ("make", "name"),
    [(marked_nifti, "ct.nii.gz"), (marked_nrrd, "ct.nrrd"), (marked_meta_image, "ct.mha")],
    ids=["NIfTI", "NRRD", "MetaImage"],
)
def test_the_results_of_marked_volume_files_tell_nothing(program, tmp_path, make, name):
    home = tmp_path / TYPED
    home.mkdir()
    done = program("analyze", make(home / name), "-o", "out")
    assert done.code == 0, done.err
    assert_clean(tmp_path / "out")


def test_a_marked_archive_is_unpacked_under_other_names(program, series, tmp_path):
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(series[0].rglob("*.dcm")):
            archive.write(file, file.relative_to(series[0]))
    done = program("analyze", path, "-o", "out")
    assert done.code == 0
    assert any("covidct-zip-" in name for name in done.names), "temporary names were watched"
    assert any(".covidct-partial-" in name for name in done.names)
    assert_clean(tmp_path / "out")


def test_pictures_are_called_by_their_numbers(program, tmp_path):
    folder = marked_pictures(tmp_path / "pictures")
    done = program("photos", folder, "-o", "out.nii.gz", "--air", "10", "--fat", "100")
    assert done.code == 0
    assert "was skipped" in done.err
    results = tmp_path / "results"
    results.mkdir()
    for path in tmp_path.glob("out.*"):
        path.rename(results / path.name)
    assert len(list(results.iterdir())) == 4
    assert_clean(results)


def _cut(folder):
    for path in folder.rglob("*.dcm"):
        broken.cut(path, len(path.read_bytes()) - 300)


def _cut_headers(folder):
    for path in folder.rglob("*.dcm"):
        broken.cut(path, 3000)


def _garbled(folder):
    """Spoil numbers whose parsing quotes the value."""
    from dicom_maker import edit

    for path in folder.rglob("*.dcm"):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"-1024", MARK[:5].encode()))
        edit(path, ImagePositionPatient=None)


def _no_positions(folder):
    from dicom_maker import edit

    for path in folder.rglob("*.dcm"):
        edit(path, ImagePositionPatient=None)


def _unreadable(folder):
    """Put folders where files are expected, with marked names."""
    for path in folder.rglob("*.dcm"):
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("spoil", [_cut, _cut_headers, _garbled, _no_positions, _unreadable])
@pytest.mark.parametrize("words", [("analyze", "-o", "out"), ("series",), ("analyze", "-o", "out", "--debug")])
def test_no_error_quotes_a_header_or_a_name(program, series, tmp_path, spoil, words):
    import shutil

    folder = tmp_path / "in"
    shutil.copytree(series[0], folder)
    spoil(folder)
    done = program(words[0], folder, *words[1:])
    if words[0] == "analyze":
        assert done.code == 1
        assert not (tmp_path / "out").exists()
    assert "CovidCT made a mistake" not in done.err


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("ct.nii.gz", lambda path: broken.cut(marked_nifti(path), 700)),
        ("ct.nrrd", lambda path: broken.cut(marked_nrrd(path), 700)),
        ("ct.mha", lambda path: broken.cut(marked_meta_image(path), 700)),
        ("ct.nrrd", lambda path: path.write_text(f"NRRD0005\ntype: {MARK}\n\n")),
        ("ct.mha", lambda path: path.write_text(f"NDims = {MARK}\nElementDataFile = {MARK}\n")),
        ("ct.mhd", lambda path: broken.meta_image(path, ElementDataFile=f"{MARK}.raw")),
    ],
)
def test_no_error_quotes_a_volume_file(program, tmp_path, name, make):
    make(tmp_path / name)
    done = program("analyze", tmp_path / name, "-o", "out", "--debug")
    assert done.code == 1
    assert not (tmp_path / "out").exists()


def test_the_exceptions_of_the_library_hold_no_mark_however_deep(series, tmp_path):
    import shutil

    from CovidCTLib import read_scan

    for number, spoil in enumerate((_cut, _cut_headers, _garbled, _no_positions)):
        folder = tmp_path / str(number)
        shutil.copytree(series[0], folder)
        spoil(folder)
        with pytest.raises(CovidCTError) as caught:
            read_scan(folder)
        error = caught.value
        while error is not None:
            assert not leaks(str(error) + repr(error.args))
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_path_that_the_user_typed_comes_back_on_the_terminal_only(program, tmp_path):
    done = program("analyze", tmp_path / TYPED / "none.nii.gz", "-o", "out", "--progress", "json")
    assert TYPED in done.err
    assert not (tmp_path / "out").exists()


def test_the_scene_file_holds_nothing_of_the_volume_but_its_name(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "CovidCT"))
    from CovidCTScene import addAnalysisToScene, scanFromVolumeNode
    from scene_analysis import made_analysis
    from scene_maker import SceneWithLogics, added_volume

    from CovidCTLib.geometry import Geometry

    logics = SceneWithLogics()
    try:
        analysis = made_analysis(Geometry((9, 20, 24)))
        volume = added_volume(logics.scene, analysis.scan.hu, analysis.scan.geometry)
        volume.SetAttribute("DICOM.instanceUIDs", f"1.2.826.{NUMBER}")
        volume.SetAttribute("PatientName", f"{MARK}00001")
        volume.SetDescription(f"{MARK}00002")
        scan = scanFromVolumeNode(volume)
        addAnalysisToScene(logics.scene, volume, replace(analysis, scan=scan))
        # What was there before is the user's own; the results must not have taken anything from it.
        volume.RemoveAttribute("DICOM.instanceUIDs")
        volume.RemoveAttribute("PatientName")
        volume.SetDescription("")
        bundle = tmp_path / "scene.mrb"
        assert logics.scene.WriteToMRB(str(bundle))
    finally:
        logics.close()
    home = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(home)
    assert_clean(home)


def test_the_search_finds_what_it_looks_for(tmp_path):
    for name, content in (
        ("a.nii.gz", gzip.compress(MARK.encode())),
        ("b.html", b"src='data:image/png;base64," + base64.b64encode(b"x" + MARK.lower().encode()) + b"'"),
        ("c.seg.nrrd", b"NRRD\n\n" + gzip.compress(MARK.encode("utf-16-le"))),
    ):
        path = tmp_path / name / name
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(AssertionError):
            assert_clean(path.parent)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("B60f", "B60f"), ("Br40d\\3", "Br40d\\3"), ("FC08-H", "FC08-H"), ("BONEPLUS", "BONEPLUS"), ("C", "C"),
     (None, None), ("DOE^JANE", "other"), ("Doe", "other"), ("B60f Doe", "other"), ("B60f\\Doe", "other")],
)  # fmt: skip
def test_a_kernel_is_shown_only_where_it_is_a_known_one(text, shown):
    assert known_kernel(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("SIEMENS", "SIEMENS"), ("Siemens Healthineers", "SIEMENS"), ("GE MEDICAL SYSTEMS", "GE"), ("Philips", "PHILIPS"),
     ("GERDA DOE", "other"), ("DOE^JANE", "other"), (None, None)],
)  # fmt: skip
def test_a_maker_is_shown_only_where_it_is_a_known_one(text, shown):
    assert known_maker(text) == shown
