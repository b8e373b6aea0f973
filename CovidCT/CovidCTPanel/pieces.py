"""Work of the main thread in small pieces, taken from the event loop so that the application goes on answering."""

from __future__ import annotations

import concurrent.futures
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.background import BackgroundCall, Result
from CovidCTPanel.later import Ticker, later

_LOG = logging.getLogger(__name__)

DRAWING_MS = 20
"""Milliseconds after which Slicer has begun to draw what was changed: it draws at most 60 times a second."""


class Pieces:
    """Takes the steps of a generator, one at each turn of the event loop.

    Parameters
    ----------
    steps
        Does a piece of the work at each step, and yields the share that is done (0 to 1).
    onStep
        Gets that share.
    onEnd
        Called once from the event loop: with None after the last step, or with what a step raised; what it should not
        have raised becomes a CovidCTError.
    errors
        What a step may raise.
    pause_ms
        Milliseconds from one step to the next, 0 for one at each turn of the event loop. Views that a step changes are
        drawn about 16 ms later, so that with `DRAWING_MS` no step waits in one turn with the drawing of another.
    """

    def __init__(
        self,
        steps: Iterator[float],
        onStep: Callable[[float], None],
        onEnd: Callable[[Exception | None], None],
        errors: tuple[type[Exception], ...],
        pause_ms: int = 0,
    ) -> None:
        self._steps: Iterator[float] | None = steps
        self._onStep = onStep
        self._onEnd: Callable[[Exception | None], None] | None = onEnd
        self._errors: tuple[type[Exception], ...] = (CovidCTError, *errors)
        self._ticker = Ticker(pause_ms, self._step)

    def start(self) -> None:
        """Begin at the next turn of the event loop; it returns at once."""
        self._ticker.start()

    def drop(self) -> None:
        """Take no further step; nobody is told."""
        self._onEnd = None
        self._close()

    def _step(self) -> None:
        if self._steps is None:
            return
        failure: Exception | None = None
        try:
            self._onStep(self._next(self._steps))
            return
        except StopIteration:
            pass
        except self._errors as error:
            failure = error
        self._close()
        later(lambda: self._tell(failure))

    def _next(self, steps: Iterator[float]) -> float:
        """Take a step; what it should not have raised becomes a CovidCTError."""
        try:
            return next(steps)
        except StopIteration:
            raise
        except self._errors:
            raise
        except Exception as error:
            # Slicer would only print it, and the next turn would take the broken generator for one that has ended.
            raise _mistake(error) from error

    def _close(self) -> None:
        self._ticker.end()
        steps, self._steps = self._steps, None
        if steps is not None and hasattr(steps, "close"):
            # A generator closes its file now, so that its folder can be removed on Windows too.
            steps.close()

    def _tell(self, failure: Exception | None) -> None:
        onEnd, self._onEnd = self._onEnd, None
        if onEnd is not None:
            onEnd(failure)


class LongCall:
    """Work in two parts: steps that need the scene, then a function that does not, in a thread.

    Parameters
    ----------
    steps
        As for `Pieces`; may raise CovidCTError. None where nothing needs the scene: the function then begins at once.
    function
        As for `BackgroundCall`; called when all steps were taken.
    onDone
        Called in the main thread with a future, whose ``result()`` gives what the function gave, or raises what a step
        or the function raised, always a CovidCTError.
    """

    def __init__(
        self,
        steps: Iterator[float] | None,
        function: Callable[[], Any],
        onDone: Callable[[concurrent.futures.Future[Any]], None],
    ) -> None:
        self._function = function
        self._onDone = onDone
        self._background: BackgroundCall[Any] | None = None
        self._pieces: Pieces | None = None
        if steps is None:
            self._onSteps(None)
        else:
            self._pieces = Pieces(steps, lambda _share: None, self._onSteps, (CovidCTError,))
            self._pieces.start()

    def drop(self) -> None:
        """End the steps, or wait for the function, and tell nobody."""
        if self._pieces is not None:
            self._pieces.drop()
        if self._background is not None:
            self._background.drop()

    def _onSteps(self, failure: Exception | None) -> None:
        if failure is None:
            self._background = BackgroundCall(self._call, self._onDone)
            return
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_exception(failure)
        self._onDone(future)

    def _call(self) -> Any:
        """Call the function; every failure becomes a CovidCTError, which whoever waits for the end can show."""
        return orMistake(self._function)


def orMistake(function: Callable[[], Result]) -> Result:
    """Call a function, and give what it gives; every failure becomes a CovidCTError.

    Raises
    ------
    CovidCTError
        What the function raises, or that CovidCT made a mistake.
    """
    try:
        return function()
    except CovidCTError:
        raise
    except Exception as error:
        raise _mistake(error) from error


def _mistake(error: Exception) -> CovidCTError:
    """Say that something failed that should not; Slicer's error log gets where, without the text."""
    # The text of an unknown error may hold a path or a patient's name, so only its kind is told.
    kind = type(error).__name__
    _LOG.error("%s in\n%s", kind, "".join(traceback.format_tb(error.__traceback__)))
    if isinstance(error, MemoryError):
        return CovidCTError(_("More free memory is needed than this computer has. Close other programs and try again."))
    return CovidCTError(
        _(
            "This was expected to work, but CovidCT made a mistake ({kind}). Report what Slicer's error log shows, "
            "without any patient's name."
        ).format(kind=kind)
    )
