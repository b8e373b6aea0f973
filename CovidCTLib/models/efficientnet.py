"""An encoder that starts from photographs: EfficientNet-Lite0, and the U-Net and the classifier built on it.

Tan & Le 2019, arXiv 1905.11946; the Lite variant leaves squeeze-and-excitation out and uses ReLU6, which keeps it quick
on processors. The layers are MONAI's; weights trained on photographs fit by name (`CovidCTLib.training.initial`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import EfficientNet
from monai.networks.nets.basic_unet import UpCat

_BLOCKS = (
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
)
"""The seven stages in MONAI's notation: repeats, kernel, stride, expansion, channels in and out."""

_LAST_OF_SIZE = (0, 1, 2, 4, 6)
"""Stages after which the grid is halved next (or that end the network)."""

LAST_STAGE_OF_MAPS = 4
"""The stage whose activations have a sixteenth of the input's side; a classifier of coarse maps needs none after it."""

CHANNELS = (16, 24, 40, 112, 320)
"""Channels of the five sizes, from a half to a thirty-second of the input's side."""


WINDOWS = ((0.0, 1.0), (0.05, 0.45), (0.4, 1.0))
"""Parts of [0, 1] that become the three colours: all; lung and faint ground glass (-965 to -496 HU); consolidation and
soft tissue (from -554 HU)."""

NORM_MOMENTUM = 0.05
"""How quickly the normalization follows new images; the weights' own 0.01 would take longer than a training lasts."""


def as_colours(images: torch.Tensor) -> torch.Tensor:
    """Grey images ``(n, 1, y, x)`` in [0, 1] to three windows of them ``(n, 3, y, x)``, each spread to [-1, 1].

    A faint opacity differs from lung by a tenth of the grey scale only; its own window makes that a quarter.
    """
    windows = [((images - low) * (2 / (high - low)) - 1).clamp_(-1, 1) for low, high in WINDOWS]
    return torch.cat(windows, dim=1)


class DepthwiseConv(torch.nn.Conv2d):
    """A depthwise convolution that learns in float32 on a processor.

    The gradient of a 5 x 5 one in bfloat16 takes oneDNN three to twenty times as long as in float32, and was half of a
    training step. Outside training nothing is different.
    """

    @classmethod
    def like(cls, conv: torch.nn.Conv2d) -> DepthwiseConv:
        """Make one with the weights of a convolution without bias."""
        kernel, stride = (conv.kernel_size[0], conv.kernel_size[1]), (conv.stride[0], conv.stride[1])
        same = cls(conv.in_channels, conv.out_channels, kernel, stride, groups=conv.groups, bias=False)
        same.padding = conv.padding
        same.weight = conv.weight
        return same

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Activations ``(n, c, y, x)`` to activations of the same type."""
        if not self.training or images.device.type != "cpu":
            return super().forward(images)
        with torch.autocast("cpu", enabled=False):
            return super().forward(images.float()).to(images.dtype)


class Surroundings(torch.nn.Module):
    """What the slices beside a slice add to its activations at a quarter of the side; nothing before training.

    It joins after the stages that mostly keep the weights of photographs (``--freeze``), so that they need no gradient.

    Parameters
    ----------
    slices
        Slices that go in, the own one in the middle.
    channels
        Channels of the activations.
    """

    def __init__(self, slices: int, channels: int) -> None:
        super().__init__()
        self.near = torch.nn.Conv2d(slices, CHANNELS[0], 3, stride=2, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(CHANNELS[0], momentum=NORM_MOMENTUM)
        self.act = torch.nn.ReLU6()
        self.add = torch.nn.Conv2d(CHANNELS[0], channels, 3, stride=2, padding=1)
        for parameter in self.add.parameters():
            torch.nn.init.zeros_(parameter)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Slices ``(n, slices, y, x)`` in [0, 1] to what is added, ``(n, channels, y / 4, x / 4)``."""
        return self.add(self.act(self.norm(self.near(images * 2 - 1))))


class EfficientEncoder(torch.nn.Module):
    """EfficientNet-Lite0 without its last layers; grey images go in as three windows, in the place of colours.

    Parameters
    ----------
    last_stage
        Number of the last stage that is kept, from 0 to 6.
    slices
        Slices that go in, the own one in the middle; 1 or 3.
    """

    def __init__(self, last_stage: int = len(_BLOCKS) - 1, slices: int = 1) -> None:
        super().__init__()
        self.stage_channels = CHANNELS[2:4]
        net = EfficientNet(list(_BLOCKS), spatial_dims=2, in_channels=3, num_classes=1, image_size=256)
        for module in net.modules():
            _lighten(module)
        self.stem = torch.nn.Sequential(net._conv_stem_padding, net._conv_stem, net._bn0, torch.nn.ReLU6())
        self.stages = net._blocks[: last_stage + 1]
        self.slices = slices
        if slices > 1:
            self.surroundings = Surroundings(slices, CHANNELS[1])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images ``(n, slices, y, x)`` in [0, 1] to activations at a half, quarter, ... thirty-second of the side.

        One slice alone stands for its neighbours, too.
        """
        sizes = []
        middle = images.shape[1] // 2
        x = self.stem(as_colours(images[:, middle : middle + 1]))
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if self.slices > 1 and number == _LAST_OF_SIZE[1]:
                x = x + self.surroundings(images.expand(-1, self.slices, -1, -1))
            if number in _LAST_OF_SIZE:
                sizes.append(x)
        return sizes

    def freeze(self, stages: int) -> None:
        """Keep the stem's and the first stages' weights as they are; their normalization still follows the images."""
        for part in (self.stem, *self.stages[:stages]):
            part.requires_grad_(False)

    def to_28(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, 1, 224, 224)`` in [0, 1] to activations ``(n, 40, 28, 28)``."""
        return self.stages[:3](self.stem(as_colours(images)))

    def to_14(self, at_28: torch.Tensor) -> torch.Tensor:
        """Activations at 28 x 28 to those at 14 x 14, 112 channels."""
        return self.stages[3 : LAST_STAGE_OF_MAPS + 1](at_28)


def _lighten(module: torch.nn.Module) -> None:
    """Turn an EfficientNet layer of MONAI into Lite's: ReLU6, and even paddings inside the convolution, not before."""
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = NORM_MOMENTUM
    if hasattr(module, "_swish"):
        module._swish = torch.nn.ReLU6()
    for name in ("_conv_stem", "_expand_conv", "_depthwise_conv", "_project_conv"):
        padding = getattr(module, f"{name}_padding", None)
        if isinstance(padding, torch.nn.ConstantPad2d) and len(set(padding.padding)) == 1:
            getattr(module, name).padding = (padding.padding[0], padding.padding[0])
            setattr(module, f"{name}_padding", torch.nn.Identity())
    depthwise = getattr(module, "_depthwise_conv", None)
    if isinstance(depthwise, torch.nn.Conv2d):
        module._depthwise_conv = DepthwiseConv.like(depthwise)


class EfficientUNet(torch.nn.Module):
    """A U-Net on the encoder; logits are computed at half of the side and brought to the whole by interpolation.

    Parameters
    ----------
    decoder
        Channels of the four steps up.
    outputs
        Logits a pixel.
    slices
        Slices that go in, the own one in the middle; 1 or 3.
    """

    def __init__(self, decoder: Sequence[int], outputs: int, slices: int = 1) -> None:
        super().__init__()
        self.encoder = EfficientEncoder(slices=slices)
        skips = CHANNELS[-2::-1]
        self.ups = torch.nn.ModuleList(
            UpCat(
                2,
                below,
                skip,
                out,
                act=("relu", {"inplace": True}),
                norm="batch",
                bias=False,
                dropout=0.0,
                upsample="nontrainable",
                halves=False,
                is_pad=False,
            )
            for below, skip, out in zip((CHANNELS[-1], *decoder[:-1]), skips, decoder, strict=True)
        )
        self.dropout = torch.nn.Dropout2d(0.1)
        self.out = torch.nn.Conv2d(decoder[-1], outputs, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``(n, slices, y, x)`` in [0, 1], sides multiples of 32, to logits ``(n, outputs, y, x)``."""
        *skips, x = self.encoder(images)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        logits = self.out(self.dropout(x))
        return torch.nn.functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
