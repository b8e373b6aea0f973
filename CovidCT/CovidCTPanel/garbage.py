"""No full garbage collection while a thread works: it keeps every thread waiting, the user interface too."""

from __future__ import annotations

import gc

YOUNGEST = 0
"""Generation of the objects that no collection has looked at yet."""

_pauses = 0
_enabled = True


def pauseCollections() -> None:
    """Let Python look for unreachable cycles only when `resumeCollections` was called as often; main thread only.

    Making a report makes so many objects that Python goes through all those of the application once or twice, and a
    hundred milliseconds pass for a quarter of a million of them.
    """
    global _pauses, _enabled
    if _pauses == 0:
        _enabled = gc.isenabled()
    _pauses += 1
    gc.disable()


def resumeCollections() -> None:
    """Collect what was made meanwhile, and restore what the first `pauseCollections` found; main thread only.

    The main thread must do it: what was made meanwhile may hold widgets and nodes, which other threads may not delete.
    """
    global _pauses
    _pauses -= 1
    if _pauses == 0 and _enabled:
        gc.collect(YOUNGEST)
        gc.enable()
