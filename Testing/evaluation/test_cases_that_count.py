"""Which cases and pictures count in which mean, when something about them is not as usual."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from stand_ins import figure, make_judge, value, write_clean_volume
from training_folder import chest, write_pictures, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.evaluation.evaluate import NAMES_NOTICE, SLICES_NOTICE, evaluate
from CovidCTLib.evaluation.figures import TaskName
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.training.slice_checksums import slice_checksums


@pytest.mark.parametrize(
    ("task", "figures"),
    [
        ("opacities", {"infection_dice": 0.0, "infection_surface_dice": 0.0, "infection_pooled_dice": 0.0}),
        ("slices", {"sensitivity": 0.0}),
        ("cases", {"sensitivity": 0.0}),
    ],
)
def test_a_case_without_found_lungs_counts_as_missed(tmp_path: Path, task: TaskName, figures: dict[str, float]) -> None:
    write_volume(tmp_path, "case_0", 0)
    write_clean_volume(tmp_path, "normal_0", 1)
    found = evaluate(task, find_cases(tmp_path), [make_judge("slices" if task != "opacities" else task, blind=True)])
    assert {name: value(found, "volumes", name) for name in figures} == figures
    assert any(
        notice.startswith("No lungs were found in ")
        and "case_0" in notice
        and "What is true there counts as missed" in notice
        for notice in found.notices
    )
    # A CT without disease on which nothing is decided was not found to be without it.
    if task != "opacities":
        assert {row.case: row.status for row in found.rows} == {"case_0": "judged", "normal_0": "failed"}


def test_one_bad_picture_does_not_keep_the_others_from_their_rows(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", calibrated=False)
    label = tmp_path / "photos" / "labels" / "010.png"
    label.write_bytes(b"no picture")
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    assert [(row.image, row.status) for row in found.rows] == [
        ("000", "judged"),
        ("010", "failed"),
        ("020", "judged"),
        ("030", "judged"),
    ]
    assert "Failed: 1 row (photos 010); they are listed with the reason, but count in no mean." in found.notices


def test_a_folder_of_pictures_named_like_a_group_of_volumes_stays_apart(tmp_path: Path) -> None:
    write_volume(tmp_path, "case_0", 0)
    write_pictures(tmp_path / "volumes", calibrated=True)
    for task in ("lungs", "opacities"):
        found = evaluate(task, find_cases(tmp_path), [make_judge(task)])
        counts = {f.group: f.count for f in found.figures if f.name.endswith("s_dice") or f.name == "infection_dice"}
        assert counts == {"volumes": 1, "volumes (slices)": 4}


def test_a_normal_ct_with_an_empty_opacity_mask_stays_a_control(tmp_path: Path) -> None:
    write_volume(tmp_path, "case_0", 0)
    write_clean_volume(tmp_path, "normal_0", 1)
    ct = sitk.ReadImage(str(tmp_path / "normal_0_ct.nii.gz"))
    sitk.WriteImage(sitk.Cast(ct * 0, sitk.sitkUInt8), str(tmp_path / "normal_0_opacities.nii.gz"))
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    assert figure(found, "normal control", "opacity_of_lungs_percent").count == 1
    assert figure(found, "volumes", "infection_volume_error_ml").count == 1


def test_a_renamed_case_that_was_trained_on_counts_as_seen(tmp_path: Path) -> None:
    write_volume(tmp_path, "renamed", 0)
    write_volume(tmp_path, "case_1", 1)
    training = {"patients": ["case_0"], "slice_checksums": slice_checksums(chest(0)[0])}
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities", training)])
    assert {row.case: row.status for row in found.rows} == {"case_1": "judged", "renamed": "seen in training"}
    assert figure(found, "volumes", "infection_dice").count == 1
    assert [notice for notice in found.notices if notice.startswith("A model counts as having seen a patient")] == [
        SLICES_NOTICE
    ]


def test_lungs_by_a_network_that_saw_a_renamed_case_are_named(tmp_path: Path) -> None:
    write_volume(tmp_path, "renamed", 0)
    judge = make_judge("opacities", {"patients": []})
    lungs = make_judge("lungs", {"patients": [], "slice_checksums": slice_checksums(chest(0)[0])})
    found = evaluate("opacities", find_cases(tmp_path), [replace(judge, store=lungs.store)])
    assert any(notice.startswith("The lung network that framed the lungs had seen 1 ") for notice in found.notices)
    names = NAMES_NOTICE.format(models="stand-in")
    assert [notice for notice in found.notices if notice.startswith("A model counts as having seen a patient")] == [
        names
    ]


def test_nothing_is_judged_where_all_cases_were_trained_on_under_other_names(tmp_path: Path) -> None:
    write_volume(tmp_path, "renamed", 0)
    judge = make_judge("lungs", {"patients": ["case_0"], "slice_checksums": slice_checksums(chest(0)[0])})
    with pytest.raises(TrainingDataError, match=r"All 1 patient that .* \(found by the checksums of their slices\)\."):
        evaluate("lungs", find_cases(tmp_path), [judge])


def test_a_case_counts_once_whatever_its_names(tmp_path: Path) -> None:
    for name, seed in (("case_0", 0), ("case_1", 1), ("twin", 0)):
        write_volume(tmp_path, name, seed)
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    assert figure(found, "volumes", "infection_dice").count == 2
    twin = next(row for row in found.rows if row.case == "twin")
    assert (twin.status, twin.reason) == ("listed apart", "the same slices as case_0, under another patient's name")
    assert any(notice.startswith("Listed apart, and in no mean: twin (the same slices") for notice in found.notices)
    # Two scans that are said to be of one patient are two cases, as ever.
    joined = evaluate("opacities", find_cases(tmp_path, [("case_0", "twin")]), [make_judge("opacities")])
    assert figure(joined, "volumes", "infection_dice").count == 3
