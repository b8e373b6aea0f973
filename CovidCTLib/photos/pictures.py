"""One picture file: opened with care, turned as its EXIF says, and made grey."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from CovidCTLib.errors import InputError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""Formats that are read, whatever the file is called; Pillow's other readers are not asked."""

MAX_PICTURE_PIXELS = 64_000_000
"""Largest picture in pixels, checked in the header before memory is taken; 8000 x 8000 fits in."""

MIN_SIDE_PX = 64
"""Smallest side of a picture that can show a chest."""

_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError,
    OverflowError, ZeroDivisionError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's readers raise on files that are no pictures or damaged."""

_ORIENTATION = 0x0112
"""EXIF tag; 1 is upright."""

HIGHEST_8_BIT, HIGHEST_16_BIT = 255, 65535

COLOUR_LEVELS = 40
"""Difference of the channels, in levels of 8 bits, from which a pixel is coloured; JPEG tints grey by less."""

COLOURED_SHARE = 0.0002
"""Share of coloured pixels from which a picture counts as annotated; 50 pixels of 512 x 512, a thin arrow."""


@dataclass(frozen=True)
class Picture:
    """One picture, grey.

    Parameters
    ----------
    grey
        float32, shape ``(y, x)``, 0 to 255.
    bits
        8 or 16 a pixel in the file.
    notes
        What was done to it that a reader must know, as parts of a sentence.
    """

    grey: NDArray[np.float32]
    bits: int
    notes: tuple[str, ...] = ()


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Make a key that sorts ``slice2`` before ``slice10``, capital letters like small ones.

    Parameters
    ----------
    name
        A file's name.
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    key = tuple((0, int(part[:100]), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
    return (*key, (2, 0, name))


def read_picture(path: Path) -> Picture:
    """Read one picture.

    Parameters
    ----------
    path
        A file of one of `FORMATS`, whatever its name.

    Returns
    -------
    Picture
        Its first frame, upright, as luminance.

    Raises
    ------
    InputError
        If it is no picture, damaged or cut off, too large or too small, or its values have no known scale.
    """
    with warnings.catch_warnings():
        # The size is checked here; Pillow's own warning would come from a C-level default.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            raise _too_large() from None
        except _BROKEN:
            raise InputError(f"no picture in one of the formats {', '.join(FORMATS)}") from None
        with image:
            width, height = image.size
            if width * height > MAX_PICTURE_PIXELS:
                raise _too_large(width, height)
            if min(width, height) < MIN_SIDE_PX:
                raise InputError(f"too small to show a chest ({width} x {height}, at least {MIN_SIDE_PX} a side)")
            try:
                frames = getattr(image, "n_frames", 1)
                image.load()
                upright = ImageOps.exif_transpose(image)
                turned = image.getexif().get(_ORIENTATION, 1) != 1
            except (Image.DecompressionBombError, MemoryError):
                raise _too_large(width, height) from None
            except _BROKEN:
                raise InputError("damaged or cut off") from None
    grey, bits, notes = _grey(upright)
    if frames > 1:
        notes.append(f"only the first of its {frames} frames was read")
    if turned:
        notes.append("turned as its EXIF says")
    if grey.min() == grey.max():
        raise InputError("empty: all of its pixels have the same value")
    return Picture(grey, bits, tuple(notes))


def _too_large(width: int = 0, height: int = 0) -> InputError:
    size = f" ({width} x {height})" if width else ""
    return InputError(f"too large{size}: at most {MAX_PICTURE_PIXELS // 1_000_000} million pixels are read")


def _grey(image: Image.Image) -> tuple[NDArray[np.float32], int, list[str]]:
    """Turn a picture of any mode into luminance from 0 to 255."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _deep(image), 16, []
    if image.mode == "P" or "A" in image.getbands() or "transparency" in image.info:
        # What is see-through is shown on black, as CT viewers do.
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image.convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"), np.float32), 8, []
    colours = np.asarray(image.convert("RGB"))
    difference = colours.max(axis=2).astype(np.int16) - colours.min(axis=2)
    share = float(np.mean(difference > COLOUR_LEVELS))
    notes = []
    if share > COLOURED_SHARE:
        notes.append(f"{100 * share:.2g} % of its pixels are coloured (arrows, marks); their HU mean nothing")
    # ITU-R BT.601, as Pillow; grey pixels keep their value exactly.
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(colours @ weights, np.float32), 8, notes


def _deep(image: Image.Image) -> NDArray[np.float32]:
    """Scale a picture of 16 bits to 0 to 255."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > HIGHEST_16_BIT:
        raise InputError("of a scale that is not known (only 8 and 16 bits a pixel are)")
    return values.astype(np.float32) * np.float32(HIGHEST_8_BIT / HIGHEST_16_BIT)
