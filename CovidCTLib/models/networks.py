"""Architectures, built from MONAI's networks by a plain description that stands in each model's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.nets import ResNet, UNet

from CovidCTLib.errors import ModelError

LUNG_ARCHITECTURE: Mapping[str, Any] = {"kind": "unet", "channels": [16, 32, 64, 128, 256], "outputs": 1}
OPACITY_ARCHITECTURE: Mapping[str, Any] = {"kind": "unet", "channels": [24, 48, 96, 192, 384], "outputs": 3}
SLICE_ARCHITECTURE: Mapping[str, Any] = {
    "kind": "resnet",
    "layers": [3, 4, 6, 3],
    "widths": [16, 32, 64, 128],
    "hidden": 64,
}
"""ResNet-50's shape (bottleneck blocks, 3-4-6-3) at a quarter of its width, for small weights."""


class SliceClassifier(torch.nn.Module):
    """A ResNet with bottleneck blocks, two dense layers and one logit; its middle activations stay in reach.

    Parameters
    ----------
    layers
        Blocks of the four stages.
    widths
        Channels of the four stages before the bottleneck's fourfold widening.
    hidden
        Units of the first dense layer.

    Notes
    -----
    For a 224 x 224 input the second stage ends at 28 x 28 and the third at 14 x 14, the two sizes at which the
    localization looks (RADLogics, arXiv 2003.05037). Where the training slices have opacity masks, these two stages
    are also taught where the opacity is (``with_spots``), so that the verdict rests on it.
    """

    def __init__(self, layers: list[int], widths: list[int], hidden: int) -> None:
        super().__init__()
        self.backbone = ResNet(
            "bottleneck",
            layers,
            widths,
            spatial_dims=2,
            n_input_channels=1,
            conv1_t_size=7,
            conv1_t_stride=2,
            feed_forward=False,
        )
        self.dense = torch.nn.Linear(widths[-1] * 8, hidden)
        self.dropout = torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(hidden, 1)
        self.spots_28 = torch.nn.Conv2d(widths[1] * 4, 1, 1)
        self.spots_14 = torch.nn.Conv2d(widths[2] * 4, 1, 1)

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` to the second stage's activations ``(n, c, 28, 28)``."""
        net = self.backbone
        return net.layer2(net.layer1(net.maxpool(net.act(net.bn1(net.conv1(x))))))

    def middle(self, at_28: torch.Tensor) -> torch.Tensor:
        """Second stage's activations to the third's ``(n, c, 14, 14)``."""
        return self.backbone.layer3(at_28)

    def head(self, at_14: torch.Tensor) -> torch.Tensor:
        """Third stage's activations to logits ``(n,)``."""
        last = self.backbone.layer4(at_14)
        # The mean alone would drown a small opacity in a large healthy lung.
        pooled = torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)
        return self.out(self.dropout(torch.relu(self.dense(pooled))))[:, 0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` in [0, 1] to logits ``(n,)``."""
        return self.head(self.middle(self.stem(x)))

    def with_spots(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images to logits ``(n,)`` and, for training, logits of opacity per cell at 28 x 28 and 14 x 14."""
        at_28 = self.stem(x)
        at_14 = self.middle(at_28)
        return self.head(at_14), self.spots_28(at_28)[:, 0], self.spots_14(at_14)[:, 0]


def build_network(architecture: Mapping[str, Any]) -> torch.nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture
        ``kind`` ``"unet"`` with ``channels`` and ``outputs``, or ``"resnet"`` with ``layers``, ``widths``, ``hidden``.

    Raises
    ------
    ModelError
        If the description is not one of these.
    """
    kind = architecture.get("kind")
    try:
        if kind == "unet":
            channels = [int(c) for c in architecture["channels"]]
            return UNet(
                spatial_dims=2,
                in_channels=1,
                out_channels=int(architecture["outputs"]),
                channels=channels,
                strides=[2] * (len(channels) - 1),
                num_res_units=2,
                norm="batch",
            )
        if kind == "resnet":
            return SliceClassifier(
                [int(n) for n in architecture["layers"]],
                [int(n) for n in architecture["widths"]],
                int(architecture["hidden"]),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The architecture of a {kind} is incomplete or wrong ({error}). Use a card written by covidct train."
        ) from error
    raise ModelError(f"The architecture must be 'unet' or 'resnet', not {kind!r}. Use a card written by covidct train.")
