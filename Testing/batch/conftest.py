"""The batch's tests get reading, pipeline and networks that answer at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("results", "batch")]


@pytest.fixture
def quick(monkeypatch):
    """Stand-ins in place of reading, pipeline and networks; gives what they were asked and how they are to behave."""
    from batch_stand_ins import Quick

    made = Quick()
    for name, module in made.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return made
