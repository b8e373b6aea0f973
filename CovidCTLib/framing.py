"""Square frames around the body or the lungs, and the way of slices into a network's grid and back.

A frame is the same for all slices of a scan, so that a structure keeps its place from slice to slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.hu import LOWEST_HU, NETWORK_HIGH_HU, NETWORK_LOW_HU, scale_for_network

if TYPE_CHECKING:
    import torch

BODY_HU = -300
"""Lower limit, inclusive, of what counts as body when it is looked for; skin and fat lie above it."""

CUT_BODY_SHARE = 0.15
"""A side of a picture cuts through the body where at least this share of it is tissue; tables and arms take less."""

_COARSE_MM = 4.0
"""Voxel size at which the body is looked for."""

BODY_MARGIN_MM = 4.0
LUNG_MARGIN_MM = 10.0
"""Margins of a frame around what it holds. The lungs' frame keeps the chest wall in view."""


@dataclass(frozen=True)
class Frame:
    """A rectangle of a slice, square in mm; it may reach beyond the slice.

    Parameters
    ----------
    top, left
        First row and column; may be negative.
    rows, columns
        Size in voxels of the slice.
    """

    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def square(
        cls, low_yx: tuple[float, float], high_yx: tuple[float, float], spacing_yx_mm: tuple[float, float]
    ) -> Frame:
        """Make the smallest square in mm around a box given in voxels (low inclusive, high exclusive)."""
        side_mm = max((high_yx[a] - low_yx[a]) * spacing_yx_mm[a] for a in range(2))
        size = [max(2, round(side_mm / spacing_yx_mm[a])) for a in range(2)]
        start = [round((low_yx[a] + high_yx[a] - size[a]) / 2) for a in range(2)]
        return cls(start[0], start[1], size[0], size[1])

    def cut(self, slices: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
        """Cut the frame out of slices of shape ``(n, y, x)``; what lies beyond them becomes `fill`."""
        height, width = slices.shape[1:]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.rows, height), min(self.left + self.columns, width)
        inside = slices[:, top:bottom, left:right]
        if inside.shape[1:] == (self.rows, self.columns):
            return inside
        framed = np.full((len(slices), self.rows, self.columns), fill, dtype=slices.dtype)
        framed[:, top - self.top : bottom - self.top, left - self.left : right - self.left] = inside
        return framed

    def to_grid(
        self,
        slices: NDArray[np.generic],
        size: int,
        window_hu: tuple[float, float] = (NETWORK_LOW_HU, NETWORK_HIGH_HU),
    ) -> torch.Tensor:
        """Cut the frame out of slices of HU and bring it to a network's grid.

        Parameters
        ----------
        slices
            HU, shape ``(n, y, x)``.
        size
            Side of the network's grid in pixels.
        window_hu
            HU that become 0 and 1.

        Returns
        -------
        torch.Tensor
            float32 in [0, 1], shape ``(n, 1, size, size)``; bilinear, low-pass filtered where it shrinks.
        """
        import torch

        cut = scale_for_network(self.cut(slices, LOWEST_HU), window_hu)
        return torch.nn.functional.interpolate(
            torch.from_numpy(cut)[:, None], (size, size), mode="bilinear", antialias=self.rows > size
        )

    def from_grid(self, maps: torch.Tensor, shape_yx: tuple[int, int]) -> tuple[slice, slice, torch.Tensor]:
        """Bring maps from a network's grid back to the slices' pixels.

        Parameters
        ----------
        maps
            Shape ``(n, size, size)``, float32.
        shape_yx
            Shape of a slice.

        Returns
        -------
        rows, columns, values
            The part of a slice that the frame covers, and the maps there, float32, shape ``(n, rows, columns)``.
        """
        import torch

        large = torch.nn.functional.interpolate(
            maps[:, None].float(), (self.rows, self.columns), mode="bilinear", align_corners=False
        )[:, 0]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.rows, shape_yx[0]), min(self.left + self.columns, shape_yx[1])
        inside = large[:, top - self.top : bottom - self.top, left - self.left : right - self.left]
        return slice(top, bottom), slice(left, right), inside

    def paste(self, logits: torch.Tensor, mask: NDArray[np.bool_], slices: NDArray[np.intp]) -> None:
        """Set chosen slices of a mask ``(z, y, x)`` where logits ``(n, size, size)`` are above zero, in place."""
        rows, columns, values = self.from_grid(logits, (mask.shape[1], mask.shape[2]))
        for k, value in zip(slices, values, strict=True):
            mask[k, rows, columns] = (value > 0).numpy()


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Largest connected component of a mask; the mask itself where it is empty."""
    labelled, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labelled.ravel())
    sizes[0] = 0
    return np.asarray(labelled == int(sizes.argmax()))


@dataclass(frozen=True)
class Body:
    """The patient's body on a coarse grid.

    Parameters
    ----------
    tissue
        bool, shape ``(z, y, x)`` of the coarse grid: everything that is dense, thin chest walls and the table too.
    trunk
        Same shape: the largest piece of tissue once thin parts are taken off.
    step
        Voxels of the scan per voxel of the coarse grid, along z, y and x.
    shape
        Shape of the scan.
    """

    tissue: NDArray[np.bool_]
    trunk: NDArray[np.bool_]
    step: tuple[int, int, int]
    shape: tuple[int, int, int]

    def encloses(self, index: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]) -> NDArray[np.bool_]:
        """Tell which voxels of a sub-grid of the scan have tissue around them in their slice.

        Parameters
        ----------
        index
            Indices of the sub-grid along z, y and x.

        Returns
        -------
        ndarray
            bool, shape of the sub-grid: true with tissue on at least three of the four sides. A side of the picture
            that cuts through the body counts as tissue.
        """
        sides = np.zeros(self.tissue.shape, dtype=np.uint8)
        for axis in (1, 2):
            for backwards in (False, True):
                line = np.flip(self.tissue, axis) if backwards else self.tissue
                seen = np.maximum.accumulate(line, axis=axis)
                seen |= np.expand_dims(line.take(0, axis=axis).mean(axis=1) >= CUT_BODY_SHARE, (1, 2))
                sides += np.flip(seen, axis) if backwards else seen
        return (sides >= 3)[np.ix_(*(i // s for i, s in zip(index, self.step, strict=True)))]


def find_body(hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float]) -> Body:
    """Find the body in a CT, on a grid of about 4 mm.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    """
    step = [max(1, int(_COARSE_MM / s)) for s in spacing_zyx_mm]
    tissue = hu[:: step[0], :: step[1], :: step[2]] >= BODY_HU
    # Opening cuts the table off, which is thinner than the body; in thin patients it takes the chest wall too.
    trunk = _largest(ndimage.binary_opening(tissue, np.ones((1, 3, 3), bool), iterations=2))
    return Body(tissue, trunk, (step[0], step[1], step[2]), (hu.shape[0], hu.shape[1], hu.shape[2]))


def body_frame(body: Body, spacing_zyx_mm: tuple[float, float, float]) -> Frame:
    """Make the frame around the body, the same for all slices; where there is no body, the whole slice."""
    spacing_yx = (spacing_zyx_mm[1], spacing_zyx_mm[2])
    if not body.trunk.any():
        return Frame.square((0, 0), (body.shape[1], body.shape[2]), spacing_yx)
    silhouette = np.asarray(body.trunk.any(axis=0))
    return _frame_of(silhouette, body.step[1:], BODY_MARGIN_MM, body.shape[1:], spacing_yx)


def lung_frame(lungs: NDArray[Any], spacing_zyx_mm: tuple[float, float, float]) -> Frame:
    """Find the frame around the lungs of a scan.

    Parameters
    ----------
    lungs
        Canonical axial mask or labels, shape ``(z, y, x)``, not empty.
    spacing_zyx_mm
        Spacing in mm.
    """
    silhouette = np.asarray((lungs > 0).any(axis=0))
    return _frame_of(
        silhouette, (1, 1), LUNG_MARGIN_MM, lungs.shape[1:], (spacing_zyx_mm[1], spacing_zyx_mm[2]), clip=False
    )


def _frame_of(
    silhouette: NDArray[np.bool_],
    step_yx: tuple[int, int],
    margin_mm: float,
    shape_yx: tuple[int, ...],
    spacing_yx_mm: tuple[float, float],
    clip: bool = True,
) -> Frame:
    """Frame around the true pixels of a silhouette that was thinned out by `step_yx`."""
    low, high = [], []
    for axis in range(2):
        where = np.flatnonzero(silhouette.any(axis=1 - axis))
        margin = margin_mm / spacing_yx_mm[axis]
        low.append(float(where[0] * step_yx[axis]) - margin)
        high.append(float((where[-1] + 1) * step_yx[axis]) + margin)
        if clip:
            low[axis], high[axis] = max(low[axis], 0), min(high[axis], shape_yx[axis])
    return Frame.square((low[0], low[1]), (high[0], high[1]), spacing_yx_mm)
