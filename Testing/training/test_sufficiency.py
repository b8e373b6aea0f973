"""A training is begun only on patients who show what is learned, and judged only by patients who show it too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_slices import made_slices
from training_folder import write_volume

from CovidCTLib.cli.main import main
from CovidCTLib.errors import TrainingDataError
from CovidCTLib.models.card import ModelName
from CovidCTLib.training.slices import UNKNOWN, SliceSet
from CovidCTLib.training.sufficiency import check_sides, check_usable

NETWORKS: tuple[ModelName, ...] = ("lungs", "opacities", "slices")


@pytest.fixture
def slices() -> SliceSet:
    """Two slices of each of four patients, one with opacity and one without."""
    return made_slices()


def clear(slices: SliceSet) -> SliceSet:
    return slices.only(slices.abnormal == 0)


def infected(slices: SliceSet) -> SliceSet:
    return slices.only(slices.abnormal == 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_patients_who_show_everything_will_do(slices: SliceSet, name: ModelName) -> None:
    held_out = slices.patient == "Smith_0"
    check_sides(name, slices.only(~held_out), slices.only(held_out))
    check_sides(name, slices, None)
    check_usable(name, slices)


def test_held_out_patients_who_cannot_tell_good_from_bad_are_refused(slices: SliceSet) -> None:
    rest, held_out = slices.only(slices.patient != "Smith_0"), slices.only(slices.patient == "Smith_0")
    choose = r"\(Smith_0\)\. Choose another --fold, lower --folds, or train on all patients with --fold none\."
    with pytest.raises(
        TrainingDataError, match=rf"opacities must show a slice with opacity, .* the 1 slice of .* {choose}"
    ):
        check_sides("opacities", rest, clear(held_out))
    with pytest.raises(TrainingDataError, match=rf"slices must show an abnormal slice, .* {choose}"):
        check_sides("slices", rest, clear(held_out))
    with pytest.raises(TrainingDataError, match=rf"slices must show a normal slice, .* {choose}"):
        check_sides("slices", rest, infected(held_out))
    check_sides("opacities", rest, infected(held_out))


def test_patients_of_one_kind_teach_nothing(slices: SliceSet) -> None:
    first = "4 patients, the first of them Smith_0. Add patients who have it."
    with pytest.raises(
        TrainingDataError, match=f"slices needs an abnormal slice to learn from, .* 4 slices of {first}"
    ):
        check_sides("slices", clear(slices), None)
    with pytest.raises(TrainingDataError, match=f"slices needs a normal slice to learn from, .* {first}"):
        check_sides("slices", infected(slices), None)
    with pytest.raises(TrainingDataError, match=f"opacities needs a slice with opacity to learn from, .* {first}"):
        check_sides("opacities", clear(slices), None)


def test_what_is_not_known_is_no_opacity_and_no_lung(slices: SliceSet) -> None:
    slices.opacities[:] = UNKNOWN
    slices.lungs[:] = UNKNOWN
    for name in ("opacities", "lungs"):
        with pytest.raises(TrainingDataError, match="needs a slice with"):
            check_sides(name, slices, None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folder_that_says_nothing_for_a_network_is_refused_by_what_it_lacks(
    slices: SliceSet, name: ModelName
) -> None:
    missing = {"lungs": "lung masks", "opacities": "opacity masks", "slices": "opacity masks .* tables of slices"}[name]
    with pytest.raises(TrainingDataError, match=rf"covidct train {name} needs {missing} .* but no case of the folder"):
        check_usable(name, slices.only(np.zeros(len(slices), bool)))


def test_a_held_out_normal_ct_alone_is_refused_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for k in range(3):
        write_volume(data, f"case_{k}", k)
    write_volume(data, "normal_7", 7, opacities=False)
    command = ["train", "opacities", str(data), "-o", str(tmp_path / "run"), "--folds", "4", "--fold", "3"]
    assert main([*command, "--workers", "0", "--device", "cpu", "--architecture", "unet"]) == 1
    said = "The held-out patients of covidct train opacities must show a slice with opacity"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
