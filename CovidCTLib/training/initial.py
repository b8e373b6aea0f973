"""Weights to start from: this project's own, or those of other programs, as far as they fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from CovidCTLib.errors import ModelError

_PREFIXES = ("module.", "model.", "network.", "net.", "encoder.", "backbone.", "features.")
"""What other programs put before the names of layers."""

_SHOWN = 3
"""Names of tensors that the report gives as examples."""


def initialize(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> str:
    """Take the tensors that fit from given weights.

    Parameters
    ----------
    network
        The network to start.
    state
        Weights of this or another program. Tensors are matched by name, by name without such prefixes as ``module.``
        or ``encoder.``, and for an EfficientNet by the number of the block. A first layer for colour is summed to grey.

    Returns
    -------
    str
        What fitted and what did not, as a sentence.

    Raises
    ------
    ModelError
        If nothing fits.
    """
    own = network.state_dict()
    by_core = {_core(name): name for name in own}
    fitting: dict[str, torch.Tensor] = {}
    strange, misshapen = [], []
    for name, tensor in state.items():
        home = name if name in own else by_core.get(_core(name))
        if home is None:
            strange.append(name)
            continue
        value = _as_grey(tensor, own[home])
        if value.shape == own[home].shape:
            fitting[home] = value.to(own[home].dtype)
        else:
            misshapen.append(name)
    if not fitting:
        raise ModelError(
            f"None of the {len(state)} given tensors fits this network by name and shape (first given: "
            f"{next(iter(state), 'none')}; first expected: {next(iter(own))}). Give weights of the same architecture."
        )
    network.load_state_dict(fitting, strict=False)
    missing = [name for name in own if name not in fitting]
    return (
        f"{len(fitting)} of {len(own)} tensors taken from the given weights; {_some(missing)} start at random; "
        f"of the given ones {_some(misshapen)} have another shape and {_some(strange)} have no place here."
    )


def _some(names: list[str]) -> str:
    """Count names and give the first few."""
    if not names:
        return "none"
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"


def _core(name: str) -> str:
    """Name of a tensor without what only says in which program it lives."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    # EfficientNet: stem and blocks by number, whether or not they are grouped into stages.
    name = re.sub(r"^stem\.1\.", "_conv_stem.", name)
    name = re.sub(r"^stem\.2\.", "_bn0.", name)
    name = re.sub(r"^(?:stages|_blocks)\.(?:\d+\.)?(\d+)\.(?=_)", r"_blocks.\1.", name)
    # MONAI wraps some convolutions of a ResNet once more.
    return name.replace(".conv.conv.", ".conv.")


def _as_grey(tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Sum a first layer for colour over its channels, where this network takes grey: the same for a grey picture."""
    colour = tensor.ndim == own.ndim == 4 and own.shape[1] == 1 and tensor.shape[1] == 3
    return tensor.sum(dim=1, keepdim=True) if colour and tensor.shape[0] == own.shape[0] else tensor
