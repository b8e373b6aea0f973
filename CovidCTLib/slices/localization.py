"""Where the classifier looked: class activation at two sizes, fused, stacked and smoothed (B5, B6).

Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74; the fusion of two sizes is RADLogics' (arXiv 2003.05037).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.framing import lung_frame
from CovidCTLib.models.networks import SliceClassifier
from CovidCTLib.slices.lung_crop import crop_lungs

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

_BATCH = 8
"""Slices that go through the network at once."""


def activation_maps(network: SliceClassifier, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class activation maps of the classifier at 28 x 28 and 14 x 14, each in [0, 1], and their product.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        float32 in [0, 1], shape ``(n, 1, 224, 224)``.

    Returns
    -------
    at_28, at_14, fused
        float32 in [0, 1], each of shape ``(n, 224, 224)``: the maps brought to the input's size, and their product.

    Notes
    -----
    The part of the verdict that comes from a map is linear in the activations of that size, so the weights of Grad-CAM
    are the weights of that layer and need no gradient (Selvaraju et al. 2017, section 3.1). The logistic function
    scales the map to [0, 1]: scaling by its own largest value would show something in slices without disease too.
    """
    size = images.shape[2:]
    with torch.no_grad():
        at_28, at_14 = (
            torch.nn.functional.interpolate(spots.sigmoid()[:, None], size, mode="bilinear", align_corners=False)[:, 0]
            for spots in network.spots(images)
        )
    return at_28, at_14, at_28 * at_14


def localize(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    findings: Sequence[SliceFinding],
    network: LoadedNetwork,
    threshold: float,
    sigma_mm: float,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Stack the fused maps of the positive slices into a localization volume.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape, lung labels, not empty.
    spacing_zyx_mm
        Spacing in mm.
    findings
        One a slice; only positive slices are looked at.
    network
        The slice classifier.
    threshold
        Values under it become 0 before smoothing.
    sigma_mm
        Standard deviation of the 3D Gaussian, in mm.
    progress
        Takes the share of slices that are done, and may raise to stop.

    Returns
    -------
    ndarray
        float32 in [0, 1], same shape; zero outside the lungs and in slices that are not positive.

    Notes
    -----
    The Gaussian is applied on the network's grid, where the maps are born, and the result is then brought to the
    scan's pixels: the same smoothing at a sixth of the memory.
    """
    localization = np.zeros(hu.shape, dtype=np.float32)
    positive = np.flatnonzero([finding.positive for finding in findings])
    if not len(positive):
        return localization
    size = network.card.size
    frame = lung_frame(lungs, spacing_zyx_mm)
    first, last = int(positive[0]), int(positive[-1])
    maps = np.zeros((last - first + 1, size, size), dtype=np.float32)
    classifier = cast(SliceClassifier, network.network)
    for start in range(0, len(positive), _BATCH):
        chosen = positive[start : start + _BATCH]
        images = crop_lungs(hu, lungs, frame, chosen, size).to(network.device)
        maps[chosen - first] = activation_maps(classifier, images)[2].cpu().numpy()
        progress((start + len(chosen)) / len(positive))
    maps[maps < threshold] = 0
    if sigma_mm > 0:
        grid_mm = (
            spacing_zyx_mm[0],
            frame.rows * spacing_zyx_mm[1] / size,
            frame.columns * spacing_zyx_mm[2] / size,
        )
        maps = ndimage.gaussian_filter(maps, [sigma_mm / mm for mm in grid_mm], mode="nearest", truncate=3.0)
    for start in range(0, len(positive), _BATCH):
        chosen = positive[start : start + _BATCH]
        rows, columns, values = frame.from_grid(torch.from_numpy(maps[chosen - first]), (hu.shape[1], hu.shape[2]))
        for k, value in zip(chosen, values, strict=True):
            inside = lungs[k, rows, columns] > 0
            localization[k, rows, columns] = np.clip(value.numpy(), 0, 1) * inside
    return localization
