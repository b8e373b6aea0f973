"""Training folders: what is found, and what is said of a layout that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from training_folder import SHAPE, write_pictures, write_training_folder, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.training.slices import INFECTION, SIDE, UNKNOWN, load_slices
from CovidCTLib.training.tasks import TASKS, Task


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_training_folder(tmp_path / "data")


def test_every_kind_of_case_is_found_once(data: Path) -> None:
    cases = {case.name: case for case in find_cases(data, [("case_0", "case_1")]).cases}
    assert set(cases) == {"case_0", "case_1", "case_2", "normal_0", "calibrated", "photos", "archive"}
    assert cases["case_1"].patient == "case_0"
    assert cases["normal_0"].all_normal


def test_slices_carry_what_is_known_of_them(data: Path) -> None:
    slices = load_slices(find_cases(data), "lungs", None)
    volumes = slices.source == "volume"
    assert slices.abnormal[slices.case == "case_0"].tolist() == [0, 1, 1, 0]
    assert slices.abnormal[slices.case == "normal_0"].tolist() == [0, 0, 0, 0]
    assert set(np.unique(slices.opacities[slices.source == "calibrated pictures"])) == {0, INFECTION}
    assert set(np.unique(slices.opacities[slices.source == "photographs"])) == {0, 1}
    assert (slices.lungs[slices.source == "photographs"] == UNKNOWN).all()
    assert set(np.unique(slices.lungs[volumes])) == {0, 1}
    assert slices.image.min() >= 0
    assert slices.image.max() <= 1


def test_the_lung_network_sees_bodies_and_archives_but_no_photographs(data: Path) -> None:
    slices = load_slices(find_cases(data), "body", None)
    assert set(slices.source) == {"volume", "calibrated pictures", "slice archive"}
    assert (slices.source == "volume").sum() == 4 * SHAPE[0]


def test_calibrated_pictures_become_hounsfield_units(data: Path) -> None:
    slices = load_slices(find_cases(data), "lungs", None)
    image = slices.image[slices.source == "calibrated pictures"].astype(float) * 1174 - 1024
    lung = slices.lungs[slices.source == "calibrated pictures"] == 1
    clear = slices.opacities[slices.source == "calibrated pictures"] == 0
    assert np.median(image[lung & clear]) == pytest.approx(-850, abs=25)


def test_slices_are_stored_as_large_as_a_task_asks_for(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    usual = load_slices(find_cases(data), "lungs", None, cache)
    larger = load_slices(find_cases(data), "lungs", None, cache, side=SIDE + 64)
    assert usual.image.shape[1:] == usual.opacities.shape[1:] == (SIDE, SIDE)
    assert larger.image.shape[1:] == larger.lungs.shape[1:] == (SIDE + 64, SIDE + 64)
    assert np.array_equal(larger.abnormal, usual.abnormal)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_crops_fit_in_the_slices_that_are_stored_for_them(task: Task) -> None:
    assert (task.crop or task.size) <= task.side
    assert (task.crop or task.size) % 32 == task.size % 32 == 0


def test_slices_are_kept_for_the_next_run(data: Path, tmp_path: Path) -> None:
    first = load_slices(find_cases(data), "lungs", None, tmp_path / "cache")
    lines: list[str] = []
    again = load_slices(find_cases(data), "lungs", None, tmp_path / "cache", "", lines.append)
    # What is of no use here is named each time.
    assert lines == ["archive: 0 slices"]
    assert np.array_equal(first.image, again.image)


def test_cases_that_were_cut_before_a_bad_one_are_not_cut_again(data: Path, tmp_path: Path) -> None:
    bad = data / "volumes" / "case_9_ct.nii.gz"
    write_volume(data / "volumes", "case_9", 9)
    good = bad.read_bytes()
    bad.write_bytes(b"no CT")
    lines: list[str] = []
    with pytest.raises(TrainingDataError, match="case_9"):
        load_slices(find_cases(data), "lungs", None, tmp_path / "cache", "", lines.append)
    assert "case_0: 4 slices" in lines
    bad.write_bytes(good)
    lines.clear()
    slices = load_slices(find_cases(data), "lungs", None, tmp_path / "cache", "", lines.append)
    assert "case_9: 4 slices" in lines
    assert not any(line.startswith(("case_0", "case_1", "case_2")) for line in lines)
    assert np.array_equal(slices.image, load_slices(find_cases(data), "lungs", None).image)


def test_a_cache_that_cannot_be_written_leaves_nothing_half_done(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        load_slices(find_cases(data), "lungs", None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_table_of_slices_stands_for_masks(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, lungs=True, opacities=False)
    rows = "\n".join(f"{k},{int(k >= 3)}" for k in range(SHAPE[0]))
    (tmp_path / "ward_slices.csv").write_text(f"slice_index,abnormal\n{rows}\n")
    slices = load_slices(find_cases(tmp_path), "lungs", None)
    assert slices.abnormal.tolist() == [0, 0, 1, 1]
    assert (slices.opacities[:2] == 0).all()
    assert (slices.opacities[2:] == UNKNOWN).all()


def test_patients_named_in_a_chain_are_one(data: Path) -> None:
    for pairs in ([("case_0", "case_1"), ("case_1", "case_2")], [("case_0", "case_2"), ("case_1", "case_2")]):
        patients = {case.patient for case in find_cases(data, pairs).cases if case.name.startswith("case_")}
        assert len(patients) == 1


def test_a_repainted_label_or_another_patient_is_not_taken_from_the_cache(data: Path, tmp_path: Path) -> None:
    load_slices(find_cases(data), "lungs", None, tmp_path / "cache")
    label = data / "photos" / "labels" / "000.png"
    sitk.WriteImage(sitk.GetImageFromArray(np.full(SHAPE[1:], 2, np.uint8)), str(label))
    again = load_slices(find_cases(data, [("case_0", "case_1")]), "lungs", None, tmp_path / "cache")
    assert (again.opacities[again.source == "photographs"] == 2).all(axis=(1, 2)).sum() == 1
    assert set(again.patient[again.case == "case_1"]) == {"case_0"}


def test_a_table_that_names_a_slice_off_the_scan_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, lungs=True, opacities=False)
    (tmp_path / "ward_slices.csv").write_text("slice_index,abnormal\n-1,1\n")
    with pytest.raises(TrainingDataError, match="names slice -1, but the scan has slices 0 to 5"):
        load_slices(find_cases(tmp_path), "lungs", None)


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"A folder of cases was expected at .*, but there is none"):
        find_cases(tmp_path / "none")
    with pytest.raises(TrainingDataError, match="No case was found"):
        find_cases(tmp_path)


def test_a_mask_without_its_image_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "a", 0)
    (tmp_path / "a_ct.nii.gz").unlink()
    with pytest.raises(TrainingDataError, match=r"has no CT beside it. Expected a_ct\.nii\.gz"):
        find_cases(tmp_path)


def test_a_picture_without_its_label_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", True)
    (tmp_path / "p" / "labels" / "000.png").unlink()
    with pytest.raises(TrainingDataError, match=r"The image p/.../000.png has no label"):
        find_cases(tmp_path)


def test_pictures_without_a_folder_of_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p" / "images").mkdir(parents=True)
    with pytest.raises(TrainingDataError, match="has no folder 'labels'"):
        find_cases(tmp_path)


def test_names_must_be_unique_and_known(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_volume(tmp_path / folder, "case", 0)
    with pytest.raises(TrainingDataError, match="Two cases are named case"):
        find_cases(tmp_path)
    with pytest.raises(TrainingDataError, match="There is no volume named ghost"):
        find_cases(tmp_path / "a", [("case", "ghost")])


def _spoil(folder: Path, what: str) -> None:
    path = folder / ("a_opacities.nii.gz" if what == "labels" else "a_lungs.nii.gz")
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    if what == "grid":
        image.SetSpacing((4.0, 4.0, 9.0))
    elif what == "labels":
        array[2, 20, 10] = 7
    elif what == "empty":
        array[:] = 0
    spoiled = sitk.GetImageFromArray(array)
    spoiled.CopyInformation(image)
    sitk.WriteImage(spoiled, str(path))
    if what == "corrupt":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("grid", "must lie on the grid of its CT, but has spacing 4 x 4 x 9 instead of 4 x 4 x 5 mm"),
        ("labels", "whole numbers from 0 to 2, but goes from 0 to 7"),
        ("empty", "is empty"),
        ("corrupt", "cannot be read"),
    ],
)
def test_wrong_masks_are_refused_before_any_training(tmp_path: Path, what: str, message: str) -> None:
    write_volume(tmp_path, "a", 0)
    _spoil(tmp_path, what)
    with pytest.raises(TrainingDataError, match=message):
        load_slices(find_cases(tmp_path), "lungs", None)


def test_a_corrupt_image_names_its_case(tmp_path: Path) -> None:
    write_volume(tmp_path, "a", 0)
    (tmp_path / "a_ct.nii.gz").write_bytes(b"nothing")
    with pytest.raises(TrainingDataError, match=r"^a: "):
        load_slices(find_cases(tmp_path), "lungs", None)


def test_a_folder_without_anything_for_the_task_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", False)
    with pytest.raises(
        TrainingDataError, match=r"No case below .* \(1 found\): CTs with masks of lungs .* were expected"
    ):
        load_slices(find_cases(tmp_path), "body", None)


def test_a_ct_without_any_label_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, lungs=False, opacities=False)
    with pytest.raises(TrainingDataError, match=r"ward_ct\.nii\.gz has nothing that says what it shows\. Put ward_"):
        find_cases(tmp_path)


def test_an_empty_opacity_mask_is_refused_unless_the_ct_is_normal(tmp_path: Path) -> None:
    for name in ("ward", "normal_ward"):
        write_volume(tmp_path / name, name, 1)
        mask = sitk.ReadImage(str(tmp_path / name / f"{name}_opacities.nii.gz"))
        sitk.WriteImage(mask * 0, str(tmp_path / name / f"{name}_opacities.nii.gz"))
    with pytest.raises(TrainingDataError, match=r"ward_opacities\.nii\.gz is empty\. If the CT shows no disease"):
        load_slices(find_cases(tmp_path / "ward"), "lungs", None)
    assert not load_slices(find_cases(tmp_path / "normal_ward"), "lungs", None).abnormal.any()


def test_a_table_from_the_wrong_end_is_turned(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, lungs=True, opacities=False)
    rows = "".join(f"{k},{int(k < 3)}\n" for k in range(SHAPE[0]))
    (tmp_path / "ward_slices.csv").write_text("slice_index,abnormal\n" + rows)
    as_written = load_slices(find_cases(tmp_path), "body", None).abnormal
    turned = load_slices(find_cases(tmp_path, reversed_tables=["ward"]), "body", None).abnormal
    assert as_written.tolist() == [1, 1, 1, 0, 0, 0]
    assert turned.tolist() == as_written.tolist()[::-1]
    with pytest.raises(TrainingDataError, match=r"no volume named hall with a slice table .* Correct the name"):
        find_cases(tmp_path, reversed_tables=["hall"])
