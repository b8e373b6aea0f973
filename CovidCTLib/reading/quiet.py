"""Keep the messages of pydicom and ITK off the terminal: they may quote header values and help no user."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
import SimpleITK as sitk

_STDERR = 2


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings and log lines, which can quote element values of the patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silence ITK, whose file formats print from C straight to the process's standard error.

    Notes
    -----
    The process's file descriptor 2 points to the null device meanwhile. Where there is none (a windowed application
    without console), only ITK's own warnings are switched off.
    """
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        saved = os.dup(_STDERR)
    except OSError:
        saved = None
    try:
        if saved is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR)
            os.close(null)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, _STDERR)
            os.close(saved)
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
