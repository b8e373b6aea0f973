"""How much memory there is, and how much a process has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MEMORY_SHARE = 0.8
"""Share of the free memory that the processes of a run plan with; the rest is for the system and its file cache."""


def resident_gb(process: int) -> float | None:
    """Resident memory of a process in 10^9 bytes; None where it ended or the system does not tell.

    Parameters
    ----------
    process
        Its number.
    """
    try:
        if sys.platform.startswith("linux"):
            pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e9
        if os.name == "posix":
            told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=False)
            return int(told.stdout) * 1024 / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return None


def free_gb() -> float | None:
    """Memory that new processes can have, in 10^9 bytes; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return None


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
