"""Networks of volumes: a scan at the spacing of the network, patch by patch, and the result back on the scan's grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray

from CovidCTLib.hu import LOWEST_HU, scale_for_network
from CovidCTLib.models.foreign_network import patch_in_canonical_order

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

OVERLAP = 0.25
"""Share of a patch that overlaps the next one, MONAI's default."""


def run_volume(
    network: LoadedNetwork,
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
    maps: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Run a scan through a network of volumes.

    Parameters
    ----------
    network
        Its card has a patch.
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    maps
        From the network's logits ``(c, z, y, x)`` at its own spacing to the maps that are wanted; what is interpolated
        back should be as few maps as can be.
    progress
        Takes the share of patches that are done, and may raise to stop.

    Returns
    -------
    ndarray
        float32, shape ``(maps, z, y, x)`` on the scan's grid; linear interpolation both ways, as MONAI's ``Spacingd``
        does it.
    """
    patch, spacing = patch_in_canonical_order(network.card)
    scan = sitk.GetImageFromArray(np.ascontiguousarray(hu))
    scan.SetSpacing(spacing_zyx_mm[::-1])
    grid = _grid_over(scan, spacing)
    resampled = sitk.Resample(scan, grid, sitk.Transform(), sitk.sitkLinear, LOWEST_HU, sitk.sitkFloat32)
    coarse = sitk.GetArrayFromImage(resampled)
    image = torch.from_numpy(scale_for_network(coarse, network.card.window_hu))[None, None]
    steps = [max(1, int(side * (1 - OVERLAP))) for side in patch]
    count = math.prod(
        max(1, math.ceil((size - side) / step) + 1) for size, side, step in zip(coarse.shape, patch, steps, strict=True)
    )
    done = 0

    def run(patches: torch.Tensor) -> torch.Tensor:
        nonlocal done
        output = network.run(patches)
        done += len(patches)
        progress(min(1.0, done / count))
        return output

    with torch.inference_mode():
        logits = sliding_window_inference(image, patch, 1, run, overlap=OVERLAP, mode="gaussian", device="cpu")
    return np.stack([_back(wanted.numpy(), grid, scan) for wanted in maps(logits[0])])


def _grid_over(scan: sitk.Image, spacing_zyx_mm: tuple[float, float, float]) -> sitk.Image:
    """An empty image of another spacing that covers a scan without directions, with the same corner."""
    size, origin = [], []
    for count, mm, wanted in zip(scan.GetSize(), scan.GetSpacing(), spacing_zyx_mm[::-1], strict=True):
        size.append(max(1, math.ceil(count * mm / wanted - 1e-6)))
        # The corner is half a voxel before the first centre.
        origin.append((wanted - mm) / 2)
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing(spacing_zyx_mm[::-1])
    grid.SetOrigin(origin)
    return grid


def _back(values: NDArray[np.float32], grid: sitk.Image, scan: sitk.Image) -> NDArray[np.float32]:
    """Bring a map from the network's grid to the scan's."""
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.CopyInformation(grid)
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, scan, sitk.Transform(), sitk.sitkLinear, 0.0)))
