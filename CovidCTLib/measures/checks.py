"""Checks that stand before every measure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.labels import LEFT, OPACITY_EFFUSION

_INT16 = np.iinfo(np.int16)


def check_axial(axial: AxialArrays) -> None:
    """Check that the arrays of an analysis fit together and hold only known labels.

    Parameters
    ----------
    axial
        Arrays of one scan in the canonical orientation.

    Raises
    ------
    InputError
        If an array has another shape than the grid or another type than `AxialArrays` asks for, or a label that is
        not known.

    Notes
    -----
    Values of the localization are checked where they are read, inside the lungs.
    """
    expected: tuple[tuple[str, NDArray[Any], type[np.generic]], ...] = (
        ("HU", axial.hu, np.int16),
        ("lungs", axial.lungs, np.uint8),
        ("opacities", axial.opacities, np.uint8),
        ("localization", axial.localization, np.float32),
    )
    for name, array, dtype in expected:
        if array.shape != axial.geometry.shape_zyx:
            raise InputError(
                f"The array of {name} must have the grid's shape {axial.geometry.shape_zyx}, not {array.shape}. "
                "Bring it to the canonical grid first."
            )
        if array.dtype != dtype:
            raise InputError(
                f"The array of {name} must be of type {np.dtype(dtype)}, not {array.dtype}. Convert it first."
            )
    for name, labels, highest in (("lungs", axial.lungs, LEFT), ("opacities", axial.opacities, OPACITY_EFFUSION)):
        largest = int(labels.max(initial=0))
        if largest > highest:
            raise InputError(
                f"The array of {name} must hold labels from 0 to {highest}, but holds {largest}. Map its labels first."
            )


def first_integer_hu(limit_hu: float) -> int:
    """Find the lowest whole HU at or above a limit, so that int16 arrays need no conversion to compare.

    Parameters
    ----------
    limit_hu
        Any limit in HU; infinities are allowed.

    Returns
    -------
    int
        HU, from -32768 to 32768; the last one lies above every int16 value.

    Raises
    ------
    OptionsError
        If the limit is not a number.

    Notes
    -----
    For whole numbers h, ``h >= limit`` is ``h >= first_integer_hu(limit)`` and ``h < limit`` is
    ``h < first_integer_hu(limit)``.
    """
    if math.isnan(limit_hu):
        raise OptionsError("A limit in HU must be a number, not NaN. Give each HU option a value.")
    return math.ceil(min(max(limit_hu, _INT16.min), _INT16.max + 1))
