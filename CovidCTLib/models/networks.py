"""Architectures, built from MONAI's networks by a plain description that stands in each model's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.nets import ResNet, UNet

from CovidCTLib.errors import ModelError
from CovidCTLib.models.efficientnet import EfficientEncoder, EfficientUNet

LUNG_ARCHITECTURE: Mapping[str, Any] = {"kind": "unet", "channels": [16, 32, 64, 128, 256], "outputs": 1}
OPACITY_ARCHITECTURE: Mapping[str, Any] = {"kind": "efficientnet-unet", "decoder": [128, 64, 48, 32], "outputs": 3}
SLICE_ARCHITECTURE: Mapping[str, Any] = {"kind": "efficientnet", "hidden": 64}


class ResNetStages(ResNet):  # type: ignore[misc]
    """A ResNet with bottleneck blocks, cut at the two sizes at which the localization looks.

    Parameters
    ----------
    layers
        Blocks of the four stages.
    widths
        Channels of the four stages before the bottleneck's fourfold widening.
    """

    def __init__(self, layers: list[int], widths: list[int]) -> None:
        super().__init__(
            "bottleneck",
            layers,
            widths,
            spatial_dims=2,
            n_input_channels=1,
            conv1_t_size=7,
            conv1_t_stride=2,
            feed_forward=False,
        )
        self.stage_channels = (widths[1] * 4, widths[2] * 4, widths[3] * 4)

    def to_28(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` to the second stage's activations ``(n, c, 28, 28)``."""
        return self.layer2(self.layer1(self.maxpool(self.act(self.bn1(self.conv1(images))))))

    def to_14(self, at_28: torch.Tensor) -> torch.Tensor:
        """Second stage's activations to the third's ``(n, c, 14, 14)``."""
        return self.layer3(at_28)

    def to_7(self, at_14: torch.Tensor) -> torch.Tensor:
        """Third stage's activations to the last ones ``(n, c, 7, 7)``."""
        return self.layer4(at_14)


class SliceClassifier(torch.nn.Module):
    """Stages of a network, two dense layers and one logit; the middle activations stay in reach.

    Parameters
    ----------
    backbone
        Gives activations at 28 x 28, 14 x 14 and 7 x 7 for a 224 x 224 input.
    hidden
        Units of the first dense layer.

    Notes
    -----
    28 x 28 and 14 x 14 are the two sizes at which the localization looks (RADLogics, arXiv 2003.05037). Where the
    training slices have opacity masks, these two stages are also taught where the opacity is (``with_spots``), so
    that the verdict rests on it.
    """

    def __init__(self, backbone: ResNetStages | EfficientEncoder, hidden: int) -> None:
        super().__init__()
        self.backbone = backbone
        at_28, at_14, last = backbone.stage_channels
        self.dense = torch.nn.Linear(last * 2, hidden)
        self.dropout = torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(hidden, 1)
        self.spots_28 = torch.nn.Conv2d(at_28, 1, 1)
        self.spots_14 = torch.nn.Conv2d(at_14, 1, 1)

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` in [0, 1] to activations ``(n, c, 28, 28)``."""
        return self.backbone.to_28(x)

    def middle(self, at_28: torch.Tensor) -> torch.Tensor:
        """Activations at 28 x 28 to those at 14 x 14."""
        return self.backbone.to_14(at_28)

    def head(self, at_14: torch.Tensor) -> torch.Tensor:
        """Activations at 14 x 14 to logits ``(n,)``."""
        last = self.backbone.to_7(at_14)
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
        ``kind`` with what it needs: ``"unet"`` with ``channels`` and ``outputs``, ``"efficientnet-unet"`` with
        ``decoder`` and ``outputs``, ``"resnet"`` with ``layers``, ``widths`` and ``hidden``, ``"efficientnet"`` with
        ``hidden``.

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
        if kind == "efficientnet-unet":
            return EfficientUNet([int(c) for c in architecture["decoder"]], int(architecture["outputs"]))
        if kind == "resnet":
            stages = ResNetStages([int(n) for n in architecture["layers"]], [int(n) for n in architecture["widths"]])
            return SliceClassifier(stages, int(architecture["hidden"]))
        if kind == "efficientnet":
            return SliceClassifier(EfficientEncoder(), int(architecture["hidden"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The architecture of a {kind} is incomplete or wrong ({error}). Use a card written by covidct train."
        ) from error
    raise ModelError(
        f"The architecture must be 'unet', 'efficientnet-unet', 'resnet' or 'efficientnet', not {kind!r}. "
        "Use a card written by covidct train."
    )
