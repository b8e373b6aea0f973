"""No full garbage collection while a thread works: it keeps every thread waiting, the user interface too."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

YOUNGEST = 0
"""Generation of the objects that no collection has looked at yet."""

_lock = threading.Lock()
_waiting = 0
_enabled = True


@contextmanager
def fullCollectionsPaused() -> Iterator[None]:
    """Let Python look for unreachable cycles only at the end, and only among the objects made meanwhile.

    Making a report makes so many objects that Python goes through all those of the application once or twice, and a
    hundred milliseconds pass for a quarter of a million of them. Cycles that the work left are among the new ones. Any
    number of threads may be inside at once; the last one that leaves restores what the first one found.
    """
    global _waiting, _enabled
    with _lock:
        if _waiting == 0:
            _enabled = gc.isenabled()
        _waiting += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if _waiting == 0 and _enabled:
                gc.collect(YOUNGEST)
                gc.enable()
