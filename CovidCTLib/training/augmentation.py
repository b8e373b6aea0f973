"""Augmentation of training slices by MONAI transforms.

Crop, flip, rotation and noise inside the lungs are the original system's (B3); changes of contrast stand for
photographs and other exports, blur and sharpening for reconstruction kernels.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.transforms import (
    Compose,
    MapTransform,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    Randomizable,
    ToTensord,
)

from CovidCTLib.training.lesions import (
    LABEL_LUNGS,
    RandOpacityCondensedd,
    RandOpacityFadedd,
    RandOpacityPastedd,
)
from CovidCTLib.training.slices import Framing

LUNG_NOISE_SCALE = 0.1
LUNG_NOISE_MEAN = 0.0
LUNG_NOISE_SD = 0.8
"""Noise inside the lungs: 0.1 times a normal distribution of mean 0 and SD 0.8, on images in [0, 1] (B3)."""

CONDENSED_FOR_LUNGS = 0.25
"""Chance that known opacities become dense for the lung network: consolidation at the pleura is as bright as the chest
wall, and must count as lung all the same."""

ROTATION_RAD = 0.26
"""Largest rotation, 15 degrees."""


@dataclass(frozen=True)
class Strength:
    """How strongly contrast is changed.

    Parameters
    ----------
    strong_windows
        Share of strong ones among the windows of `RandContrastWindowd`.
    gamma
        Chance of another gamma.
    faded
        Chance that known opacities are faded (`CovidCTLib.training.lesions.RandOpacityFadedd`).
    contrast_left
        Share of its contrast to healthy lung that a faded opacity keeps at least.
    """

    strong_windows: float
    gamma: float
    faded: float
    contrast_left: float


USUAL = Strength(strong_windows=0.4, gamma=0.15, faded=0.25, contrast_left=0.3)
GENTLE = Strength(strong_windows=0.2, gamma=0.1, faded=0.15, contrast_left=0.45)
"""What each gives on patients held out stands in ``Testing/benchmarks/DIARY.md``."""


class RandLungNoised(Randomizable, MapTransform):  # type: ignore[misc]
    """Add normally distributed noise inside the lungs, so that infected lungs still segment (B3)."""

    def __init__(self, prob: float = 0.3) -> None:
        MapTransform.__init__(self, ["image", "label"])
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take and give a sample with ``image`` (c, y, x) in [0, 1] and ``label`` (3, y, x)."""
        sample = dict(data)
        if self.R.random() < self.prob:
            image = sample["image"]
            inside = sample["label"][LABEL_LUNGS] == 1
            noise = self.R.normal(LUNG_NOISE_MEAN, LUNG_NOISE_SD, image.shape[1:]).astype(np.float32)
            # Blurred noise looks like patchy disease, white noise like a sharp kernel: half of each.
            if self.R.random() < 0.5:
                noise = torch.nn.functional.avg_pool2d(torch.from_numpy(noise)[None], 7, 1, 3)[0].numpy() * 7
            sample["image"] = image + LUNG_NOISE_SCALE * torch.from_numpy(noise)[None] * inside[None]
        return sample


class RandContrastWindowd(Randomizable, MapTransform):  # type: ignore[misc]
    """Stretch or shift the grey scale as exports and photographs do: a random window, clipped at its ends."""

    def __init__(self, prob: float = 0.5, strong: float = USUAL.strong_windows) -> None:
        MapTransform.__init__(self, ["image"])
        self.prob = prob
        self.strong = strong

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take and give a sample with ``image`` in [0, 1]."""
        sample = dict(data)
        if self.R.random() < self.prob:
            strong = self.R.random() < self.strong
            low = self.R.uniform(-0.1, 0.15) if strong else self.R.uniform(-0.03, 0.03)
            high = self.R.uniform(0.8, 1.25) if strong else self.R.uniform(0.95, 1.05)
            sample["image"] = (sample["image"] - low) / (high - low)
        return sample


class RandRimd(Randomizable, MapTransform):  # type: ignore[misc]
    """Black out a rim of the picture, as crops of single slices have it, so that a rim says nothing of disease."""

    def __init__(self, prob: float = 0.3) -> None:
        MapTransform.__init__(self, ["image", "label"])
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take and give a sample with ``image`` (c, y, x) and ``label`` (3, y, x); what is hidden counts as none."""
        sample = dict(data)
        if self.R.random() < self.prob:
            height, width = sample["image"].shape[1:]
            top, bottom = (int(height * self.R.uniform(0, 0.2)) for _ in range(2))
            left, right = (int(width * max(0.0, self.R.uniform(-0.2, 0.1))) for _ in range(2))
            inside = torch.zeros(1, height, width)
            inside[:, top : height - bottom, left : width - right] = 1
            sample["image"] = sample["image"] * inside
            sample["label"] = sample["label"] * inside
        return sample


def make_augmentation(size: int, framing: Framing, pasted: float = 0.1, strength: Strength = USUAL) -> Compose:
    """Make the augmentation for a network's grid.

    Parameters
    ----------
    size
        Side of the crops in pixels; samples come in a little larger.
    framing
        Around the body: the lung network, which gets noise inside the lungs, and opacities that are condensed or made
        up, so that it takes diseased lung for lung.
        Around the lungs: networks that look for disease, to which such noise would be disease; they get rims, and
        opacities that are faded, condensed or made up, instead.
    pasted
        Chance of a made-up opacity.
    strength
        How strongly contrast is changed.

    Returns
    -------
    Compose
        Takes and gives ``image`` (c, y, x) float32 and ``label`` (3, y, x): lungs, opacities, effusion. Its
        ``set_random_state`` makes it repeatable.
    """
    both = ["image", "label"]
    faded = RandOpacityFadedd(strength.faded, strength.contrast_left)
    return Compose(
        [
            ToTensord(both, track_meta=False),
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandFlipd(both, prob=0.05, spatial_axis=0),
            RandAffined(
                both,
                prob=1.0,
                rotate_range=ROTATION_RAD,
                shear_range=(0.05, 0.05),
                translate_range=(size * 0.08, size * 0.08),
                scale_range=(0.25, 0.25),
                spatial_size=(size, size),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            *(
                [RandLungNoised(), RandOpacityCondensedd(CONDENSED_FOR_LUNGS), RandOpacityPastedd(pasted)]
                if framing == "body"
                else [faded, RandOpacityCondensedd(), RandOpacityPastedd(pasted), RandRimd()]
            ),
            RandGaussianSmoothd(["image"], prob=0.2, sigma_x=(0.3, 1.2), sigma_y=(0.3, 1.2)),
            RandGaussianSharpend(["image"], prob=0.15, alpha=(2.0, 8.0)),
            RandContrastWindowd(strong=strength.strong_windows),
            RandAdjustContrastd(["image"], prob=strength.gamma, gamma=(0.75, 1.35)),
            RandGaussianNoised(["image"], prob=0.4, std=0.04),
        ]
    )
