"""Fixtures of the tests of results."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


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
