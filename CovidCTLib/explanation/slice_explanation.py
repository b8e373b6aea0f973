"""What an explanation holds: maps, regions and the outcome of hiding them. Frozen; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis

Method = Literal["grad_cam_14", "grad_cam_28", "grad_cam_fused", "lime", "opacities"]

METHODS: Mapping[Method, str] = {
    "grad_cam_14": "Grad-CAM at 14 × 14",
    "grad_cam_28": "Grad-CAM at 28 × 28",
    "grad_cam_fused": "Grad-CAM, fused",
    "lime": "LIME",
    "opacities": "opacities of the U-Net",
}
"""Name for people of each way to say where the abnormality is, in the order of the tables."""

Verdict = Literal["explains", "partly", "unclear", "too large", "nothing", "no region", "not abnormal"]
"""What hiding a region showed; `CovidCTLib.explanation.hiding.judge` says when which."""


@dataclass(frozen=True)
class HidingTest:
    """What hiding the region that one method names does to the classifier's verdict.

    Parameters
    ----------
    method
        Whose region was hidden.
    verdict
        What that says of the method in this slice.
    share_percent
        Share of the slice's lung that was hidden, in percent.
    before
        Probability of the slice as it is.
    after
        Probability once the region shows healthy lung; None without a region.
    random_mean, random_lowest
        Mean and smallest probability once random regions of the same area are hidden instead; None without a region.
    random_as_low
        How many of the random regions lower the probability at least as much; None without a region.
    """

    method: Method
    verdict: Verdict
    share_percent: float
    before: float
    after: float | None = None
    random_mean: float | None = None
    random_lowest: float | None = None
    random_as_low: int | None = None


@dataclass(frozen=True)
class Superpixels:
    """LIME's answer for one slice.

    Parameters
    ----------
    segments
        int, shape ``(size, size)`` of the network's grid: 0 outside the lungs, superpixels from 1.
    weights
        float64, one a superpixel: what its presence adds to the log odds of "like COVID-19".
    fit
        Weighted coefficient of determination of LIME's linear model, at most 1: how well the weights tell what the
        classifier says when superpixels are hidden.
    """

    segments: NDArray[np.int_]
    weights: NDArray[np.float64]
    fit: float


@dataclass(frozen=True)
class SliceExplanation:
    """One slice with all that is said of it, on the network's grid of ``(size, size)`` pixels.

    Parameters
    ----------
    index
        Number of the slice as in ``slices.csv``: from the feet, starting at 0.
    reason
        Why it was chosen.
    probability, positive
        The classifier's verdict.
    image
        float32 in [0, 1]: the lung crop as the network sees it.
    lungs, opacities
        bool: the lungs in it, and ground-glass opacity and consolidation.
    maps
        float32 in [0, 1]: Grad-CAM by method.
    superpixels
        LIME.
    regions
        bool: what each method names, inside the lungs.
    against
        bool: what LIME says speaks against that.
    tests
        One a method.
    """

    index: int
    reason: str
    probability: float
    positive: bool
    image: NDArray[np.float32]
    lungs: NDArray[np.bool_]
    opacities: NDArray[np.bool_]
    maps: Mapping[Method, NDArray[np.float32]]
    superpixels: Superpixels
    regions: Mapping[Method, NDArray[np.bool_]]
    against: NDArray[np.bool_]
    tests: tuple[HidingTest, ...]


@dataclass(frozen=True)
class Explanation:
    """The explanations of chosen slices of an analysis, and how they were made."""

    analysis: Analysis
    slices: tuple[SliceExplanation, ...]
    samples: int
    seed: int
