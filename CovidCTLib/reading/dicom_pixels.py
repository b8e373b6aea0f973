"""DICOM pixels to HU: rescale, padding, and the volume of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.hu import LOWEST_HU, OUTSIDE_SCAN_CIRCLE_HU
from CovidCTLib.reading.dicom_headers import PREAMBLE_BYTES, READ_FAILURES, Frame
from CovidCTLib.reading.dicom_stack import Stack
from CovidCTLib.reading.plausibility import check_range, looks_like_hu
from CovidCTLib.reading.quiet import quiet_pydicom

_HIGHEST_INT16 = int(np.iinfo(np.int16).max)


def stored_to_hu(
    stored: NDArray[Any],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    bits_stored: int = 16,
    padding: tuple[int, int] | None = None,
) -> tuple[NDArray[np.int16], tuple[int, int] | None]:
    """Convert the stored values of a slice to HU.

    Parameters
    ----------
    stored
        Integers of any width, signed as PixelRepresentation says, shape ``(rows, columns)``.
    slope, intercept
        ``hu = stored * slope + intercept`` (DICOM PS3.3, C.11.1).
    bits_stored
        Significant bits of a stored value; the ones above (old overlays) are dropped.
    padding
        Stored values from the first to the second, both inclusive, are padding (DICOM PS3.3, C.7.5.1.1.2).

    Returns
    -------
    ndarray
        int16 HU, at least -1024. Padding and the stored value -2000 (the outside of the scan circle) are -1024.
    tuple of int or None
        Lowest and highest HU outside padding; None if all is padding.
    """
    stored = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    bits = stored.dtype.itemsize * 8
    modulo = 1 << bits
    signed = stored.view(f"i{stored.dtype.itemsize}")
    # The scan circle's -2000 is also written into images that call themselves unsigned, as its two's complement.
    outside = signed == OUTSIDE_SCAN_CIRCLE_HU if bits > 8 else np.zeros(stored.shape, dtype=bool)
    if bits_stored < bits:
        shift = stored.dtype.type(bits - bits_stored)
        values = np.right_shift(np.left_shift(stored, shift), shift)
    else:
        values = stored
    if padding is not None:
        first, last = padding
        if stored.dtype.kind == "u" and first < 0:
            first, last = first % modulo, last % modulo if last < 0 else last
        elif stored.dtype.kind == "i" and last >= modulo // 2:
            first, last = first - modulo if first >= modulo // 2 else first, last - modulo
        first, last = min(first, last), max(first, last)
        outside |= ((stored >= first) & (stored <= last)) | ((values >= first) & (values <= last))
    if float(slope) == 1.0 and float(intercept).is_integer() and bits <= 16:
        hu = values.astype(np.int32)
        hu += int(intercept)
    else:
        scaled = values.astype(np.float64)
        scaled *= slope
        scaled += intercept
        hu = np.rint(np.clip(scaled, -(2**30), 2**30)).astype(np.int32)
    hu[outside] = LOWEST_HU
    np.clip(hu, LOWEST_HU, _HIGHEST_INT16, out=hu)
    result = hu.astype(np.int16)
    if not outside.any():
        return result, (int(result.min()), int(result.max()))
    inside = result[~outside]
    return result, (int(inside.min()), int(inside.max())) if inside.size else None


def read_volume(stack: Stack) -> tuple[NDArray[np.int16], tuple[Notice, ...]]:
    """Decode the slices of a stack into one volume of HU.

    Parameters
    ----------
    stack
        The plan; each file is decoded once, frame by frame.

    Returns
    -------
    ndarray
        int16 HU, shape ``stack.geometry.shape_zyx``; -1024 where no slice reaches.
    tuple of Notice
        What was found.

    Raises
    ------
    InputError
        If files are damaged or truncated (with their number), if a rescale slope is zero, or if the values cannot be
        the HU of a chest CT.
    """
    if any(frame.slope == 0 for frame in stack.frames):
        raise InputError("The rescale slope to HU must not be 0, but it is. Export the series again from the archive.")
    volume = np.full(stack.geometry.shape_zyx, LOWEST_HU, dtype=np.int16)
    damaged, low, high = 0, _HIGHEST_INT16, LOWEST_HU
    by_file = sorted(range(len(stack.frames)), key=lambda i: (str(stack.frames[i].path), stack.frames[i].index))
    with quiet_pydicom():
        for path, grouped in groupby(by_file, key=lambda i: stack.frames[i].path):
            try:
                for number, stored in _decoded(path, list(grouped), stack):
                    hu, extremes = _to_hu(stored, stack.frames[number])
                    low, high = min(low, extremes[0]), max(high, extremes[1])
                    shift = None if stack.shifts_yx_px is None else stack.shifts_yx_px[number]
                    _place(volume[stack.places[number]], hu, shift)
            except READ_FAILURES:
                damaged += 1
    if damaged:
        files = len({frame.path for frame in stack.frames})
        raise InputError(
            f"All files of the series must be readable, but {damaged} of {files} are damaged, truncated or in an "
            "unknown encoding. Copy or export the series again."
        )
    fill_missing(volume, stack.places)
    return volume, _check_rescale(stack.frames, low, high)


def fill_missing(volume: NDArray[np.int16], places: Sequence[int]) -> None:
    """Fill the slices that are not among ``places`` linearly from the nearest ones that are, in place.

    Parameters
    ----------
    volume
        int16, shape ``(z, y, x)``.
    places
        Ascending indices of the slices that are there; the first and the last slice are among them.
    """
    for before, after in pairwise(places):
        for k in range(before + 1, after):
            weight = (k - before) / (after - before)
            mixed = volume[before] * np.float32(1 - weight) + volume[after] * np.float32(weight)
            volume[k] = np.rint(mixed).astype(np.int16)


def _check_rescale(frames: Sequence[Frame], low: int, high: int) -> tuple[Notice, ...]:
    """Check the values of the whole scan; those without a rescale must look like HU by themselves."""
    without = sum(frame.slope is None or frame.intercept is None for frame in frames)
    if not without:
        check_range(low, high)
        return ()
    if not looks_like_hu(low, high):
        raise InputError(
            f"Rescale slope and intercept to HU were expected, but {without} of {len(frames)} slices lack them, and "
            f"their values run from {low} to {high} instead of from air near -1000. Export the series again."
        )
    return (
        Notice(
            "no-rescale",
            f"{without} of {len(frames)} slices do not say how to convert their values to HU; the values look like HU "
            "and were taken as they are.",
            value=without,
        ),
    )


def _to_hu(stored: NDArray[Any], frame: Frame) -> tuple[NDArray[np.int16], tuple[int, int]]:
    if stored.shape != (frame.rows, frame.columns):
        raise ValueError("the decoded image has another size than its header says")
    hu, extremes = stored_to_hu(
        stored,
        slope=1.0 if frame.slope is None else frame.slope,
        intercept=0.0 if frame.intercept is None else frame.intercept,
        bits_stored=frame.bits_stored,
        padding=frame.padding,
    )
    return hu, (_HIGHEST_INT16, LOWEST_HU) if extremes is None else extremes


def _place(plane: NDArray[np.int16], hu: NDArray[np.int16], shift_yx_px: NDArray[np.float64] | None) -> None:
    """Write a slice into its plane of the volume, bilinearly where it is shifted by a part of a pixel."""
    if shift_yx_px is None:
        plane[:] = hu
        return
    whole = np.floor(shift_yx_px + 1e-6).astype(int)
    part = np.maximum(shift_yx_px - whole, 0)
    moved = hu.astype(np.float32)
    for axis in (0, 1):
        if part[axis] > 1e-3:
            edge = [(0, 0), (0, 0)]
            edge[axis] = (1, 1)
            padded = np.pad(moved, edge, constant_values=LOWEST_HU)
            lower = np.take(padded, range(padded.shape[axis] - 1), axis=axis)
            upper = np.take(padded, range(1, padded.shape[axis]), axis=axis)
            moved = lower * np.float32(part[axis]) + upper * np.float32(1 - part[axis])
    target = plane[whole[0] : whole[0] + moved.shape[0], whole[1] : whole[1] + moved.shape[1]]
    target[:] = np.rint(moved[: target.shape[0], : target.shape[1]]).astype(np.int16)


def _decoded(path: Path, members: list[int], stack: Stack) -> Iterator[tuple[int, NDArray[Any]]]:
    """Decode the frames ``members`` of a stack, all in one file, one at a time, as stored.

    Notes
    -----
    One thread: pylibjpeg holds Python's interpreter lock, and two threads took as long as one (148 files of JPEG
    Lossless, 13 ms each).
    """
    with path.open("rb") as file:
        file.seek(PREAMBLE_BYTES)
        source: Any = path if file.read(4) == b"DICM" else None
    if source is None:
        source = pydicom.dcmread(path, force=True)
        implicit = bool(source.original_encoding[0])
        source.file_meta.TransferSyntaxUID = source.file_meta.get(
            "TransferSyntaxUID", ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    indices = [stack.frames[i].index for i in members]
    frames = iter_pixels(source, raw=True, indices=indices, correct_unused_bits=False)
    yield from zip(members, frames, strict=True)
