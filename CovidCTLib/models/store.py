"""The networks at hand: loaded once, on one device, in one precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.analysis import ModelUsed
from CovidCTLib.errors import ModelError
from CovidCTLib.framing import Frame
from CovidCTLib.models.card import MODEL_NAMES, ModelCard, ModelName
from CovidCTLib.models.device import choose_device, choose_dtype
from CovidCTLib.models.inference import prepare_for_inference
from CovidCTLib.models.neighbours import NEIGHBOUR_MM, neighbours_of, steps_to_neighbour
from CovidCTLib.models.registry import Entry, find_own, shipped_entry
from CovidCTLib.models.weights import load_network, try_network

BATCH = 8
"""Slices that go through a network at once; with more, activations no longer fit into a processor's cache: 16 took the
opacity network a third longer."""

_SMALLEST_SIDE = 64
"""Side of an image that every own network takes: the encoders halve it five times, and two pixels are left."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run.

    Parameters
    ----------
    network
        On its device, evaluation mode, no gradients for its parameters.
    card
        Its card.
    device, dtype
        Where and in which precision it computes.
    own
        Whether it is a user's, not one that ships with CovidCT.
    """

    network: torch.nn.Module
    card: ModelCard
    device: torch.device
    dtype: torch.dtype
    own: bool = False

    @property
    def used(self) -> ModelUsed:
        """What the results say of it."""
        return ModelUsed(self.card.name, self.card.version, self.card.sha256, self.card.role, self.own)

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Run images ``(n, slices, size, size)`` or patches ``(n, 1, z, y, x)`` in [0, 1]; float32 on the CPU.

        Raises
        ------
        ModelError
            If an output is not finite.
        """
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            batch = images.to(self.device).contiguous(memory_format=_memory_format(images.ndim))
            output: torch.Tensor = self.network(batch)
        values = output.float().cpu()
        # A sum is finite where all of it is, and is quicker than a look at each number.
        if not bool(torch.isfinite(values.sum())):
            # NaN is neither over nor under any threshold, so that it would count as healthy.
            raise ModelError(
                f"The network of {self.card.name} gave NaN or infinity for a part of this scan, so nothing can be said "
                "of it. Use other weights, or another device."
            )
        return values

    def run_slices(
        self, hu: NDArray[np.int16], frame: Frame, slices: NDArray[np.intp], step_mm: float = NEIGHBOUR_MM
    ) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
        """Run chosen axial slices through the network, batch by batch.

        Parameters
        ----------
        hu
            Canonical axial HU, shape ``(z, y, x)``.
        frame
            What part of each slice the network sees.
        slices
            Ascending indices of the slices.
        step_mm
            Distance of the slices in mm, for networks that see the slices beside a slice. Those before the first and
            after the last of `slices` are never seen, as in training.

        Yields
        ------
        indices, output
            Indices of the batch's slices, and the network's output for them.
        """
        ready, grid = np.empty(0, np.intp), torch.empty(0)
        for start in range(0, len(slices), BATCH):
            chosen = slices[start : start + BATCH]
            if self.card.slices_seen == 1:
                yield chosen, self.run(frame.to_grid(hu[chosen], self.card.size, self.card.window_hu))
                continue
            around = neighbours_of(chosen, slices[0], slices[-1], steps_to_neighbour(step_mm), self.card.slices_seen)
            wanted, position = np.unique(around, return_inverse=True)
            new = wanted[~np.isin(wanted, ready)]
            old = torch.from_numpy(np.flatnonzero(np.isin(ready, wanted)))
            # What neighbours need was mostly brought to the grid for the batch before.
            fresh = frame.to_grid(hu[new], self.card.size, self.card.window_hu)
            grid = torch.cat([grid[old, :], fresh]) if len(ready) else fresh
            ready = np.concatenate([ready[old.numpy()], new])
            order = torch.from_numpy(np.argsort(ready)[position.reshape(around.shape)])
            yield chosen, self.run(grid[order][:, :, 0])


def _memory_format(dimensions: int) -> torch.memory_format:
    """The layout in memory that convolutions of this many dimensions are fastest with."""
    return torch.channels_last if dimensions == 4 else torch.contiguous_format


class ModelStore:
    """Networks by name; each is read from disk on first use and kept.

    Parameters
    ----------
    folder
        Folder with own models, or several: each a MONAI bundle or a folder of bundles, such as the output of
        ``covidct train``. The first that has a model of a role counts; what none has comes from the shipped ones. None
        takes the shipped ones alone.
    device
        As `CovidCTLib.options.Options.device`.
    full_precision
        Compute in float32 even where bfloat16 is faster.
    """

    def __init__(
        self, folder: Path | Sequence[Path] | None = None, device: str = "auto", full_precision: bool = False
    ) -> None:
        self.folders = () if folder is None else (folder,) if isinstance(folder, Path) else tuple(folder)
        self.device_name = device
        self.full_precision = full_precision
        self._loaded: dict[str, LoadedNetwork] = {}

    @cached_property
    def device(self) -> torch.device:
        """The torch device."""
        return choose_device(self.device_name)

    @cached_property
    def _own(self) -> dict[str, Entry]:
        """The user's models."""
        return find_own(self.folders)

    def _entry(self, name: ModelName) -> Entry:
        """Where a model is."""
        return self._own[name] if name in self._own else shipped_entry(name)

    def card(self, name: ModelName) -> ModelCard:
        """Read a network's card.

        Raises
        ------
        ModelError
            If there is none, or it cannot be read.
        """
        return self._entry(name).card

    def network(self, name: ModelName) -> LoadedNetwork:
        """Load a network.

        Raises
        ------
        ModelError
            If weights or card are missing, damaged, or do not belong together.
        OptionsError
            If the device does not exist.
        """
        if name not in self._loaded:
            entry = self._entry(name)
            network = load_network(entry.card, entry.folder).requires_grad_(False)
            if entry.own:
                try_network(network, entry.card)
            if not entry.card.is_foreign:
                prepare_for_inference(network, torch.zeros(1, 1, _SMALLEST_SIDE, _SMALLEST_SIDE))
            layout = torch.channels_last if entry.card.patch is None else torch.contiguous_format
            network = network.to(self.device, memory_format=layout)  # type: ignore[call-overload]
            dtype = torch.float32 if self.full_precision else choose_dtype(self.device)
            self._loaded[name] = LoadedNetwork(network, entry.card, self.device, dtype, entry.own)
        return self._loaded[name]

    def load_own(self) -> None:
        """Load the user's models now, so that what is wrong with them shows before any work.

        Raises
        ------
        ModelError, OptionsError
            As `network`.
        """
        for name in MODEL_NAMES:
            if name in self._own:
                self.network(name)

    def lungs(self) -> LoadedNetwork:
        """Load the lung network."""
        return self.network("lungs")

    def opacities(self) -> LoadedNetwork:
        """Load the opacity network."""
        return self.network("opacities")

    def slices(self) -> LoadedNetwork:
        """Load the slice classifier."""
        return self.network("slices")

    def cards(self) -> tuple[ModelCard, ...]:
        """Read all cards."""
        return tuple(self.card(name) for name in MODEL_NAMES)
