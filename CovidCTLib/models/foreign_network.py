"""Networks of MONAI in a user's bundle, made to speak like CovidCT's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import monai.networks.nets
import torch

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import CANONICAL_2D, CANONICAL_3D, ModelCard
from CovidCTLib.models.foreign_card import MONAI_NETWORK, WANTED, check_network_def

NEVER = 1e4
"""Logits below another class for a class that a network does not know; finite, so that it can be interpolated."""

_OPPOSITE = {"I": "S", "A": "P", "R": "L"}

_BUILD_ERRORS = (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError, AssertionError, ImportError)
"""What MONAI raises for arguments that do not fit."""


def build_foreign(definition: Mapping[str, Any], bundle: str) -> torch.nn.Module:
    """Build a network of MONAI with random weights from its ``network_def``; nothing in it is evaluated.

    Raises
    ------
    ModelError
        If it is not allowed, MONAI has no such network, or the arguments do not fit.
    """
    check_network_def(definition, bundle)
    match = MONAI_NETWORK.fullmatch(definition["_target_"])
    kind = getattr(monai.networks.nets, match.group(1), None) if match else None
    if not inspect.isclass(kind) or not issubclass(kind, torch.nn.Module):
        raise ModelError(
            f"MONAI {monai.__version__} has no network {definition['_target_']!r}, which the bundle {bundle} asks for. "
            "Use another network, or the version of MONAI that has it."
        )
    arguments = {key: value for key, value in definition.items() if key != "_target_"}
    if "pretrained" in inspect.signature(kind).parameters:
        # Some networks would fetch weights from the internet unless told not to.
        arguments["pretrained"] = False
    try:
        return kind(**arguments)
    except _BUILD_ERRORS as error:
        raise ModelError(
            f"The network_def of the bundle {bundle} does not fit {definition['_target_']} ({type(error).__name__}). "
            "Give it the arguments of the network that was trained."
        ) from error


class RoleAdapter(torch.nn.Module):
    """A network of MONAI that takes and gives what CovidCT's own network of its role does.

    Parameters
    ----------
    network
        Logits in its own orientation, one channel a meaning.
    card
        Its card, checked.

    Notes
    -----
    Input ``(n, 1, ...)`` in [0, 1] in the canonical orientation, output logits ``(n, 1, ...)`` of the lungs, or
    ``(n, 3, ...)`` of none, ground-glass opacity and consolidation. Several channels are taken as exclusive (softmax),
    one as present or not (sigmoid).
    """

    def __init__(self, network: torch.nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.card = card
        canonical = CANONICAL_3D if card.patch is not None else CANONICAL_2D
        lines = [canonical.index(_OPPOSITE.get(letter, letter)) for letter in card.orientation]
        self.order = (0, 1, *(2 + line for line in lines))
        self.back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        self.flipped = [2 + k for k, letter in enumerate(card.orientation) if letter in _OPPOSITE]
        wanted = WANTED[card.role]
        self.rest = [k for k, channel in enumerate(card.channels) if channel not in wanted]
        self.wanted = [k for k, channel in enumerate(card.channels) if channel in wanted]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run images or volumes of CovidCT through the network."""
        low, high = self.card.value_range
        turned = x.permute(self.order).flip(self.flipped) * (high - low) + low
        output = first_output(self.network(turned.contiguous()))
        return self._for_role(output.flip(self.flipped).permute(self.back).float())

    def _for_role(self, logits: torch.Tensor) -> torch.Tensor:
        """Channels of the role's own network."""
        none = torch.logsumexp(logits[:, self.rest], dim=1) if self.rest else torch.zeros_like(logits[:, 0])
        if self.card.role == "lungs":
            return (torch.logsumexp(logits[:, self.wanted], dim=1) - none)[:, None]
        if self.card.tells_kinds:
            kinds = [logits[:, self.card.channels.index(name)] for name in ("ggo", "consolidation")]
        else:
            opacity = logits[:, self.card.channels.index("opacity")]
            kinds = [opacity, opacity - NEVER]
        return torch.stack([none, *kinds], dim=1)


def first_output(output: Any) -> torch.Tensor:
    """The full-size output of networks that give several."""
    while isinstance(output, (list, tuple)) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise ModelError(f"A network must give a tensor, but gave {type(output).__name__}. Use a segmentation network.")
    return output


def patch_in_canonical_order(card: ModelCard) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Patch in voxels and spacing in mm of a network of volumes along z, y and x."""
    patch, spacing = card.patch or (1, 1, 1), card.spacing_mm or (1.0, 1.0, 1.0)
    lines = [CANONICAL_3D.index(_OPPOSITE.get(letter, letter)) for letter in card.orientation]
    where = [lines.index(axis) for axis in range(3)]
    return (
        (patch[where[0]], patch[where[1]], patch[where[2]]),
        (spacing[where[0]], spacing[where[1]], spacing[where[2]]),
    )
