"""Whether the headers of a DICOM series agree with its pixels: the sign of the stored values, and the rescale to HU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.dicom_encoding import READ_FAILURES, FrameDecoder
from CovidCTLib.reading.dicom_headers import Frame

PROBED_SLICES = 5
"""The sign is looked at in so many slices, evenly spread."""

MAX_DENSE_SHARE = 0.05
"""Share of the voxels whose highest stored bit is set, in unsigned 12-bit CT those above 1024 HU: bone and metal, under
3 % of any slice. Air and lung, which take a third or more, have it where the values are signed."""

MIN_DISTINCT = 8
"""Fewer different values are padding, not anatomy."""

MIN_FLIPPED_PX = 20
"""So many pixels of the probed slices must speak for another sign."""

_LOWEST_AIR_HU, _HIGHEST_LUNG_HU = -1200, -300
_HIGHEST_BONE_HU = 4000

FITTING_HU, FITTING_SHARE = 150.0, 0.5
"""A slice fits its neighbour where their mean difference is at most the first, in HU, inclusive; another rescale is
taken where it makes the difference at most this share. A lost intercept makes it some 1,000."""

_COMPARED_HU = (-1024, 1000)


def agree_on_pixels(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Correct the sign and the rescale of a series where its pixels show that the headers are wrong.

    Parameters
    ----------
    frames
        Slices of one size in the order of the stack.

    Returns
    -------
    tuple
        The slices, and what was corrected.

    Raises
    ------
    InputError
        If slices with another rescale than the rest fit neither way.
    """
    with FrameDecoder() as decoder:
        signed, notices = _agree_on_sign(frames, decoder)
        rescaled, more = _agree_on_rescale(signed, decoder)
    return rescaled, (*notices, *more)


def _decoded(decoder: FrameDecoder, frame: Frame) -> NDArray[Any] | None:
    """Decode one slice; None where it is damaged, which is told when all are read."""
    try:
        pixels = next(iter(decoder.frames(frame.path, frame.encoding, (frame.rows, frame.columns), [frame.index])))
    except (StopIteration, *READ_FAILURES):
        return None
    return pixels if pixels.shape == (frame.rows, frame.columns) else None


def _agree_on_sign(frames: Sequence[Frame], decoder: FrameDecoder) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Find signed values that call themselves unsigned, and the other way round."""
    encodings = {(one.encoding.signed, one.encoding.bits_stored, one.encoding.bits_allocated) for one in frames}
    if len(encodings) > 1 or frames[0].encoding.bits_allocated != 16:
        return tuple(frames), ()
    signed, bits, _ = next(iter(encodings))
    probed = np.unique(np.linspace(0, len(frames) - 1, PROBED_SLICES + 2)[1:-1].astype(int))
    as_signed, as_unsigned, voxels = [], [], 0
    for frame in (frames[int(number)] for number in probed):
        stored = _decoded(decoder, frame)
        if stored is None or frame.encoding.high_bit != bits - 1:
            return tuple(frames), ()
        plain = stored.astype(np.int64) & ((1 << bits) - 1)
        plain = plain[_no_padding(stored, frame)]
        voxels += plain.size
        flipped = plain[plain >= 1 << (bits - 1)]
        slope, intercept = frame.slope or 1.0, frame.intercept or 0.0
        as_unsigned.append(flipped * slope + intercept)
        as_signed.append((flipped - (1 << bits)) * slope + intercept)
    low, high = np.concatenate(as_signed), np.concatenate(as_unsigned)
    if low.size < MIN_FLIPPED_PX or len(np.unique(low)) < MIN_DISTINCT:
        return tuple(frames), ()
    if not signed:
        typical = float(np.median(low))
        wrong = low.size > MAX_DENSE_SHARE * voxels and _LOWEST_AIR_HU <= typical <= _HIGHEST_LUNG_HU
    else:
        wrong = bool(np.quantile(low, 0.95) < _LOWEST_AIR_HU and np.quantile(high, 0.95) < _HIGHEST_BONE_HU)
    if not wrong:
        return tuple(frames), ()
    said, are = ("signed", "unsigned") if signed else ("unsigned", "signed")
    text = (
        f"The header calls the stored values {said} (PixelRepresentation), but only as {are} ones are they the HU of a "
        f"chest; they were read as {are}."
    )
    corrected = tuple(replace(one, encoding=replace(one.encoding, signed=not signed)) for one in frames)
    return corrected, (Notice("pixel-sign", text, value=float(low.size), unit="voxels"),)


def _no_padding(stored: NDArray[Any], frame: Frame) -> NDArray[np.bool_]:
    """Tell which voxels have neither the padding value nor the most frequent one, which may be unnamed padding."""
    values, counts = np.unique(stored, return_counts=True)
    keep = stored != values[np.argmax(counts)]
    if frame.padding is not None:
        keep &= (stored.astype(np.int64) & 0xFFFF) != (frame.padding[0] & 0xFFFF)
    return np.asarray(keep)


def _agree_on_rescale(frames: Sequence[Frame], decoder: FrameDecoder) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Give slices without a rescale, or with an odd one, that of their neighbours where only it fits these."""
    pairs = [(one.slope, one.intercept) for one in frames]
    whole = Counter(pair for pair in pairs if None not in pair)
    if not whole or len(set(pairs)) < 2:
        return tuple(frames), ()
    usual, count = whole.most_common(1)[0]
    if 2 * count < sum(whole.values()):
        # Every slice has a rescale of its own, as some makers write.
        usual_indices = [i for i, pair in enumerate(pairs) if None not in pair]
        odd = [i for i, pair in enumerate(pairs) if None in pair]
    else:
        usual_indices = [i for i, pair in enumerate(pairs) if pair == usual]
        odd = [i for i, pair in enumerate(pairs) if pair != usual]
    changed, misfits = list(frames), 0
    for i in odd:
        nearest = min(usual_indices, key=lambda index: abs(index - i))
        pixels, beside = _decoded(decoder, frames[i]), _decoded(decoder, frames[nearest])
        if pixels is None or beside is None:
            continue
        reference = _rescaled(beside, pairs[nearest])
        as_said = _difference(_rescaled(pixels, pairs[i]), reference)
        as_beside = _difference(_rescaled(pixels, pairs[nearest]), reference)
        if as_beside <= min(FITTING_SHARE * as_said, 2 * FITTING_HU) and as_said > FITTING_HU:
            changed[i] = replace(frames[i], slope=pairs[nearest][0], intercept=pairs[nearest][1])
        elif min(as_said, as_beside) > 2 * FITTING_HU and abs(nearest - i) <= 2:
            misfits += 1
    corrected = sum(one is not other for one, other in zip(changed, frames, strict=True))
    if misfits:
        raise InputError(
            f"Slices that fit their neighbours were expected, but {misfits} of {len(frames)} have no rescale to HU, or "
            f"another one than the rest, and differ from their neighbours by more than {2 * FITTING_HU:g} HU either "
            "way. The series contradicts itself: export it again."
        )
    if not corrected:
        return tuple(frames), ()
    text = (
        f"{corrected} of {len(frames)} slices have no rescale to HU, or another one than the rest, with which they are "
        "off their neighbours by hundreds of HU; the rescale of their neighbours was taken."
    )
    return tuple(changed), (Notice("rescale-of-neighbours", text, value=float(corrected), unit="slices"),)


def _rescaled(stored: NDArray[Any], pair: tuple[float | None, float | None]) -> NDArray[np.float32]:
    slope, intercept = pair
    hu = stored.astype(np.float32) * (1.0 if slope is None else slope) + (0.0 if intercept is None else intercept)
    return np.clip(hu, *_COMPARED_HU)


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
