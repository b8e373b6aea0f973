"""Fixtures of the terminal's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("results", "models")]


@pytest.fixture
def seen(monkeypatch):
    """Put stand-ins in place of reading, pipeline and phantom; gives what they were asked."""
    from cli_stand_ins import make_modules

    asked = {}
    for name, module in make_modules(asked).items():
        monkeypatch.setitem(sys.modules, name, module)
    return asked
