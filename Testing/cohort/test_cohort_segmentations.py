"""A cohort measured from segmentations of the same names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "segments"))

from segment_maker import a_scan, make_analysis, masks, write_masks, write_volume

from CovidCTLib.cohort.analyzers import given_analyzer
from CovidCTLib.cohort.segmentations import digest_of, scan_name, segmentation_of
from CovidCTLib.cohort.settings import CohortSettings, run_record
from CovidCTLib.errors import InputError, OptionsError


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "masks"
    write_masks(place / "case_01", masks())
    (place / "case_02.seg.nrrd").write_bytes(b"x")
    (place / "case_03.nii.gz").write_bytes(b"x")
    (place / "case_03.nrrd").write_bytes(b"x")
    return place


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii.gz", "a"), ("a.seg.nrrd", "a"), ("A.NII", "A"), ("study", "study"), ("a.b.nrrd", "a.b")],
)
def test_names_lose_their_ending(name, expected):
    assert scan_name(Path(name)) == expected


def test_segmentations_are_found_by_the_name_of_the_scan(folder):
    assert segmentation_of(Path("cts/case_01.nii.gz"), folder) == folder / "case_01"
    assert segmentation_of(Path("cts/case_02"), folder) == folder / "case_02.seg.nrrd"
    with pytest.raises(InputError, match="there is none"):
        segmentation_of(Path("cts/case_04.nii.gz"), folder)
    with pytest.raises(InputError, match="there are 2"):
        segmentation_of(Path("cts/case_03.nii.gz"), folder)


def test_a_run_knows_when_its_segmentations_changed(folder):
    settings = CohortSettings(segmentations=folder)
    before = run_record(settings)
    assert before["analyzer"].endswith("given_analyzer")
    assert run_record(settings) == before
    os.utime(folder / "case_02.seg.nrrd", (1, 1))
    assert run_record(settings) != before
    assert "segmentations" not in run_record(CohortSettings())


def test_settings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(OptionsError, match="measured by the whole analysis"):
        CohortSettings("fast", segmentations=tmp_path)
    with pytest.raises(OptionsError, match="there is none of that name"):
        digest_of(tmp_path / "nothing")
    with pytest.raises(OptionsError, match="none was given"):
        given_analyzer(CohortSettings())


def test_the_row_says_what_was_given(folder, tmp_path, monkeypatch):
    from CovidCTLib import pipeline

    scan = write_volume(tmp_path / "case_01.nii.gz", a_scan().hu)
    own = pipeline.measure
    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.1)
    monkeypatch.setattr("CovidCTLib.cohort.analyzers._options_and_models", lambda settings: (None, None))
    monkeypatch.setattr("CovidCTLib.cohort.analyzers._read", lambda path, settings: a_scan())
    monkeypatch.setattr(pipeline, "measure", lambda ct, labels, *_, **__: own(ct, labels, before=make_analysis()))
    measured = given_analyzer(CohortSettings(segmentations=folder))(scan)
    assert measured.values["labels_from"] == "", "the voxels are those of the analysis before"
    assert measured.values["lung_volume_ml"] == pytest.approx(2 * 8 * 12 * 8 * 0.0015)
    assert measured.values["lobar_severity_0_25"] is None
