"""``covidct`` and ``python -m CovidCTLib``: the program, with Ctrl-C handled from its first moment."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_FAILED = 1


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: so early there is nothing to clean up, and a trace of half-loaded modules helps nobody."""
    os.write(2, b"covidct: Cancelled.\n")
    os._exit(_FAILED)


def main() -> int:
    """Run the program; until it handles Ctrl-C itself, and after that, Ctrl-C ends it without a trace.

    Returns
    -------
    int
        As `CovidCTLib.cli.main.main`.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # A signal that is ignored on purpose (nohup) stays ignored.
        signal.signal(signal.SIGINT, _leave)
    # Loading the commands takes long enough for an impatient user, so the handler comes first.
    from CovidCTLib.cli.lifeline import hold

    hold()
    from CovidCTLib.cli.main import main as run

    code = run()
    if signal.getsignal(signal.SIGINT) is _leave:
        # All is done and said; what is left is Python's own end.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


if __name__ == "__main__":
    sys.exit(main())
