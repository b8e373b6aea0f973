"""Whether numbers can be Hounsfield units of a chest CT, and how large a volume may be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.hu import AIR_HU, FATTY_HU, MIN_FAT_PERCENT

HIGHEST_AIR_HU = -500
"""A chest CT has voxels at or under this value, in HU: lung and outside air lie far lower, all tissue lies above."""

MAX_LABEL_VALUES = 32
"""An image of at most this many distinct values, none negative, is a mask or labelmap; a CT has hundreds."""

HIGHEST_8_BIT = 255
"""Largest value of an 8-bit picture."""

OFFSETS_HU = (1000, 1024)
"""Offsets in use between stored values and HU: density in mg/ml (public sets of breathing CTs), and 12-bit CT, whose
usual rescale intercept is -1024."""

LOWEST_OFFSET_HU = -250
"""Where an offset was added, noise of air and streaks go down to here, in HU; all real HU go far lower."""

STORED_TISSUE = (800, 1300)
"""Soft tissue from fat to muscle lies here where an offset was added, and takes the share of `MIN_STORED_TISSUE` of the
voxels at least; in HU these are values of bone, 1 % of them."""

MIN_STORED_TISSUE = 0.03

HIGHEST_STORED_12_BIT = 4095
"""Largest value of 12-bit CT before the offset is taken off."""

MIN_CUT_OFF_SHARES = (0.1, 0.0005)
"""Shares of the voxels that have the lowest and the highest value, both inclusive, from which on a window was cut out:
air and lung take half of a picture, bone a hundredth; without a window, the highest value stands in some voxels."""

NARROWEST_WINDOW_HU = 50
"""Windows of the body are at least this wide, inclusive; a narrower range of values comes from a division."""

LARGEST_FACTOR = 10_000
"""Largest factor, inclusive, by which HU may look divided: beyond it nothing but rounding is left of them."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.05, 50.0
"""Smallest and largest distance of voxels, both inclusive: beyond them the header's unit is another than mm."""

_TISSUE_FROM_HU = -500
_HIGHEST_STORED_AIR, _AIR_SMOOTHING = 150, 9

MAX_VOXELS = 2**31
"""Largest volume that is read (4 GiB as int16); 2000 x 2000 x 500, or 512 x 512 x 8000, fit in."""


def check_size(shape: tuple[int, ...]) -> None:
    """Refuse a volume that is larger than any CT, before memory is taken for it.

    Parameters
    ----------
    shape
        Number of voxels along each axis, in any order.

    Raises
    ------
    InputError
        If there are more than `MAX_VOXELS` voxels (exactly as many are allowed) or an axis is empty.
    """
    if any(size < 1 for size in shape):
        raise InputError(
            f"A volume with voxels along every axis was expected, but the header says {_times(shape)}. "
            "The header is damaged: export the scan again."
        )
    voxels = 1
    for size in shape:
        voxels *= int(size)
    if voxels > MAX_VOXELS:
        raise InputError(
            f"A volume of at most {MAX_VOXELS} voxels was expected, but the header says {_times(shape)}. If the header "
            "is right, resample the scan to a coarser grid; otherwise export it again."
        )


def check_spacing(spacing_mm: tuple[float, ...]) -> None:
    """Refuse a grid whose header cannot be in mm.

    Parameters
    ----------
    spacing_mm
        Distance of voxels along each axis, in any order.

    Raises
    ------
    InputError
        If one is not within `MIN_SPACING_MM` and `MAX_SPACING_MM`.
    """
    if not all(MIN_SPACING_MM <= length <= MAX_SPACING_MM for length in spacing_mm):
        lengths = " x ".join(f"{length:g}" for length in spacing_mm)
        raise InputError(
            f"Voxels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm were expected, but the header says {lengths} mm "
            "(another unit?). Export the CT with its spacing in mm."
        )


def looks_like_hu(low: float, high: float) -> bool:
    """Tell whether a range of values holds both air and something denser.

    Parameters
    ----------
    low, high
        Lowest and highest value of the scan, padding left out.
    """
    return low <= HIGHEST_AIR_HU < high


def lacks_fat(hu: NDArray[np.int16]) -> bool:
    """Tell whether a picture shows no fat, as a map of a material does (`CovidCTLib.hu.MIN_FAT_PERCENT`).

    Parameters
    ----------
    hu
        Shape ``(z, y, x)``.
    """
    sample = hu[:: max(1, len(hu) // 64), ::2, ::2]
    tissue = sample[sample >= _TISSUE_FROM_HU]
    low, high = FATTY_HU
    fat = np.count_nonzero((tissue >= low) & (tissue < high))
    return bool(100 * fat < MIN_FAT_PERCENT * tissue.size)


def offset_of(values: NDArray[np.int16]) -> int | None:
    """Tell which offset was added to HU, by where air lies; None where tissue is not where an offset brings it.

    Parameters
    ----------
    values
        Shape ``(z, y, x)``, none under `LOWEST_OFFSET_HU`.

    Notes
    -----
    Air is the most frequent value under 150, the lowest one, which may be padding or cut-off noise, left out.
    """
    sample = values[:: max(1, len(values) // 64), ::2, ::2].ravel()
    sample = sample[sample >= LOWEST_OFFSET_HU]
    low, high = STORED_TISSUE
    if np.count_nonzero((sample >= low) & (sample < high)) < MIN_STORED_TISSUE * sample.size:
        return None
    air = sample[(sample > sample.min()) & (sample < _HIGHEST_STORED_AIR)].astype(np.int64)
    if not air.size:
        return None
    counts = np.bincount(air - LOWEST_OFFSET_HU, minlength=_HIGHEST_STORED_AIR - LOWEST_OFFSET_HU)
    smooth = np.convolve(counts, np.ones(_AIR_SMOOTHING), "same")
    air_level = int(np.argmax(smooth)) + LOWEST_OFFSET_HU
    return min(OFFSETS_HU, key=lambda offset: abs(air_level - (AIR_HU + offset)))


def check_range(low: float, high: float, values: NDArray[np.int16] | None = None) -> None:
    """Refuse a range of values that cannot be the HU of a chest CT.

    Parameters
    ----------
    low, high
        Lowest and highest value of the scan, padding left out.
    values
        The scan, of any shape; tells which offset was added.

    Raises
    ------
    InputError
        If nothing is at or under `HIGHEST_AIR_HU`.
    """
    if low <= HIGHEST_AIR_HU:
        return
    expected = f"HU of a chest CT were expected (air near -1000), but the values run from {low:g} to {high:g}"
    if low >= 0 and high <= HIGHEST_8_BIT:
        raise _refuse(
            "looks-8-bit",
            f"{expected}, like an 8-bit picture. Give the original CT, or calibrate the pictures first.",
            low,
        )
    offset = None if values is None or low < LOWEST_OFFSET_HU else offset_of(values)
    if offset is not None or (low >= 0 and high <= HIGHEST_STORED_12_BIT):
        likely, other = (offset or OFFSETS_HU[1]), next(one for one in OFFSETS_HU if one != (offset or OFFSETS_HU[1]))
        why = "" if offset is None else f", as air lies near {AIR_HU + offset}"
        raise _refuse(
            "hu-offset-lost",
            f"{expected}: {likely} seems to have been added to all HU{why} (in use are {OFFSETS_HU[0]} and "
            f"{OFFSETS_HU[1]}). Look where air lies: subtract {likely} from all voxels if it is near "
            f"{AIR_HU + likely}, {other} if it is near {AIR_HU + other}; or export the CT again with its rescale "
            "intercept.",
            low,
        )
    if values is not None and _is_cut_off(values, low, high):
        raise _refuse(
            "not-hu",
            f"{expected}, and many are exactly {low:g} or {high:g}: a window was cut out of the HU when the CT was "
            "exported. Give the original CT.",
            low,
        )
    factor = AIR_HU / low if HIGHEST_AIR_HU / 2 < low < 0 else math.inf
    said = f"{factor:.3g}" if factor < 100 else f"{factor:.0f}"
    divided = f", as if HU had been divided by about {said}" if factor <= LARGEST_FACTOR else ""
    raise _refuse("not-hu", f"{expected}{divided}. Give the original CT in HU, not normalized or windowed values.", low)


def _is_cut_off(values: NDArray[np.int16], low: float, high: float) -> bool:
    """Tell whether many voxels have the lowest and the highest value: air and lung, and bone."""
    if high - low < NARROWEST_WINDOW_HU:
        return False
    sample = values[:: max(1, len(values) // 64), ::2, ::2]
    shares = np.mean(sample == low), np.mean(sample == high)
    return bool(shares[0] >= MIN_CUT_OFF_SHARES[0] and shares[1] >= MIN_CUT_OFF_SHARES[1])


def _refuse(code: str, text: str, lowest: float) -> InputError:
    """Make the error of values without air."""
    return InputError(text, notice=Notice(code, text, "refuse", float(lowest), float(HIGHEST_AIR_HU), "HU"))


def check_hu(hu: NDArray[np.int16]) -> None:
    """Refuse a volume that is a labelmap or whose values cannot be the HU of a chest CT.

    Parameters
    ----------
    hu
        Shape ``(z, y, x)``, int16.

    Raises
    ------
    InputError
        If there are at most `MAX_LABEL_VALUES` distinct values and none is negative, or the range is no range of HU.
    """
    low, high = int(hu.min()), int(hu.max())
    if low >= 0:
        distinct = _distinct_values(hu)
        if distinct is not None:
            alike = "a mask, or values normalized to 0 to 1" if high == 1 else "a mask or labelmap"
            text = (
                f"HU of a chest CT were expected (air near -1000), but the image holds only {distinct} different "
                f"values from {low} to {high}, like {alike}. Give the CT itself."
            )
            notice = Notice("looks-like-labels", text, "refuse", float(distinct), float(MAX_LABEL_VALUES), "values")
            raise InputError(text, notice=notice)
    check_range(low, high, hu)


def _distinct_values(hu: NDArray[np.int16]) -> int | None:
    """Count distinct values; None as soon as there are more than `MAX_LABEL_VALUES`."""
    seen: set[int] = set()
    for plane in hu:
        seen.update(int(value) for value in np.unique(plane))
        if len(seen) > MAX_LABEL_VALUES:
            return None
    return len(seen)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
