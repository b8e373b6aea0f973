"""The training loop: resumable after a kill, repeatable from its seed, judged on patients that it never saw."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from CovidCTLib.errors import ModelError, OptionsError, TrainingDataError
from CovidCTLib.models.device import choose_dtype
from CovidCTLib.models.efficientnet import EfficientEncoder
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.weights import write_state
from CovidCTLib.training.history import write_history
from CovidCTLib.training.initial import initialize
from CovidCTLib.training.lesions import LABEL_LUNGS
from CovidCTLib.training.sampling import SampledSlices
from CovidCTLib.training.slices import SliceSet
from CovidCTLib.training.tasks import Task, to_grid

AVERAGE_DECAY = 0.995
"""Weights are averaged over steps with this decay; the average is judged and shipped."""


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


@dataclass(frozen=True)
class Trained:
    """The best network of a run, its figures on the validation patients, and the step that it comes from."""

    network: torch.nn.Module
    figures: dict[str, float]
    step: int


def train(
    task: Task,
    training: SliceSet,
    validation: SliceSet | None,
    run: Path,
    options: TrainingOptions,
    initial: dict[str, torch.Tensor] | None = None,
    report: Callable[[str], None] = lambda _: None,
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

    Raises
    ------
    TrainingDataError
        If a patient is on both sides, or a side is empty.
    ModelError
        If the run in the folder was made with other options or another network.
    """
    _check_split(training, validation)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    network = build_network(task.architecture)
    if initial is not None:
        report(initialize(network, initial))
        _freeze(network, options.freeze)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=_average, use_buffers=True)
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad], lr=options.learning_rate, weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps + 1, pct_start=0.15
    )
    state = _Progress(run / "checkpoint.pt", str((task.name, dict(task.architecture), options)))
    state.resume(network, average, optimizer, schedule)
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
    )
    loader = DataLoader(
        samples, options.batch, num_workers=options.workers, prefetch_factor=4 if options.workers else None
    )
    dtype = choose_dtype(device)
    # Gradients of half precision vanish unless they are scaled; those of bfloat16 have the range of float32.
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    begun, losses = time.monotonic(), []
    for batch in loader:
        network.train()
        images = batch["image"].to(device, memory_format=torch.channels_last)
        labels = {key: value.to(device) for key, value in batch.items() if key != "image"}
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = task.loss(network, task.prepare(images, labels["label"][:, LABEL_LUNGS]), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        average.update_parameters(network)
        losses.append(float(loss.detach()))
        state.step += 1
        if state.step % options.judge_every == 0 or state.step == options.steps:
            figures = {}
            if validation is not None:
                figures = task.judge(predict(average.module, validation, task, device), validation)
            improved = state.note(figures, average.module)
            write_history(run, state.step, float(np.mean(losses)), figures)
            state.save(network, average, optimizer, schedule)
            shown = "".join(f"{key} {value:.4f}, " for key, value in figures.items())
            report(
                f"step {state.step}/{options.steps}, loss {np.mean(losses):.4f}, {shown}"
                f"{'best, ' if improved and figures else ''}{time.monotonic() - begun:.0f} s"
            )
            losses = []
            if state.waited >= options.patience:
                report(f"No better score in {options.patience} validations: stopped early.")
                break
    best = build_network(task.architecture)
    best.load_state_dict(state.best)
    return Trained(best.eval(), state.figures, state.best_step)


def _freeze(network: torch.nn.Module, stages: int) -> None:
    """Freeze the first stages of a network's encoder."""
    encoder = next((m for m in network.modules() if isinstance(m, EfficientEncoder)), None)
    if stages and encoder is None:
        raise OptionsError("Only an EfficientNet has stages to freeze: leave --freeze out for this network.")
    if encoder is not None:
        encoder.freeze(stages)


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
        images = torch.from_numpy(slices.image[start : start + 16].astype(np.float32))[:, None].to(device)
        images = torch.nn.functional.interpolate(images, (task.size, task.size), mode="bilinear", antialias=True)
        lungs = torch.from_numpy(to_grid(slices.lungs[start : start + 16], task.size)).to(device)
        images = task.prepare(images, lungs)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            outputs.append(network(images.to(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(outputs)


def _average(averaged: Any, current: Any, count: Any) -> None:
    """Move averaged tensors towards the current ones; quickly at first, so that the random start is forgotten."""
    decay = min(AVERAGE_DECAY, (1.0 + float(count)) / (10.0 + float(count)))
    for mean, value in zip(averaged, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


class _Progress:
    """What must be kept to continue a run: counters, the best weights, and the states of what learns."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self.identity = identity
        self.step = 0
        self.best_step = 0
        self.waited = 0
        self.figures: dict[str, float] = {}
        self.best: dict[str, torch.Tensor] = {}

    def note(self, figures: dict[str, float], network: torch.nn.Module) -> bool:
        """Keep the weights if they are the best so far."""
        # Without validation the latest weights are the ones to keep.
        improved = not self.best or not figures or figures["score"] > self.figures["score"]
        self.waited = 0 if improved else self.waited + 1
        if improved:
            self.figures, self.best_step = dict(figures), self.step
            self.best = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        return improved

    def save(self, *learning: Any) -> None:
        """Write the checkpoint under a temporary name and move it into place."""
        part = self.path.with_suffix(".part")
        kept = {name: getattr(self, name) for name in ("identity", "step", "best_step", "waited", "figures", "best")}
        try:
            write_state(part, {**kept, "learning": [thing.state_dict() for thing in learning]})
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def resume(self, *learning: Any) -> None:
        """Continue from a checkpoint if there is one."""
        if not self.path.exists():
            return
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            identity = kept["identity"]
        except (RuntimeError, ValueError, EOFError, LookupError, TypeError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"A checkpoint of covidct train was expected in {self.path.parent}, but {self.path.name} is damaged. "
                "Remove it to begin the run again, or give another --output folder."
            ) from error
        if identity != self.identity:
            raise ModelError(
                f"{self.path.parent} holds a run with other options. Give another --output folder, or the same options."
            )
        for thing, state in zip(learning, kept.pop("learning"), strict=True):
            thing.load_state_dict(state)
        for name, value in kept.items():
            setattr(self, name, value)
