"""The networks at hand: loaded once, on one device, in one precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.analysis import ModelUsed
from CovidCTLib.framing import Frame
from CovidCTLib.models.card import MODEL_NAMES, ModelCard, ModelName, read_card
from CovidCTLib.models.device import choose_device, choose_dtype
from CovidCTLib.models.weights import load_network

SHIPPED = Path(__file__).parent / "files"
"""Folder of the weights that come with CovidCT."""

BATCH = 16
"""Slices that go through a network at once; more takes memory and no longer saves time."""


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
    """

    network: torch.nn.Module
    card: ModelCard
    device: torch.device
    dtype: torch.dtype

    @property
    def used(self) -> ModelUsed:
        """What the results say of it."""
        return ModelUsed(self.card.name, self.card.version, self.card.sha256)

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Run images ``(n, 1, size, size)`` in [0, 1] through the network; float32 on the CPU."""
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            batch = images.to(self.device).contiguous(memory_format=torch.channels_last)
            output: torch.Tensor = self.network(batch)
        return output.float().cpu()

    def run_slices(
        self, hu: NDArray[np.int16], frame: Frame, slices: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
        """Run chosen axial slices through the network, batch by batch.

        Parameters
        ----------
        hu
            Canonical axial HU, shape ``(z, y, x)``.
        frame
            What part of each slice the network sees.
        slices
            Indices of the slices.

        Yields
        ------
        indices, output
            Indices of the batch's slices, and the network's output for them.
        """
        for start in range(0, len(slices), BATCH):
            chosen = slices[start : start + BATCH]
            yield chosen, self.run(frame.to_grid(hu[chosen], self.card.size))


class ModelStore:
    """Networks by name; each is read from disk on first use and kept.

    Parameters
    ----------
    folder
        Folder with own weights and cards; a network that is not in it comes from the shipped ones. None takes the
        shipped ones alone.
    device
        As `CovidCTLib.options.Options.device`.
    full_precision
        Compute in float32 even where bfloat16 is faster.
    """

    def __init__(self, folder: Path | None = None, device: str = "auto", full_precision: bool = False) -> None:
        self.folder = folder
        self.device_name = device
        self.full_precision = full_precision
        self._loaded: dict[str, LoadedNetwork] = {}

    @cached_property
    def device(self) -> torch.device:
        """The torch device."""
        return choose_device(self.device_name)

    def _home(self, name: ModelName) -> Path:
        """Folder that holds a network."""
        own = self.folder is not None and (self.folder / f"{name}.json").exists()
        return self.folder if own and self.folder is not None else SHIPPED

    def card(self, name: ModelName) -> ModelCard:
        """Read a network's card.

        Raises
        ------
        ModelError
            If there is none, or it cannot be read.
        """
        return read_card(self._home(name) / f"{name}.json")

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
            card = self.card(name)
            network = load_network(card, self._home(name)).requires_grad_(False)
            network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            dtype = torch.float32 if self.full_precision else choose_dtype(self.device)
            self._loaded[name] = LoadedNetwork(network, card, self.device, dtype)
        return self._loaded[name]

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
