"""Padding and the outside of the scan circle: applied where the pixels agree with the header."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.hu import AIR_HU, OUTSIDE_SCAN_CIRCLE_HU

HIGHEST_REAL_HU = 30_710
"""Highest value of CT's extended scale, in HU; what lies above is no tissue and no metal."""

MIN_PIECE_SHARE = 0.001
"""A piece of padding that is denser than air must touch the side of the slice and take this share of it, inclusive:
the corners outside the scan circle take 5 % each, and tissue of one value at the side a few pixels."""


def padding_of(
    stored: NDArray[Any], values: NDArray[Any], hu: NDArray[np.int32], padding: tuple[int, int] | None
) -> tuple[NDArray[np.bool_], int]:
    """Find the voxels of a slice that are padding.

    Parameters
    ----------
    stored
        As in the file, shape ``(rows, columns)``.
    values
        The same without the bits above the significant ones.
    hu
        The same in HU, not limited.
    padding
        PixelPaddingValue and PixelPaddingRangeLimit in ascending order, both inclusive (DICOM PS3.3, C.7.5.1.1.2).

    Returns
    -------
    tuple
        Where padding is, and how many voxels have the value and are none.

    Notes
    -----
    A voxel with the padding value, or with the fixed -2000 outside the scan circle, is padding where its HU are those
    of air or less, or no HU at all. One that is denser is padding where it lies in a piece of one value that reaches
    the side of the slice: a header whose padding value is one of tissue would make holes in the body otherwise.
    """
    bits = stored.dtype.itemsize * 8
    candidates = np.zeros(stored.shape, dtype=bool)
    ends: set[int] = set()
    if bits > 8:
        # -2000 is also written into images that call themselves unsigned, as its two's complement.
        candidates |= stored.view(f"i{stored.dtype.itemsize}") == OUTSIDE_SCAN_CIRCLE_HU
    if padding is not None:
        first, last = _in_range_of(stored.dtype, padding)
        candidates |= ((stored >= first) & (stored <= last)) | ((values >= first) & (values <= last))
        ends = {first, last}
    if not candidates.any():
        return candidates, 0
    outside = candidates & ((hu <= AIR_HU) | (hu > HIGHEST_REAL_HU) | (stored != values))
    rest = candidates & ~outside
    if rest.any():
        fixed = OUTSIDE_SCAN_CIRCLE_HU % (1 << bits) if stored.dtype.kind == "u" else OUTSIDE_SCAN_CIRCLE_HU
        for value in ends | {fixed}:
            outside |= pieces_at_the_side(rest & (stored == value))
    return outside, int(np.count_nonzero(candidates & ~outside))


def _in_range_of(dtype: np.dtype[Any], padding: tuple[int, int]) -> tuple[int, int]:
    """Read padding values with the sign of the pixels, in ascending order."""
    modulo = 1 << (dtype.itemsize * 8)
    first, last = padding
    if dtype.kind == "u" and first < 0:
        first, last = first % modulo, last % modulo if last < 0 else last
    elif dtype.kind == "i" and last >= modulo // 2:
        first, last = first - modulo if first >= modulo // 2 else first, last - modulo
    return min(first, last), max(first, last)


def pieces_at_the_side(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the pieces of a slice's mask ``(y, x)`` that touch its side and are large (`MIN_PIECE_SHARE`)."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    at_side = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    kept = np.zeros(count + 1, dtype=bool)
    kept[at_side] = sizes[at_side] >= max(MIN_PIECE_SHARE * mask.size, 2)
    kept[0] = False
    return np.asarray(kept[labels])
