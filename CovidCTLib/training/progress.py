"""The checkpoint of a training: everything that a run needs to go on as if it had never been stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from CovidCTLib.errors import ModelError
from CovidCTLib.models.weights import write_state
from CovidCTLib.training.run_facts import differences
from CovidCTLib.writing.files import replacing

CHECKPOINT = "checkpoint.pt"
"""Name of the checkpoint in the folder of a run."""

CHECKPOINT_EVERY = 50
"""Optimizer steps between checkpoints, besides one at each validation. Measured with the opacity network on two cores:
a step of 8 slices takes a second, a checkpoint (77 MB) 0.1 to 0.4 s. So a kill costs a minute at most, and the
checkpoints less than a hundredth of the training."""

_KEPT = ("identity", "step", "best_step", "waited", "figures", "best", "losses")


class Progress:
    """Counters, the best weights, the losses since the last validation, the states of what learns, and of chance.

    Parameters
    ----------
    path
        The checkpoint.
    identity
        What the run rests on, as `CovidCTLib.training.run_facts.identity_of` gives it.
    device
        Where the network learns; its random numbers are kept.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], device: torch.device | None = None) -> None:
        self.path = path
        self.identity = dict(identity)
        self.device = device or torch.device("cpu")
        self.step = 0
        self.best_step = 0
        self.waited = 0
        self.figures: dict[str, float] = {}
        self.best: dict[str, torch.Tensor] = {}
        self.losses: list[float] = []
        self._chance: dict[str, torch.Tensor] = {}

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
        chance = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            chance["cuda"] = torch.cuda.get_rng_state(self.device)
        kept = {name: getattr(self, name) for name in _KEPT}
        with replacing(self.path) as (part,):
            write_state(part, {**kept, "chance": chance, "learning": [thing.state_dict() for thing in learning]})

    def resume(self, *learning: Any) -> None:
        """Continue from a checkpoint if there is one.

        Raises
        ------
        ModelError
            If it is damaged, comes from an earlier version, or belongs to a run of something else.
        """
        if not self.path.exists():
            return
        kept = self._read()
        differing = differences(kept["identity"], self.identity)
        if differing:
            raise ModelError(
                f"{self.path.parent} holds a run that differs in {', '.join(differing)}. Give another --output folder, "
                "or what that run was begun with."
            )
        for thing, state in zip(learning, kept["learning"], strict=True):
            # A scaler of gradients keeps nothing on devices that need none.
            if state:
                thing.load_state_dict(state)
        self._chance = kept["chance"]
        for name in _KEPT:
            setattr(self, name, kept[name])

    def restore_chance(self) -> None:
        """Go on with the random numbers where the checkpoint was; nothing in a new run."""
        if "cpu" in self._chance:
            torch.set_rng_state(self._chance["cpu"])
        if "cuda" in self._chance and self.device.type == "cuda":
            torch.cuda.set_rng_state(self._chance["cuda"], self.device)

    def _read(self) -> dict[str, Any]:
        """Read a checkpoint of this version."""
        try:
            kept = dict(torch.load(self.path, map_location="cpu", weights_only=True))
            identity = kept["identity"]
            missing = [name for name in (*_KEPT, "chance", "learning") if name not in kept]
        except Exception as error:
            # A file that is cut off or no pickle can bring its reader to raise nearly anything.
            raise ModelError(
                f"A checkpoint of covidct train was expected in {self.path.parent}, but {self.path.name} is damaged. "
                "Remove it to begin the run again, or give another --output folder."
            ) from error
        if missing or not isinstance(identity, Mapping):
            raise ModelError(
                f"A checkpoint of this version of CovidCT was expected in {self.path.parent}, but {self.path.name} was "
                "made by an earlier version, which kept too little to continue. Remove it to begin the run again, or "
                "give another --output folder."
            )
        return kept
