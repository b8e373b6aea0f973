"""Whether the slices follow one another: order, gaps, copies and empty ones, seen from the pictures alone.

Positions in the header say where slices should be; converters and PACS exports get that wrong, so the pictures are
compared as well: neighbours of a true stack are alike, more so than the next but one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.checks.sample import refuse
from CovidCTLib.errors import Notice

MIN_ORDERED_PERCENT = 70.0
"""Refused under: share of slices that are more like both neighbours than these are like each other. In the shared CTs
it is 100 %; shuffled stacks have about 33 %."""

MAX_JUMP = 1.7
"""Warned above: change between two slices, divided by the usual change nearby. In the shared CTs it is at most 1.35."""

MIN_SHUFFLED_HU = 15.0
"""Mixed-up slices differ from their neighbours by more than this, in HU, on blocks of pixels in which noise has gone:
over 100 in shuffled CTs. Where slices are this alike, their order cannot be told, and need not be."""

_BLOCK_PX = 4
_SIDE_PX = 64
_COMPARED_HU = (-1000, 200)
_ORDER_STEP_MM = 3.0
_NEARBY = 9
_FEWEST = 8


def check_stack(hu: NDArray[np.int16], spacing_z_mm: float) -> tuple[Notice, ...]:
    """Check that the slices follow one another.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    spacing_z_mm
        Distance of slices in mm.

    Returns
    -------
    tuple of Notice
        Jumps, copied and empty slices. Empty slices at the ends are not told, and with fewer than 8 slices nothing is.

    Raises
    ------
    QualityError
        If the slices are out of order.
    """
    every = max(1, min(hu.shape[1:]) // _SIDE_PX)
    planes = np.ascontiguousarray(hu[:, every // 2 :: every, every // 2 :: every])
    filled = np.flatnonzero(planes.max(axis=(1, 2)) > planes.min(axis=(1, 2)))
    if len(filled) < _FEWEST:
        return ()
    inner = planes[filled[0] : filled[-1] + 1]
    notices = _empty(len(inner) - len(filled))
    compared = np.clip(planes[filled], *_COMPARED_HU).astype(np.float32)
    copies = int(np.count_nonzero(~(compared[1:] != compared[:-1]).any(axis=(1, 2))))
    if copies:
        text = (
            f"{copies} slices are the same as the one before, so they were copied; volumes count them twice. Export "
            "the scan again."
        )
        notices.append(Notice("copied-slices", text, "warn", float(copies), 0.0, "slices"))
    _check_order(compared[:: max(1, round(_ORDER_STEP_MM / spacing_z_mm))])
    return (*notices, *_jumps(compared, filled))


def _empty(count: int) -> list[Notice]:
    """Warn of slices inside the scan that hold a single value."""
    if count == 0:
        return []
    text = f"{count} slices inside the scan are empty; what they should show is missing from all measures."
    return [Notice("empty-slices", text, "warn", float(count), 0.0, "slices")]


def _change(planes: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """Mean absolute difference of slices so many apart, in HU."""
    difference = planes[lag:] - planes[:-lag]
    return np.abs(difference, out=difference).mean(axis=(1, 2))


def _check_order(planes: NDArray[np.float32]) -> None:
    """Refuse slices that are no more like their neighbours than like others."""
    if len(planes) < _FEWEST:
        return
    rows, columns = (size // _BLOCK_PX for size in planes.shape[1:])
    blocks = planes[:, : rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(-1, rows, _BLOCK_PX, columns, _BLOCK_PX)
    planes = blocks.mean(axis=(2, 4))
    one, two = _change(planes, 1), _change(planes, 2)
    if np.median(one) < MIN_SHUFFLED_HU:
        return
    ordered = 100 * float(np.mean(np.maximum(one[1:], one[:-1]) <= two))
    if ordered < MIN_ORDERED_PERCENT:
        raise refuse(
            "slices-out-of-order",
            f"Slices in the order of their positions were expected (at least {MIN_ORDERED_PERCENT:.0f} % between their "
            f"likes), but {ordered:.0f} % are: they are mixed up, two scans lie between each other, or the header "
            "gives the sizes of the axes in another order. Sort them by position, or give one scan as DICOM series.",
            round(ordered, 1),
            MIN_ORDERED_PERCENT,
            "%",
        )


def _jumps(planes: NDArray[np.float32], filled: NDArray[np.intp]) -> tuple[Notice, ...]:
    """Warn of the largest jump between neighbours."""
    one = _change(planes, 1)
    # Copies change nothing; at least 1 HU keeps a phantom without noise from dividing by zero.
    usual = np.maximum(ndimage.median_filter(one, _NEARBY, mode="nearest"), 1.0)
    ratio = one / usual
    jumps = np.flatnonzero(ratio > MAX_JUMP)
    if len(jumps) == 0:
        return ()
    worst = int(jumps[np.argmax(ratio[jumps])])
    text = (
        f"Between slices {filled[worst]} and {filled[worst + 1]} (counted from the feet, from 0) the whole picture "
        f"changes {ratio[worst]:.1f} times as much as nearby"
        + (f", and so at {len(jumps) - 1} other places" if len(jumps) > 1 else "")
        + ": slices are missing there, the patient moved or breathed, or two scans were put together."
    )
    return (Notice("slice-jump", text, "warn", round(float(ratio[worst]), 2), MAX_JUMP, "times"),)
