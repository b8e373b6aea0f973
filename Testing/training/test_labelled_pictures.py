"""Single slices as pictures: their tables, whose they are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from training_folder import write_pictures, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import patients_of, read_images
from CovidCTLib.labelled_data.layout import TrainingCase, find_cases


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "p", True, 2)
    return tmp_path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "p", False, 2)
    return tmp_path


def only(folder: Path) -> TrainingCase:
    (case,) = find_cases(folder).cases
    return case


def refusal_of(folder: Path) -> str:
    """What is said of the single case of a folder."""
    with pytest.raises(TrainingDataError) as caught:
        list(read_images(only(folder)))
    return str(caught.value)


def write_grey(path: Path, values: np.ndarray) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))


def write_rows(folder: Path, *rows: str) -> None:
    (folder / "p" / "slices.csv").write_text("\n".join(rows) + "\n")


HEADER = "slice,patient,air_value,soft_tissue_value"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "000,a,80,80",
            "p/slices.csv, line 2: soft_tissue_value must be above air_value, but they are 80 and 80. Corr",
        ),
        ("000,a,80,0", "soft_tissue_value must be above air_value, but they are 0 and 80"),
        ("000,a,black,80", "p/slices.csv, line 2: air_value must be a number, not 'black'"),
        ("000,a,nan,80", "air_value must be a number, not 'nan'"),
        ("000,a,0", "a value was expected for soft_tissue_value, but there is none"),
        ("000,,0,80", "a value was expected for patient, but there is none"),
        (
            "0,a,0,80",
            "000.png is missing in p/slices.csv. Add a line for it; its 'slice' is the name of the picture wi",
        ),
        ("010,a,0,80", "p/slices.csv, line 3 names a picture that another line names too. Leave one of them"),
    ],
)
def test_wrong_rows_of_calibrated_pictures_are_refused(calibrated: Path, row: str, message: str) -> None:
    write_rows(calibrated, HEADER, row, "010,b,0,80")
    assert message in refusal_of(calibrated)


def test_a_table_may_name_pictures_with_their_ending(calibrated: Path) -> None:
    before = [image.hu for image in read_images(only(calibrated))]
    write_rows(calibrated, HEADER, "000.png,a,0,80", "010.png,b,0,80")
    case = only(calibrated)
    assert patients_of(case) == ("a", "b")
    assert all(np.array_equal(image.hu, hu) for image, hu in zip(read_images(case), before, strict=True))


def test_photographs_without_a_table_are_kept_together_in_tens(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", False, 1)
    for part in ("images", "labels"):
        for number in ("009", "010", "011"):
            (tmp_path / "p" / part / f"{number}.png").write_bytes((tmp_path / "p" / part / "000.png").read_bytes())
    assert patients_of(only(tmp_path)) == ("p-00", "p-01")


def test_a_table_says_whose_photographs_are(photographs: Path) -> None:
    plain = list(read_images(only(photographs)))
    for rows in (["slice,patient", "000,a", "010,b"], ["Patient;Slice;", "a;000;", "b;010;"]):
        write_rows(photographs, *rows)
        case = only(photographs)
        assert case.kind == "photographs"
        assert patients_of(case) == ("a", "b")
        images = list(read_images(case))
        assert [image.patient for image in images] == ["a", "b"]
        assert all(np.array_equal(a.hu, b.hu) for a, b in zip(images, plain, strict=True))
    write_rows(photographs, "slice,patient", "000,a")
    with pytest.raises(TrainingDataError, match=r"010\.png is missing in p/slices\.csv"):
        patients_of(case)


def test_a_table_of_neither_kind_of_pictures_is_refused(photographs: Path) -> None:
    for header in ("slice", "slice,patient,air,tissue"):
        write_rows(photographs, header, "000")
        with pytest.raises(
            TrainingDataError, match=r"^p/slices\.csv must have the columns slice, patient, air_value, s"
        ):
            find_cases(photographs)
    write_rows(photographs, "slice,patient,air_value", "000,a,0")
    assert "but lacks soft_tissue_value" in refusal_of(photographs)


def test_pictures_of_a_volumes_patient_go_where_the_volume_goes(photographs: Path) -> None:
    for k in range(3):
        write_volume(photographs / "v", f"case_{k}", k)
    write_rows(photographs, "slice,patient", "000,case_2", "010,case_1")
    cases = {c.name: c for c in find_cases(photographs, [("case_0", "case_1"), ("case_1", "case_2")]).cases}
    assert cases["case_2"].patient == "case_0"
    assert patients_of(cases["p"]) == ("case_0",)
    assert {image.patient for image in read_images(cases["p"])} == {"case_0"}


def test_labels_in_which_nothing_is_painted_are_refused(tmp_path: Path) -> None:
    for folder, calibrated, message in (
        ("c", True, "The label p/labels/000.png is empty, but must mark the lungs (1). Paint them, or take the pict"),
        ("d", False, "The label p/labels/000.png is empty. If the picture shows no disease, let its name begin with"),
    ):
        write_pictures(tmp_path / folder / "p", calibrated, 1)
        write_grey(tmp_path / folder / "p" / "labels" / "000.png", np.zeros((48, 48), np.uint8))
        assert message in refusal_of(tmp_path / folder)


def test_a_picture_that_is_named_normal_shows_no_opacities(photographs: Path) -> None:
    for part in ("images", "labels"):
        (photographs / "p" / part / "000.png").rename(photographs / "p" / part / "normal_0.png")
    said = refusal_of(photographs)
    assert "The label p/labels/normal_0.png must show no opacities, as a name that begins with 'normal' says" in said
    write_grey(photographs / "p" / "labels" / "normal_0.png", np.zeros((48, 48), np.uint8))
    assert [image.abnormal.tolist() for image in read_images(only(photographs))] == [[1], [0]]


def test_pictures_that_cannot_be_used_are_refused(calibrated: Path) -> None:
    label, image = (calibrated / "p" / part / "000.png" for part in ("labels", "images"))
    write_grey(label, np.zeros((5, 5), np.uint8))
    assert "The label p/labels/000.png must have the picture's shape (48, 48) and values 0 to 2, but" in refusal_of(
        calibrated
    )
    write_grey(label, np.full((48, 48), 255, np.uint8))
    assert "values up to 255. Correct the label." in refusal_of(calibrated)
    label.write_bytes(b"x")
    assert "The label 000.png cannot be read. Export it again as 8-bit PNG." in refusal_of(calibrated)
    write_grey(image, np.zeros((5, 5), np.uint16))
    assert "The picture 000.png must be 8-bit grey, but is uint16 (5, 5). Save it so." in refusal_of(calibrated)
    image.write_bytes(b"x")
    assert "The picture 000.png cannot be read" in refusal_of(calibrated)
