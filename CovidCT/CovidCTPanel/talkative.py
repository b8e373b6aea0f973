"""Libraries that tell Slicer's log far more than anybody wants to read."""

from __future__ import annotations

import logging

LIBRARIES = ("matplotlib", "PIL")
"""Loggers that write a line for every font and every part of a picture at the level that Slicer's log has."""


def quietLibraries() -> None:
    """Let these libraries tell warnings and errors only, where nobody has asked them for more.

    Slicer's root logger takes everything, down to what is meant for the developers of a library. A report has made
    thousands of such lines.
    """
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
