"""Fixtures of the tests of pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]


@pytest.fixture
def pictures(tmp_path):
    """Folder of three slices of a drawn chest, window -1200 to 300 HU."""
    from picture_maker import write_pictures

    folder = tmp_path / "pictures"
    write_pictures(folder)
    return folder
