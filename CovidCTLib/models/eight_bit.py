"""Weights of eight bits: whole numbers with one scale for each output channel, half the size of half precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

WEIGHT_BITS = "weight_bits"
"""Entry of an architecture's description that tells the bits of a weight; without it the weights are floating point."""

LEAST_NUMBERS = 10_000
"""Smaller weights stay as they are: they take next to no room. In eight bits the first stage of a classifier that
started from photographs, whose weights differ much within a channel, lowered the logit of its verdict by 0.1."""

NO_WEIGHT = 1e-8
"""A channel whose weights are all smaller is zero: decay in training took it away, and what is left is noise."""

_HIGHEST = 127
"""Whole numbers go from minus this to this, so that zero stays zero."""

_WHOLE, SCALE = "weight_whole", "weight_scale"
"""Names of the two tensors in the place of a layer's ``weight``."""

_TRANSPOSED = torch.nn.modules.conv._ConvTransposeNd


def with_eight_bits(network: torch.nn.Module) -> torch.nn.Module:
    """Keep the weights of convolutions and dense layers in eight bits each, in place.

    Each output channel has a scale of its own, its largest weight over 127 (Krishnamoorthi 2018, arXiv 1806.08342). The
    numbers are whole only where they are kept: they become floating point again before they are used.

    Parameters
    ----------
    network
        Any network. Its ``state_dict`` has ``weight_whole`` (int8) and ``weight_scale`` (float32) in the place of each
        large ``weight`` then, and loads as usual.

    Returns
    -------
    torch.nn.Module
        The same network. It computes as before but for rounding, and cannot be trained.
    """
    for layer in network.modules():
        weight = layer._parameters.get("weight")
        if weight is None or weight.ndim < 2 or weight.numel() < LEAST_NUMBERS:
            continue
        channels = 1 if isinstance(layer, _TRANSPOSED) else 0
        others = [axis for axis in range(weight.ndim) if axis != channels]
        values = weight.detach().float()
        largest = values.abs().amax(others, keepdim=True)
        # A channel of zeros has no scale of its own.
        scale = torch.where(largest < NO_WEIGHT, 1.0, largest / _HIGHEST)
        del layer._parameters["weight"]
        layer.register_buffer(_WHOLE, (values / scale).round().to(torch.int8))
        layer.register_buffer(SCALE, scale)
        layer.register_forward_pre_hook(_unpack)
    return network


def with_plain_weights(network: torch.nn.Module) -> torch.nn.Module:
    """Undo `with_eight_bits` in place, but for the rounding; a network of plain weights stays as it is."""
    for layer in network.modules():
        if _WHOLE not in layer._buffers:
            continue
        weight = _weight_of(layer)
        for name in (_WHOLE, SCALE):
            del layer._buffers[name]
        layer.__dict__.pop("weight", None)
        layer._forward_pre_hooks = type(layer._forward_pre_hooks)(
            (key, hook) for key, hook in layer._forward_pre_hooks.items() if hook is not _unpack
        )
        layer.register_parameter("weight", torch.nn.Parameter(weight))
    return network


def plain_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give a state dict whose weights of eight bits are floating point; one without them stays as it is.

    Parameters
    ----------
    state
        Tensors by name.
    """
    plain: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        layer, _, tensor = name.rpartition(".")
        scale = state.get(f"{layer}.{SCALE}")
        if tensor == _WHOLE and scale is not None:
            plain[f"{layer}.weight"] = value.float() * scale
        elif not (tensor == SCALE and f"{layer}.{_WHOLE}" in state):
            plain[name] = value
    return plain


def _weight_of(layer: torch.nn.Module) -> torch.Tensor:
    """A layer's weight in floating point."""
    whole, scale = layer.get_buffer(_WHOLE), layer.get_buffer(SCALE)
    return whole.to(scale.dtype) * scale


def _unpack(layer: torch.nn.Module, _inputs: Any) -> None:
    """Make a layer's weight before it is used; an own name, as it is no part of the state."""
    layer.__dict__["weight"] = _weight_of(layer)
