"""Opacities that training slices do not have: faded, condensed, made up, or carried over from another slice.

The patients at hand show little dense disease beside the pleura, where it looks like the chest wall, and a network that
never saw it there takes it for chest wall.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, Randomizable
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.labels import OPACITY_CONSOLIDATION as CONSOLIDATION
from CovidCTLib.training.slices import INFECTION, UNKNOWN

LABEL_LUNGS, LABEL_OPACITIES, LABEL_EFFUSION = 0, 1, 2
"""Channels of the label image."""

HEALTHY_LUNG = 0.17
"""Healthy lung (-825 HU) on the networks' scale, where a slice shows none."""

DENSE = (0.84, 0.95)
"""Range of what consolidation is condensed to, -38 to 91 HU on the networks' scale: fluid to enhanced tissue."""

CONSOLIDATION_FROM = 0.7
"""A condensed or made-up opacity that is filled by at least this share is consolidation; below, its class is open."""

MIN_FREE_LUNG_PIXELS = 2000
"""Made-up opacities need at least this much healthy lung, on the network's grid."""

PLEURA_PIXELS = 4
"""Healthy lung this close to what is not lung lies beside the pleura, or a large vessel."""

MIN_CARRIED_PIXELS = 150
"""A lesion is carried over if this much of it falls on healthy lung, on the stored grid; about 2 cm2."""


def infected(label: Any) -> Any:
    """Say where a label image of opacities, an array or a tensor, shows any."""
    return (label > 0) & (label != UNKNOWN)


class _RandOpacityChanged(Randomizable, MapTransform):  # type: ignore[misc]
    """Changes the known opacities of some samples.

    Parameters
    ----------
    prob
        Chance of a change.
    """

    def __init__(self, prob: float) -> None:
        MapTransform.__init__(self, ["image", "label"])
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take and give a sample with ``image`` (c, y, x) and ``label`` (3, y, x); what came in is left alone."""
        sample = dict(data)
        if self.R.random() < self.prob:
            strength = self.draw()
            where = infected(sample["label"][LABEL_OPACITIES])
            if where.any():
                sample["label"] = sample["label"].clone()
                sample["image"] = self.change(sample["image"], sample["label"], where, strength)
        return sample

    @abstractmethod
    def draw(self) -> tuple[float, ...]:
        """Draw how strong the change is, whether or not there is anything to change."""

    @abstractmethod
    def change(
        self, image: torch.Tensor, label: torch.Tensor, where: torch.Tensor, strength: tuple[float, ...]
    ) -> torch.Tensor:
        """Give the changed image, and write the classes into the label."""


class RandOpacityFadedd(_RandOpacityChanged):
    """Fade known opacities towards healthy lung, so that faint ground glass is learned from dense one.

    Parameters
    ----------
    prob
        Chance of it.
    least_left
        Share of its contrast to healthy lung that a faded opacity keeps at least.
    """

    def __init__(self, prob: float, least_left: float) -> None:
        super().__init__(prob)
        self.least_left = least_left

    def draw(self) -> tuple[float, ...]:
        """Draw the share of contrast that is left."""
        return (float(self.R.uniform(self.least_left, 0.8)),)

    def change(
        self, image: torch.Tensor, label: torch.Tensor, where: torch.Tensor, strength: tuple[float, ...]
    ) -> torch.Tensor:
        """Fade; consolidation that was faded has no class."""
        lung = (label[LABEL_LUNGS] == 1) & (label[LABEL_OPACITIES] == 0)
        healthy = float(image[image.shape[0] // 2][lung].median()) if lung.any() else HEALTHY_LUNG
        label[LABEL_OPACITIES][where & (label[LABEL_OPACITIES] == CONSOLIDATION)] = INFECTION
        share = _blurred(where.float()) * (1 - strength[0])
        return image - share[None] * (image - healthy).clamp(min=0)


class RandOpacityCondensedd(_RandOpacityChanged):
    """Fill known opacities up towards soft tissue, so that consolidation is learned from ground glass."""

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob)

    def draw(self) -> tuple[float, ...]:
        """Draw the share that is filled, and the level that it is filled to."""
        return float(self.R.uniform(0.3, 1.0)), float(self.R.uniform(*DENSE))

    def change(
        self, image: torch.Tensor, label: torch.Tensor, where: torch.Tensor, strength: tuple[float, ...]
    ) -> torch.Tensor:
        """Fill; ground glass becomes consolidation, or has no class where it was filled by less."""
        share, level = strength
        changed = where & (label[LABEL_OPACITIES] != CONSOLIDATION)
        label[LABEL_OPACITIES][changed] = CONSOLIDATION if share >= CONSOLIDATION_FROM else INFECTION
        return image + share * _blurred(where.float())[None] * (level - image).clamp(min=0)


class RandOpacityPastedd(Randomizable, MapTransform):  # type: ignore[misc]
    """Paint made-up patches of opacity into known healthy lung: clouds of soft noise, half of them dense at the pleura.

    Parameters
    ----------
    prob
        Chance of a patch in a slice.
    """

    def __init__(self, prob: float = 0.1) -> None:
        MapTransform.__init__(self, ["image", "label"])
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Take and give a sample with ``image`` (c, y, x) and ``label`` (3, y, x)."""
        sample = dict(data)
        if self.R.random() < self.prob:
            label = sample["label"][LABEL_OPACITIES]
            free = (sample["label"][LABEL_LUNGS] == 1) & (label == 0)
            if int(free.sum()) < MIN_FREE_LUNG_PIXELS:
                return sample
            dense = self.R.random() < 0.5
            patch, grain = self._patch(free, dense)
            share = float(self.R.uniform(0.45, 1.0) if dense else self.R.uniform(0.08, 0.4))
            # Consolidation is even but for air in the bronchi; ground glass is not.
            grain = (1 + (0.15 if dense else 0.5) * grain) * share
            level = float(self.R.uniform(*DENSE)) if dense else 0.9
            image = sample["image"]
            sample["image"] = image + (_blurred(patch.float()) * grain.clamp(0, 1))[None] * (level - image).clamp(min=0)
            sample["label"] = sample["label"].clone()
            sample["label"][LABEL_OPACITIES][patch] = CONSOLIDATION if share >= CONSOLIDATION_FROM else INFECTION
        return sample

    def _patch(self, free: torch.Tensor, at_pleura: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the outline of a patch inside free lung, and noise for its grain."""
        size = free.shape
        lung = free.numpy()
        chosen = lung & ~ndimage.binary_erosion(lung, iterations=PLEURA_PIXELS) if at_pleura else lung
        candidates = np.flatnonzero(chosen)
        row, column = np.unravel_index(int(candidates[self.R.randint(len(candidates))]), size)
        radius = self.R.uniform(0.03, 0.16 if at_pleura else 0.12) * size[0]
        grid = np.ogrid[: size[0], : size[1]]
        distance = np.hypot(grid[0] - row, (grid[1] - column) * self.R.uniform(0.7, 1.4)) / radius
        outline = distance + self._noise(size, 8) * 0.6 < 1
        return torch.from_numpy(outline) & free, torch.from_numpy(self._noise(size, 32))

    def _noise(self, size: Any, cells: int) -> NDArray[np.float32]:
        """Draw smooth noise of standard deviation about 1 that changes over a `cells`-th of the picture."""
        coarse = torch.from_numpy(self.R.normal(size=(1, 1, cells, cells)).astype(np.float32))
        return torch.nn.functional.interpolate(coarse, tuple(size), mode="bicubic")[0, 0].numpy()


def can_give(lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which slices have a lesion that can be carried over.

    Parameters
    ----------
    lungs, opacities
        Labels, shape ``(n, y, x)``, as in `CovidCTLib.training.slices.SliceSet`.

    Returns
    -------
    ndarray
        bool, shape ``(n,)``: lungs are known, and there is enough opacity.
    """
    lungs_known = (lungs != UNKNOWN).all(axis=(1, 2))
    return np.asarray(lungs_known & (infected(opacities).sum(axis=(1, 2)) >= MIN_CARRIED_PIXELS))


def carry_over(image: NDArray[np.float32], label: NDArray[np.float32], donor: Mapping[str, NDArray[Any]]) -> bool:
    """Carry the lesions of one slice over to another, in place, as far as they fall on its healthy lung.

    Parameters
    ----------
    image
        Shape ``(c, y, x)``, in [0, 1]: a slice, or one with its neighbours.
    label
        Shape ``(3, y, x)``: lungs, opacities, effusion.
    donor
        ``image`` and ``label`` of the same shapes, framed around the lungs too, so that lungs lie on lungs.

    Returns
    -------
    bool
        Whether anything was carried over. Vessels of the receiving slice stay, since only what is brighter is taken.
    """
    lesion = donor["label"][LABEL_OPACITIES]
    healthy = (label[LABEL_LUNGS] == 1) & (label[LABEL_OPACITIES] == 0)
    carried = healthy & infected(lesion)
    if np.count_nonzero(carried) < MIN_CARRIED_PIXELS:
        return False
    share = _blurred(torch.from_numpy(carried.astype(np.float32))).numpy()
    image += share[None] * np.clip(donor["image"] - image, 0, None)
    label[LABEL_OPACITIES][carried] = lesion[carried]
    return True


def can_give_effusion(effusion: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which slices, labels ``(n, y, x)``, have enough pleural effusion to carry it over; bool, shape ``(n,)``."""
    return np.asarray((effusion == 1).sum(axis=(1, 2)) >= MIN_CARRIED_PIXELS)


def carry_effusion(image: NDArray[np.float32], label: NDArray[np.float32], donor: Mapping[str, NDArray[Any]]) -> bool:
    """Carry pleural effusion of one slice over to another, in place, where it falls on labelled lung.

    Parameters
    ----------
    image
        Shape ``(c, y, x)``, in [0, 1].
    label
        Shape ``(3, y, x)``: lungs, opacities, effusion.
    donor
        ``image`` and ``label`` of the same shapes, framed around the body too, so that chest walls lie near each other.

    Returns
    -------
    bool
        Whether anything was carried over. It is effusion then, and no lung.
    """
    carried = (label[LABEL_LUNGS] == 1) & (donor["label"][LABEL_EFFUSION] == 1)
    if np.count_nonzero(carried) < MIN_CARRIED_PIXELS:
        return False
    share = _blurred(torch.from_numpy(carried.astype(np.float32))).numpy()
    # The rim of the blurred mask must not bring in what lies beside the effusion.
    level = np.where(donor["label"][LABEL_EFFUSION] == 1, donor["image"], float(donor["image"][:, carried].mean()))
    image += np.where(carried, np.maximum(share, 0.7), share)[None] * (level - image)
    label[LABEL_LUNGS][carried] = 0
    label[LABEL_OPACITIES][carried] = 0
    label[LABEL_EFFUSION][carried] = 1
    return True


def _blurred(mask: torch.Tensor) -> torch.Tensor:
    """Soften the rim of a mask ``(y, x)`` over a few pixels."""
    return torch.nn.functional.avg_pool2d(mask[None, None], 5, 1, 2)[0, 0]
