"""Whether another process still runs, asked in the way of each system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
"""Right to ask for the exit code, which Windows gives for every process of the same user (winnt.h)."""

ERROR_INVALID_PARAMETER = 87
"""What OpenProcess says of a number that no process has (winerror.h)."""

STILL_ACTIVE = 259
"""Exit code of a process that has not ended (minwinbase.h)."""


def hasEnded(number: int) -> bool:
    """Say whether no process has this number; no where the system does not tell.

    Parameters
    ----------
    number
        As `os.getpid` gives it.
    """
    if sys.platform == "win32":
        # The signal that asks elsewhere would end the process here.
        return _hasEndedOnWindows(number, ctypes.WinDLL("kernel32", use_last_error=True), ctypes.get_last_error)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _hasEndedOnWindows(number: int, kernel: Any, lastError: Callable[[], int]) -> bool:
    """Ask Windows for the exit code; ``kernel`` is kernel32."""
    # A handle is a pointer, which would be cut to an int where nothing is said of it.
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.OpenProcess.argtypes = (ctypes.c_ulong, ctypes.c_int, ctypes.c_ulong)
    kernel.GetExitCodeProcess.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
    process = kernel.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, number)
    if not process:
        return lastError() == ERROR_INVALID_PARAMETER
    try:
        code = ctypes.c_ulong(STILL_ACTIVE)
        answered = kernel.GetExitCodeProcess(process, ctypes.byref(code))
        return bool(answered) and code.value != STILL_ACTIVE
    finally:
        kernel.CloseHandle(process)
