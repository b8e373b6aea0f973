"""Paths of the makers that other tests have, and what the hostile tests share."""

from __future__ import annotations

import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING / name) for name in ("results", "reading", "models", "scene", "hostile", "cli")]
