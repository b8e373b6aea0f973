"""Weights on disk: half precision, with a checksum, loaded as plain tensors only."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.networks import build_network


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Load a state dict of tensors, and nothing else, from a file.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds anything but named tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"There are no weights {path.name} in {path.parent}. Install CovidCT again.") from error
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise ModelError(
            f"The weights {path.name} are damaged or hold more than tensors. Expected a state dict of tensors, as "
            "covidct train writes it."
        ) from error
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelError(f"{path.name} must hold a state dict of tensors, but holds {type(state).__name__}.")
    return state


def fit_state(network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Load a state dict into a network of the same architecture.

    Raises
    ------
    ModelError
        If names or shapes differ.
    """
    own = network.state_dict()
    wrong = [key for key in own if key not in state or state[key].shape != own[key].shape]
    extra = [key for key in state if key not in own]
    if wrong or extra:
        raise ModelError(
            f"The weights of {name} belong to another architecture: {len(wrong)} of {len(own)} tensors are missing or "
            f"of another shape, {len(extra)} are unknown (first: {(wrong + extra)[0]}). Use weights with their card."
        )
    network.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})


def load_network(card: ModelCard, folder: Path) -> torch.nn.Module:
    """Build a card's network with its weights, float32 on the CPU, in evaluation mode.

    Raises
    ------
    ModelError
        If the weights are missing, have another checksum, are damaged, or do not fit the architecture.
    """
    path = folder / f"{card.name}.pt"
    if not path.is_file():
        raise ModelError(f"There are no weights {path.name} in {folder}. Install CovidCT again.")
    found = file_sha256(path)
    if found != card.sha256:
        raise ModelError(
            f"The weights {path.name} do not have the checksum of their card (expected {card.sha256[:12]}..., found "
            f"{found[:12]}...). The file is damaged or another version: install CovidCT again."
        )
    network = build_network(card.architecture)
    fit_state(network, load_state(path), card.name)
    return network.eval()


def save_network(network: torch.nn.Module, card: ModelCard, folder: Path) -> ModelCard:
    """Write weights in half precision, the card as JSON and as Markdown; return the card with its checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        key: value.detach().cpu().half() if value.is_floating_point() else value.detach().cpu()
        for key, value in network.state_dict().items()
    }
    path = folder / f"{card.name}.pt"
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    written = replace(card, sha256=file_sha256(temporary))
    temporary.replace(path)
    for suffix, text in ((".json", written.to_json()), (".md", written.to_markdown())):
        part = folder / f"{card.name}{suffix}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / f"{card.name}{suffix}")
    return written
