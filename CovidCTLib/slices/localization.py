"""Where the classifier looked: Grad-CAM at two sizes, fused, stacked and smoothed (B5, B6).

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
"""Gradients keep activations, so fewer slices go at once than without them."""


def scaled(maps: torch.Tensor) -> torch.Tensor:
    """Scale each map ``(n, y, x)`` to [0, 1] by its own smallest and largest value; a constant map gives 0."""
    low = maps.amin(dim=(1, 2), keepdim=True)
    width = maps.amax(dim=(1, 2), keepdim=True) - low
    return torch.where(width > 0, (maps - low) / width.clamp(min=torch.finfo(maps.dtype).tiny), torch.zeros_like(maps))


def class_activation(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Grad-CAM: activations weighted by their mean gradient, negative parts cut off, each map scaled to [0, 1].

    Parameters
    ----------
    activations, gradients
        Shape ``(n, channels, y, x)``.
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return scaled(torch.relu((weights * activations).sum(dim=1)))


def fused_maps(network: SliceClassifier, images: torch.Tensor) -> torch.Tensor:
    """Grad-CAM at 28 x 28 and 14 x 14, each scaled, resized to the input and multiplied.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        float32 in [0, 1], shape ``(n, 1, 224, 224)``.

    Returns
    -------
    torch.Tensor
        float32 in [0, 1], shape ``(n, 224, 224)``.
    """
    with torch.no_grad():
        at_28 = network.stem(images)
    with torch.enable_grad():
        at_28.requires_grad_(True)
        at_14 = network.middle(at_28)
        grad_28, grad_14 = torch.autograd.grad(network.head(at_14).sum(), (at_28, at_14))
    size = images.shape[2:]
    fused = torch.ones(len(images), *size, device=images.device)
    for activations, gradients in ((at_28, grad_28), (at_14, grad_14)):
        small = class_activation(activations.detach(), gradients)
        fused *= torch.nn.functional.interpolate(small[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    return fused


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
        maps[chosen - first] = fused_maps(classifier, images).cpu().numpy()
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
