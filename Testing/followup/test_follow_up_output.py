"""The files of a follow-up."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.errors import OutputError
from CovidCTLib.followup import follow_up
from CovidCTLib.followup.charts import WIDE_PX, follow_up_chart
from CovidCTLib.followup.output import COLUMNS, follow_up_record, write_follow_up
from CovidCTLib.followup.page import render_follow_up
from CovidCTLib.followup.pictures import side_by_side


@pytest.fixture(scope="module")
def written(laid_on, tmp_path_factory):
    """The folder of a follow-up with a map."""
    folder = tmp_path_factory.mktemp("followup") / "out"
    return folder, write_follow_up(laid_on, folder)


def test_all_files_are_there(written):
    folder, files = written
    names = ["change_study_1.nii.gz", "followup.csv", "followup.html", "followup.json"]
    assert [file.name for file in files] == names == sorted(entry.name for entry in folder.iterdir())


def test_the_map_opens_on_the_first_studys_grid(written, laid_on):
    image = sitk.ReadImage(str(written[0] / "change_study_1.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), laid_on.comparisons[0].difference.labels)
    geometry = laid_on.studies[0].analysis.axial.geometry
    np.testing.assert_allclose(image.GetSpacing(), geometry.spacing_xyz_mm, rtol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), geometry.origin_lps_mm, atol=1e-4)


def test_the_table_has_a_line_a_study_region_and_measure(written, laid_on):
    rows = list(csv.DictReader((written[0] / "followup.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2 * 3 * 8 == len(laid_on.rows)
    for row, expected in zip(rows, laid_on.rows, strict=True):
        assert (row["study"], row["date"], row["measure"]) == (
            str(expected.study), expected.date.isoformat(), expected.measure,
        )  # fmt: skip
        if expected.measure == "pleural_effusion_volume_ml":
            # Nobody looked for it in these studies.
            assert (row["value"], expected.value) == ("", None)
        else:
            assert float(row["value"]) == pytest.approx(expected.value)


def test_the_record_is_strict_json_with_the_same_numbers(written, laid_on):
    record = json.loads((written[0] / "followup.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(follow_up_record(laid_on), allow_nan=False))
    assert record["studies"] == [
        {"study": 2, "date": "2020-03-01", "days": 0}, {"study": 1, "date": "2020-03-11", "days": 10},
    ]  # fmt: skip
    comparison = record["comparisons"][0]
    assert comparison["registration"]["lungs_dice"] > 0.9
    assert comparison["volumes_ml"]["both_lungs"]["new"] > 0


def test_the_page_tells_changes_maps_and_how_they_were_made(written, laid_on):
    page = (written[0] / "followup.html").read_text(encoding="utf-8")
    for line in laid_on.sentences[1]:
        assert line.replace("+", "&#43;") in page or line in page
    for words in ("research software, not a medical device", "Study 1, 10 days after the first", "persistent opacity"):
        assert words in page
    assert page.count("<h4>Slice at S") >= 2
    assert page.count('alt="') == page.count("<img ")
    assert 'alt=""' not in page


def test_tables_of_the_page_have_a_heading_for_every_cell(written):
    page = (written[0] / "followup.html").read_text(encoding="utf-8")
    tables = re.findall(r'<table class="numbers">.*?</table>', page, re.DOTALL)
    assert len(tables) == 4
    for table in tables:
        headings = table.count('<th scope="col">')
        for row in re.findall(r'<tr><th scope="row">.*?</tr>', table, re.DOTALL):
            assert row.count("<td") + 1 == headings


def test_slices_are_shown_three_by_three_apart_from_each_other(laid_on):
    rows = side_by_side(laid_on.studies[0].analysis.axial, laid_on.comparisons[0])
    assert 2 <= len(rows) <= 4
    assert all([picture.title for picture in row.pictures][::2] == ["First study", "Change"] for row in rows)
    assert "new" in rows[0].pictures[2].caption


def test_the_chart_says_its_values_and_is_the_same_each_time(laid_on):
    chart = follow_up_chart(laid_on, WIDE_PX)
    assert "day 0: " in chart.alt
    assert chart == follow_up_chart(laid_on, WIDE_PX)


def test_without_a_map_the_page_says_why(small_studies):
    page = render_follow_up(follow_up(small_studies, register=False))
    assert page.count("No map of changes is shown: Registration was not asked for.") == 2


def test_without_any_opacity_the_slice_with_most_lung_is_shown(laid_on):
    comparison = laid_on.comparisons[0]
    nothing = replace(comparison.difference, labels=np.zeros_like(comparison.difference.labels))
    rows = side_by_side(laid_on.studies[0].analysis.axial, replace(comparison, difference=nothing))
    assert len(rows) == 1


def test_patient_hashes_and_identifiers_are_in_no_file(small_studies, tmp_path):
    studies = [replace(study, patient="5ecre7") for study in small_studies]
    for file in write_follow_up(follow_up(studies, register=False), tmp_path / "out"):
        assert b"5ecre7" not in file.read_bytes()


def test_a_folder_with_content_is_not_written_to(small_studies, tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(OutputError, match=r"must be empty"):
        write_follow_up(follow_up(small_studies, register=False), tmp_path)
