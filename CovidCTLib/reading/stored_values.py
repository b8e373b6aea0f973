"""Whether the values of a volume file are stored as its header says: their sign, and the order of their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice

CHEST_HU = (-1200, 3100)
"""Nearly all values of a chest CT lie within, in HU, both inclusive: air with its noise, and metal."""

MIN_CHEST_SHARE, MAX_OTHER_SHARE = 0.99, 0.9
"""Values are those of a chest where at least the first share lies within `CHEST_HU` and some are air; another way to
read them is looked for where less than the second does. With the bytes exchanged 2 to 10 % do."""

LOWEST_WRAPPED = 1 << 15
"""Unsigned values from here on are negative if they are signed 16-bit ones."""

MIN_AIR_SHARE = 0.05
"""Least share of the values that is air or lung when read the right way."""

_AIR_AND_LUNG_HU = (-1200, -300)
_MOST_SAMPLED = 1 << 18


def agree_on_values(values: NDArray[Any]) -> tuple[NDArray[Any], tuple[Notice, ...]]:
    """Read 16-bit values that only make a chest as signed ones as such.

    Parameters
    ----------
    values
        As the header says, shape ``(z, y, x)``.

    Returns
    -------
    tuple
        The values, and a notice where their sign was corrected.

    Raises
    ------
    InputError
        If they only make a chest with their bytes in the other order.
    """
    if values.dtype.kind not in "iu" or values.dtype.itemsize != 2:
        return values, ()
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // _MOST_SAMPLED)]
    if _share(sample, CHEST_HU) >= MAX_OTHER_SHARE and not _is_wrapped(sample):
        return values, ()
    if _is_wrapped(sample) and _is_chest(sample.view(np.int16)):
        text = (
            "The header calls the values unsigned, but only as signed ones are they the HU of a chest; they were read "
            "as signed."
        )
        count = int(np.count_nonzero(values >= LOWEST_WRAPPED))
        return values.view(np.int16), (Notice("pixel-sign", text, value=float(count), unit="voxels"),)
    if _is_chest(sample.byteswap().view(np.int16)):
        raise InputError(
            "HU of a chest CT were expected, but the values are such only with the two bytes of each in the other "
            "order: the header says the wrong one (big or little endian). Correct that word in the header, or export "
            "the CT again."
        )
    return values, ()


def _is_wrapped(sample: NDArray[Any]) -> bool:
    return sample.dtype.kind == "u" and bool(np.mean(sample >= LOWEST_WRAPPED) >= MIN_AIR_SHARE)


def _is_chest(sample: NDArray[np.int16]) -> bool:
    return _share(sample, CHEST_HU) >= MIN_CHEST_SHARE and _share(sample, _AIR_AND_LUNG_HU) >= MIN_AIR_SHARE


def _share(sample: NDArray[Any], limits: tuple[int, int]) -> float:
    low, high = limits
    return float(np.mean((sample >= low) & (sample <= high)))
