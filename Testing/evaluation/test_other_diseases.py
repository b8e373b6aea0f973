"""Judging of pleural effusion, and of false opacity in patients with another disease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from stand_ins import StandInStore, figure, make_card, make_judge, value, write_clean_volume
from training_folder import SHAPE, chest, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.evaluation.evaluate import Evaluation, evaluate
from CovidCTLib.evaluation.judges import Judge
from CovidCTLib.evaluation.page import render_page
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.lungs import effusion
from CovidCTLib.models.card import ModelCard, ModelName
from CovidCTLib.models.store import LoadedNetwork

VOXEL_ML = 4 * 4 * 5 / 1000
FLUID_HU = 150
WITH_EFFUSION = {"kind": "windows-unet", "outputs": 3}


@pytest.fixture(autouse=True, scope="module")
def bright_fluid() -> Iterator[None]:
    """The stand-in tells fluid from tissue by its brightness, so it is denser than any real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effusion, "FLUID_HU", (FLUID_HU, FLUID_HU))
        yield


class _Chest(torch.nn.Module):
    """Lung by brightness as the other stand-ins; effusion is brighter than tissue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lung = ((x > 0.07) & (x < 0.65)).float()
        fluid = (x > 0.955).float()
        return 16 * torch.cat([1 - lung - fluid, lung, fluid], dim=1)


class _Store(StandInStore):
    """Stand-ins whose lung network tells effusion."""

    def card(self, name: ModelName) -> ModelCard:
        if name != "lungs":
            return super().card(name)
        fields: Mapping[str, Any] = {"architecture": WITH_EFFUSION}
        plain = make_card(name, self.training)
        return ModelCard(**{**vars(plain), **fields})

    def network(self, name: ModelName) -> LoadedNetwork:
        if name != "lungs":
            return super().network(name)
        return LoadedNetwork(_Chest(), self.card(name), torch.device("cpu"), torch.float32, False)


def effusion_judge() -> Judge:
    store = _Store()
    return Judge("stand-in", store, store.card("lungs"))  # type: ignore[arg-type]


def write_array(folder: Path, file: str, array: NDArray[Any]) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 5.0))
    sitk.WriteImage(image, str(folder / file))


def write_effusion(folder: Path, name: str, seed: int) -> NDArray[np.uint8]:
    """Write a CT with effusion behind the left lung; give its labels."""
    write_volume(folder, name, seed, lungs=False, opacities=False)
    hu, _, _ = chest(seed)
    effusion = np.zeros(SHAPE, np.uint8)
    effusion[1:5, 36:41, 28:40] = 1
    hu[effusion == 1] = FLUID_HU
    write_array(folder, f"{name}_ct.nii.gz", hu)
    write_array(folder, f"{name}_effusion.nii.gz", effusion)
    return effusion


@pytest.fixture
def found(tmp_path: Path) -> Evaluation:
    """Two CTs with effusion and two without, one by its name and one by a statement."""
    write_effusion(tmp_path, "effusion_0", 0)
    write_effusion(tmp_path, "effusion_1", 1)
    write_clean_volume(tmp_path, "normal_0", 2)
    write_volume(tmp_path, "case_0", 3)
    write_volume(tmp_path, "case_1", 4)
    return evaluate("effusion", find_cases(tmp_path, no_effusion=["case_0"]), [effusion_judge()])


def test_effusion_is_judged_where_it_is_labelled_and_where_there_is_none(found: Evaluation) -> None:
    assert [row.case for row in found.rows] == ["case_0", "effusion_0", "effusion_1", "normal_0"]
    assert value(found, "volumes", "effusion_dice") > 0.9
    assert value(found, "volumes", "effusion_volume_error_ml") < 3
    assert figure(found, "volumes", "effusion_dice").of == "2 cases of 2 patients"
    assert value(found, "without effusion", "false_effusion_ml") == 0
    assert figure(found, "without effusion", "false_effusion_ml").count == 2


def test_how_far_volumes_of_effusion_were_off_is_said_plainly(found: Evaluation) -> None:
    share = [100 + float(row.values["effusion_volume_error_percent"]) for row in found.rows[1:3]]
    assert found.notices[0] == (
        f"Judged on 2 cases with pleural effusion, the volume found was {min(share) / 100:.1f} to "
        f"{max(share) / 100:.1f} times the true one. In 2 cases without it, up to 0 ml were found."
    )


def test_effusion_that_is_called_lung_or_opacity_is_counted(found: Evaluation) -> None:
    assert value(found, "volumes", "effusion_taken_percent") == pytest.approx(0, abs=2)


def test_effusion_has_a_page(found: Evaluation) -> None:
    text = render_page(found)
    assert "How well pleural effusion is found" in text
    assert "pleural effusion: Dice" in text
    assert "false pleural effusion" in text


def test_false_effusion_is_measured_in_ml(tmp_path: Path) -> None:
    write_effusion(tmp_path, "p0", 0)
    (tmp_path / "p0_effusion.nii.gz").unlink()
    write_array(tmp_path, "p0_lungs.nii.gz", chest(0)[1])
    found = evaluate("effusion", find_cases(tmp_path, no_effusion=["p0"]), [effusion_judge()])
    assert value(found, "without effusion", "false_effusion_ml") == pytest.approx(240 * VOXEL_ML, rel=0.1)


def test_a_network_that_does_not_look_for_effusion_cannot_be_judged_by_it(tmp_path: Path) -> None:
    write_effusion(tmp_path, "effusion_0", 0)
    with pytest.raises(TrainingDataError, match=r"that tells pleural effusion was expected, but lungs 1 does not"):
        evaluate("effusion", find_cases(tmp_path), [make_judge("lungs")])


def test_opacity_in_the_lungs_of_another_disease_is_false(tmp_path: Path) -> None:
    write_volume(tmp_path, "cancer_0", 0, opacities=False)
    write_clean_volume(tmp_path, "cancer_1", 1)
    write_volume(tmp_path, "case_0", 2)
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    rows = {row.case: row.values for row in found.rows}
    lungs, lesion = (int((part > 0).sum()) for part in chest(0)[1:])
    assert rows["cancer_0"]["false_opacity_percent"] == pytest.approx(100 * lesion / lungs, rel=0.1)
    assert rows["cancer_1"]["false_opacity_percent"] == pytest.approx(0, abs=0.2)
    assert figure(found, "other disease", "false_opacity_percent").count == 2
    assert figure(found, "volumes", "infection_dice").count == 1


def test_cases_with_and_without_kinds_of_opacity_are_judged_together(tmp_path: Path) -> None:
    for number in (0, 1):
        hu, lungs, opacities = chest(number)
        write_array(tmp_path, f"case_{number}_ct.nii.gz", hu)
        write_array(tmp_path, f"case_{number}_lungs.nii.gz", lungs)
        write_array(tmp_path, f"case_{number}_opacities.nii.gz", opacities)
    (tmp_path / "case_0_opacities.nii.gz").unlink()
    write_array(tmp_path, "case_0_infection.nii.gz", (chest(0)[2] > 0).astype(np.uint8))
    together = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    assert figure(together, "volumes", "infection_pooled_dice").of == "2 cases of 2 patients"
    assert figure(together, "volumes", "ggo_pooled_dice").of == "1 case of 1 patient"
    (tmp_path / "case_0_infection.nii.gz").unlink()
    alone = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    for name in ("ggo_dice", "ggo_pooled_dice"):
        assert value(together, "volumes", name) == value(alone, "volumes", name)


def test_infection_of_untold_kind_is_judged_as_infection_alone(tmp_path: Path) -> None:
    write_volume(tmp_path, "case_0", 0, opacities=False)
    write_array(tmp_path, "case_0_infection.nii.gz", (chest(0)[2] > 0).astype(np.uint8))
    found = evaluate("opacities", find_cases(tmp_path), [make_judge("opacities")])
    assert value(found, "volumes", "infection_dice") > 0.8
    assert not any(f.name.startswith(("ggo", "consolidation")) for f in found.figures)


def test_cases_of_other_diseases_are_cases_that_are_not_covid(tmp_path: Path) -> None:
    write_volume(tmp_path, "cancer_0", 0, opacities=False)
    write_effusion(tmp_path, "effusion_0", 1)
    write_volume(tmp_path, "case_0", 2)
    found = evaluate("cases", find_cases(tmp_path), [make_judge("slices")])
    assert {row.case: row.values["diseased"] for row in found.rows} == {
        "cancer_0": False,
        "case_0": True,
        "effusion_0": False,
    }
    assert figure(found, "volumes", "specificity").count == 2
    page = render_page(found)
    assert "Share of positive slices by case" in page
    assert "cancer_0" in page
