"""A run that was killed goes on as if it never had been, with the very same data and options alone."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_slices import TINY, TINY_LUNGS, TINY_TASKS, made_slices
from matplotlib.image import imread

from CovidCTLib.errors import ModelError, TrainingDataError
from CovidCTLib.models.networks import build_network
from CovidCTLib.training import loop
from CovidCTLib.training.history import cut_history, write_history
from CovidCTLib.training.loop import Trained, TrainingOptions, _next, train
from CovidCTLib.training.run_facts import checksum_of_tensors, differences, fingerprint
from CovidCTLib.training.slices import SliceSet
from CovidCTLib.training.splits import validation_mask
from CovidCTLib.training.tasks import Task

Sides = tuple[SliceSet, SliceSet]


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def slices() -> SliceSet:
    return made_slices()


@pytest.fixture(scope="module")
def sides(slices: SliceSet) -> Sides:
    mask = validation_mask(slices, 0, 4)
    return slices.only(~mask), slices.only(mask)


@pytest.fixture
def options() -> TrainingOptions:
    return TrainingOptions(steps=4, batch=2, judge_every=4, workers=0)


def killed_in_step(task: Task, step: int) -> Task:
    """The task, but computing the loss of a step ends the process."""
    done = 0

    def loss(*given: Any) -> torch.Tensor:
        nonlocal done
        done += 1
        if done == step:
            raise KilledError
        return task.loss(*given)

    return dataclasses.replace(task, loss=loss)


def same_weights(one: Trained, other: Trained) -> bool:
    """Whether two networks are equal to the last bit."""
    states = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("task", TINY_TASKS, ids=lambda task: task.name)
def test_a_run_killed_between_validations_ends_with_the_very_same_weights_and_history(
    sides: Sides, task: Task, options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(task, *sides, tmp_path / "whole", options)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 2)
    with pytest.raises(KilledError):
        train(killed_in_step(task, 4), *sides, tmp_path / "killed", options)
    lines: list[str] = []
    # The states of chance of another run in between must not matter.
    torch.manual_seed(99)
    continued = train(task, *sides, tmp_path / "killed", options, report=lines.append)
    assert [line.split(",")[0] for line in lines] == ["The run is continued after step 2.", "step 4/4"]
    assert same_weights(whole, continued)
    assert (tmp_path / "killed" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


def test_a_run_killed_at_a_validation_goes_on_with_another_number_of_workers(
    sides: Sides, options: TrainingOptions, tmp_path: Path
) -> None:
    options = dataclasses.replace(options, judge_every=2)
    whole = train(TINY_LUNGS, *sides, tmp_path / "whole", options)

    def stop(line: str) -> None:
        if line.startswith("step 2"):
            raise KilledError

    with pytest.raises(KilledError):
        train(TINY_LUNGS, *sides, tmp_path / "killed", options, report=stop)
    continued = train(TINY_LUNGS, *sides, tmp_path / "killed", dataclasses.replace(options, workers=1))
    assert same_weights(whole, continued)
    assert (tmp_path / "killed" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


def repainted(slices: SliceSet) -> SliceSet:
    """The slices with one more pixel of opacity."""
    opacities = slices.opacities.copy()
    opacities[0, 50, 20] = 2
    return dataclasses.replace(slices, opacities=opacities)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda a, b, o: ((a, b), {"options": dataclasses.replace(o, learning_rate=1.0)}), "--learning-rate (0.002 "),
        (lambda a, b, o: ((a, b), {"facts": {"--fold": "1 of 4"}}), "--fold (0 of 4 then, 1 of 4 now)."),
        (lambda a, b, o: ((b, a), {}), "the training patients, the validation patients, the training slices, the"),
        (lambda a, b, o: ((repainted(a), b), {}), "differs in the training slices."),
        (lambda a, b, o: ((a, None), {}), "the validation patients, the validation slices."),
        (lambda a, b, o: ((a, b), {"initial": build_network(TINY).state_dict()}), "differs in the weights of --init."),
    ],
    ids=["options", "fold", "sides", "labels", "no validation", "init"],
)
def test_a_run_is_not_continued_with_anything_else_and_the_refusal_names_it(
    sides: Sides, options: TrainingOptions, tmp_path: Path, change: Callable[..., Any], named: str
) -> None:
    train(TINY_LUNGS, *sides, tmp_path, options, facts={"--fold": "0 of 4"})
    before = (tmp_path / "history.csv").read_text()
    given, others = change(*sides, options)
    words = {"options": options, "facts": {"--fold": "0 of 4"}, **others}
    with pytest.raises(ModelError) as refused:
        train(TINY_LUNGS, *given, tmp_path, **words)
    assert "holds a run that differs in" in str(refused.value)
    assert named in str(refused.value)
    assert "Smith" not in str(refused.value)
    assert "Give another --output folder, or what that run was begun with." in str(refused.value)
    assert (tmp_path / "history.csv").read_text() == before


def test_facts_that_one_side_lacks_differ_too() -> None:
    assert differences({"a": 1, "b": [1]}, {"a": 1, "c": None, "d": "x" * 64}) == ["d", "b"]
    assert differences({"a": None}, {"a": 2}) == ["a (none then, 2 now)"]


def test_fingerprints_tell_images_labels_and_names_apart(slices: SliceSet) -> None:
    other_image = slices.image.copy()
    other_image[3, 40:48, 40:48] += np.float16(0.01)
    found = {
        fingerprint(slices),
        fingerprint(repainted(slices)),
        fingerprint(dataclasses.replace(slices, image=other_image)),
        fingerprint(dataclasses.replace(slices, abnormal=1 - slices.abnormal)),
        fingerprint(dataclasses.replace(slices, case=slices.patient)),
    }
    assert len(found) == 5
    assert fingerprint(slices) == fingerprint(made_slices())


def test_checksums_of_weights_depend_on_names_and_values_not_on_order() -> None:
    state = {"a": torch.zeros(2, 2), "n": torch.tensor(3), "h": torch.ones(1, dtype=torch.bfloat16)}
    assert checksum_of_tensors(state) == checksum_of_tensors(dict(reversed(state.items())))
    assert checksum_of_tensors(state) != checksum_of_tensors({**state, "a": torch.zeros(4)})
    assert checksum_of_tensors(state) != checksum_of_tensors({**state, "n": torch.tensor(4)})


@pytest.mark.parametrize("old", [{"identity": "('lungs', ...)", "step": 2}, {"identity": {"what": 1}, "step": 2}])
def test_a_checkpoint_of_an_earlier_version_is_refused(
    sides: Sides, options: TrainingOptions, tmp_path: Path, old: dict[str, object]
) -> None:
    torch.save(old, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match=r"made by an earlier version, .* Remove it to begin the run again"):
        train(TINY_LUNGS, *sides, tmp_path, options)


def test_a_damaged_checkpoint_is_refused(sides: Sides, options: TrainingOptions, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match=r"checkpoint\.pt is damaged\. Remove it to begin the run again"):
        train(TINY_LUNGS, *sides, tmp_path, options)


@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.95])
def test_a_checkpoint_that_was_cut_off_is_refused(
    sides: Sides, options: TrainingOptions, tmp_path: Path, left: float
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save({"identity": {}, "best": torch.zeros(5000)}, checkpoint)
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(left * len(content))])
    with pytest.raises(ModelError, match=r"checkpoint\.pt is damaged\. Remove it to begin the run again"):
        train(TINY_LUNGS, *sides, tmp_path, options)


def test_a_run_that_stopped_early_is_not_trained_further_when_called_again(sides: Sides, tmp_path: Path) -> None:
    worse = iter(range(0, -100, -1))
    task = dataclasses.replace(TINY_LUNGS, judge=lambda *_: {"score": float(next(worse))})
    options = TrainingOptions(steps=30, batch=2, judge_every=1, workers=0, patience=2)
    first = train(task, *sides, tmp_path, options)
    before = (tmp_path / "history.csv").read_text()
    assert len(before.splitlines()) == 4
    lines: list[str] = []
    again = train(task, *sides, tmp_path, options, report=lines.append)
    assert lines[-1] == "No better score in 2 validations: stopped early."
    assert same_weights(first, again)
    assert again.step == 1
    assert (tmp_path / "history.csv").read_text() == before


def test_a_run_begun_again_begins_its_history_again(sides: Sides, options: TrainingOptions, tmp_path: Path) -> None:
    train(TINY_LUNGS, *sides, tmp_path, dataclasses.replace(options, judge_every=1))
    (tmp_path / "checkpoint.pt").unlink()
    train(TINY_LUNGS, *sides, tmp_path, options)
    assert [line.split(",")[0] for line in (tmp_path / "history.csv").read_text().splitlines()] == ["step", "4"]


def test_lines_after_the_checkpoint_are_cut_from_the_history(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_history(tmp_path, step, 1 / step, {"score": step / 2})
    with (tmp_path / "history.csv").open("a") as file:
        file.write("4,0.2")
    cut_history(tmp_path, 2)
    with (tmp_path / "history.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]
    cut_history(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []
    cut_history(tmp_path, 0)


def test_the_history_is_drawn(tmp_path: Path) -> None:
    for step in (1, 2):
        write_history(tmp_path, step, 1 / step, {"score": step / 2})
    assert (tmp_path / "history.csv").read_text().splitlines()[1:] == ["1,1.00000,0.50000", "2,0.50000,1.00000"]
    picture = imread(tmp_path / "history.png")
    assert picture.shape[:2] == (600, 800)
    assert picture[..., :3].min() < 0.2
    assert {path.name for path in tmp_path.iterdir()} == {"history.csv", "history.png"}


def test_a_loss_that_is_not_finite_stops_the_training_before_weights_are_spoiled(
    sides: Sides, options: TrainingOptions, tmp_path: Path
) -> None:
    task = dataclasses.replace(TINY_LUNGS, loss=lambda network, images, _: network(images).mean() * float("nan"))
    with pytest.raises(TrainingDataError, match=r"The loss must be a finite number, but is nan at step 1\. Check the"):
        train(task, *sides, tmp_path, options)
    assert not (tmp_path / "lungs").exists()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_gradient_that_is_not_finite_stops_the_training(
    sides: Sides, options: TrainingOptions, tmp_path: Path
) -> None:
    # The root of zero is zero, its slope is not finite.
    task = dataclasses.replace(TINY_LUNGS, loss=lambda network, images, _: (network(images).mean() * 0).sqrt())
    with pytest.raises(TrainingDataError, match=r"The gradient must be a finite number, but is nan at step 1"):
        train(task, *sides, tmp_path, options)


def test_a_process_that_the_system_ended_is_named_and_other_errors_are_not_taken_for_it() -> None:
    def broken(message: str) -> Iterator[dict[str, torch.Tensor]]:
        raise RuntimeError(message)
        yield {}

    with pytest.raises(TrainingDataError, match="--workers 0: the run goes on from its last checkpoint"):
        _next(broken("DataLoader worker (pid 7) is killed by signal: Killed."))
    with pytest.raises(RuntimeError, match="shapes"):
        _next(broken("shapes do not fit"))
