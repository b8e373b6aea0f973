"""References of slices: the grey values of air and fat, and the HU that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.hu import AIR_HU, FAT_HU, LOWEST_HU

HIGHEST_HU = 3071
"""Highest HU of 12-bit CT; a picture whose references lie close together would reach far beyond."""

AIR_LABEL, FAT_LABEL = 1, 2
"""Labels of air and of fat in a mask of references, unless the user says otherwise."""

MIN_CONTRAST_LEVELS = 2.0
"""Least distance from air to fat in levels of 8 bits; closer together, one level would be over 450 HU."""

Method = Literal["numbers", "mask", "automatic"]


@dataclass(frozen=True)
class References:
    """The grey values of air (-1000 HU) and fat (-100 HU) in one slice.

    Parameters
    ----------
    air, fat
        Grey values on the scale of 8 bits, 0 to 255; they may lie beyond it where the window clipped.
    method
        How they were found.
    doubts
        Why they are doubtful, as parts of a sentence; empty where they are not.
    air_sd_hu, fat_sd_hu
        Estimated standard deviation at both ends, in HU, of automatic references.
    cues
        Grey values of the tissues that automatic references rest on, by the tissue's name.
    """

    air: float
    fat: float
    method: Method
    doubts: tuple[str, ...] = ()
    air_sd_hu: float | None = None
    fat_sd_hu: float | None = None
    cues: Mapping[str, float] | None = None


def to_hu(values: NDArray[Any], references: References) -> NDArray[np.float32]:
    """Reverse the intensity normalization of a slice: ``(value - air) * 900 / (fat - air) - 1000``.

    Parameters
    ----------
    values
        Grey values, any shape.
    references
        The slice's references.

    Returns
    -------
    ndarray
        float32, HU within -1024 and 3071 (both inclusive).
    """
    slope = (FAT_HU - AIR_HU) / (references.fat - references.air)
    hu = (np.asarray(values, np.float32) - np.float32(references.air)) * np.float32(slope) + np.float32(AIR_HU)
    return np.clip(hu, LOWEST_HU, HIGHEST_HU)


def why_unusable(air: float, fat: float) -> str | None:
    """Say why two values are no pair of references; None if they are one."""
    if not (math.isfinite(air) and math.isfinite(fat)):
        return f"air and fat must be numbers, but are {air:g} and {fat:g}"
    if fat - air < MIN_CONTRAST_LEVELS:
        return (
            f"fat must be brighter than air by at least {MIN_CONTRAST_LEVELS:g} levels, but air is {air:g} and fat "
            f"{fat:g}"
        )
    return None


def references_from_numbers(air: float, fat: float) -> References:
    """Make references of two numbers that the user gave.

    Parameters
    ----------
    air, fat
        Grey values on the scale of 8 bits.

    Raises
    ------
    OptionsError
        If they are no finite numbers, or fat is not brighter than air.
    """
    reason = why_unusable(air, fat)
    if reason is not None:
        raise OptionsError(
            f"The references cannot be used: {reason}. Measure both in the pictures again (scale of 0 to 255)."
        )
    return References(float(air), float(fat), "numbers")


def references_from_mask(
    grey: NDArray[np.float32], mask: NDArray[Any], air_label: int = AIR_LABEL, fat_label: int = FAT_LABEL
) -> list[References | str]:
    """Take the mean grey value under each of the two labels of a painted mask, slice by slice.

    Parameters
    ----------
    grey
        float32, shape ``(z, y, x)``, grey values on the scale of 8 bits.
    mask
        Whole-number labels, same shape.
    air_label, fat_label
        Labels of air and of fat.

    Returns
    -------
    list
        For each slice its references, or as text the reason why it has none.

    Raises
    ------
    InputError
        If the mask has another shape, or neither label anywhere.
    OptionsError
        If both labels are the same, or one is 0 (the background).
    """
    if air_label == fat_label or 0 in (air_label, fat_label):
        raise OptionsError(
            f"Air and fat need two different labels other than 0, but are {air_label} and {fat_label}. "
            "Name the two labels that were painted."
        )
    if mask.shape != grey.shape:
        raise InputError(
            f"A mask on the grid of the stacked pictures ({_times(grey.shape)}) was expected, but it has "
            f"{_times(mask.shape)} voxels. Paint it on the volume that --uncalibrated writes for this folder."
        )
    present = {int(label) for label in np.unique(mask)}
    if not present & {air_label, fat_label}:
        raise InputError(
            f"A mask with the labels {air_label} (air) and {fat_label} (fat) was expected, but it holds "
            f"{_listed(present)}. Paint both, or name your labels with --air-label and --fat-label."
        )
    return [_of_slice(plane, labels, air_label, fat_label) for plane, labels in zip(grey, mask, strict=True)]


def _of_slice(plane: NDArray[np.float32], labels: NDArray[Any], air_label: int, fat_label: int) -> References | str:
    means = []
    for name, label in (("air", air_label), ("fat", fat_label)):
        painted = plane[labels == label]
        if painted.size == 0:
            return f"no {name} is painted on it"
        means.append(float(painted.mean(dtype=np.float64)))
    air, fat = means
    return why_unusable(air, fat) or References(air, fat, "mask")


def _listed(labels: set[int]) -> str:
    others = sorted(labels - {0})
    if not others:
        return "no label at all"
    return "only " + ", ".join(str(label) for label in others[:8]) + (" and more" if len(others) > 8 else "")


def _times(shape_zyx: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape_zyx[::-1])
