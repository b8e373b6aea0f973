"""The DICOM objects: held against validators and other readers, and that they belong into the study."""

from __future__ import annotations

import json
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from analysis_maker import CONSOLIDATION_BOX, GGO_BOX, LEFT_BOX, RIGHT_BOX
from repository_terms import terminology
from study_maker import FRAME_OF_REFERENCE, NAME, NUMBER, analyzed, write_ct

from CovidCTLib.analysis import ModelUsed
from CovidCTLib.dicom_results import in_sending_order, write_dicom
from CovidCTLib.dicom_results.codes import LOBES
from CovidCTLib.errors import CovidCTError, InputError, OutputError
from CovidCTLib.reading import read_scan

KNOWN_WARNINGS = (
    # dciodvfy knows no private schemes, and not the terms of parametric maps that are newer than its table.
    "Unrecognized defined term <99COVIDCT>",
    "Unrecognized defined term <QUANTITY>",
    "Unrecognized tag - assuming explicit value representation OK",
    # Both lungs are shown, so that no side can be given.
    "attribute <Laterality>",
    # The source of this test has no StudyID, which only media with a DICOMDIR need.
    "needed to build DICOMDIR - Study ID",
)
"""Warnings of dciodvfy that are right to stay, each explained in docs/archive.md."""


def loaded(folder):
    return {path.stem: pydicom.dcmread(path) for path in folder.glob("*.dcm")}


def test_dciodvfy_finds_no_error_and_only_the_known_warnings(results, validate):
    for path in in_sending_order(results):
        _, lines = validate("dciodvfy", path)
        assert not [line for line in lines if "Error" in line or "Abort" in line], (path.name, lines)
        warnings = [line for line in lines if "Warning" in line]
        assert not [line for line in warnings if not any(known in line for known in KNOWN_WARNINGS)], path.name


def test_dsrdump_reads_the_report_and_says_that_nobody_verified_it(results, validate):
    code, lines = validate("dsrdump", results / "measurements.dcm")
    assert code == 0
    text = "\n".join(lines)
    assert "UNVERIFIED" in text
    assert 'NUM:(,,"Volume")' in text
    assert '"Ground glass opacity"' in text
    assert not [line for line in lines if line.startswith(("E:", "F:"))]


def test_viewers_show_six_digits_and_programs_get_the_last_bit(results, an_analysis):
    pending, shown = [pydicom.dcmread(results / "measurements.dcm")], {}
    while pending:
        item = pending.pop()
        pending.extend(item.get("ContentSequence", ()))
        if item.get("ValueType") == "NUM":
            value = item.MeasuredValueSequence[0]
            shown[item.ContentSequence[0].TextValue] = (str(value.NumericValue), value.FloatingPointValue)
    volume = an_analysis.measure("both_lungs", "volume_ml").value
    assert shown["both_lungs.volume_ml"] == (f"{volume:.6g}", volume)
    assert all(len(text.strip("-").replace(".", "").lstrip("0")) <= 6 or "e" in text for text, _ in shown.values())
    assert all(float(text) == pytest.approx(number, rel=1e-5) for text, number in shown.values())


def test_all_objects_are_of_the_source_study_with_new_series(results, ct_folder):
    source = pydicom.dcmread(next(ct_folder.glob("*.dcm")))
    objects = loaded(results)
    assert {made.Modality for made in objects.values()} == {"SEG", "SR", "DOC", "OT"}
    assert len({made.SOPInstanceUID for made in objects.values()}) == len(objects)
    for made in objects.values():
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert (str(made.PatientName), made.PatientID) == (NAME, NUMBER)
        assert made.SpecificCharacterSet == "ISO_IR 192"
        assert "research" in made.SeriesDescription
        assert len(made.SeriesDescription) <= 64
    series = {made.SeriesInstanceUID for made in objects.values()}
    assert len(series) == len({made.SeriesNumber for made in objects.values()}) == 5


def test_the_same_analysis_gives_the_same_uids_and_another_gives_others(an_analysis, results, tmp_path):
    again = replace(an_analysis, seconds={"lungs": 99.0})
    write_dicom(again, tmp_path / "again")
    other = replace(an_analysis, models=(ModelUsed("lungs", "2", "cd" * 32),))
    write_dicom(other, tmp_path / "other")
    uids = {name: made.SOPInstanceUID for name, made in loaded(results).items()}
    assert {name: made.SOPInstanceUID for name, made in loaded(tmp_path / "again").items()} == uids
    assert not {made.SOPInstanceUID for made in loaded(tmp_path / "other").values()} & set(uids.values())


def test_highdicom_reads_the_segmentation_with_our_voxels_codes_and_colours(results, an_analysis):
    made = highdicom.seg.segread(results / "segmentation.dcm")
    assert made.FrameOfReferenceUID == FRAME_OF_REFERENCE
    volume = made.get_volume(combine_segments=False, rescale_fractional=False)
    # highdicom's volumes run along their own order of planes; positions say where each lies.
    expected = {1: RIGHT_BOX, 2: LEFT_BOX, 3: GGO_BOX, 4: CONSOLIDATION_BOX}
    lowest = min(box[0].start for box in expected.values())
    for number, box in expected.items():
        mask = np.zeros((12, 20, 24), bool)
        mask[box] = True
        array = volume.array[..., number - 1]
        if volume.affine[2, 0] < 0:
            array = array[::-1]
        assert np.array_equal(array, mask[lowest : lowest + len(array)]), number
    terms = terminology()
    for item in made.SegmentSequence:
        kind, category = item.SegmentedPropertyTypeCodeSequence[0], item.SegmentedPropertyCategoryCodeSequence[0]
        modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence")
        key = (category.CodeValue, kind.CodeValue, modifiers[0].CodeValue if modifiers else None)
        red, green, blue = terms[key]
        expected_colour = highdicom.color.CIELabColor.from_rgb(red, green, blue)
        assert tuple(item.RecommendedDisplayCIELabValue) == tuple(expected_colour.value)
        assert item.SegmentAlgorithmType == "AUTOMATIC"


def test_each_frame_names_the_slice_that_it_lies_on(results, ct_folder):
    slices = {}
    for path in ct_folder.glob("*.dcm"):
        one = pydicom.dcmread(path)
        slices[one.SOPInstanceUID] = [float(v) for v in one.ImagePositionPatient]
    made = pydicom.dcmread(results / "segmentation.dcm")
    assert int(made.NumberOfFrames) == 8 + 8 + 3 + 2
    for item in made.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        position = [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient]
        assert np.allclose(position, slices[reference.ReferencedSOPInstanceUID], atol=1e-6)


def test_label_maps_hold_lungs_and_findings_apart(an_analysis, tmp_path):
    write_dicom(an_analysis, tmp_path / "dicom", kind="labelmap")
    lungs = pydicom.dcmread(tmp_path / "dicom" / "segmentation_1.dcm")
    findings = pydicom.dcmread(tmp_path / "dicom" / "segmentation_2.dcm")
    assert lungs.SegmentationType == findings.SegmentationType == "LABELMAP"
    assert [item.SegmentLabel for item in findings.SegmentSequence][-2:] == ["ground-glass opacity", "consolidation"]
    pixels = np.frombuffer(lungs.PixelData, np.uint8)
    assert {int(v) for v in np.unique(pixels)} == {0, 1, 2}
    assert int((pixels == 1).sum()) == 8 * 12 * 8


def test_effusion_and_lobes_are_segments_where_they_are_given(an_analysis, tmp_path):
    opacities = an_analysis.opacities.copy()
    opacities[0, 0, :5] = 3
    lobes = np.zeros_like(opacities)
    for value in range(1, 6):
        lobes[value + 1, 5] = value
    write_dicom(replace(an_analysis, opacities=opacities), tmp_path / "dicom", lobes=lobes)
    made = highdicom.seg.segread(tmp_path / "dicom" / "segmentation.dcm")
    names = [item.SegmentLabel for item in made.SegmentSequence]
    assert names[4] == "pleural effusion"
    assert names[5:] == [code.meaning.lower() for code in LOBES.values()]
    effusion = made.PerFrameFunctionalGroupsSequence
    counted = sum(int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber) == 5 for item in effusion)
    assert counted == 1


@pytest.mark.parametrize("lobes", [np.zeros((2, 2, 2), np.uint8), np.full((12, 20, 24), 6, np.uint8)])
def test_lobes_that_do_not_fit_are_refused(an_analysis, tmp_path, lobes):
    with pytest.raises(InputError, match="Lobes must be uint8 from 0 to 5"):
        write_dicom(an_analysis, tmp_path / "dicom", lobes=lobes)
    assert not (tmp_path / "dicom").exists()


def test_nothing_found_still_makes_valid_objects(an_analysis, tmp_path, validate):
    empty = np.zeros_like(an_analysis.opacities)
    nothing = replace(an_analysis, lungs=empty, opacities=empty, localization=np.zeros_like(an_analysis.localization))
    write_dicom(nothing, tmp_path / "dicom")
    made = pydicom.dcmread(tmp_path / "dicom" / "segmentation.dcm")
    assert not any(made.PixelData)
    _, lines = validate("dciodvfy", tmp_path / "dicom" / "segmentation.dcm")
    assert not [line for line in lines if "Error" in line]


def test_the_report_names_devices_models_units_and_the_segmentation(results):
    report = highdicom.sr.srread(results / "measurements.dcm")
    assert report.VerificationFlag == "UNVERIFIED"
    segmentation = pydicom.dcmread(results / "segmentation.dcm", stop_before_pixels=True)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["right_lung", "left_lung", "ggo", "consolidation"]
    for number, group in enumerate(groups, start=1):
        item = next(i for i in group[0].ContentSequence if i.ValueType == "IMAGE")
        told = item.ReferencedSOPSequence[0]
        assert told.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert int(told.ReferencedSegmentNumber) == number
    volume = groups[0].get_measurements()[0]
    assert (volume.unit.value, volume.unit.scheme_designator) == ("ml", "UCUM")
    observer = report.content.get_observer_contexts()[0]
    assert observer.observer_type.meaning == "Device"
    text = json.dumps(report.to_json_dict())
    assert "ab" * 32 in text
    assert "The region holds no lung." in text
    assert "Research software, not a medical device." in text


def test_the_pdf_and_the_pictures_can_be_opened(results):
    report = pydicom.dcmread(results / "report.dcm")
    assert report.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert report.EncapsulatedDocument.startswith(b"%PDF")
    assert len(report.EncapsulatedDocument) - report.EncapsulatedDocumentLength in (0, 1)
    pictures = sorted(results.glob("key_picture_*.dcm"))
    assert len(pictures) == 6
    for path in pictures:
        made = pydicom.dcmread(path)
        assert made.PhotometricInterpretation == "RGB"
        assert made.pixel_array.std() > 1


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"PatientName": None, "PatientID": None, "StudyDate": None}, ""),
        ({"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "SpecificCharacterSet": "ISO_IR 192"},
         "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ({"PatientName": "ИВАНОВ^ИВАН", "SpecificCharacterSet": "ISO_IR 144"}, "ИВАНОВ^ИВАН"),
        ({"PatientBirthDate": "19431301X", "PatientSex": "weiblich", "StudyTime": "25:00"}, NAME),
    ],
    ids=["nameless", "japanese", "cyrillic", "bad values"],
)  # fmt: skip
def test_names_of_all_scripts_and_missing_tags_give_valid_objects(tmp_path, validate, changes, name):
    # Values that break their rules are what some scanners write.
    level = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        write_ct(tmp_path / "ct", **changes)
    finally:
        pydicom.config.settings.writing_validation_mode = level
    write_dicom(analyzed(tmp_path / "ct"), tmp_path / "dicom")
    for made in loaded(tmp_path / "dicom").values():
        assert str(made.PatientName) == name
        assert "PatientBirthDate" in made
        assert made.PatientBirthDate in ("", None)
    for name_of_file in ("segmentation", "measurements", "report"):
        _, lines = validate("dciodvfy", tmp_path / "dicom" / f"{name_of_file}.dcm")
        assert not [line for line in lines if "Error" in line], lines


def test_the_terminal_writes_them_beside_the_other_results_or_nothing(ct_folder, tmp_path, monkeypatch, capsys):
    from analysis_maker import make_analysis

    from CovidCTLib.cli.main import main

    monkeypatch.setattr("CovidCTLib.pipeline.analyze", lambda scan, *_, **__: replace(make_analysis(), scan=scan))
    out = tmp_path / "out"
    assert main(["analyze", str(ct_folder), "-o", str(out), "--dicom-labelmap", "--no-report"]) == 0
    names = {path.name for path in (out / "dicom").iterdir()}
    assert {"segmentation_1.dcm", "segmentation_2.dcm", "measurements.dcm", "report.dcm", "localization.dcm"} <= names
    assert "with the patient's data" in capsys.readouterr().out
    assert NUMBER not in (out / "analysis.json").read_text(encoding="utf-8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("CovidCTLib.dicom_results.output.write_objects", full)
    monkeypatch.setattr("CovidCTLib.dicom_results.write_objects", full, raising=False)
    assert main(["analyze", str(ct_folder), "-o", str(tmp_path / "other"), "--dicom"]) == 1
    assert "more space" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_frames_of_an_enhanced_ct_are_named_one_by_one(tmp_path):
    from analysis_maker import make_analysis
    from dicom_maker import enhanced_dataset, save

    analysis = make_analysis()
    made = enhanced_dataset(analysis.scan.hu)
    made.FrameOfReferenceUID = FRAME_OF_REFERENCE
    save(made, tmp_path / "ct" / "one.dcm")
    scan = read_scan(tmp_path / "ct", with_source=True)
    write_dicom(replace(analysis, scan=scan), tmp_path / "dicom")
    segmentation = pydicom.dcmread(tmp_path / "dicom" / "segmentation.dcm")
    frames = set()
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == made.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == made.SOPClassUID
        position = float(item.PlanePositionSequence[0].ImagePositionPatient[2])
        source = made.PerFrameFunctionalGroupsSequence[int(reference.ReferencedFrameNumber) - 1]
        assert position == float(source.PlanePositionSequence[0].ImagePositionPatient[2])
        frames.add(int(reference.ReferencedFrameNumber))
    assert frames == set(range(3, 11))
    (series,) = segmentation.ReferencedSeriesSequence
    assert len(series.ReferencedInstanceSequence) == 1


def test_an_analysis_without_source_is_refused(an_analysis, tmp_path):
    with pytest.raises(InputError, match="read with its source"):
        write_dicom(replace(an_analysis, scan=replace(an_analysis.scan, source=None)), tmp_path / "dicom")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"])
def test_a_source_without_uids_is_refused(tmp_path, keyword):
    write_ct(tmp_path / "ct", **{keyword: ""})
    with pytest.raises(InputError, match=keyword):
        read_scan(tmp_path / "ct", with_source=True)


def test_a_source_whose_files_went_away_is_refused(tmp_path):
    from CovidCTLib.reading.dicom_series import gather_series
    from CovidCTLib.reading.dicom_source import read_source

    write_ct(tmp_path / "ct")
    folder = gather_series(sorted((tmp_path / "ct").iterdir()))
    frames = folder.series[0].stack.frames
    frames[0].path.unlink()
    with pytest.raises(InputError, match="gone or damaged"):
        read_source(frames)


def test_a_folder_with_content_is_refused(an_analysis, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="empty"):
        write_dicom(an_analysis, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_highdicom_one_line_says_so(an_analysis, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(CovidCTError, match="DICOM results need the package highdicom") as refused:
        write_dicom(an_analysis, tmp_path / "dicom")
    assert "covidct[dicom]" in refused.value.hint
