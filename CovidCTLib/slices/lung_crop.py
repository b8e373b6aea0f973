"""What the slice classifier sees of a slice: the lungs, in a square frame, and nothing around them (B4)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.framing import Frame

RIM_PIXELS = 3
"""Pixels of the network's grid (about 4 mm) that stay around the lungs, so that the pleura is seen."""


def keep_lungs(images: torch.Tensor, lungs: torch.Tensor) -> torch.Tensor:
    """Black out what is not lung, but for a rim.

    Parameters
    ----------
    images
        float32 in [0, 1], shape ``(n, 1, y, x)``.
    lungs
        Shape ``(n, y, x)``, bool: true where lung is, or where it is not known.

    Notes
    -----
    Table, arms and body shape differ from scanner to scanner more than disease does, and a classifier that sees them
    learns them.
    """
    kept = torch.nn.functional.max_pool2d(lungs[:, None].float(), 2 * RIM_PIXELS + 1, 1, RIM_PIXELS)
    return images * kept.to(images.dtype)


def crop_lungs(
    hu: NDArray[np.int16], lungs: NDArray[np.uint8], frame: Frame, slices: NDArray[np.intp], size: int
) -> torch.Tensor:
    """Cut the lungs of chosen slices out, on the network's grid.

    Parameters
    ----------
    hu, lungs
        Canonical axial HU and lung labels, shape ``(z, y, x)``.
    frame
        Frame around the lungs.
    slices
        Indices of the slices.
    size
        Side of the network's grid.

    Returns
    -------
    torch.Tensor
        float32 in [0, 1], shape ``(n, 1, size, size)``.
    """
    cut = torch.from_numpy(frame.cut(lungs[slices] > 0, False).astype(np.float32))
    mask = torch.nn.functional.interpolate(cut[:, None], (size, size), mode="nearest-exact")[:, 0] > 0
    return keep_lungs(frame.to_grid(hu[slices], size), mask)
