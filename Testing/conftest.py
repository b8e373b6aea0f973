"""Fixtures of all tests: the shared data, where they are present, and a tiny file system."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Two cores serve all tests; more threads a process only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "2")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared CTs; tests that ask for it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared CTs are not at {SHARED}")
    return SHARED


@pytest.fixture
def mounted(tmp_path):
    """Mount a tiny file system on a folder; gives a function that takes mount's options."""
    point = tmp_path / "mounted"
    point.mkdir()
    done = []

    def mount(options):
        if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("mounting a tiny file system needs root on Linux")
        result = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], capture_output=True, check=False
        )
        if result.returncode:
            pytest.skip("this system does not let even root mount a tmpfs (container)")
        done.append(point)
        return point

    yield mount
    for place in done:
        subprocess.run(["umount", str(place)], check=True)
