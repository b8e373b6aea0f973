"""Locks between processes, which the system drops when the process that holds them ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HeldError(Exception):
    """Another process, or another part of this one, holds the lock."""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock for as long as the context lasts, without waiting for it.

    Parameters
    ----------
    file
        The lock's own file; it is made where there is none, and stays. Its folder must exist.

    Raises
    ------
    HeldError
        If the lock is held.

    Notes
    -----
    Works alike on Linux, macOS and Windows. Where the disk cannot lock (some network disks), nothing is held and
    nothing is refused: no work is stopped for a safeguard that cannot be had.
    """
    # filelock comes with torch; a Slicer that reads a ZIP archive before torch is installed goes without locks.
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        lock = None
    else:
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise HeldError from error
        except (OSError, NotImplementedError):
            lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
