"""Archives of slices in HU: what is refused before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_folder import chest

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import patients_of, read_images
from CovidCTLib.labelled_data.layout import find_cases

HU = np.stack([chest(k)[0][2] for k in range(3)])
LUNGS = np.stack([chest(k)[1][2] for k in range(3)])
NAMES = np.asarray(["ID_0_Z_1", "ID_0_Z_2", "ID_1_Z_1"])
GOOD: dict[str, Any] = {"image_hu": HU, "lungs": LUNGS, "slice_id": NAMES}


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.float32])
def test_lungs_may_be_of_any_type_as_long_as_they_are_zeros_and_ones(tmp_path: Path, kind: type) -> None:
    np.savez(tmp_path / "a.npz", **{**GOOD, "lungs": LUNGS.astype(kind)})
    (case,) = find_cases(tmp_path).cases
    images = list(read_images(case))
    assert patients_of(case) == ("ID_0", "ID_1")
    assert [image.patient for image in images] == ["ID_0", "ID_0", "ID_1"]
    assert np.array_equal(np.concatenate([image.lungs for image in images]), LUNGS)
    assert images[0].lungs.dtype == np.uint8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"lungs": LUNGS * 255},
            r"^a\.npz: lungs must hold 0 and 1 \(lung\) only, but holds 0 to 255\. Correct the masks",
        ),
        ({"lungs": LUNGS * 7}, "holds 0 to 7"),
        ({"lungs": -LUNGS.astype(np.int8)}, "holds -1 to 0"),
        ({"lungs": LUNGS * 0.6}, r"holds 0\.0 to 0\.6"),
        ({"lungs": np.where(LUNGS > 0, np.nan, 0)}, "holds nan to nan"),
        ({"lungs": LUNGS.astype(str)}, "but holds type <U3"),
        ({"lungs": LUNGS * 0}, r"^a\.npz: lungs must mark lung in some slice, but is empty\. Leave the archive out"),
        ({"image_hu": np.full(HU.shape, np.nan)}, r"^a\.npz: image_hu must hold finite numbers \(HU\), but does not"),
        ({"image_hu": HU.astype(str)}, "image_hu must hold finite numbers"),
        (
            {"image_hu": (HU > 0) * 1.0},
            r"image_hu must be HU with air near -1000, but its lowest value is 0\.0\. Give HU",
        ),
        (
            {"image_hu": HU[0], "lungs": LUNGS[0]},
            r"must agree in a shape \(n, y, x\), .* but are \(48, 48\), \(48, 48\)",
        ),
        ({"lungs": LUNGS[:2]}, r"are \(3, 48, 48\), \(2, 48, 48\) and \(3,\)\. Write it again"),
        ({"slice_id": NAMES[:2]}, r"and \(2,\)\. Write it again"),
        ({"image_hu": HU[:0], "lungs": LUNGS[:0], "slice_id": NAMES[:0]}, "must agree"),
        (
            {"slice_id": np.asarray(["a_Z_1", "_Z_1", "b_Z_1"])},
            r"^a\.npz: slice_id must begin with a patient, but one is empty",
        ),
        (
            {"slice_id": np.asarray(["ID_0_Z_1", "smith_z0", "smith_z1"])},
            r"^a\.npz: slice_id must be PATIENT_Z_NUMBER, but one is 'smith_z0'\. Write the patient, _Z_ \(cap",
        ),
        ({"slice_id": np.arange(3)}, "but one is '0'"),
        ({"slice_id": np.asarray(["MR_ZHANG_1", "MR_ZHANG_2", "MR_ZHANG_3"])}, "but one is 'MR_ZHANG_1'"),
        ({"slice_id": np.asarray(["ID_0_Z_", "ID_0_Z_1", "ID_0_Z_2"])}, "but one is 'ID_0_Z_'"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **{**GOOD, **wrong})
    (case,) = find_cases(tmp_path).cases
    for read in (patients_of, lambda c: list(read_images(c))):
        with pytest.raises(TrainingDataError, match=message):
            read(case)  # type: ignore[operator]


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, other=HU)
    whole = path.read_bytes()
    (case,) = find_cases(tmp_path).cases
    with pytest.raises(TrainingDataError, match=r"lungs and slice_id, but does not\. Write it by numpy\.savez with"):
        patients_of(case)
    with path.open("wb") as file:
        np.save(file, HU)
    with pytest.raises(TrainingDataError, match="but does not"):
        patients_of(case)
    for content in (b"", b"PK junk", whole[:500], b"text"):
        path.write_bytes(content)
        with pytest.raises(
            TrainingDataError, match=r"must hold image_hu, lungs and slice_id, but cannot be read\. Wri"
        ):
            patients_of(case)


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (["MR_ZHANG_1_Z_3", "MR_ZHANG_1_Z_4", "MR_ZHANG_2_Z_1"], ["MR_ZHANG_1", "MR_ZHANG_1", "MR_ZHANG_2"]),
        (["A_Z_B_Z_1", "A_Z_B_Z_2", "A_Z_C_Z_1"], ["A_Z_B", "A_Z_B", "A_Z_C"]),
        (["p_Z1", "p_Z12", "q_Z-1.5"], ["p", "p", "q"]),
        (["Mu\u0308ller_Z_1", "M\u00fcller_Z_2", "q_Z_1"], ["M\u00fcller", "M\u00fcller", "q"]),
    ],
    ids=["name-with-Z", "name-with-Z-between", "number-at-once", "unicode-forms"],
)
def test_what_stands_before_the_number_of_the_slice_is_the_patient(
    tmp_path: Path, names: list[str], patients: list[str]
) -> None:
    np.savez(tmp_path / "a.npz", **{**GOOD, "slice_id": np.asarray(names)})
    (case,) = find_cases(tmp_path).cases
    assert [image.patient for image in read_images(case)] == patients
    assert patients_of(case) == tuple(sorted(set(patients)))
