"""The training loop: resumable after a kill, repeatable from its seed, judged on patients that it never saw."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.models.device import choose_dtype
from CovidCTLib.models.neighbours import steps_to_neighbour
from CovidCTLib.models.networks import build_network
from CovidCTLib.training.history import cut_history, write_history
from CovidCTLib.training.initial import start_from
from CovidCTLib.training.lesions import LABEL_LUNGS
from CovidCTLib.training.progress import CHECKPOINT, CHECKPOINT_EVERY, Progress
from CovidCTLib.training.run_facts import identity_of
from CovidCTLib.training.sampling import SampledSlices, beside
from CovidCTLib.training.slices import SliceSet
from CovidCTLib.training.tasks import Task, to_grid

AVERAGE_DECAY = 0.995
"""Weights are averaged over steps with this decay; the average is judged and shipped."""

_WITHOUT_EFFECT = ("workers", "device")
"""Options that do not change what is learned: a run may go on with others."""


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train.

    Parameters
    ----------
    steps, batch
        Optimizer steps, and slices in each.
    learning_rate
        Highest rate of the one-cycle schedule.
    judge_every
        Steps between validations.
    patience
        Validations without a better score after which the training stops.
    seed
        Of the first weights and the samples.
    workers
        Processes that augment.
    device
        torch device.
    freeze
        First stages of a given EfficientNet that keep their weights: edges and textures are the same in photographs
        and CTs, and the first stages take half of the time.
    thick_slices
        Share of the slices of volumes that become up to twice as thick.
    """

    steps: int = 1500
    batch: int = 16
    learning_rate: float = 2e-3
    judge_every: int = 150
    patience: int = 8
    seed: int = 0
    workers: int = 1
    device: str = "cpu"
    freeze: int = 0
    thick_slices: float = 0.0


@dataclass(frozen=True)
class Trained:
    """The best network of a run, its figures on the validation patients, its step, and how many steps there were."""

    network: torch.nn.Module
    figures: dict[str, float]
    step: int
    steps_done: int


def train(
    task: Task,
    training: SliceSet,
    validation: SliceSet | None,
    run: Path,
    options: TrainingOptions,
    initial: dict[str, torch.Tensor] | None = None,
    report: Callable[[str], None] = lambda _: None,
    facts: Mapping[str, Any] | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    task
        What to train.
    training, validation
        Slices of different patients; without validation slices all steps are done and the last weights are taken.
    run
        Folder of the run; an unfinished run in it is continued.
    options
        How.
    initial
        Weights to start from; tensors that fit are taken.
    report
        Takes one line a validation.
    facts
        What else the run rests on, by names for people, such as the number of the fold; a run with others is not
        continued.

    Raises
    ------
    TrainingDataError
        If a patient is on both sides, a side is empty, or the loss is no finite number.
    ModelError
        If the run in the folder was made with other data, options or weights to start from, or the weights to start
        from do not fit.
    OptionsError
        If stages of a network without stages are to be frozen.
    """
    _check_split(training, validation)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    learner = _Learner(task, options, initial, report)
    learned_by = {key: value for key, value in asdict(options).items() if key not in _WITHOUT_EFFECT}
    identity = identity_of(task, training, validation, learned_by, initial, facts or {})
    state = Progress(run / CHECKPOINT, identity, learner.device)
    state.resume(*learner.states)
    cut_history(run, state.step)
    if state.step:
        report(f"The run is continued after step {state.step}.")
    samples = SampledSlices(
        training,
        task.weights(training),
        task.crop or task.size,
        task.framing,
        options.seed,
        state.step * options.batch,
        (options.steps - state.step) * options.batch,
        task.pasted,
        task.carried,
        options.thick_slices,
        task.strength,
        task.seen,
        task.flooded,
    )
    loader = DataLoader(
        samples, options.batch, num_workers=options.workers, prefetch_factor=4 if options.workers else None
    )
    begun, batches = time.monotonic(), iter(loader)
    # Making the iterator draws a random number, which an uninterrupted run does only once.
    state.restore_chance()
    while state.step < options.steps and state.waited < options.patience:
        state.losses.append(learner.learn(_next(batches), state.step + 1))
        state.step += 1
        if state.step % options.judge_every == 0 or state.step == options.steps:
            line = _judge(learner, state, validation, run)
            state.save(*learner.states)
            report(f"step {state.step}/{options.steps}, {line}{time.monotonic() - begun:.0f} s")
        elif state.step % CHECKPOINT_EVERY == 0:
            state.save(*learner.states)
    if state.waited >= options.patience:
        report(f"No better score in {options.patience} validations: stopped early.")
    best = build_network(task.architecture)
    best.load_state_dict(state.best)
    return Trained(best.eval(), state.figures, state.best_step, state.step)


def _next(batches: Iterator[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Take the next batch from the processes that augment."""
    try:
        return next(batches)
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        # Killed for want of memory, mostly of the shared one, which is small in containers.
        raise TrainingDataError(
            "A process that augments slices must live as long as the training, but the system ended it, as it does "
            "where memory runs out. Give the same command with --workers 0: the run goes on from its last checkpoint."
        ) from error


class _Learner:
    """A network with its average, optimizer and schedule, on the device where it learns."""

    def __init__(
        self,
        task: Task,
        options: TrainingOptions,
        initial: Mapping[str, torch.Tensor] | None,
        report: Callable[[str], None],
    ) -> None:
        self.task = task
        self.device = torch.device(options.device)
        network = build_network(task.architecture)
        if initial is not None:
            report(start_from(network, initial, options.freeze))
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=_average, use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            [p for p in network.parameters() if p.requires_grad], lr=options.learning_rate, weight_decay=1e-3
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, options.learning_rate, total_steps=options.steps + 1, pct_start=0.15
        )
        self.dtype = choose_dtype(self.device)
        # Gradients of half precision vanish unless they are scaled; those of bfloat16 have the range of float32.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    @property
    def states(self) -> tuple[Any, ...]:
        """What has a state that must be kept."""
        return self.network, self.average, self.optimizer, self.schedule, self.scaler

    def learn(self, batch: dict[str, torch.Tensor], step: int) -> float:
        """Take one step on a batch; give its loss."""
        self.network.train()
        images = batch["image"].to(self.device, memory_format=torch.channels_last)
        labels = {key: value.to(self.device) for key, value in batch.items() if key != "image"}
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.task.loss(self.network, self.task.prepare(images, labels["label"][:, LABEL_LUNGS]), labels)
        value = float(loss.detach())
        _check_finite("loss", value, step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        if not self.scaler.is_enabled():
            # A scaler leaves such a step out by itself.
            _check_finite("gradient", float(norm), step)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return value


def _check_finite(what: str, value: float, step: int) -> None:
    """Stop before weights are spoiled."""
    if not math.isfinite(value):
        raise TrainingDataError(
            f"The {what} must be a finite number, but is {value} at step {step}. Check the training images and their "
            "calibration tables for values that are not finite or far too large; if they are right, lower "
            "--learning-rate and give another --output folder."
        )


def _judge(learner: _Learner, state: Progress, validation: SliceSet | None, run: Path) -> str:
    """Judge the averaged weights, keep them if they are the best, and write the history; give its line in words."""
    figures = {}
    if validation is not None:
        outputs = predict(learner.average.module, validation, learner.task, learner.device)
        figures = learner.task.judge(outputs, validation)
    improved = state.note(figures, learner.average.module)
    loss = float(np.mean(state.losses))
    state.losses = []
    write_history(run, state.step, loss, figures)
    shown = "".join(f"{key} {value:.4f}, " for key, value in figures.items())
    return f"loss {loss:.4f}, {shown}{'best, ' if improved and figures else ''}"


def _check_split(training: SliceSet, validation: SliceSet | None) -> None:
    """Refuse a split that lacks a side, or has a patient on both."""
    if not len(training) or (validation is not None and not len(validation)):
        count = "no" if validation is None else len(validation)
        raise TrainingDataError(f"{len(training)} training and {count} validation slices: both are needed.")
    both = set(training.patient.tolist()) & set([] if validation is None else validation.patient.tolist())
    if both:
        raise TrainingDataError(f"Patient {sorted(both)[0]} is in both splits. Split by patient, never by slice.")


@torch.inference_mode()
def predict(network: torch.nn.Module, slices: SliceSet, task: Task, device: torch.device) -> torch.Tensor:
    """Run a network over stored slices; float32 outputs on the CPU, shape ``(n, ...)``."""
    network.eval()
    dtype = choose_dtype(device)
    outputs = []
    for start in range(0, len(slices), 16):
        shown = [_seen(slices, k, task.seen) for k in range(start, min(start + 16, len(slices)))]
        images = torch.from_numpy(slices.image[shown].astype(np.float32)).to(device)
        images = torch.nn.functional.interpolate(images, (task.size, task.size), mode="bilinear", antialias=True)
        lungs = torch.from_numpy(to_grid(slices.lungs[start : start + 16], task.size)).to(device)
        images = task.prepare(images, lungs)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            outputs.append(network(images.to(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(outputs)


def _seen(slices: SliceSet, k: int, count: int) -> list[int]:
    """Indices of the slices that a network sees for slice k, as in use."""
    if count == 1 or slices.step_mm[k] <= 0:
        return [k] * count
    steps = steps_to_neighbour(float(slices.step_mm[k]))
    return [beside(slices, k, steps * (n - count // 2)) for n in range(count)]


def _average(averaged: Any, current: Any, count: Any) -> None:
    """Move averaged tensors towards the current ones; quickly at first, so that the random start is forgotten."""
    decay = min(AVERAGE_DECAY, (1.0 + float(count)) / (10.0 + float(count)))
    for mean, value in zip(averaged, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
