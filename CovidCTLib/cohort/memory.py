"""How much memory there is, and how much a process has."""

from __future__ import annotations

import os
import sys
from typing import Any

MEMORY_SHARE = 0.8
"""Share of the free memory that the processes of a run plan with; the rest is for the system and its file cache."""


def resident_gb(process: int) -> float | None:
    """Resident memory of a process in 10^9 bytes; None where it ended or the system does not tell.

    Parameters
    ----------
    process
        Its number.
    """
    psutil = _psutil()
    if psutil is None:
        return None
    try:
        return float(psutil.Process(process).memory_info().rss) / 1e9
    except (psutil.Error, ValueError, OverflowError):
        return None


def peak_resident_gb() -> float | None:
    """Largest resident memory that this process had so far, in 10^9 bytes; None where the system does not tell."""
    if sys.platform == "win32":
        psutil = _psutil()
        return None if psutil is None else round(psutil.Process().memory_info().peak_wset / 1e9, 3)
    # psutil knows no peak on these systems.
    import resource

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 3)


def free_gb() -> float | None:
    """Memory that new processes can have, in 10^9 bytes; None where psutil is not installed."""
    psutil = _psutil()
    return None if psutil is None else float(psutil.virtual_memory().available) / 1e9


def _psutil() -> Any:
    """Import psutil, which tells memory on Linux, Windows and macOS; None where it is not installed."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil


def usable_processes(memory_gb: float) -> int:
    """Choose how many processes run at a time: one a core, but no more than the free memory allows, and at least one.

    Parameters
    ----------
    memory_gb
        Memory of each, in 10^9 bytes.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
    free = free_gb()
    return cores if free is None else max(1, min(cores, int(free * MEMORY_SHARE / memory_gb)))
