"""Architectures, built from MONAI's networks by a plain description that stands in each model's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.nets import ResNet, UNet
from monai.networks.nets.resnet import ResNetBottleneck

from CovidCTLib.errors import ModelError
from CovidCTLib.models.efficientnet import (
    LAST_STAGE_OF_MAPS,
    NORM_MOMENTUM,
    EfficientEncoder,
    EfficientUNet,
    as_colours,
)
from CovidCTLib.models.eight_bit import WEIGHT_BITS, with_eight_bits

SLICES_SEEN = 3
"""Slices that the segmentation networks see: the own one, and one on each side about `NEIGHBOUR_MM` away."""

LUNG_ARCHITECTURE: Mapping[str, Any] = {
    "kind": "windows-unet",
    "channels": [16, 32, 64, 128, 256],
    "outputs": 3,
    "slices": SLICES_SEEN,
}
OPACITY_ARCHITECTURE: Mapping[str, Any] = {
    "kind": "efficientnet-unet",
    "decoder": [128, 64, 48, 32],
    "outputs": 3,
    "slices": SLICES_SEEN,
}
SLICE_ARCHITECTURE: Mapping[str, Any] = {
    "kind": "resnet",
    "layers": [3, 4, 6, 3],
    "widths": [32, 64, 128, 256],
    "stem": 64,
}
"""ResNet-50 (He et al. 2015, arXiv 1512.03385), on which RADLogics' classifier stands (arXiv 2003.05037), with half of
its channels."""

BODY_WINDOWS = ((0.0, 1.0), (0.05, 0.45), (0.83, 1.0))
"""Parts of [0, 1] that the lung network sees: all; lung and faint ground glass (-965 to -496 HU); fluid and soft tissue
(from -50 HU), between which a twentieth of the grey scale lies at most."""


def slices_seen(architecture: Mapping[str, Any]) -> int:
    """How many slices a network of this description takes as channels, the own one in the middle."""
    return int(architecture.get("slices", 1))


class WindowsUNet(torch.nn.Module):
    """MONAI's U-Net on three windows of each slice that it sees.

    Parameters
    ----------
    channels
        Channels of each size.
    outputs
        Logits a pixel.
    slices
        Slices that go in, the own one in the middle.
    """

    def __init__(self, channels: list[int], outputs: int, slices: int) -> None:
        super().__init__()
        self.slices = slices
        self.net = _plain_unet(len(BODY_WINDOWS) * slices, channels, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, slices, y, x)`` in [0, 1] to logits ``(n, outputs, y, x)``.

        One slice alone stands for its neighbours, too.
        """
        # The first convolution works in this precision; half of it is half as much to move.
        device = images.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else images.dtype
        windows = [((images - low) * (2 / (high - low)) - 1).clamp_(-1, 1).to(precision) for low, high in BODY_WINDOWS]
        seen = [window.expand(-1, self.slices, -1, -1) for window in windows]
        return self.net(torch.cat(seen, dim=1).contiguous(memory_format=torch.channels_last))


def _plain_unet(inputs: int, channels: list[int], outputs: int) -> UNet:
    """MONAI's 2D U-Net with two residual units a size."""
    return UNet(
        spatial_dims=2,
        in_channels=inputs,
        out_channels=outputs,
        channels=channels,
        strides=[2] * (len(channels) - 1),
        num_res_units=2,
        norm="batch",
    )


class ResNetStages(ResNet):  # type: ignore[misc]
    """A ResNet with bottleneck blocks, cut at the two sizes at which the localization looks.

    Parameters
    ----------
    layers
        Blocks of the four stages.
    widths
        Channels of the four stages before the bottleneck's fourfold widening.
    stem
        Channels of the first convolution, where they are not those of the first stage. It sees three windows of a slice
        in the place of colours then, and not the slice alone, so that weights of photographs fit.
    """

    def __init__(self, layers: list[int], widths: list[int], stem: int = 0) -> None:
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
        self.stage_channels = (widths[1] * 4, widths[2] * 4)
        self.colours = stem > 0
        if stem:
            self.conv1 = torch.nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(stem)
            self.in_planes = stem
            self.layer1 = self._make_layer(ResNetBottleneck, widths[0], layers[0], 2, "B")
            for module in self.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = NORM_MOMENTUM
        # The coarse maps end the network at the third stage.
        del self.layer4

    def to_28(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` to the second stage's activations ``(n, c, 28, 28)``."""
        seen = as_colours(images) if self.colours else images
        return self.layer2(self.layer1(self.maxpool(self.act(self.bn1(self.conv1(seen))))))

    def to_14(self, at_28: torch.Tensor) -> torch.Tensor:
        """Second stage's activations to the third's ``(n, c, 14, 14)``."""
        return self.layer3(at_28)

    @property
    def stages(self) -> tuple[torch.nn.Module, ...]:
        """The stages after the stem, in their order."""
        return self.layer1, self.layer2, self.layer3

    def freeze(self, stages: int) -> None:
        """Keep the stem's and the first stages' weights as they are; their normalization still follows the images."""
        for part in (self.conv1, self.bn1, *self.stages[:stages]):
            part.requires_grad_(False)


HIGHEST_SHARE = 0.01
"""Share of the cells of a coarse map whose logits speak for the slice: 8 of 28 x 28, about 2 cm2 of lung."""

FIRST_WEIGHT_OF_SPOTS = 0.5
"""Weight in the verdict that each of the two maps starts training with."""


class SliceClassifier(torch.nn.Module):
    """Stages of a network, two coarse maps of disease, and one logit that rests on these maps alone.

    Parameters
    ----------
    backbone
        Gives activations at 28 x 28 and 14 x 14 for a 224 x 224 input.
    channel_axis
        Whether `forward` gives ``(n, 1)`` in place of ``(n,)``.

    Notes
    -----
    28 x 28 and 14 x 14 are the two sizes at which the localization looks (RADLogics, arXiv 2003.05037). Each has a
    linear layer that gives a logit of disease a cell; a second linear layer weighs the highest of these logits, and is
    the verdict, so that what the maps show is what the verdict rests on. Where the training slices have opacity masks,
    the maps are also taught where the opacity is (`CovidCTLib.training.losses.spot_loss`).

    Dense layers on the pooled last activations, beside the maps, made the verdict worse on patients that it never saw:
    see ``Testing/benchmarks/DIARY.md``.
    """

    def __init__(self, backbone: ResNetStages | EfficientEncoder, channel_axis: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.channel_axis = channel_axis
        at_28, at_14 = backbone.stage_channels
        self.spots_28 = torch.nn.Conv2d(at_28, 1, 1)
        self.spots_14 = torch.nn.Conv2d(at_14, 1, 1)
        self.out = torch.nn.Linear(2, 1)
        with torch.no_grad():
            # A small random weight would take long to grow.
            self.out.weight.fill_(FIRST_WEIGHT_OF_SPOTS)
            self.out.bias.zero_()

    def spots(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images ``(n, 1, 224, 224)`` in [0, 1] to logits of disease a cell, ``(n, 28, 28)`` and ``(n, 14, 14)``."""
        at_28 = self.backbone.to_28(images)
        return self.spots_28(at_28)[:, 0], self.spots_14(self.backbone.to_14(at_28))[:, 0]

    def with_spots(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images to logits ``(n,)``, and logits of disease a cell as `spots` gives them."""
        spots_28, spots_14 = self.spots(images)
        evidence = torch.stack([_mean_of_highest(spots) for spots in (spots_28, spots_14)], dim=1)
        return self.out(evidence)[:, 0], spots_28, spots_14

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` in [0, 1] to logits ``(n,)``, or ``(n, 1)`` with a channel axis."""
        logits = self.with_spots(images)[0]
        return logits[:, None] if self.channel_axis else logits


def _mean_of_highest(spots: torch.Tensor) -> torch.Tensor:
    """Mean logit ``(n,)`` of the `HIGHEST_SHARE` most diseased cells of maps ``(n, y, x)``; one cell would be noise."""
    flat = spots.flatten(1)
    return flat.topk(max(1, round(HIGHEST_SHARE * flat.shape[1])), dim=1).values.mean(dim=1)


def build_network(architecture: Mapping[str, Any], channel_axis: bool = False) -> torch.nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture
        ``kind`` with what it needs: ``"unet"`` with ``channels`` and ``outputs``, ``"windows-unet"`` with ``slices``
        beside these, ``"efficientnet-unet"`` with ``decoder``, ``outputs`` and perhaps ``slices``, ``"resnet"`` with
        ``layers``, ``widths`` and perhaps ``stem``, ``"efficientnet"``. With ``weight_bits`` of 8 its weights are kept
        as `CovidCTLib.models.eight_bit.with_eight_bits` does.
    channel_axis
        Whether a classifier gives ``(n, 1)`` in place of ``(n,)``: MONAI's tools, for which it stands in a bundle's
        ``inference.json``, want channels on the second axis. The other networks have them there anyhow.

    Raises
    ------
    ModelError
        If the description is not one of these.
    """
    network = _build_plain(architecture, channel_axis)
    bits = architecture.get(WEIGHT_BITS)
    if bits not in (None, 8):
        raise ModelError(f"{WEIGHT_BITS} of an architecture must be 8 or left out, but is {bits!r}. Correct the card.")
    return network if bits is None else with_eight_bits(network)


def _build_plain(architecture: Mapping[str, Any], channel_axis: bool) -> torch.nn.Module:
    """Build a network whose weights are floating point."""
    kind = architecture.get("kind")
    try:
        if kind == "unet":
            return _plain_unet(1, [int(c) for c in architecture["channels"]], int(architecture["outputs"]))
        if kind == "windows-unet":
            channels = [int(c) for c in architecture["channels"]]
            return WindowsUNet(channels, int(architecture["outputs"]), slices_seen(architecture))
        if kind == "efficientnet-unet":
            decoder = [int(c) for c in architecture["decoder"]]
            return EfficientUNet(decoder, int(architecture["outputs"]), slices_seen(architecture))
        if kind == "resnet":
            layers, widths = ([int(n) for n in architecture[name]] for name in ("layers", "widths"))
            stages = ResNetStages(layers, widths, int(architecture.get("stem", 0)))
            return SliceClassifier(stages, channel_axis)
        if kind == "efficientnet":
            return SliceClassifier(EfficientEncoder(last_stage=LAST_STAGE_OF_MAPS), channel_axis)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The architecture of a {kind} is incomplete or wrong ({error}). Use a card written by CovidCT's training."
        ) from error
    raise ModelError(
        "The architecture must be 'unet', 'windows-unet', 'efficientnet-unet', 'resnet' or 'efficientnet', not "
        f"{kind!r}. Use a card written by CovidCT's training."
    )
