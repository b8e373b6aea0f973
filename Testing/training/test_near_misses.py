"""What looks like a part of a training folder is refused by its name; what does not may stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_folder import write_pictures, write_training_folder, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import patients_of
from CovidCTLib.labelled_data.layout import find_cases


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    write_volume(tmp_path / "ward", "a", 0)
    return tmp_path / "ward"


NOT_UNDERSTOOD = (
    "is not understood: expected NAME_ct.nii.gz, NAME_lungs.nii.gz, NAME_opacities.nii.gz, "
    "NAME_infection.nii.gz and NAME_effusion.nii.gz. Rename it"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a_opacity.nii.gz", NOT_UNDERSTOOD),
        ("a_lungs.nii", NOT_UNDERSTOOD),
        ("b_ct.nii", NOT_UNDERSTOOD),
        ("b_CT.nii.gz", NOT_UNDERSTOOD),
        ("scan.nii.gz", NOT_UNDERSTOOD),
        ("a_lungs.nrrd", NOT_UNDERSTOOD),
        ("a_airways.mha", NOT_UNDERSTOOD),
        ("b_opacities.mhd", NOT_UNDERSTOOD),
        ("b_lungs.nii.gz", "has no CT beside it. Expected b_ct.nii.gz in the same folder."),
        ("a_2_opacities.nii.gz", "has no CT beside it. Expected a_2_ct.nii.gz in the same folder."),
        ("zz_slices.csv", "has no CT beside it. Expected zz_ct.nii.gz or a DICOM folder zz in the same folder, or"),
        ("a_slice.csv", "is not understood: the table of a CT is a CSV file NAME_slices.csv. Save it so, or take it"),
        ("a_Slices.csv", "is not understood: the table of a CT is a CSV file"),
        ("a_slices.xlsx", "is not understood: the table of a CT is a CSV file"),
        ("slices.csv", "has no folder 'images' with pictures beside it. Add the pictures, or take the table out."),
        ("more.NPZ", "must end in .npz in small letters to be read. Rename it, or take it out."),
    ],
)
def test_files_that_are_named_almost_as_parts_of_a_case_are_refused(ward: Path, name: str, message: str) -> None:
    (ward / name).write_bytes(b"")
    with pytest.raises(TrainingDataError) as caught:
        find_cases(ward.parent)
    assert str(caught.value).removeprefix("The mask ").startswith(f"ward/{name} {message}")
    (ward / name).unlink()
    assert [case.name for case in find_cases(ward.parent).cases] == ["a"]


def test_several_near_misses_are_counted(ward: Path) -> None:
    for name in ("b_ct.nii", "b_lungs.nii", "c_ct.nii"):
        (ward / name).write_bytes(b"")
    with pytest.raises(
        TrainingDataError, match=r"^b_ct\.nii is not understood.*take it out\. 2 more are not understood ei"
    ):
        find_cases(ward)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("images/000.PNG", "must be a PNG whose name ends in .png, but ends in .PNG. Save it so."),
        ("labels/000.jpg", "must be a PNG whose name ends in .png, but ends in .jpg. Save it so."),
        ("images/slices.csv", "must stand beside images/ and labels/, not in them. Move it, or take it out."),
        ("slices.xlsx", "must be a CSV table that is named slices.csv. Save it so, or take it out."),
        ("Slices.csv", "must be a CSV table that is named slices.csv. Save it so, or take it out."),
    ],
)
def test_files_of_another_kind_among_pictures_are_refused(tmp_path: Path, name: str, message: str) -> None:
    write_pictures(tmp_path / "p", False, 1)
    (tmp_path / "p" / name).write_bytes(b"")
    with pytest.raises(TrainingDataError) as caught:
        find_cases(tmp_path)
    assert str(caught.value) == f"p/{name} {message}"


def test_pictures_and_labels_need_each_other(ward: Path) -> None:
    (ward / "p" / "labels").mkdir(parents=True)
    with pytest.raises(TrainingDataError, match=r"^p/labels has no folder 'images' beside it\. Add the pictures"):
        find_cases(ward)
    (ward / "p" / "images").mkdir()
    with pytest.raises(TrainingDataError, match=r"^p/images and labels/ beside it must hold PNG files, but hold none"):
        find_cases(ward)
    (ward / "p" / "labels").rmdir()
    with pytest.raises(TrainingDataError, match=r"^p/images has no folder 'labels' beside it\. Add the labels"):
        find_cases(ward)


@pytest.mark.parametrize("name", ["Images", "image", "label"])
def test_folders_of_pictures_under_another_name_are_refused(ward: Path, name: str) -> None:
    (ward / name).mkdir()
    assert len(find_cases(ward).cases) == 1
    (ward / name / "x.png").write_bytes(b"")
    with pytest.raises(TrainingDataError, match=rf"^{name} holds pictures, but folders images/ and lab"):
        find_cases(ward)


def test_what_is_no_part_of_a_case_may_stay(tmp_path: Path) -> None:
    data = write_training_folder(tmp_path / "data")
    before = find_cases(data)
    for name in (
        "README.md",
        "LICENSE",
        "patients.csv",
        "volumes/case_0_notes.txt",
        "volumes/._case_0_ct.nii.gz",
        "volumes/.hidden/b_lungs.nii.gz",
        "__MACOSX/volumes/_case_0_ct.nii",
        "photos/images/Thumbs.db",
        "photos/images/._000.png",
        "photos/contact.jpg",
        "dicom/scan/1.dcm",
        "other/ct-64.nrrd",
        ".cache/x.npz",
    ):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    after = find_cases(data)
    assert after == before
    assert [patients_of(case) for case in after.cases] == [patients_of(case) for case in before.cases]


@pytest.mark.parametrize("pair", [("case_0", "photos"), ("archive", "case_0"), ("calibrated", "photos")])
def test_scans_of_one_patient_must_be_volumes(tmp_path: Path, pair: tuple[str, str]) -> None:
    data = write_training_folder(tmp_path / "data")
    with pytest.raises(
        TrainingDataError, match=r"--same-patient takes names of volumes, but .* holds single slices \("
    ):
        find_cases(data, [pair])


@pytest.mark.parametrize("name", ["images/scan.nii.gz", "labels/a_opacity.nii.gz", "images/b_ct.nii"])
def test_volumes_of_other_names_among_pictures_are_refused(tmp_path: Path, name: str) -> None:
    write_pictures(tmp_path / "p", False, 1)
    (tmp_path / "p" / name).write_bytes(b"")
    with pytest.raises(TrainingDataError) as caught:
        find_cases(tmp_path)
    assert str(caught.value).startswith(f"p/{name} {NOT_UNDERSTOOD}")


def test_a_ct_among_pictures_is_a_case(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", False, 1)
    write_volume(tmp_path / "p" / "images", "b", 1)
    assert [case.name for case in find_cases(tmp_path).cases] == ["b", "p"]


@pytest.mark.parametrize("name", ["images", "labels", "images/ward", "Images"])
def test_a_folder_of_cts_may_be_named_as_one_of_pictures(tmp_path: Path, name: str) -> None:
    write_volume(tmp_path / name, "b", 1)
    assert [case.name for case in find_cases(tmp_path).cases] == ["b"]


def test_masks_apart_from_their_cts_are_refused_by_name(tmp_path: Path) -> None:
    write_volume(tmp_path / "images", "b", 1)
    (tmp_path / "labels").mkdir()
    (tmp_path / "images" / "b_lungs.nii.gz").rename(tmp_path / "labels" / "b_lungs.nii.gz")
    with pytest.raises(TrainingDataError, match=r"^The mask labels/b_lungs\.nii\.gz has no CT beside it"):
        find_cases(tmp_path)


def test_pictures_in_folders_below_are_refused(ward: Path) -> None:
    for part in ("images", "labels"):
        (ward / "p" / part / "p01").mkdir(parents=True)
        (ward / "p" / part / "p01" / "1.png").write_bytes(b"")
    with pytest.raises(TrainingDataError, match=r"^p/images and labels/ beside it must hold PNG files, but hold none"):
        find_cases(ward)


def test_a_table_beside_a_folder_of_cts_named_images_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path / "images", "b", 1)
    (tmp_path / "slices.csv").write_bytes(b"")
    with pytest.raises(TrainingDataError, match=r"^slices\.csv has no folder 'images' with pictures beside it"):
        find_cases(tmp_path)


def test_near_misses_are_known_by_the_case_in_either_unicode_form(tmp_path: Path) -> None:
    write_volume(tmp_path, "Mu\u0308ller", 0)
    (tmp_path / "M\u00fcller_airways.mha").write_bytes(b"")
    with pytest.raises(TrainingDataError, match="is not understood: expected NAME_ct"):
        find_cases(tmp_path)
