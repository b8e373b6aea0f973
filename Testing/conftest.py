"""Fixtures of all tests: the shared data, where they are present."""

from __future__ import annotations

import os
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
