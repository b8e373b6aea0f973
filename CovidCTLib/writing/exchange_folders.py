"""Two folders change places in one step of the system, so that at no moment one of the names leads nowhere."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_HERE = -100
"""AT_FDCWD of Linux: paths count from the current folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux (renameat2(2)) and RENAME_SWAP of macOS (renamex_np(2))."""


def exchange(first: Path, second: Path) -> bool:
    """Swap what two paths of one file system name.

    Parameters
    ----------
    first, second
        Two files or folders that exist.

    Returns
    -------
    bool
        False where the system or the file system cannot, or refuses; nothing has changed then.
    """
    names = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "linux":
            failed = ctypes.CDLL(None).renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
        elif sys.platform == "darwin":
            failed = ctypes.CDLL(None).renamex_np(names[0], names[1], _EXCHANGE)
        else:
            return False
    except (OSError, AttributeError):
        # An old C library that has no such function.
        return False
    return bool(failed == 0)
