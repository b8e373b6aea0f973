"""Which cases and pictures count in which mean, when something about them is not as usual."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk
from stand_ins import figure, make_judge, value, write_clean_volume
from training_folder import write_pictures, write_volume

from CovidCTLib.evaluation.evaluate import evaluate
from CovidCTLib.evaluation.figures import TaskName
from CovidCTLib.training.layout import find_cases


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
