"""The classifier sees lungs and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from CovidCTLib.framing import lung_frame
from CovidCTLib.slices.lung_crop import RIM_PIXELS, crop_lungs, keep_lungs


def test_only_lungs_and_a_rim_stay() -> None:
    lungs = torch.zeros(1, 20, 20, dtype=torch.bool)
    lungs[0, 8:12, 8:12] = True
    kept = keep_lungs(torch.ones(1, 1, 20, 20), lungs)[0, 0]
    assert int(kept.sum()) == (4 + 2 * RIM_PIXELS) ** 2
    assert kept[8 - RIM_PIXELS, 8 - RIM_PIXELS] == 1


def test_what_lies_far_from_the_lungs_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 100, (3, 100, 100)).astype(np.int16)
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[:, 30:70, 20:45] = 1
    lungs[:, 30:70, 55:80] = 2
    frame = lung_frame(lungs, (2.0, 3.0, 3.0))
    chosen = np.array([0, 2])
    crop = crop_lungs(hu, lungs, frame, chosen, 224)
    changed = hu.copy()
    changed[:, :22] = 3000
    assert crop.shape == (2, 1, 224, 224)
    assert torch.equal(crop, crop_lungs(changed, lungs, frame, chosen, 224))
    assert float(crop.max()) > 0.5
