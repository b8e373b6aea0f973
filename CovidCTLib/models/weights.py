"""Weights on disk: half precision or eight bits, with a checksum, loaded as plain tensors only."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import torch

from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import WEIGHTS, file_sha256, write_bundle
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.eight_bit import SCALE, WEIGHT_BITS, with_eight_bits, with_plain_weights
from CovidCTLib.models.foreign_network import RoleAdapter, build_foreign, first_output
from CovidCTLib.models.networks import build_network

_OUTPUTS: Mapping[str, int] = {"lungs": 1, "opacities": 3}
"""Output channels of CovidCT's own segmentation networks."""

_OUTPUTS_WITH_EFFUSION = 3
"""The same of a lung network that tells pleural effusion, too."""


def _outputs_of(card: ModelCard) -> int | None:
    """Output channels of one of CovidCT's own networks; None for the classifier."""
    return _OUTPUTS_WITH_EFFUSION if card.finds_effusion else _OUTPUTS.get(card.role)


_RUN_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""What PyTorch and MONAI raise for input that does not fit a network."""


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Load a state dict of tensors, and nothing else, from a file.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds anything but named tensors.
    """
    try:
        with warnings.catch_warnings():
            # PyTorch warns of foreign pickles, with a path of its own, before it refuses them.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(
            f"There are no weights {path.name} in {path.parent}. Correct the path to the file of weights."
        ) from error
    except Exception as error:
        # A file that is no pickle can bring its reader to raise nearly anything.
        raise ModelError(
            f"The weights {path.name} are damaged or hold more than tensors. Expected a state dict of tensors, as "
            "CovidCT's training writes it."
        ) from error
    entries = state.items() if isinstance(state, dict) else ()
    wrong = [name for name, value in entries if not isinstance(name, str) or not is_plain(value)]
    if not entries or wrong:
        kind = f"{type(state).__name__} whose entry {str(wrong[0])[:40]!r} is none" if wrong else type(state).__name__
        raise ModelError(
            f"{path.name} must hold a state dict of tensors, but holds {kind}. Give weights as CovidCT's training "
            "writes them."
        )
    return state


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor of real numbers that all stand there one by one, none of them left out or packed."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and not (value.is_nested or value.is_quantized or value.is_complex())
    )


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what torch can save, and push it to the disk.

    Raises
    ------
    OSError
        If the disk is full or does not permit it; PyTorch's own writer gives a RuntimeError of many lines then.
    """
    _write(path, _archive_of(state))


def write_packed(path: Path, state: Mapping[str, Any]) -> None:
    """Write what torch can save as `write_state` does, every record of its ZIP archive deflated.

    Whole numbers of eight bits shrink by a tenth. ``torch.load`` reads such archives, but cannot map them into memory.
    """
    packed = io.BytesIO()
    with ZipFile(io.BytesIO(_archive_of(state))) as source, ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=9) as sink:
        for record in source.namelist():
            # The folder's name is free, and stands twice for each of hundreds of records. A ZipInfo of its own has no
            # time of today: the same weights give the same file.
            name = f"w/{record.partition('/')[2]}"
            sink.writestr(ZipInfo(name), source.read(record), ZIP_DEFLATED)
    _write(path, packed.getvalue())


def _archive_of(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def fit_state(network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Load a state dict into a network of the same architecture.

    Raises
    ------
    ModelError
        If names or shapes differ, or a weight is NaN or infinite.
    """
    expected = network.state_dict()
    wrong = [key for key in expected if key not in state or state[key].shape != expected[key].shape]
    extra = [key for key in state if key not in expected]
    if wrong or extra:
        raise ModelError(
            f"The weights of {name} belong to another architecture: {len(wrong)} of {len(expected)} tensors are "
            f"missing or of another shape, {len(extra)} are unknown (first: {(wrong + extra)[0]}). Use weights with "
            "their card."
        )
    fitting = {key: value.to(expected[key].dtype) for key, value in state.items()}
    if key := not_finite(fitting):
        raise ModelError(
            f"The weights of {name} must be finite numbers, but {key} holds NaN or infinity: the training failed, or "
            "the file is damaged. Train again, or give other weights."
        )
    network.load_state_dict(fitting)


def not_finite(state: Mapping[str, torch.Tensor]) -> str | None:
    """Name of the first tensor with a number that is NaN or infinite."""
    return next((key for key, value in state.items() if not bool(torch.isfinite(value).all())), None)


def load_network(card: ModelCard, folder: Path) -> torch.nn.Module:
    """Build a card's network with its weights, float32 on the CPU, in evaluation mode.

    Parameters
    ----------
    card
        The card.
    folder
        Its bundle.

    Returns
    -------
    torch.nn.Module
        Takes and gives what CovidCT's own network of this role does, whoever made it.

    Raises
    ------
    ModelError
        If the weights are missing, have another checksum, are damaged, or do not fit the architecture.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError(
            f"There are no weights {WEIGHTS} in the bundle {folder.name}. Install CovidCT again, or complete your own "
            "bundle."
        )
    checksum = file_sha256(path)
    if checksum != card.sha256:
        raise ModelError(
            f"The weights of {card.name} do not have the checksum of their card (expected {card.sha256[:12]}..., found "
            f"{checksum[:12]}...). The file is damaged or another version: install CovidCT again, or correct sha256 in "
            "the card of your own model."
        )
    network = build_foreign(card.architecture, card.name) if card.is_foreign else build_network(card.architecture)
    fit_state(network, load_state(path), card.name)
    return RoleAdapter(network, card).eval() if card.is_foreign else with_plain_weights(network).eval()


def try_network(network: torch.nn.Module, card: ModelCard) -> None:
    """Run an image or patch through a network, so that what does not fit shows before any work.

    It goes evenly from the lowest to the highest value that the network takes.

    Parameters
    ----------
    network
        As `load_network` gives it.
    card
        Its card.

    Raises
    ------
    ModelError
        If the input does not fit, or the output has another shape than the card says or is not finite.
    """
    inner = network.network if isinstance(network, RoleAdapter) else network
    shape = card.patch or (card.size, card.size)
    channels = len(card.channels) if card.is_foreign else _outputs_of(card)
    try:
        with torch.inference_mode():
            values = torch.linspace(*card.value_range, math.prod(shape))
            output = first_output(inner(values.reshape(1, 1, *shape)))
    except _RUN_ERRORS as error:
        raise ModelError(
            f"An input of one channel and {' x '.join(map(str, shape))} does not go through the network of {card.name} "
            f"({type(error).__name__}). Correct size or patch in its card, or its network_def."
        ) from error
    expected = (1,) if channels is None else (1, channels, *shape)
    if tuple(output.shape) != expected:
        raise ModelError(
            f"The network of {card.name} gives an output of shape {tuple(output.shape)}, but its card makes it "
            f"{expected}. Correct role, channels, and size or patch in the card."
        )
    if not bool(torch.isfinite(output).all()):
        raise ModelError(
            f"The network of {card.name} must give finite numbers, but gives NaN or infinity for a plain input. Train "
            "it again, or correct window_hu and value_range in its card."
        )


def save_network(network: torch.nn.Module, card: ModelCard, folder: Path, bits: int = 16) -> ModelCard:
    """Write a network as the MONAI bundle ``folder/<name>``, its weights in half precision or eight bits.

    Parameters
    ----------
    network
        A network of `CovidCTLib.models.networks.build_network`.
    card
        Its card.
    folder
        Folder of the bundle's folder; an old bundle of this name is replaced, and kept until the new one is complete.
    bits
        16 for half precision; 8 for whole numbers with a scale for each channel, where half precision stays for what is
        small, such as biases.

    Returns
    -------
    ModelCard
        The card with the checksum of the weights, and with their bits where they are 8.

    Raises
    ------
    ModelError
        If the bundle cannot be written, or a weight is NaN, or beyond what half precision holds.
    """
    if bits == 8:
        network = with_eight_bits(deepcopy(network).cpu())
        card = replace(card, architecture={**card.architecture, WEIGHT_BITS: bits})
    state = {
        key: value.detach().cpu().half() if _becomes_half(key, value) else value.detach().cpu()
        for key, value in network.state_dict().items()
    }
    if key := not_finite(state):
        raise ModelError(
            f"The weights of {card.name} must be numbers of at most {torch.finfo(torch.half).max:g}, the highest in "
            f"half precision, but {key} holds NaN or numbers beyond it. Train again, with a lower learning rate."
        )
    return write_bundle(folder / card.name, card, lambda path: write_packed(path, state))


def _becomes_half(name: str, value: torch.Tensor) -> bool:
    """Whether a tensor is written in half precision.

    Scales may lie below its smallest numbers, and variances of normalization, which are squares, above its highest:
    those of a network that started from photographs on a scale of 0 to 255 do.
    """
    return value.is_floating_point() and not name.endswith((SCALE, "running_var"))
