"""Which slice is shown when: balanced over sources and findings, and repeatable from the seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from CovidCTLib.models.neighbours import steps_to_neighbour
from CovidCTLib.training.augmentation import USUAL, Strength, make_augmentation
from CovidCTLib.training.lesions import (
    LABEL_OPACITIES,
    can_give,
    can_give_effusion,
    carry_effusion,
    carry_over,
    infected,
)
from CovidCTLib.training.slices import Framing, SliceSet

NEIGHBOUR_SHARE = (0.2, 0.5)
"""Share of the neighbouring slice in a thickened one: at a half the slice is twice as thick."""


DISTANCES_MM = (2.0, 10.0)
"""Distances of neighbouring slices that are trained on, in mm, as far as the slices of a volume allow."""

ALONE_SHARE = 0.1
"""Share of the slices of volumes that are shown without their neighbours, as pictures are."""


class SampledSlices(Dataset[dict[str, Any]]):
    """Augmented training samples; number `n` depends on the seed and `n` only, so a run can be resumed anywhere.

    Parameters
    ----------
    slices
        The training slices.
    weights
        Chance of each slice, shape ``(n,)``, not negative; need not sum to 1.
    size
        Side of the network's grid.
    framing
        What the slices are framed around; it decides on the augmentation.
    seed
        Any whole number.
    first, count
        Number of the first sample, and how many.
    pasted, carried
        Chance of a made-up opacity in a slice; and, in one without opacity, of the lesions of another slice of the same
        set. Slices with lesions keep their own, so that most lesions that are learned from are real.
    thickened
        Chance that a slice of a volume becomes up to twice as thick.
    strength
        How strongly contrast is changed.
    seen
        Slices that a sample holds, the own one in the middle; 1 or 3.
    flooded
        Chance of the pleural effusion of another slice in one whose lungs are labelled.
    """

    def __init__(
        self,
        slices: SliceSet,
        weights: NDArray[np.float64],
        size: int,
        framing: Framing,
        seed: int,
        first: int,
        count: int,
        pasted: float = 0.1,
        carried: float = 0.0,
        thickened: float = 0.0,
        strength: Strength = USUAL,
        seen: int = 1,
        flooded: float = 0.0,
    ) -> None:
        self.seen = seen
        self.flooded = flooded
        self.floods = np.flatnonzero(can_give_effusion(slices.effusion)) if flooded > 0 else np.empty(0, np.intp)
        self.slices = slices
        self.cumulative = np.cumsum(weights / weights.sum())
        self.augmentation = make_augmentation(size, framing, pasted, strength)
        self.carried = carried
        self.thickened = thickened
        self.donors = np.flatnonzero(can_give(slices.lungs, slices.opacities)) if carried > 0 else np.empty(0, np.intp)
        self.seed = seed
        self.first = first
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give ``image`` (seen, size, size), ``label`` (3, size, size) uint8 and ``abnormal`` (-1, 0, 1)."""
        rng = np.random.default_rng((self.seed, self.first + index))
        k = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.slices) - 1)
        self.augmentation.set_random_state(seed=int(rng.integers(2**31)))
        sample = self._stored(k, rng)
        if self.thickened > 0 and rng.random() < self.thickened:
            self._thicken(sample["image"][self.seen // 2 :][:1], k, rng)
        if len(self.donors) and rng.random() < self.carried and not infected(sample["label"][LABEL_OPACITIES]).any():
            donor = self._stored(int(rng.choice(self.donors)), rng)
            if rng.random() < 0.5:
                donor = {name: values[..., ::-1] for name, values in donor.items()}
            carry_over(sample["image"], sample["label"], donor)
        if len(self.floods) and rng.random() < self.flooded:
            donor = self._stored(int(rng.choice(self.floods)), rng)
            if rng.random() < 0.5:
                donor = {name: values[..., ::-1] for name, values in donor.items()}
            carry_effusion(sample["image"], sample["label"], donor)
        sample = self.augmentation(sample)
        return {
            "image": torch.as_tensor(sample["image"]).clamp_(0, 1),
            "label": torch.as_tensor(sample["label"]).to(torch.uint8),
            "abnormal": 1 if self._has_new(sample["label"][LABEL_OPACITIES], k) else int(self.slices.abnormal[k]),
        }

    def _stored(self, k: int, rng: np.random.Generator) -> dict[str, Any]:
        """Give ``image`` (seen, y, x) and ``label`` (3, y, x) of a slice as float32 copies."""
        slices = self.slices
        shown = [k] * self.seen
        if self.seen > 1 and slices.step_mm[k] > 0 and rng.random() >= ALONE_SHARE:
            steps = steps_to_neighbour(float(slices.step_mm[k]), float(rng.uniform(*DISTANCES_MM)))
            shown = [beside(slices, k, steps * (n - self.seen // 2)) for n in range(self.seen)]
        return {
            "image": slices.image[shown].astype(np.float32),
            "label": np.stack([slices.lungs[k], slices.opacities[k], slices.effusion[k]]).astype(np.float32),
        }

    def _thicken(self, image: NDArray[np.float32], k: int, rng: np.random.Generator) -> None:
        """Mix a neighbouring slice of the same volume into a slice, in place; the labels stay those of the slice."""
        beside = k + (1 if rng.random() < 0.5 else -1)
        share = float(rng.uniform(*NEIGHBOUR_SHARE))
        if self.slices.source[k] != "volume" or not 0 <= beside < len(self.slices):
            # Slices of one volume share their frame; pictures of one patient do not.
            return
        one_volume = self.slices.case[beside] == self.slices.case[k]
        # Slices of which nothing is known are left out, and their neighbours lie further apart.
        one_volume &= abs(int(self.slices.number[beside]) - int(self.slices.number[k])) == 1
        # A normal slice with a part of an abnormal one would be neither.
        if one_volume and self.slices.abnormal[beside] == self.slices.abnormal[k]:
            image += share * (self.slices.image[beside][None].astype(np.float32) - image)

    def _has_new(self, label: torch.Tensor, k: int) -> bool:
        """Whether a normal slice got an opacity, and is abnormal then."""
        return bool(self.slices.abnormal[k] == 0 and infected(label).any())


def beside(slices: SliceSet, k: int, steps: int) -> int:
    """Find the slice of the same volume that lies some steps further, or the last one before there are none.

    Parameters
    ----------
    slices
        Slices of each volume stand together, by ascending number; some may be left out.
    k
        Index of a slice of a volume.
    steps
        How many slices of the volume further towards the head; negative towards the feet.
    """
    neighbour, way = k, 1 if steps > 0 else -1
    while neighbour != k + steps:
        further = neighbour + way
        if not 0 <= further < len(slices) or slices.case[further] != slices.case[k]:
            break
        if abs(int(slices.number[further]) - int(slices.number[k])) > abs(steps):
            break
        neighbour = further
    return neighbour


def balanced_weights(groups: NDArray[np.str_], shares: Mapping[str, float]) -> NDArray[np.float64]:
    """Chances of slices so that each group has its share, whatever its size.

    Parameters
    ----------
    groups
        Group of each slice, shape ``(n,)``.
    shares
        Share of each group; a group that is not named counts as 1.
    """
    weights = np.zeros(len(groups))
    for group in np.unique(groups):
        members = groups == group
        weights[members] = shares.get(str(group), 1.0) / members.sum()
    return weights
