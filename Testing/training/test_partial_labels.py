"""Cases that label only some of the classes: how they are read, and what contradicts itself is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from training_folder import SHAPE, chest, read_only, write_pictures, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.images import INFECTION, UNKNOWN
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.training.slices import load_slices
from CovidCTLib.training.splits import validation_mask

HU, LUNGS, OPACITIES = chest(0)


def write_mask(folder: Path, file: str, labels: NDArray[np.uint8], spacing: tuple[float, ...] = (4, 4, 5)) -> None:
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(folder / file))


def fluid() -> NDArray[np.uint8]:
    """Effusion behind the left lung, 200 voxels a slice in four slices."""
    effusion = np.zeros(SHAPE, np.uint8)
    effusion[1:5, 36:40, 28:40] = 1
    return effusion


def test_an_infection_mask_tells_where_but_not_which_kind(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0, opacities=False)
    write_mask(tmp_path, "p1_infection.nii.gz", (OPACITIES > 0).astype(np.uint8))
    image = read_only(tmp_path)
    assert np.array_equal(image.opacities, np.where(OPACITIES > 0, INFECTION, 0))
    assert image.abnormal.tolist() == [0, 0, 1, 1, 0, 0]
    assert image.effusion is None


def test_slices_of_lungs_may_be_left_unlabelled(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0, opacities=False)
    lungs = LUNGS.copy()
    lungs[3:] = UNKNOWN
    write_mask(tmp_path, "p1_lungs.nii.gz", lungs)
    image = read_only(tmp_path)
    assert np.array_equal(image.lungs, lungs)
    slices = load_slices(find_cases(tmp_path), "body", None)
    assert [bool((part == UNKNOWN).all()) for part in slices.lungs] == [False] * 3 + [True] * 3
    # Networks around the lungs get the unlabelled ones found, the labelled ones as they are.
    everywhere = np.ones(SHAPE, bool)
    seen = load_slices(find_cases(tmp_path), "lungs", lambda _: everywhere)
    assert seen.lungs[4].mean() > 2 * seen.lungs[0].mean()
    assert (seen.lungs <= 1).all()


def test_an_effusion_mask_teaches_effusion_and_that_it_is_no_opacity(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0, lungs=False, opacities=False)
    write_mask(tmp_path, "p1_effusion.nii.gz", fluid())
    image = read_only(tmp_path)
    assert np.array_equal(image.effusion, fluid())  # type: ignore[arg-type]
    assert (image.lungs == UNKNOWN).all()
    assert (image.opacities[fluid() == 1] == 0).all()
    assert (image.opacities[fluid() == 0] == UNKNOWN).all()
    assert (image.abnormal == -1).all()
    slices = load_slices(find_cases(tmp_path), "body", None)
    assert (slices.effusion == 1).any(axis=(1, 2)).tolist() == [False, True, True, True, True, False]


def test_lungs_that_were_found_leave_labelled_effusion_out(tmp_path: Path) -> None:
    write_volume(tmp_path, "effusion_1", 0, lungs=False, opacities=False)
    write_mask(tmp_path, "effusion_1_effusion.nii.gz", fluid())
    slices = load_slices(find_cases(tmp_path), "lungs", lambda _: (LUNGS == 1) | (fluid() == 1))
    assert not ((slices.lungs == 1) & (slices.effusion == 1)).any()
    assert (slices.effusion == 1).any()


@pytest.mark.parametrize("name", ["cancer_1", "effusion_1", "Other_1"])
def test_patients_with_another_disease_show_nothing_like_covid(tmp_path: Path, name: str) -> None:
    write_volume(tmp_path, name, 0, opacities=False)
    image = read_only(tmp_path)
    assert (image.opacities == 0).all()
    slices = load_slices(find_cases(tmp_path), "lungs", None)
    assert (slices.abnormal == 0).all()


def test_another_pneumonia_is_nothing_like_covid_but_has_opacities(tmp_path: Path) -> None:
    write_volume(tmp_path, "cap_1", 0)
    image = read_only(tmp_path)
    assert image.abnormal.tolist() == [0, 0, 1, 1, 0, 0]
    slices = load_slices(find_cases(tmp_path), "lungs", None)
    assert (slices.opacities > 0).any()
    assert (slices.abnormal == 0).all()


def test_a_ct_without_effusion_is_named_and_says_so(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0)
    assert read_only(tmp_path).effusion is None
    known = read_only(tmp_path, no_effusion=["p1"]).effusion
    assert known is not None
    assert not known.any()
    (tmp_path / "healthy").mkdir()
    write_volume(tmp_path / "healthy", "normal_1", 0, lungs=False, opacities=False)
    normal = read_only(tmp_path / "healthy").effusion
    assert normal is not None
    assert not normal.any()


def test_a_rim_that_two_masks_claim_is_not_labelled(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0, opacities=False)
    effusion = fluid()
    effusion[2, 35, 28:31] = 1
    write_mask(tmp_path, "p1_effusion.nii.gz", effusion)
    image = read_only(tmp_path)
    assert image.effusion is not None
    assert (image.effusion[2, 35, 28:31] == UNKNOWN).all()
    assert (image.lungs[2, 35, 28:31] == UNKNOWN).all()


def test_a_volume_and_single_slices_can_be_of_one_patient(tmp_path: Path) -> None:
    for k in range(4):
        write_volume(tmp_path / "volumes", f"corona_{k}", k)
    write_pictures(tmp_path / "pictures", calibrated=True)
    pairs = [(f"corona_{k}", f"p{k}") for k in range(4)]
    slices = load_slices(find_cases(tmp_path, pairs), "body", None)
    assert set(slices.patient.tolist()) == {f"corona_{k}" for k in range(4)}
    held_out = [validation_mask(slices, fold, 2) for fold in range(2)]
    # Each patient is held out once, although there are two sources.
    assert np.array_equal(held_out[0], ~held_out[1])
    with pytest.raises(TrainingDataError, match="must name a volume, but p0 and p1 are both patients"):
        find_cases(tmp_path, [("p0", "p1")])
    with pytest.raises(TrainingDataError, match="no volume named p9 below"):
        find_cases(tmp_path, [("corona_0", "p9")])


def _twice_infection(folder: Path) -> None:
    write_mask(folder, "p1_infection.nii.gz", np.roll((OPACITIES > 0).astype(np.uint8), 1, axis=2))


def _two_infections(folder: Path) -> None:
    write_mask(folder, "p1_infection.nii.gz", OPACITIES)


def _other_grid(folder: Path) -> None:
    write_mask(folder, "p1_effusion.nii.gz", fluid(), (4, 4, 6))


def _unlabelled_effusion(folder: Path) -> None:
    write_mask(folder, "p1_effusion.nii.gz", np.where(fluid() == 0, UNKNOWN, 1).astype(np.uint8))


def _unlabelled_opacities(folder: Path) -> None:
    write_mask(folder, "p1_opacities.nii.gz", np.where(OPACITIES == 0, UNKNOWN, 1).astype(np.uint8))


def _empty_effusion(folder: Path) -> None:
    write_mask(folder, "p1_effusion.nii.gz", np.zeros(SHAPE, np.uint8))


def _empty_infection(folder: Path) -> None:
    (folder / "p1_opacities.nii.gz").unlink()
    write_mask(folder, "p1_infection.nii.gz", np.zeros(SHAPE, np.uint8))


def _nothing_labelled(folder: Path) -> None:
    write_mask(folder, "p1_lungs.nii.gz", np.where(LUNGS == 1, UNKNOWN, 0).astype(np.uint8))


def _lung_of_another_label(folder: Path) -> None:
    write_mask(folder, "p1_lungs.nii.gz", np.where(LUNGS == 1, 3, 0).astype(np.uint8))


def _effusion_in_the_lung(folder: Path) -> None:
    write_mask(folder, "p1_effusion.nii.gz", LUNGS)


def _effusion_in_opacity(folder: Path) -> None:
    (folder / "p1_lungs.nii.gz").unlink()
    write_mask(folder, "p1_effusion.nii.gz", (OPACITIES > 0).astype(np.uint8))


REFUSED = [
    (_twice_infection, r"p1_opacities.nii.gz and p1_infection.nii.gz must mark the same voxels, but \d+ differ"),
    (_two_infections, "p1_infection.nii.gz must hold whole numbers from 0 to 1, but goes from 0 to 2"),
    (_other_grid, "p1_effusion.nii.gz must lie on the grid of its CT, but has spacing 4 x 4 x 6"),
    (_unlabelled_effusion, "p1_effusion.nii.gz must hold whole numbers from 0 to 1, but goes from 1 to 255"),
    (_unlabelled_opacities, "p1_opacities.nii.gz must hold whole numbers from 0 to 2, but goes from 1 to 255"),
    (_empty_effusion, "p1_effusion.nii.gz is empty. .* give --no-effusion p1; else paint it"),
    (_empty_infection, "p1_infection.nii.gz is empty"),
    (_nothing_labelled, "p1_lungs.nii.gz is empty"),
    (_lung_of_another_label, "from 0 to 2, or 255 where nothing was labelled, but goes from 0 to 3"),
    (_effusion_in_the_lung, "neither lung nor opacity, but 100% of what p1_effusion.nii.gz marks is marked as lung"),
    (_effusion_in_opacity, "100% of what p1_effusion.nii.gz marks is marked as opacity"),
]


@pytest.mark.parametrize(("spoil", "message"), REFUSED)
def test_labels_that_cannot_be_right_are_refused(tmp_path: Path, spoil: object, message: str) -> None:
    write_volume(tmp_path, "p1", 0)
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(TrainingDataError, match=message):
        read_only(tmp_path)


def test_effusion_in_a_ct_without_disease_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "normal_1", 0, lungs=False, opacities=False)
    write_mask(tmp_path, "normal_1_effusion.nii.gz", fluid())
    with pytest.raises(TrainingDataError, match=r"normal_1_effusion\.nii\.gz must be empty, as a name that begins"):
        read_only(tmp_path)


def test_no_effusion_must_name_a_volume_without_an_effusion_mask(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0)
    with pytest.raises(TrainingDataError, match=r"no volume named p2 below .* --no-effusion names it"):
        find_cases(tmp_path, no_effusion=["p2"])
    write_mask(tmp_path, "p1_effusion.nii.gz", fluid())
    with pytest.raises(TrainingDataError, match="p1 has a mask of pleural effusion, but --no-effusion says"):
        find_cases(tmp_path, no_effusion=["p1"])


def test_a_ct_that_nothing_is_known_of_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "p1", 0, lungs=False, opacities=False)
    with pytest.raises(
        TrainingDataError, match=r"nothing that says what it shows. Put p1_lungs.*p1_effusion.nii.gz or"
    ):
        find_cases(tmp_path)
