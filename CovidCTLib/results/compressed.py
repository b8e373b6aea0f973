"""Writing large arrays through gzip, one block at a time, so that no second copy of a volume is held."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FAST_LEVEL = 1
"""zlib's level; masks shrink to under 1 % at every level, and higher ones take up to four times as long."""

BLOCK_BYTES = 1 << 22
"""Bytes that are compressed at a time."""

_GZIP_WINDOW = 31
"""zlib's largest window (15) plus 16 for a gzip header, which carries neither a name nor a date."""


def write_gzip(file: BinaryIO, blocks: Iterable[NDArray[Any]]) -> None:
    """Append blocks to an open file as one gzip stream.

    Parameters
    ----------
    file
        Open for writing; what was written before stays (a header that is not compressed).
    blocks
        Contiguous arrays of any shape and dtype, in the order of the stream.

    Raises
    ------
    OSError
        If the disk is full or fails.
    """
    compressor = zlib.compressobj(FAST_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    for block in blocks:
        file.write(compressor.compress(block.data.cast("B")))
    file.write(compressor.flush())


def slabs(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Cut an array along its first axis into contiguous blocks of about `BLOCK_BYTES`.

    Parameters
    ----------
    array
        At least one-dimensional, not empty, of any memory layout.

    Yields
    ------
    ndarray
        Little-endian, C-contiguous, without a copy where the array already is.
    """
    step = slab_length(array)
    for start in range(0, len(array), step):
        block = array[start : start + step]
        yield np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("<"))


def slab_length(array: NDArray[Any]) -> int:
    """Number of entries along the first axis that make a block of about `BLOCK_BYTES`, at least 1."""
    return max(1, BLOCK_BYTES // max(1, array[0].nbytes))
