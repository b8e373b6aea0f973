"""Result folders read back, and every way in which one can be unreadable."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest
from analysis_maker import make_analysis

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.measures.slice_table import measure_slices
from CovidCTLib.results import write_results
from CovidCTLib.results.plain_values import PlainValueError, from_plain
from CovidCTLib.results.reading import CT_NOT_STORED, has_ct, read_analysis
from CovidCTLib.results.record import SCHEMA_VERSION, analysis_record
from CovidCTLib.results.stored_record import is_result_folder, read_stored_record
from CovidCTLib.scan import Identifiers, ScanFacts

OBLIQUE = tuple(np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]]).ravel())


@pytest.fixture
def analysis() -> Analysis:
    """An analysis with identifiers and a date, so that every field of the record is filled."""
    made = make_analysis((0, 0, 1, -1, 0, 0, 0, 1, 0))
    scan = replace(
        made.scan,
        identifiers=Identifiers("N", "I", "1950-01-02", None, "2020-03-01"),
        facts=replace(made.scan.facts, study_date="2020-03-01"),
    )
    return replace(made, scan=scan)


@pytest.fixture
def folder(tmp_path, analysis):
    """Its result folder, with the CT."""
    write_results(analysis, tmp_path / "results", report=False, scan=True)
    return tmp_path / "results"


def assert_same_arrays(one, other):
    for name in ("lungs", "opacities", "localization"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(getattr(one.axial, name), getattr(other.axial, name))
        assert getattr(one.axial, name).dtype == getattr(other.axial, name).dtype


def change_record(folder, **changes):
    """Put other fields into the record."""
    path = folder / "analysis.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_everything_that_was_written_comes_back(folder, analysis):
    found = read_analysis(folder)
    assert_same_arrays(found, analysis)
    np.testing.assert_array_equal(found.scan.hu, analysis.scan.hu)
    np.testing.assert_array_equal(found.axial.hu, analysis.axial.hu)
    assert analysis_record(found) == analysis_record(analysis)
    assert found.options == analysis.options
    assert has_ct(found)


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


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder of that name. Check the path"):
        read_stored_record(tmp_path / "nothing")


def test_a_foreign_folder_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"this folder holds no analysis.json. Give the folder that the results"):
        read_stored_record(tmp_path)


def test_a_half_written_folder_is_said(folder, tmp_path):
    (folder / "analysis.json").unlink()
    with pytest.raises(InputError, match=r"its writing was cut short, or files were removed"):
        read_stored_record(folder)
    partial = tmp_path / "other"
    (partial / ".covidct-partial-host-1-aa").mkdir(parents=True)
    with pytest.raises(InputError, match=r"its writing was cut short, or files were removed"):
        read_analysis(partial)


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing.*Analyze the CT again"):
        read_analysis(folder)


def test_a_file_that_is_a_folder_cannot_be_read(folder):
    (folder / "localization.nii.gz").unlink()
    (folder / "localization.nii.gz").mkdir()
    with pytest.raises(InputError, match=r"localization.nii.gz of the result folder must be readable"):
        read_analysis(folder)


def test_a_record_that_the_system_refuses_is_said(folder, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "no")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(InputError, match=r"the system refuses analysis.json. Check its permissions"):
        read_stored_record(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_record_that_is_no_json_is_said(folder, content):
    (folder / "analysis.json").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or no JSON. Analyze the CT again"):
        read_stored_record(folder)


def test_a_huge_record_is_not_read(folder, monkeypatch):
    monkeypatch.setattr("CovidCTLib.results.stored_record.LARGEST_RECORD_BYTES", 10)
    with pytest.raises(InputError, match=r"is damaged or no JSON"):
        read_stored_record(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"made_by": "Other 1"}'])
def test_a_record_of_another_program_is_said(folder, content):
    (folder / "analysis.json").write_text(content)
    with pytest.raises(InputError, match=r"the folder's analysis.json is of another program"):
        read_stored_record(folder)


def test_a_newer_format_is_said(folder):
    change_record(folder, schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(InputError, match=r"these have format 2: a newer CovidCT wrote them. Update CovidCT"):
        read_analysis(folder)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema_version": "1"}, "schema_version"),
        ({"case": None}, "CaseDecision"),
        ({"case": {"positive": "yes"}}, "positive"),
        ({"measures": [{"region": "lungs"}]}, "name"),
        ({"measures": {}}, "Measurement"),
        ({"notices": [{"code": "a", "text": "b", "severity": "shout"}]}, "severity"),
        ({"slices": []}, None),
        ({"slices": [1]}, "slices"),
        ({"slices": [{}] * 12}, "index"),
        ({"slices": 3}, "slices"),
        ({"options": {"aeration_bands": [{"low_hu": 1}]}}, "high_hu"),
        ({"options": {"aeration_bands": [], "threads": 0}}, "a field"),
        ({"seconds": []}, "a field"),
        ({"geometry": {"shape_zyx": [2, 3]}}, "shape_zyx"),
        ({"geometry": {"shape_zyx": [2, 3, 0]}}, "shape_zyx"),
    ],
)
def test_a_record_with_a_field_that_cannot_be_used_is_said(folder, changes, field):
    change_record(folder, **changes)
    if field is None:
        assert read_analysis(folder).slices == ()
        return
    with pytest.raises(InputError, match=rf"{field!r} is missing or cannot be used"):
        read_analysis(folder)


def test_a_record_without_a_field_is_said(folder):
    path = folder / "analysis.json"
    record = json.loads(path.read_text())
    del record["case"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"'case' is missing or cannot be used"):
        read_analysis(folder)


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz", "ct.nii.gz"])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_file_is_named(folder, name, kept):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"{name} of the result folder must be complete|{name} must be as CovidCT"):
        read_analysis(folder)


def test_a_file_with_more_behind_its_end_is_damaged(folder):
    path = folder / "localization.nii.gz"
    path.write_bytes(path.read_bytes() + gzip.compress(b"more"))
    with pytest.raises(InputError, match=r"localization.nii.gz of the result folder must be complete"):
        read_analysis(folder)


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz"])
def test_files_of_another_analysis_are_told_by_their_grid(folder, tmp_path, name):
    write_results(make_analysis(), tmp_path / "other", report=False)
    shutil.copy(tmp_path / "other" / name, folder / name)
    with pytest.raises(InputError, match=rf"{name} must lie on the grid that analysis.json states"):
        read_analysis(folder)


STORED = ("segmentation.seg.nrrd", "localization.nii.gz", "labelmap.nii.gz", "ct.nii.gz")


def moved_copy(analysis, folder, name, **changes):
    """Put a file of the same analysis on another grid of the same size in the place of a file of the folder."""
    geometry = replace(analysis.scan.geometry, **changes)
    other = folder.parent / "other"
    write_results(replace(analysis, scan=replace(analysis.scan, geometry=geometry)), other, report=False, scan=True)
    shutil.copy(other / name, folder / name)


@pytest.mark.parametrize("name", STORED)
def test_files_of_another_spacing_origin_or_direction_are_refused(folder, analysis, name, tmp_path):
    own = analysis.scan.geometry
    doubled = tuple(2 * step for step in own.spacing_xyz_mm)
    flipped = tuple(
        -value if column == 0 else value for value, column in zip(own.direction_lps, 3 * (0, 1, 2), strict=True)
    )
    further = (own.origin_lps_mm[0], own.origin_lps_mm[1] + 3.0, own.origin_lps_mm[2])
    width_mm = 2 * (own.shape_zyx[2] - 1) * own.spacing_xyz_mm[0]
    for changes, found in (
        ({"spacing_xyz_mm": doubled}, r"its voxels are [0-9. x]+ mm large instead of [0-9. x]+ mm"),
        ({"origin_lps_mm": further}, r"it lies up to 3 mm from it"),
        ({"direction_lps": flipped}, rf"it lies up to {width_mm:.3g} mm from it"),
    ):
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        moved_copy(analysis, folder, name, **changes)
        with pytest.raises(
            InputError, match=rf"{name} must lie on the grid that analysis.json states, but lies on another \({found}\)"
        ):
            read_analysis(folder)


@pytest.mark.parametrize("name", STORED)
def test_a_hundredth_of_a_voxel_is_rounding_and_more_is_another_grid(folder, analysis, name, tmp_path):
    own = analysis.scan.geometry
    for share, refused in ((0.009, False), (0.011, True)):
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        first = own.origin_lps_mm[0] + share * min(own.spacing_xyz_mm)
        moved_copy(analysis, folder, name, origin_lps_mm=(first, *own.origin_lps_mm[1:]))
        if refused:
            with pytest.raises(InputError, match="but lies on another"):
                read_analysis(folder)
        else:
            assert read_analysis(folder).scan.geometry == own


def test_a_spacing_that_contradicts_its_own_matrix_is_refused(folder):
    path = folder / "localization.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[80:84] = struct.pack("<f", 9.0)
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"localization.nii.gz must lie on the grid .*its voxels are 9 x "):
        read_analysis(folder)


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


def test_no_memory_is_taken_for_a_grid_that_only_the_record_claims(folder):
    change_record(folder, geometry={"shape_zyx": [10**6, 10**6, 10**6]})
    with pytest.raises(InputError, match=r"must lie on the grid that analysis.json states"):
        read_analysis(folder)


def test_a_stream_that_is_longer_than_its_grid_is_not_inflated_further(folder):
    path = folder / "localization.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(1 << 20)))
    with pytest.raises(InputError, match=r"localization.nii.gz must lie on the grid"):
        read_analysis(folder)


def test_files_of_other_programs_are_said(folder):
    path = folder / "localization.nii.gz"
    good = gzip.decompress(path.read_bytes())
    for at, byte in ((344, b"x"), (70, b"\x08")):
        path.write_bytes(gzip.compress(good[:at] + byte + good[at + 1 :]))
        with pytest.raises(InputError, match=r"localization.nii.gz must be as CovidCT wrote it"):
            read_analysis(folder)
    path.write_bytes(gzip.compress(good))
    segmentation = folder / "segmentation.seg.nrrd"
    header, _, content = segmentation.read_bytes().partition(b"\n\n")
    voxels = bytearray(gzip.decompress(content))
    voxels[0] = 3
    segmentation.write_bytes(header + b"\n\n" + gzip.compress(bytes(voxels)))
    with pytest.raises(InputError, match=r"segmentation.seg.nrrd must be as CovidCT wrote it"):
        read_analysis(folder)
    segmentation.write_bytes(b"PNG")
    with pytest.raises(InputError, match=r"segmentation.seg.nrrd must be as CovidCT wrote it"):
        read_analysis(folder)


def test_a_localization_beyond_one_is_said(folder):
    path = folder / "localization.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[352:356] = np.float32(2).tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"localization.nii.gz must hold values from 0 to 1"):
        read_analysis(folder)


def test_plain_values_must_have_their_fields_types():
    assert from_plain(ScanFacts, {"slice_count": None}).slice_count is None
    for wrong in ({"slice_count": True}, {"slice_count": 1.5}, {"slice_thickness_mm": "1"}, {"kernel": 3}):
        with pytest.raises(PlainValueError, match=next(iter(wrong))):
            from_plain(ScanFacts, wrong)
    with pytest.raises(PlainValueError, match=r"ScanFacts"):
        from_plain(ScanFacts, [])
