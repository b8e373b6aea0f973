"""The training itself: splits by patient, losses by definition, runs that repeat and resume."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from training_folder import write_training_folder

from CovidCTLib.errors import ModelError, OptionsError, TrainingDataError
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.models.networks import build_network
from CovidCTLib.training.augmentation import RandLungNoised, make_augmentation
from CovidCTLib.training.loop import TrainingOptions, train
from CovidCTLib.training.losses import (
    abnormal_loss,
    clear_loss,
    lung_loss,
    opacity_loss,
    soft_dice,
    soft_dice_of_slices,
    spot_loss,
)
from CovidCTLib.training.sampling import SampledSlices, balanced_weights
from CovidCTLib.training.slices import INFECTION, SIDE, UNKNOWN, Framing, SliceSet, load_slices
from CovidCTLib.training.splits import validation_mask
from CovidCTLib.training.tasks import LUNGS, OPACITIES, SLICES, Task, area_under_curve, dice, specific_point

TINY = {"kind": "unet", "channels": [4, 8], "outputs": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_folder(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="module")
def slices(data: Path) -> SliceSet:
    return load_slices(find_cases(data, [("case_0", "case_1")]), "body", None)


@pytest.fixture
def tiny_task() -> Task:
    return dataclasses.replace(LUNGS, architecture=TINY, size=32)


@pytest.fixture
def options() -> TrainingOptions:
    return TrainingOptions(steps=4, batch=2, judge_every=2, workers=0)


def test_no_patient_is_on_both_sides_of_any_fold(slices: SliceSet) -> None:
    held_out = []
    for fold in range(3):
        mask = validation_mask(slices, fold, 3)
        assert not set(slices.patient[mask]) & set(slices.patient[~mask])
        held_out.append(mask)
    assert np.sum(held_out, axis=0).tolist() == [1] * len(slices)


def test_two_scans_of_a_patient_stay_together(slices: SliceSet) -> None:
    for fold in range(3):
        mask = validation_mask(slices, fold, 3)
        assert mask[slices.case == "case_0"].all() == mask[slices.case == "case_1"].any()


def test_impossible_folds_are_refused(slices: SliceSet) -> None:
    with pytest.raises(TrainingDataError, match="within 0 and 1, not 2"):
        validation_mask(slices, 2, 2)
    with pytest.raises(TrainingDataError, match="to train on and"):
        validation_mask(slices.only(slices.case == "case_2"), 0, 2)


def test_samples_depend_on_seed_and_number_alone(slices: SliceSet) -> None:
    weights = balanced_weights(slices.source, {})
    whole = SampledSlices(slices, weights, 64, "body", 5, 0, 6)
    rest = SampledSlices(slices, weights, 64, "body", 5, 4, 2)
    other = SampledSlices(slices, weights, 64, "body", 6, 4, 2)
    assert len(rest) == 2
    assert torch.equal(whole[4]["image"], rest[0]["image"])
    assert not torch.equal(whole[4]["image"], other[0]["image"])
    assert whole[0]["image"].shape == (1, 64, 64)
    assert 0 <= float(whole[0]["image"].min()) <= float(whole[0]["image"].max()) <= 1


def test_weights_give_each_group_its_share() -> None:
    groups = np.asarray(["a", "b", "b", "b"])
    weights = balanced_weights(groups, {"a": 2.0})
    assert weights.tolist() == [2.0, pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3)]


def test_lung_noise_touches_lungs_only() -> None:
    image = torch.full((1, SIDE, SIDE), 0.5)
    label = torch.zeros(2, SIDE, SIDE)
    label[0, :40] = 1
    noisy = RandLungNoised(prob=1.0).set_random_state(0)({"image": image, "label": label})["image"]
    assert torch.equal(noisy[:, 40:], image[:, 40:])
    assert float((noisy - image)[:, :40].std()) == pytest.approx(0.08, rel=0.3)


def test_a_normal_slice_with_a_made_up_opacity_is_abnormal(slices: SliceSet) -> None:
    normal = slices.only((slices.abnormal == 0) & (slices.lungs == 1).any(axis=(1, 2)))
    assert len(normal)
    for pasted, expected in ((1.0, 1), (0.0, 0)):
        samples = SampledSlices(normal, np.ones(len(normal)), 96, "lungs", 0, 0, 4, pasted)
        assert {samples[n]["abnormal"] for n in range(4)} == {expected}


def test_what_is_found_in_clear_slices_costs_even_when_it_is_little() -> None:
    truth = torch.zeros(2, 64, 64)
    truth[1, :9] = 1
    known = torch.ones_like(truth)
    found = truth.clone()
    assert float(clear_loss(found, truth, known)) == 0
    found[0, :10, :10] = 1
    assert float(clear_loss(found, truth, known)) == pytest.approx(0.5)
    assert float(clear_loss(found, truth, known * 0)) == 0


def test_the_dice_of_slices_does_not_forget_small_lesions() -> None:
    truth = torch.zeros(3, 32, 32)
    truth[0, :16] = 1
    truth[1, 4:8, 4:8] = 1
    large_only = truth.clone()
    large_only[1] = 0
    known = torch.ones_like(truth)
    assert float(soft_dice_of_slices(truth, truth, known)) == pytest.approx(0, abs=1e-6)
    assert float(soft_dice_of_slices(large_only, truth, known)) > 0.45
    assert float(soft_dice(large_only, truth, known)) < 0.05


@pytest.mark.parametrize("framing", ["body", "lungs"])
def test_augmentation_keeps_labels_on_their_pixels(framing: Framing) -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((1, SIDE, SIDE), np.float32)
    image[:, 90:200, 60:150] = 1
    augmentation = make_augmentation(256, framing)
    for _ in range(5):
        augmentation.set_random_state(seed=int(rng.integers(1000)))
        sample = augmentation({"image": image, "label": np.concatenate([image, image])})
        bright = sample["image"][0] > 0.5
        assert dice(bright.numpy(), (sample["label"][1] > 0.5).numpy()) > 0.93


def test_dice_and_auc_follow_their_definitions() -> None:
    a, b = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(a, b) == 0.5
    assert dice(a & False, b & False) == 1.0
    assert area_under_curve(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1], bool)) == pytest.approx(0.875)
    assert np.isnan(area_under_curve(np.ones(2), np.ones(2, bool)))


def test_the_specific_point_leaves_nine_normal_slices_in_ten_uncalled() -> None:
    normal = np.arange(20) / 100
    point = specific_point(np.concatenate([normal, [0.05, 0.18, 0.6]]), np.arange(23) >= 20)
    assert point["specific_threshold"] == pytest.approx(0.17)
    assert point["specificity_there"] == pytest.approx(0.9)
    assert point["sensitivity_there"] == pytest.approx(2 / 3)


def test_losses_are_near_zero_for_right_answers_and_ignore_unknown_pixels() -> None:
    lungs = torch.randint(0, 2, (2, 16, 16)).to(torch.uint8)
    right = (lungs.float() * 40 - 20)[:, None]
    unlabelled = torch.full_like(lungs, UNKNOWN)
    assert float(lung_loss(right, lungs, unlabelled)) < 1e-3
    assert float(lung_loss(-right, lungs, unlabelled)) > 10
    unknown = lungs.clone()
    unknown[:, :8] = UNKNOWN
    spoiled = right.clone()
    spoiled[:, :, :8] *= -1
    assert float(lung_loss(spoiled, unknown, unlabelled)) < 1e-3


def test_opacity_loss_does_not_ask_for_a_class_that_is_not_known() -> None:
    opacities = torch.zeros(1, 16, 16, dtype=torch.uint8)
    opacities[:, :4] = INFECTION
    logits = torch.zeros(1, 3, 16, 16)
    logits[:, 0] = 20
    logits[:, :, :4] = torch.tensor([-20.0, 20.0, 20.0])[None, :, None, None]
    either = float(opacity_loss(logits, opacities))
    assert either < 1e-2
    classed = torch.where(opacities == INFECTION, 2, opacities)
    assert float(opacity_loss(logits, classed)) > either + 0.5
    logits[:, 1, :4] = -20
    assert float(opacity_loss(logits, classed)) < 1e-2


def test_soft_dice_and_abnormal_loss_have_their_minima_at_the_truth() -> None:
    truth = torch.tensor([[[1.0, 0.0]]])
    known = torch.ones_like(truth)
    assert float(soft_dice(truth, truth, known)) == pytest.approx(0)
    assert float(soft_dice(1 - truth, truth, known)) > 0.5
    labels = torch.tensor([1, 0])
    assert float(abnormal_loss(torch.tensor([3.0, -3.0]), labels)) < float(abnormal_loss(torch.zeros(2), labels))


def test_a_patient_in_both_splits_is_refused(
    slices: SliceSet, tiny_task: Task, options: TrainingOptions, tmp_path: Path
) -> None:
    with pytest.raises(TrainingDataError, match="is in both splits"):
        train(tiny_task, slices, slices, tmp_path, options)
    none = slices.only(np.zeros(len(slices), bool))
    with pytest.raises(TrainingDataError, match="both are needed"):
        train(tiny_task, slices, none, tmp_path, options)


def test_weights_to_start_from_are_reported_or_refused(
    slices: SliceSet, tiny_task: Task, options: TrainingOptions, tmp_path: Path
) -> None:
    mask = validation_mask(slices, 0, 3)
    sides = slices.only(~mask), slices.only(mask)
    first = train(tiny_task, *sides, tmp_path / "a", options).network.state_dict()
    lines: list[str] = []
    train(tiny_task, *sides, tmp_path / "b", options, {**first, "more": torch.zeros(1)}, lines.append)
    assert lines[0].startswith(f"{len(first)} of {len(first)} tensors taken from the given weights")
    assert "1 (more) have no place here" in lines[0]
    with pytest.raises(ModelError, match="None of the 1 given tensors fits"):
        train(tiny_task, *sides, tmp_path / "c", options, {"more": torch.zeros(1)})


def test_only_encoders_with_stages_can_be_frozen(
    slices: SliceSet, tiny_task: Task, options: TrainingOptions, tmp_path: Path
) -> None:
    given = build_network(TINY).state_dict()
    with pytest.raises(OptionsError, match="Only EfficientNet and ResNet have stages to freeze"):
        train(tiny_task, slices, None, tmp_path, dataclasses.replace(options, freeze=2), given)


def test_frozen_stages_keep_the_given_weights(
    slices: SliceSet, tiny_task: Task, options: TrainingOptions, tmp_path: Path
) -> None:
    architecture = {"kind": "efficientnet-unet", "decoder": [4, 4, 4, 4], "outputs": 1}
    task = dataclasses.replace(tiny_task, architecture=architecture)
    given = build_network(architecture).state_dict()
    trained = train(task, slices, None, tmp_path, dataclasses.replace(options, steps=1, freeze=1), given)
    state = trained.network.state_dict()
    assert torch.equal(state["encoder.stem.1.weight"], given["encoder.stem.1.weight"])
    assert not torch.equal(
        state["encoder.stages.1.1._expand_conv.weight"], given["encoder.stages.1.1._expand_conv.weight"]
    )


def test_training_on_all_patients_keeps_the_last_weights(
    slices: SliceSet, tiny_task: Task, options: TrainingOptions, tmp_path: Path
) -> None:
    trained = train(tiny_task, slices, None, tmp_path, options)
    assert trained.step == options.steps
    assert trained.figures == {}
    assert (tmp_path / "history.csv").read_text().startswith("step,loss\n")


@pytest.mark.parametrize(("task", "framing"), [(OPACITIES, "lungs"), (SLICES, "lungs")], ids=["opacities", "slices"])
def test_each_task_judges_its_own_figures(data: Path, task: Task, framing: str) -> None:
    slices = load_slices(find_cases(data), "lungs", None)
    slices = slices.only(task.usable(slices))
    weights = task.weights(slices)
    assert weights.min() > 0
    if task is SLICES:
        figures = task.judge(torch.from_numpy(slices.abnormal.astype(np.float32) * 8 - 4), slices)
        assert figures["auc_volumes"] == figures["sensitivity"] == figures["specificity"] == 1.0
    else:
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(slices.opacities.astype(np.int64)), 4).float()
        logits = torch.cat([one_hot[..., :1], one_hot[..., 1:2] + one_hot[..., 3:], one_hot[..., 2:3]], -1) * 40
        figures = task.judge(logits.permute(0, 3, 1, 2), slices)
        assert figures["infection_dice_volume"] == pytest.approx(1.0)
        assert figures["ggo_dice_photographs"] == pytest.approx(1.0)
        assert figures["normal_opacity_percent"] == 0
    assert figures["score"] == pytest.approx(1.0)


def test_spots_are_learned_where_masks_are_known_only() -> None:
    opacities = torch.zeros(1, 32, 32, dtype=torch.uint8)
    opacities[0, :8, :8] = INFECTION
    opacities[0, 24:, 24:] = UNKNOWN
    right = torch.full((1, 4, 4), -20.0)
    right[0, 0, 0] = 20
    assert float(spot_loss(right, opacities)) < 1e-6
    elsewhere = right.clone()
    elsewhere[0, 3, 3] = 20
    assert float(spot_loss(elsewhere, opacities)) < 1e-6
    assert float(spot_loss(-right, opacities)) > 10
