"""What an analysis needs beyond the Python packages that Slicer ships."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

PYTORCH_REQUIREMENT = ">=2.3"
"""Version of torch, which the PyTorch extension installs, for it knows the graphics card."""

REQUIREMENTS = {
    "monai": "monai>=1.4",
    "skimage": "scikit-image>=0.22",
}
"""Name to import, and what pip installs; versions as in ``pyproject.toml``."""


def isImportable(name: str) -> bool:
    """Say whether Python finds a package, without importing it."""
    return importlib.util.find_spec(name) is not None


def missingRequirements(isThere: Callable[[str], bool] = isImportable) -> tuple[str, ...]:
    """List what pip still has to install, torch excepted; empty if nothing.

    Parameters
    ----------
    isThere
        Says whether a package of this name can be imported.
    """
    return tuple(requirement for name, requirement in REQUIREMENTS.items() if not isThere(name))
