"""Chests with free air, with a collapsed lung, and without a lung: made from a phantom, with known volumes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from check_phantoms import Chest, hu_of
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.checks.pleura import check_pleura

AIR_HU, FLUID_HU, TISSUE_HU = -998.0, 12.0, 45.0
Sick = tuple[Chest, float]
"""A chest, and the volume of free air in ml."""


def grained(shape: tuple[int, ...], mean: float) -> NDArray[np.float64]:
    """A value with the noise of a usual kernel."""
    return mean + 15 * np.random.default_rng(3).standard_normal(shape)


def _free(chest: Chest, air: NDArray[np.bool_]) -> Sick:
    hu, lungs, spacing = chest
    changed = np.where(air, grained(hu.shape, AIR_HU), hu)
    return (hu_of(changed), lungs, spacing), float(np.count_nonzero(air) * np.prod(spacing) / 1000)


def rim(chest: Chest, side: int, thickness_mm: float, above: float = 0.0) -> Sick:
    """Free air all along the pleura, of one thickness, above a share of the lung's height."""
    _, lungs, spacing = chest
    depth = ndimage.distance_transform_edt(lungs == side, sampling=spacing)
    rows = np.flatnonzero((lungs == side).any(axis=(1, 2)))
    air = (depth > 0) & (depth <= thickness_mm)
    air[: int(rows[0] + above * (rows[-1] - rows[0]))] = False
    return _free(chest, air)


def tension(chest: Chest, side: int) -> Sick:
    """A lung that has shrunk to a ball of 40 mm at its middle, dense; all around it is air."""
    hu, lungs, spacing = chest
    own = lungs == side
    middle = [float(np.mean(places)) for places in np.nonzero(own)]
    squares = [
        np.square((np.arange(n) - m) * s).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, m, s) in enumerate(zip(hu.shape, middle, spacing, strict=True))
    ]
    rest = own & (sum(squares) <= 40.0**2)
    dense = hu_of(np.where(rest, grained(hu.shape, -150), hu))
    return _free((dense, lungs, spacing), own & ~rest)


def hydropneumothorax(chest: Chest, side: int) -> Sick:
    """Air in front and fluid behind, parted by a level, around a lung half as thick; the fluid counts as no lung."""
    hu, lungs, spacing = chest
    own = lungs == side
    depth = ndimage.distance_transform_edt(own, sampling=spacing)
    outer = own & (depth <= 20)
    rows = np.flatnonzero(own.any(axis=(0, 2)))
    behind = np.zeros_like(own)
    behind[:, int(rows[0] + 0.6 * (rows[-1] - rows[0])) :] = True
    changed, kept = hu.astype(float), lungs.copy()
    changed[outer & behind] = grained(hu.shape, FLUID_HU)[outer & behind]
    kept[outer & behind] = 0
    return _free((hu_of(changed), kept, spacing), outer & ~behind)


def filled(chest: Chest, side: int, value_hu: float, *, still_found: bool = False) -> Chest:
    """One lung full of fluid or tissue; found as lung all the same, or not at all."""
    hu, lungs, spacing = chest
    changed = np.where(lungs == side, grained(hu.shape, value_hu), hu)
    return hu_of(changed), lungs if still_found else np.where(lungs == side, 0, lungs).astype(np.uint8), spacing


def partly_removed(chest: Chest, side: int, kept: float) -> Chest:
    """One lung of which only the lowest share of its slices is left, and tissue above."""
    hu, lungs, spacing = chest
    counts = np.cumsum(np.count_nonzero(lungs == side, axis=(1, 2)))
    gone = (lungs == side) & (np.arange(len(hu)) > np.searchsorted(counts, kept * counts[-1]))[:, None, None]
    return (
        hu_of(np.where(gone, grained(hu.shape, TISSUE_HU), hu)),
        np.where(gone, 0, lungs).astype(np.uint8),
        spacing,
    )


SHAPES: dict[str, Callable[[Chest, int], Sick]] = {
    "a rim of 15 mm": lambda chest, side: rim(chest, side, 15),
    "12 mm at the apex": lambda chest, side: rim(chest, side, 12, above=0.75),
    "tension": tension,
    "air and fluid": hydropneumothorax,
    "a removed lung's space full of air": lambda chest, side: rim(chest, side, 500),
}
"""Free air of many shapes."""


def codes(chest: Chest) -> list[str]:
    """Codes of what is said of the pleura."""
    return [notice.code for notice in check_pleura(*chest)]
