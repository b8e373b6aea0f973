"""Ctrl-C and a polite kill, handled alike at every stage."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, kill, a closed terminal, and Windows' Ctrl-Break."""


class Interruption:
    """While entered, the first of the signals raises KeyboardInterrupt once; later ones are ignored.

    The files of a run are removed while the exception travels up, and a second Ctrl-C must not interrupt that.
    Outside the main thread nothing is changed, since only the main thread may handle signals.
    """

    _requested = False
    _polled = False
    _owner = 0

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    @classmethod
    def requested(cls) -> bool:
        """Whether the user wants to stop; it catches a signal whose exception got lost in foreign code."""
        return cls._requested

    @classmethod
    @contextmanager
    def polled(cls) -> Iterator[None]:
        """While entered, a signal raises nothing and only makes `requested` true; leaving raises what was put off.

        For work that asks `requested` from callbacks of foreign code, which prints and swallows what they raise.

        Raises
        ------
        KeyboardInterrupt
            On leaving without another exception, if the user wanted to stop meanwhile.
        """
        cls._polled = True
        try:
            yield
        finally:
            cls._polled = False
        if cls._requested:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        """Take over the signals."""
        Interruption._requested = False
        Interruption._owner = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    # A signal that is ignored on purpose (nohup) stays ignored.
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    @staticmethod
    def _stop(number: int, frame: FrameType | None) -> None:
        """Ask to stop."""
        if os.getpid() != Interruption._owner:
            # A forked worker inherits the handler, but has nothing to clean up: it ends as if there were none.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if not Interruption._requested:
            Interruption._requested = True
            if not Interruption._polled:
                raise KeyboardInterrupt
