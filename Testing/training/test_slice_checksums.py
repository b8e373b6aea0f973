"""A slice is known again whatever its file and its patient are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from training_folder import SHAPE, chest, write_pictures, write_volume

from CovidCTLib.cli.main import main
from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import read_images
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.models.bundle import read_card
from CovidCTLib.training.slice_checksums import check_patients_differ, slice_checksums
from CovidCTLib.training.slices import SliceSet, load_slices

SHORT = ["--steps", "1", "--batch", "2", "--judge-every", "1", "--workers", "0", "--device", "cpu", "--fold", "none"]


def loaded(root: Path, same_patient: tuple[tuple[str, str], ...] = ()) -> SliceSet:
    return load_slices(find_cases(root, same_patient), "body", None)


@given(
    seed=st.integers(0, 5), kind=st.sampled_from([np.int16, np.int32, np.float32, np.float64]), low=st.integers(0, 9)
)
def test_a_slice_is_the_same_whatever_holds_its_numbers(seed: int, kind: type, low: int) -> None:
    hu = chest(seed)[0].astype(np.int32)
    checksums = slice_checksums(hu)
    assert len(set(checksums)) == len(hu)
    assert all(len(checksum) == 12 for checksum in checksums)
    # Padding below air differs from program to program, and so do the decimals of a rescaled number.
    padded = np.where(hu <= -1024, -1024 - 100 * low, hu).astype(kind)
    if padded.dtype.kind == "f":
        padded = padded + kind(0.01)
    assert slice_checksums(padded) == checksums
    assert slice_checksums(hu[2:4]) == checksums[2:4]


def test_one_other_voxel_or_another_shape_makes_another_slice() -> None:
    hu = chest(0)[0]
    other = hu.copy()
    other[2, 5, 5] += 1
    assert [a == b for a, b in zip(slice_checksums(hu), slice_checksums(other), strict=True)] == [True] * 2 + [
        False
    ] + [True] * 3
    assert slice_checksums(hu.reshape(SHAPE[0], SHAPE[2] // 2, -1)) != slice_checksums(hu)


def test_slices_of_one_value_tell_nobody_from_others() -> None:
    assert slice_checksums(np.asarray([[[-1000, -1000]], [[-2000, -1024]], [[-1000, -999]]]))[:2] == ["", ""]


def test_a_ct_is_known_again_from_another_file(tmp_path: Path) -> None:
    write_volume(tmp_path / "one", "case_0", 0)
    write_volume(tmp_path / "other", "renamed", 0)
    for path in (tmp_path / "other").iterdir():
        # Stored from head to feet, the CT as floating point: the same slices of the same patient.
        image = sitk.Flip(sitk.ReadImage(str(path)), (False, False, True))
        sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) if "_ct" in path.name else image, str(path))
    one, other = (
        slice_checksums(next(iter(read_images(find_cases(tmp_path / name).cases[0]))).hu) for name in ("one", "other")
    )
    assert one == other


def test_one_patient_under_two_names_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for name, seed in (("case_0", 0), ("case_1", 1), ("renamed", 0)):
        write_volume(data, name, seed)
    command = ["train", "lungs", str(data), "-o", str(tmp_path / "run"), *SHORT]
    assert main(command) == 1
    assert (
        "Patients case_0 and renamed must be two, but share 6 slices, pixel by pixel, so they are one patient under "
        "two names. Take one of them out, or say that they are the same: CTs by --same-patient A=B, pictures by the "
        "column patient of their table."
    ) in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert main([*command, "--same-patient", "case_0=renamed"]) == 0


def test_pictures_of_one_patient_under_two_names_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "calibrated", True)
    table = tmp_path / "calibrated" / "slices.csv"
    for part in ("images", "labels"):
        folder = tmp_path / "calibrated" / part
        (folder / "copy.png").write_bytes((folder / "010.png").read_bytes())
    rows = table.read_text()
    table.write_text(rows + "copy,p1,0,80\n")
    assert len(loaded(tmp_path)) == 5
    table.write_text(rows + "copy,somebody,0,80\n")
    with pytest.raises(
        TrainingDataError, match=r"p1 \(calibrated\) and somebody \(calibrated\) must be two, .* 1 slice,"
    ):
        loaded(tmp_path)


def test_blank_slices_make_no_two_patients_one(tmp_path: Path) -> None:
    for name, seed in (("case_0", 0), ("case_1", 1)):
        write_volume(tmp_path, name, seed)
        path = str(tmp_path / f"{name}_ct.nii.gz")
        image = sitk.ReadImage(path)
        hu = sitk.GetArrayFromImage(image)
        hu[0] = -1000
        blank = sitk.GetImageFromArray(hu)
        blank.CopyInformation(image)
        sitk.WriteImage(blank, path)
    slices = loaded(tmp_path)
    assert (slices.checksum == "").tolist() == [True] + [False] * 5 + [True] + [False] * 5
    check_patients_differ(slices)


def test_a_card_holds_the_checksums_and_a_reader_sees_their_number(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, seed in (("case_0", 0), ("case_1", 1)):
        write_volume(data, name, seed)
    assert main(["train", "lungs", str(data), "-o", str(tmp_path / "run"), *SHORT]) == 0
    card = read_card(tmp_path / "run" / "lungs")
    expected = {c for seed in (0, 1) for c in slice_checksums(chest(seed)[0])}
    assert card.training["slice_checksums"] == sorted(expected)
    text = (tmp_path / "run" / "lungs" / "docs" / "README.md").read_text(encoding="utf-8")
    assert f"| slice checksums | {len(expected)}, in configs/metadata.json" in text
    assert not any(checksum in text for checksum in expected)


def test_the_cache_keeps_checksums(tmp_path: Path) -> None:
    write_volume(tmp_path / "data", "case_0", 0)
    folder = find_cases(tmp_path / "data")
    made, kept = (load_slices(folder, "body", None, tmp_path / "cache") for _ in range(2))
    assert made.checksum.tolist() == kept.checksum.tolist() == slice_checksums(chest(0)[0])
