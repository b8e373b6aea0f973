"""Samples, a chest phantom, and ways to spoil a CT: each takes HU, lungs and spacing and gives them back, spoiled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.checks.sample import Sample
from CovidCTLib.errors import Notice, QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry

Chest = tuple[NDArray[np.int16], NDArray[np.uint8], tuple[float, float, float]]
Change = Callable[[NDArray[np.int16], NDArray[np.uint8], tuple[float, float, float]], Chest]


def hu_of(values: NDArray[np.generic]) -> NDArray[np.int16]:
    """Round and clip as reading does."""
    return np.clip(np.rint(values), -1024, 32767).astype(np.int16)


def found_in(chest: Chest, thickness_mm: float | None = None) -> dict[str, Notice]:
    """All notices, refusals included, by code."""
    hu, lungs, spacing = chest
    grid = CanonicalGrid(Geometry(hu.shape, spacing[::-1]))
    notices: list[Notice] = []
    try:
        notices += check_scan(hu, grid, True, thickness_mm)
        notices += check_lungs(lungs, spacing, True, hu)
    except QualityError as error:
        if error.notice is not None:
            notices.append(error.notice)
    return {notice.code: notice for notice in notices}


def on_values(function: Callable[[NDArray[np.float32]], NDArray[np.generic]]) -> Change:
    """Change values alone."""
    return lambda hu, lungs, spacing: (hu_of(function(hu.astype(np.float32))), lungs, spacing)


def on_slices(order: Callable[[int], NDArray[np.intp]]) -> Change:
    """Take the slices in another order; the function gives it from their number."""

    def change(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Chest:
        places = order(len(hu))
        return hu[places], lungs[places], spacing

    return change


def with_metal(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Chest:
    """Put a ball of 14 mm at 3000 HU, 1.44 ml, into the middle."""
    squares = [
        np.square((np.arange(n) - n // 2) * s).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, s) in enumerate(zip(hu.shape, spacing, strict=True))
    ]
    return np.where(sum(squares) <= 7.0**2, np.int16(3000), hu), lungs, spacing


def with_contrast(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Chest:
    """Add 150 HU to soft tissue between the lungs, in front of the spine."""
    spoiled = hu.copy()
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    quarter = (columns[-1] - columns[0]) // 4
    part = spoiled[:, : int(hu.shape[1] * 0.53), columns[0] + quarter : columns[-1] - quarter]
    part[(part > 0) & (part < 110)] += 150
    return spoiled, lungs, spacing


def ghosted(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Chest:
    """Show everything three times, 5 mm apart, as after moves."""
    step = round(5 / spacing[2])
    return hu_of(sum(np.roll(hu, k * step, axis=2).astype(np.float32) for k in (-1, 0, 1)) / 3), lungs, spacing


def blurred(hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Chest:
    """Smooth by a Gaussian of 2.5 mm within the slices."""
    sigma = (0.0, 2.5 / spacing[1], 2.5 / spacing[2])
    return hu_of(ndimage.gaussian_filter(hu.astype(np.float32), sigma)), lungs, spacing


def _without(count: int, missing: int) -> NDArray[np.intp]:
    return np.r_[: count // 2, count // 2 + missing : count]


def _copied(count: int) -> NDArray[np.intp]:
    return np.sort(np.r_[:count, count // 2, count // 2 + 3])


SPOILED: dict[str, tuple[Change, str]] = {
    "offset lost, padding kept": (on_values(lambda hu: np.where(hu <= -1020, -1024, hu + 1024)), "hu-offset-lost"),
    "offset lost": (on_values(lambda hu: hu + 1024), "hu-offset-lost"),
    "offset taken twice": (on_values(lambda hu: hu - 1024), "no-soft-tissue"),
    "100 HU too high": (on_values(lambda hu: hu + 100), "no-true-air"),
    "times 16": (on_values(lambda hu: hu * 16), "hu-scale"),
    "by 16": (on_values(lambda hu: hu / 16), "no-air"),
    "8-bit": (on_values(lambda hu: (np.clip(hu, -1000, 400) + 1000) / 1400 * 255), "no-air"),
    "metal": (with_metal, "metal"),
    "contrast": (with_contrast, "contrast-enhanced"),
    "ghosts": (ghosted, "blurred"),
    "blur": (blurred, "blurred"),
    "noise": (on_values(lambda hu: hu + np.random.default_rng(0).normal(0, 200, hu.shape)), "noisy"),
    "8 slices dropped": (on_slices(lambda n: _without(n, 8)), "slice-jump"),
    "shuffled": (on_slices(lambda n: np.random.default_rng(0).permutation(n)), "slices-out-of-order"),
    "slices copied": (on_slices(_copied), "copied-slices"),
    "apex cut": (on_slices(lambda n: np.arange(n * 6 // 10)), "lungs-cut-at-apex"),
    "base cut": (on_slices(lambda n: np.arange(n * 4 // 10, n)), "lungs-cut-at-base"),
    "front and back exchanged": (
        lambda hu, lungs, spacing: (hu[:, ::-1], lungs[:, ::-1], spacing),
        "front-back-doubtful",
    ),
    "head and feet exchanged": (lambda hu, lungs, spacing: (hu[::-1], lungs[::-1], spacing), "head-feet-doubtful"),
    "side out of view": (
        lambda hu, lungs, spacing: (hu[:, :, hu.shape[2] // 3 :], lungs[:, :, hu.shape[2] // 3 :], spacing),
        "lungs-cut-at-side",
    ),
}
"""What was done, how, and the code that must tell it."""


def sample_of(counts: dict[int, int], voxels: float = 1.0) -> Sample:
    """A sample of values, each so many times; from -1024 HU on."""
    values = np.repeat(np.array(list(counts), np.int16), list(counts.values()))
    return Sample(values[None, None], np.bincount(values.astype(np.int32) + 1024, minlength=2048), voxels, (1, 1, 1))
