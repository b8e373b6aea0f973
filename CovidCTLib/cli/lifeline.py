"""A run that ends with whoever started it, even where a launcher stands between the two and passes no signal on."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time

VARIABLE = "COVIDCT_LIFELINE"
"""Environment variable of the program; with the value `STDIN` the run ends when its standard input does."""

STDIN = "stdin"

SOON_S = 1.0
"""Seconds; a standard input that is at its end so early was never connected to anybody, and says nothing."""

GRACE_S = 5.0
"""Seconds from the request to end until the process ends whatever it is doing."""

_FAILED = 1


def hold() -> bool:
    """Watch the standard input from now on if `VARIABLE` asks for it; say whether it does.

    3D Slicer's Python is a launcher that starts the interpreter as a process of its own. Whoever ends the launcher
    leaves that process running, but the launcher's end closes its standard input on every system.
    """
    if os.environ.pop(VARIABLE, "") != STDIN or sys.stdin is None:
        return False
    threading.Thread(target=_watch, name="covidct-lifeline", daemon=True).start()
    return True


def _watch() -> None:
    started = time.monotonic()
    try:
        # Straight from the descriptor: a buffered reader would hold a lock that Python's own end waits for.
        while os.read(0, 1):
            pass
    except OSError:
        return
    if time.monotonic() - started < SOON_S:
        return
    # As Ctrl-C does, so that the files of the run go.
    _interrupt()
    time.sleep(GRACE_S)
    os._exit(_FAILED)


def _interrupt() -> None:
    if hasattr(signal, "pthread_kill"):
        # A real signal also ends a wait of the main thread.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
