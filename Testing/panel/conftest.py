"""The module's folder and the scene's test helpers on the path."""

from __future__ import annotations

import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
for folder in (TESTING / "scene", TESTING.parent / "CovidCT"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
