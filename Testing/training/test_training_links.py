"""Links, Unicode forms and runs in a training folder: what is found behind them, and what is no case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_folder import write_pictures, write_training_folder, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import patients_of, read_images
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.labelled_data.near_misses import visible
from CovidCTLib.training.slices import load_slices

TWO_CHARACTERS, ONE_CHARACTER = "Mu\u0308ller", "M\u00fcller"
"""The same name in two Unicode forms: as files from macOS have it, and as most tables have it."""


def names_below(root: Path) -> list[str]:
    return [case.name for case in find_cases(root).cases]


def test_all_kinds_of_cases_are_found_behind_a_link_to_their_folder(tmp_path: Path) -> None:
    stored = write_training_folder(tmp_path / "disk")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(stored, target_is_directory=True)
    assert names_below(tmp_path / "data") == names_below(stored)
    straight, linked = (load_slices(find_cases(root), "lungs", None) for root in (stored, tmp_path / "data"))
    assert np.array_equal(straight.image, linked.image)
    assert straight.patient.tolist() == linked.patient.tolist()


def test_near_misses_behind_a_link_are_refused(tmp_path: Path) -> None:
    write_volume(tmp_path / "disk", "a", 0)
    (tmp_path / "disk" / "a_opacity.nii.gz").write_bytes(b"")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "disk")
    with pytest.raises(TrainingDataError, match=r"^linked/a_opacity\.nii\.gz is not understood"):
        find_cases(tmp_path / "data")


def test_links_in_a_circle_and_to_the_same_folder_make_no_case_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_volume(data / "ward", "a", 0)
    write_volume(tmp_path / "disk", "b", 1)
    for link, target in {"again": "ward", "ward/up": "..", "x": "../disk", "y": "../disk"}.items():
        (data / link).symlink_to(target, target_is_directory=True)
    (tmp_path / "disk" / "back").symlink_to(data, target_is_directory=True)
    assert [(case.name, case.image.parent) for case in find_cases(data).cases] == [
        ("a", data / "ward"),
        ("b", data / "x"),
    ]
    assert {path.name for path in visible(data, "*")} >= {"again", "up", "x", "y", "back"}


def test_what_is_behind_a_hidden_link_is_left_alone(tmp_path: Path) -> None:
    write_volume(tmp_path / "data", "a", 0)
    write_volume(tmp_path / "disk", "b", 1)
    (tmp_path / "data" / ".b").symlink_to(tmp_path / "disk")
    assert names_below(tmp_path / "data") == ["a"]


def test_a_linked_folder_of_pictures_is_one_case(tmp_path: Path) -> None:
    write_pictures(tmp_path / "disk", False, 2)
    (tmp_path / "data" / "p").mkdir(parents=True)
    for part in ("images", "labels"):
        (tmp_path / "data" / "p" / part).symlink_to(tmp_path / "disk" / part)
    assert names_below(tmp_path / "data") == ["p"]


@pytest.mark.parametrize("name", ["a_ct.nii.gz", "a_lungs.nii.gz", "ward", "p/images/000.png"])
@pytest.mark.parametrize("target", ["gone", None], ids=["gone", "itself"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, name: str, target: str | None) -> None:
    write_volume(tmp_path, "a", 0)
    write_pictures(tmp_path / "p", False, 1)
    link = tmp_path / name
    link.unlink(missing_ok=True)
    link.symlink_to(target or link.name)
    with pytest.raises(TrainingDataError) as caught:
        find_cases(tmp_path)
    assert str(caught.value).startswith(
        f"A file or folder was expected at {name}, but it is a link that leads nowhere. Bring back what it leads to"
    )


def test_linked_files_of_a_ct_are_read(tmp_path: Path) -> None:
    write_volume(tmp_path / "disk", "stored", 0)
    (tmp_path / "data").mkdir()
    for part in ("ct", "lungs"):
        (tmp_path / "data" / f"a_{part}.nii.gz").symlink_to(tmp_path / "disk" / f"stored_{part}.nii.gz")
    (case,) = find_cases(tmp_path / "data").cases
    assert next(read_images(case)).lungs.any()


@pytest.mark.parametrize("written", [TWO_CHARACTERS, ONE_CHARACTER])
def test_a_ct_and_its_parts_belong_together_in_either_unicode_form(tmp_path: Path, written: str) -> None:
    other = ONE_CHARACTER if written == TWO_CHARACTERS else TWO_CHARACTERS
    write_volume(tmp_path, written, 0)
    (tmp_path / f"{written}_lungs.nii.gz").rename(tmp_path / f"{other}_lungs.nii.gz")
    (tmp_path / f"{other}_slices.csv").write_text("slice_index,abnormal\n2,1\n")
    (case,) = find_cases(tmp_path, reversed_tables=[other]).cases
    assert (case.name, case.patient) == (ONE_CHARACTER, ONE_CHARACTER)
    assert case.slice_table
    assert next(read_images(case)).lungs.any()


def test_a_dicom_folder_and_its_table_belong_together_in_either_unicode_form(tmp_path: Path) -> None:
    (tmp_path / TWO_CHARACTERS).mkdir()
    (tmp_path / f"{ONE_CHARACTER}_slices.csv").write_text("slice_location_mm,abnormal\n0,1\n")
    (case,) = find_cases(tmp_path).cases
    assert (case.name, case.image.name, case.image.is_dir()) == (ONE_CHARACTER, TWO_CHARACTERS, True)


def test_a_name_in_two_unicode_forms_is_one_patient(tmp_path: Path) -> None:
    write_volume(tmp_path / "ward", TWO_CHARACTERS, 0)
    write_volume(tmp_path / "ward", "later", 1)
    write_pictures(tmp_path / "p", True, 1)
    for written in (TWO_CHARACTERS, ONE_CHARACTER):
        table = f"slice,patient,air_value,soft_tissue_value\n000,{written},0,80\n"
        (tmp_path / "p" / "slices.csv").write_text(table, encoding="utf-8")
        for pair in ((ONE_CHARACTER, "later"), (TWO_CHARACTERS, "later"), ("later", ONE_CHARACTER)):
            cases = find_cases(tmp_path, [pair]).cases
            assert len({patient for case in cases for patient in patients_of(case)}) == 1


def test_two_cts_of_one_name_in_two_unicode_forms_are_refused(tmp_path: Path) -> None:
    for k, written in enumerate((TWO_CHARACTERS, ONE_CHARACTER)):
        write_volume(tmp_path / str(k), written, k)
    with pytest.raises(TrainingDataError, match=f"Two cases are named {ONE_CHARACTER}"):
        find_cases(tmp_path)


def test_pictures_and_archives_are_named_in_one_unicode_form(tmp_path: Path) -> None:
    write_training_folder(tmp_path / "all")
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "all" / "photos").rename(data / TWO_CHARACTERS)
    (tmp_path / "all" / "archive.npz").rename(data / f"{TWO_CHARACTERS}_2.npz")
    cases = find_cases(data).cases
    assert [case.name for case in cases] == [ONE_CHARACTER, f"{ONE_CHARACTER}_2"]
    assert [len(list(read_images(case))) for case in cases] == [4, 3]


def test_slices_that_a_run_keeps_are_no_case(tmp_path: Path) -> None:
    data = write_training_folder(tmp_path / "data")
    before = find_cases(data)
    for framing in ("body", "lungs"):
        load_slices(before, framing, None, data / "runs" / "first" / "cache")  # type: ignore[arg-type]
    kept = sorted((data / "runs" / "first" / "cache").iterdir())
    kept[0].with_suffix(".4711.part.npz").write_bytes(b"a run that was killed")
    assert kept
    assert find_cases(data) == before
    (data / "archive.npz").rename(data / "runs" / "first" / "cache" / "archive.npz")
    assert names_below(data) == [case.name for case in before.cases]
