"""Result folders read back, and every way in which one can be unreadable."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from analysis_maker import change_record, make_analysis

from CovidCTLib.analysis import Measurement
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.measures.slice_table import measure_slices
from CovidCTLib.results import write_results
from CovidCTLib.results.plain_values import PlainValueError, from_plain
from CovidCTLib.results.reading import CT_NOT_STORED, has_ct, read_analysis
from CovidCTLib.results.record import analysis_record
from CovidCTLib.results.stored_record import is_result_folder
from CovidCTLib.scan import ScanFacts

OBLIQUE = tuple(np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]]).ravel())


def assert_same_arrays(one, other):
    for name in ("lungs", "opacities", "localization"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(getattr(one.axial, name), getattr(other.axial, name))
        assert getattr(one.axial, name).dtype == getattr(other.axial, name).dtype


def test_everything_that_was_written_comes_back(folder, analysis):
    found = read_analysis(folder)
    assert_same_arrays(found, analysis)
    np.testing.assert_array_equal(found.scan.hu, analysis.scan.hu)
    np.testing.assert_array_equal(found.axial.hu, analysis.axial.hu)
    assert analysis_record(found) == analysis_record(analysis)
    assert found.options == analysis.options
    assert has_ct(found)


@pytest.mark.parametrize("effusion", [None, 12.0])
def test_results_of_before_effusion_was_looked_for_are_read(tmp_path, effusion):
    analysis = make_analysis()
    reason = "the network does not predict pleural effusion yet" if effusion is None else None
    entry = Measurement("both_lungs", "pleural_effusion_volume_ml", effusion, "ml", reason)
    write_results(replace(analysis, measures=(*analysis.measures, entry)), tmp_path / "old", report=False, scan=True)
    path = tmp_path / "old" / "analysis.json"
    record = json.loads(path.read_text())
    del record["case"]["judged_on"]
    for row in record["slices"]:
        del row["effusion_area_mm2"]
    path.write_text(json.dumps(record))
    found = read_analysis(tmp_path / "old")
    assert found.case.judged_on == ""
    assert {entry.effusion_area_mm2 for entry in found.slices} == {None}
    assert found.axial.effusion_known is (effusion is not None)


def test_what_comes_back_can_be_written_again(folder, tmp_path):
    write_results(read_analysis(folder), tmp_path / "again", report=False, scan=True)
    for file in folder.iterdir():
        if file.suffix == ".json":
            # Whole numbers in fields of floats come back as floats.
            assert json.loads(file.read_text()) == json.loads((tmp_path / "again" / file.name).read_text())
            continue
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_without_its_ct_an_analysis_says_so_and_takes_no_memory_for_it(folder, analysis):
    (folder / "ct.nii.gz").unlink()
    found = read_analysis(folder)
    assert_same_arrays(found, analysis)
    assert not has_ct(found)
    assert found.notices[-1] == CT_NOT_STORED
    assert found.scan.hu.shape == analysis.scan.hu.shape
    assert found.scan.hu.strides == (0, 0, 0)
    assert set(np.unique(found.scan.hu)) == {-1024}


def test_a_ct_that_is_given_is_taken(folder, analysis):
    (folder / "ct.nii.gz").unlink()
    found = read_analysis(folder, analysis.scan)
    assert found.scan.hu is analysis.scan.hu
    assert has_ct(found)


def test_a_ct_of_another_grid_is_refused(folder, analysis):
    moved = replace(analysis.scan.geometry, origin_lps_mm=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"The CT of these results was expected.*Give the CT that was analyzed"):
        read_analysis(folder, replace(analysis.scan, geometry=moved))
    with pytest.raises(InputError, match=r"the CT given has 16 x 16 x 16 voxels\. Give the CT"):
        read_analysis(folder, replace(analysis.scan, geometry=Geometry((16, 16, 16))))


def test_an_oblique_scan_comes_back_with_labels_that_are_labels(tmp_path):
    straight = make_analysis()
    scan = replace(straight.scan, geometry=replace(straight.scan.geometry, direction_lps=OBLIQUE))
    grid = CanonicalGrid(scan.geometry)
    shape = grid.geometry.shape_zyx
    axial = replace(
        straight.axial,
        **{name: np.zeros(shape, getattr(straight.axial, name).dtype) for name in ("hu", "lungs", "opacities")},
        localization=np.zeros(shape, np.float32),
        geometry=grid.geometry,
    )
    slices = tuple(replace(straight.slices[0], index=index) for index in range(shape[0]))
    write_results(replace(straight, scan=scan, axial=axial, slices=slices), tmp_path / "out", report=False)
    found = read_analysis(tmp_path / "out")
    np.testing.assert_array_equal(found.lungs, straight.lungs)
    assert found.axial.lungs.shape == shape
    assert set(np.unique(found.axial.lungs)) == {0, 1, 2}
    assert set(np.unique(found.axial.opacities)) == {0, 1, 2}
    assert not found.axial.localization[found.axial.lungs == 0].any()
    before, after = np.count_nonzero(straight.lungs), np.count_nonzero(found.axial.lungs)
    assert after == pytest.approx(before, rel=0.05)


def test_areas_of_a_scan_without_spacing_are_those_of_its_nominal_grid(tmp_path):
    made = make_analysis()
    scan = replace(made.scan, facts=ScanFacts(spacing_known=False))
    axial = replace(made.axial, spacing_known=False)
    findings = list(made.slices)
    slices = measure_slices(axial, findings, made.options)
    unknown = replace(made, scan=scan, axial=axial, slices=slices)
    write_results(unknown, tmp_path / "out", report=False)
    for found, expected in zip(read_analysis(tmp_path / "out").slices, slices, strict=True):
        assert found.position_mm == pytest.approx(expected.position_mm)
        assert found.lung_area_mm2 == pytest.approx(expected.lung_area_mm2)
        assert found.ggo_area_mm2 == pytest.approx(expected.ggo_area_mm2)
        assert found.vessel_area_mm2 == pytest.approx(expected.vessel_area_mm2)
        assert found.localization_area_mm2 == pytest.approx(expected.localization_area_mm2)
        assert found.openness == expected.openness


def test_fields_of_a_later_version_that_keeps_the_format_are_passed_over(folder):
    record = json.loads((folder / "analysis.json").read_text())
    change_record(folder, scan={**record["scan"], "later": 1}, later={"a": 1})
    assert read_analysis(folder).scan.facts.study_date == "2020-03-01"


def test_a_result_folder_is_told_from_others(folder, tmp_path):
    assert is_result_folder(folder)
    (folder / "analysis.json").unlink()
    assert is_result_folder(folder), "a half-written one is one, so that its error says so"
    assert not is_result_folder(tmp_path)
    assert not is_result_folder("a\0b")


def test_a_labelmap_may_be_missing(folder, analysis):
    (folder / "labelmap.nii.gz").unlink()
    assert_same_arrays(read_analysis(folder), analysis)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"space: left-posterior-superior", b"space: right-anterior-superior"),
        (b"space origin: (", b"space origin: (x"),
        (b"space directions: none", b"space directions: ????"),
    ],
)
def test_a_segmentation_that_does_not_say_where_it_lies_is_of_another_program(folder, before, after):
    path = folder / "segmentation.seg.nrrd"
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    with pytest.raises(InputError, match=r"segmentation.seg.nrrd must be as CovidCT wrote it"):
        read_analysis(folder)


def test_plain_values_must_have_their_fields_types():
    assert from_plain(ScanFacts, {"slice_count": None}).slice_count is None
    for wrong in ({"slice_count": True}, {"slice_count": 1.5}, {"slice_thickness_mm": "1"}, {"kernel": 3}):
        with pytest.raises(PlainValueError, match=next(iter(wrong))):
            from_plain(ScanFacts, wrong)
    with pytest.raises(PlainValueError, match=r"ScanFacts"):
        from_plain(ScanFacts, [])
