"""Chest CTs that `covidct analyze` reads and then refuses, as no number could be stood behind: one row a refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from bad_inputs import BadInput
from numpy.typing import NDArray

from CovidCTLib.phantom import make_chest_phantom

SPACING_ZYX_MM = (7.0, 2.9, 2.9)
ORIGIN_MM = (1.0, 2.0, 3.0)
"""Not 0, so that the spacing is not taken for a library's default."""

SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

Change = Callable[[NDArray[np.int16]], NDArray[np.generic]]


@cache
def _chest() -> NDArray[np.int16]:
    return make_chest_phantom((40, 128, 128), SPACING_ZYX_MM).scan.hu


def _as_it_is(hu: NDArray[np.int16]) -> NDArray[np.generic]:
    return hu


def chest(
    name: str,
    what: str,
    change: Change = _as_it_is,
    *,
    spacing: tuple[float, float, float] = SPACING_ZYX_MM,
    direction: tuple[float, ...] | None = None,
    origin: tuple[float, float, float] = ORIGIN_MM,
) -> BadInput:
    """A NIfTI file of the phantom's chest, changed, or with another grid than its own."""

    def given(folder: Path) -> list[str]:
        image = sitk.GetImageFromArray(change(_chest()))
        image.SetSpacing(spacing[::-1])
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        (folder / "in").mkdir()
        sitk.WriteImage(image, str(folder / "in" / "ct.nii"))
        return [str(folder / "in" / "ct.nii"), "-o", "out", "--lungs", "contour", "--device", "cpu"]

    return BadInput(name, "covidct analyze", what, given)


def _with_padding(hu: NDArray[np.generic]) -> NDArray[np.generic]:
    """Put padding into a corner, as scanners do outside of their circle."""
    padded = np.array(hu)
    padded[:, :6, :6] = -1024
    return padded


def _in_a_wide_field(hu: NDArray[np.int16]) -> NDArray[np.generic]:
    return np.pad(hu, ((0, 0), (72, 72), (72, 72)), constant_values=-1024)


def _shuffled(hu: NDArray[np.int16]) -> NDArray[np.generic]:
    return hu[np.random.default_rng(0).permutation(len(hu))]


ROWS = (
    chest("impossible-body", "a chest whose header makes the body a metre wide", spacing=(7.0, 2.9, 10.0)),
    chest("impossible-lung-volume", "a chest whose header doubles each voxel's sides", spacing=(14.0, 5.8, 5.8)),
    chest("impossible-lung-height", "a chest whose header calls slices of 7 mm 1 mm", spacing=(1.0, 2.9, 2.9)),
    chest("not-axial", "axial slices that the header calls sagittal", direction=SAGITTAL, spacing=(2.9, 2.9, 7.0)),
    chest("too-little-lung", "ten slices of half a mm", lambda hu: hu[12:22], spacing=(0.5, 2.9, 2.9)),
    chest(
        "too-little-lung-of-pictures",
        "a chest in a far wider field, without spacing",
        _in_a_wide_field,
        spacing=(1.0, 1.0, 1.0),
        origin=(0.0, 0.0, 0.0),
    ),
    chest("offset-lost-beside-padding", "HU without their offset, padding kept", lambda hu: _with_padding(hu + 1024)),
    chest("scale-lost", "HU times 16", lambda hu: hu * 16),
    chest("windowed", "HU windowed from -400 to 400, padding kept", lambda hu: _with_padding(np.clip(hu, -400, 400))),
    chest("slices-shuffled", "slices in no order", _shuffled),
    chest("sign-turned", "HU times -1", lambda hu: -np.where(hu > 200, hu + 500, hu)),
    chest(
        "lungs-cut-out",
        "lungs whose surroundings were set to air",
        lambda hu: np.where((hu > -600) | (hu < -920), -1000, hu),
    ),
    chest("window-cut-out", "HU cut off at -160 and 240", lambda hu: np.clip(hu, -160, 240)),
    chest("bytes-exchanged", "values with the bytes in the other order", lambda hu: hu.byteswap()),
    chest("spacing-in-cm", "a chest whose header gives its spacing in cm", spacing=(0.7, 0.29, 0.29)),
)
