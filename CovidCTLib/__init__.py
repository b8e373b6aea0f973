"""CovidCT's library: from a chest CT to lungs, opacities, localization, Corona Score and report.

Importing this package is cheap: torch is loaded when `analyze` is called with a network.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "CovidCTError",
    "Options",
    "Scan",
    "__version__",
    "analyze",
    "measure",
    "read_scan",
    "read_segmentation",
    "write_results",
]

_HOMES = {
    "Analysis": "CovidCTLib.analysis",
    "CovidCTError": "CovidCTLib.errors",
    "Options": "CovidCTLib.options",
    "Scan": "CovidCTLib.scan",
    "analyze": "CovidCTLib.pipeline",
    "measure": "CovidCTLib.pipeline",
    "read_scan": "CovidCTLib.reading",
    "read_segmentation": "CovidCTLib.segments",
    "write_results": "CovidCTLib.results",
}


def __getattr__(name: str) -> Any:
    """Load public names on first use, so that ``import CovidCTLib`` stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'CovidCTLib' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
