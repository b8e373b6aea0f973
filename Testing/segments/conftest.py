"""Fixtures: the boxes of these tests are smaller than any chest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for neighbour in ("dicom_results", "reading", "results"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / neighbour))


@pytest.fixture(scope="session", autouse=True)
def small_lungs():
    """Let lungs of a few millilitres pass for those of a chest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.1)
        yield
