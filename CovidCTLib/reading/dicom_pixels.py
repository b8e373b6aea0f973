"""DICOM pixels to HU: rescale, padding, and the volume of a stack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.reading.dicom_agreement import agree_on_pixels
from CovidCTLib.reading.dicom_encoding import READ_FAILURES, FrameDecoder, check_readable
from CovidCTLib.reading.dicom_headers import Frame
from CovidCTLib.reading.dicom_stack import Stack
from CovidCTLib.reading.padding import padding_of
from CovidCTLib.reading.plausibility import check_range, looks_like_hu
from CovidCTLib.reading.quiet import quiet_itk, quiet_pydicom

MAX_WORKERS = 4
"""Files are decoded side by side by at most so many threads; Python's own part of the work allows no more."""

MAX_COMPRESSION = 200
"""Largest factor by which slices are compressed. Lossless CT has 2 to 4, lossy up to 20, an empty slice some 100."""

_HIGHEST_INT16 = int(np.iinfo(np.int16).max)


def stored_to_hu(
    stored: NDArray[Any],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    bits_stored: int = 16,
    high_bit: int | None = None,
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
    high_bit
        Number of the highest significant bit, from 0; ``bits_stored - 1`` unless given. A higher one (files from
        before 2014) is only believed where the bits under the significant ones are all 0.
    padding
        Stored values from the first to the second, both inclusive, are padding (DICOM PS3.3, C.7.5.1.1.2).

    Returns
    -------
    ndarray
        int16 HU, at least -1024. Padding and the stored value -2000 (the outside of the scan circle) are -1024 where
        they are credible (`CovidCTLib.reading.padding.padding_of`).
    tuple of int or None
        Lowest and highest HU outside padding; None if all is padding.
    """
    hu, extremes, _ = converted(
        stored, slope=slope, intercept=intercept, bits_stored=bits_stored, high_bit=high_bit, padding=padding
    )
    return hu, extremes


def converted(
    stored: NDArray[Any],
    *,
    slope: float,
    intercept: float,
    bits_stored: int,
    high_bit: int | None,
    padding: tuple[int, int] | None,
) -> tuple[NDArray[np.int16], tuple[int, int] | None, int]:
    """Convert as `stored_to_hu` does; also count the voxels that have a padding value and are no padding."""
    stored = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    bits = stored.dtype.itemsize * 8
    highest = bits_stored - 1 if high_bit is None else high_bit
    if highest >= bits_stored and (stored & stored.dtype.type((1 << highest + 1 - bits_stored) - 1)).any():
        highest = bits_stored - 1
    if bits_stored < bits:
        above, kept = stored.dtype.type(max(bits - 1 - highest, 0)), stored.dtype.type(bits - bits_stored)
        values = np.right_shift(np.left_shift(stored, above), kept)
    else:
        values = stored
    if float(slope) == 1.0 and float(intercept).is_integer() and bits <= 16:
        hu = values.astype(np.int32)
        hu += int(intercept)
    else:
        scaled = values.astype(np.float64)
        scaled *= slope
        scaled += intercept
        hu = np.rint(np.clip(scaled, -(2**30), 2**30)).astype(np.int32)
    outside, ignored = padding_of(stored, values, hu, padding)
    np.clip(hu, LOWEST_HU, _HIGHEST_INT16, out=hu)
    result = hu.astype(np.int16)
    if not outside.any():
        return result, (int(result.min()), int(result.max())), ignored
    result[outside] = LOWEST_HU
    inside = result[~outside]
    return result, (int(inside.min()), int(inside.max())) if inside.size else None, ignored


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
    _check_bytes(stack)
    check_readable({frame.encoding.syntax for frame in stack.frames})
    with quiet_pydicom(), quiet_itk():
        frames, agreed = agree_on_pixels(stack.frames)
    stack = replace(stack, frames=frames)
    count, *plane = stack.geometry.shape_zyx
    # Slices that are not shifted fill their planes, and missing ones are interpolated: nothing needs a first value.
    volume = np.empty((count if stack.even else len(stack.frames), *plane), dtype=np.int16)
    if stack.shifts_yx_px is not None:
        volume.fill(LOWEST_HU)
    by_file = sorted(range(len(stack.frames)), key=lambda i: (str(stack.frames[i].path), stack.frames[i].index))
    files = [list(members) for _, members in groupby(by_file, key=lambda i: stack.frames[i].path)]
    workers = max(1, min(MAX_WORKERS, os.cpu_count() or 1, len(files)))
    # ITK's messages are silenced for the process, so not from within the workers.
    with quiet_pydicom(), quiet_itk(), ThreadPoolExecutor(workers) as pool:
        shares = list(pool.map(partial(_read_share, stack, volume), (files[k::workers] for k in range(workers))))
    damaged = sum(share[0] for share in shares)
    if damaged:
        raise InputError(
            f"All files of the series must be readable, but {damaged} of {len(files)} are damaged or truncated. Copy "
            "or export the series again."
        )
    if stack.even:
        fill_missing(volume, [round(slot) for slot in stack.slots])
    else:
        volume = between_slices(volume, stack.slots)
    extremes = min(share[1] for share in shares), max(share[2] for share in shares)
    doubts = _check_rescale(stack.frames, extremes, volume)
    return volume, (*agreed, *_ignored_padding(stack.frames, sum(share[3] for share in shares)), *doubts)


def _ignored_padding(frames: Sequence[Frame], ignored: int) -> tuple[Notice, ...]:
    """Tell of a padding value that is one of tissue."""
    if not ignored:
        return ()
    named = next((frame.padding for frame in frames if frame.padding is not None), None)
    what = "the value -2000" if named is None else f"the padding value {named[0]} of the header"
    text = (
        f"{ignored} voxels inside the body have {what}, as tissue or lung has it too; they were left as they are. Only "
        "pieces at the side of the slices, and air, were taken for padding."
    )
    return (Notice("padding-ignored", text, value=float(ignored), limit=0.0, unit="voxels"),)


def _check_bytes(stack: Stack) -> None:
    """Refuse a series whose headers claim far more voxels than its files could hold, before memory is taken."""
    compressed = {frame.path for frame in stack.frames if frame.encoding.length is None}
    voxels = stack.geometry.shape_zyx[1] * stack.geometry.shape_zyx[2] * len(stack.frames)
    held = sum(path.stat().st_size for path in compressed if path.exists())
    if compressed and 2 * voxels > MAX_COMPRESSION * held:
        raise InputError(
            f"Compressed slices were expected, but the headers claim {voxels} voxels and the files hold {held} bytes, "
            f"more than {MAX_COMPRESSION} times less. The headers are damaged: copy or export the series again."
        )


def _read_share(stack: Stack, volume: NDArray[np.int16], files: list[list[int]]) -> tuple[int, int, int, int]:
    """Decode some of the files, each given by its frames' numbers in the stack, into their planes of the volume.

    Returns
    -------
    tuple of int
        Damaged files, lowest and highest HU outside padding, voxels with a padding value that are none.
    """
    damaged, low, high, ignored = 0, _HIGHEST_INT16, LOWEST_HU, 0
    with FrameDecoder() as decoder:
        for members in files:
            first = stack.frames[members[0]]
            indices = [stack.frames[i].index for i in members]
            shape = (first.rows, first.columns)
            try:
                decoded = decoder.frames(first.path, first.encoding, shape, indices)
                for number, stored in zip(members, decoded, strict=True):
                    hu, extremes, kept = _to_hu(stored, stack.frames[number])
                    low, high, ignored = min(low, extremes[0]), max(high, extremes[1]), ignored + kept
                    shift = None if stack.shifts_yx_px is None else stack.shifts_yx_px[number]
                    _put_slice(volume[round(stack.slots[number]) if stack.even else number], hu, shift)
            except READ_FAILURES:
                damaged += 1
    return damaged, low, high, ignored


def fill_missing(volume: NDArray[np.int16], slots: Sequence[int]) -> None:
    """Fill the slices that are not among ``slots`` linearly from the nearest ones that are, in place.

    Parameters
    ----------
    volume
        int16, shape ``(z, y, x)``.
    slots
        Ascending indices of the slices that are there; the first and the last slice are among them.
    """
    for before, after in pairwise(slots):
        for k in range(before + 1, after):
            weight = (k - before) / (after - before)
            mixed = volume[before] * np.float32(1 - weight) + volume[after] * np.float32(weight)
            volume[k] = np.rint(mixed).astype(np.int16)


def between_slices(slices: NDArray[np.int16], slots: Sequence[float]) -> NDArray[np.int16]:
    """Interpolate even slices linearly between uneven ones.

    Parameters
    ----------
    slices
        int16, shape ``(n, y, x)``.
    slots
        Ascending place of each slice in the result, the first 0 and the last a whole number.

    Returns
    -------
    ndarray
        int16, shape ``(slots[-1] + 1, y, x)``.
    """
    even = np.empty((round(slots[-1]) + 1, *slices.shape[1:]), dtype=np.int16)
    for k in range(len(even)):
        after = min(max(int(np.searchsorted(slots, k)), 1), len(slots) - 1)
        weight = np.float32((k - slots[after - 1]) / (slots[after] - slots[after - 1]))
        even[k] = np.rint(slices[after - 1] * (1 - weight) + slices[after] * weight)
    return even


def _check_rescale(frames: Sequence[Frame], extremes: tuple[int, int], volume: NDArray[np.int16]) -> tuple[Notice, ...]:
    """Check the values of the whole scan; those without a rescale must look like HU by themselves."""
    low, high = extremes
    without = sum(frame.slope is None or frame.intercept is None for frame in frames)
    if not without:
        check_range(low, high, volume)
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


def _to_hu(stored: NDArray[Any], frame: Frame) -> tuple[NDArray[np.int16], tuple[int, int], int]:
    if stored.shape != (frame.rows, frame.columns):
        raise ValueError("the decoded image has another size than its header says")
    hu, extremes, ignored = converted(
        stored,
        slope=1.0 if frame.slope is None else frame.slope,
        intercept=0.0 if frame.intercept is None else frame.intercept,
        bits_stored=frame.encoding.bits_stored,
        high_bit=frame.encoding.high_bit,
        padding=frame.padding,
    )
    return hu, (_HIGHEST_INT16, LOWEST_HU) if extremes is None else extremes, ignored


def _put_slice(plane: NDArray[np.int16], hu: NDArray[np.int16], shift_yx_px: NDArray[np.float64] | None) -> None:
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
