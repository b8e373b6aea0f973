"""Installation of what an analysis needs, once the user agreed; Slicer's own functions for it come as arguments."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.requirements import (
    PYTORCH_REQUIREMENT,
    SHIPPED_BY_SLICER,
    isImportable,
    isInstalled,
    missingRequirements,
    versionsToKeep,
)

TORCH_REQUIREMENT = f"torch{PYTORCH_REQUIREMENT}"

FAILURES = (RuntimeError, OSError, ImportError, subprocess.CalledProcessError)
"""What Slicer's functions raise where an installation fails: pip's exit code, or a package that does not load then."""


def missingPackages(forPdf: bool = False) -> tuple[str, ...]:
    """List the packages that an analysis, or also a PDF, still needs, torch first; empty if it can be made."""
    torch = () if isInstalled("torch", TORCH_REQUIREMENT) else (TORCH_REQUIREMENT,)
    return torch + missingRequirements(forPdf=forPdf)


def requirePackages() -> None:
    """Refuse to go on without the packages.

    Raises
    ------
    CovidCTError
        If any is missing.
    """
    missing = missingPackages()
    if missing:
        raise CovidCTError(
            f"The analysis needs Python packages that are not installed: {', '.join(missing)}. Press Analyze in "
            "the module's panel, or call CovidCTLogic().installMissingPackages()."
        )


def installPackages(packaging: Any | None, pipInstall: Callable[[list[str]], Any], forPdf: bool = False) -> None:
    """Install what is missing; what Slicer ships stays as it is.

    Parameters
    ----------
    packaging
        The module ``slicer.packaging`` of Slicer 5.12; None in 5.10, which has none.
    pipInstall
        ``slicer.util.pip_install``.
    forPdf
        Whether what a PDF needs is installed too.

    Raises
    ------
    CovidCTError
        If the PyTorch extension is missing, or packages were not installed, for example without a network.
    """
    if not isInstalled("torch", TORCH_REQUIREMENT):
        _installTorch()
    missing = list(missingRequirements(forPdf=forPdf))
    if not missing:
        return
    try:
        if packaging is not None:
            # As objects, for Slicer 5.12 takes no texts; the package is there wherever slicer.packaging is.
            requirement = importlib.import_module("packaging.requirements").Requirement
            packaging.pip_ensure(
                [requirement(text) for text in missing],
                skip_packages=list(SHIPPED_BY_SLICER),
                prompt_install=False,
                requester="CovidCT",
            )
        else:
            # Without a list of what to skip, Slicer's own versions are pinned: pip then refuses to replace them.
            pipInstall([*missing, *versionsToKeep(importlib.metadata.version)])
    except FAILURES as error:
        raise CovidCTError(
            f"Python packages are needed, but could not be installed: {', '.join(missing)}. Connect the computer to "
            "the network and press the button again; Slicer's error log has the details."
        ) from error
    importlib.invalidate_caches()
    left = missingRequirements(forPdf=forPdf)
    if left:
        raise CovidCTError(
            f"Python packages were installed, but are not found: {', '.join(left)}. Restart Slicer and try again."
        )


def installWithConsent(
    missing: Sequence[str], confirm: Callable[[str], bool], tell: Callable[[str], None], install: Callable[[], None]
) -> bool:
    """Install what is missing if the user agrees.

    Parameters
    ----------
    missing
        As `missingPackages` lists it; where it is empty, nobody is asked.
    confirm
        Asks the user a question, and gives the answer.
    tell
        Shows one sentence where the user declines.
    install
        Installs; may raise CovidCTError.

    Returns
    -------
    bool
        Whether everything is there now.
    """
    if not missing:
        return True
    packages = ", ".join(missing)
    question = _(
        "CovidCT needs Python packages that Slicer does not ship: {packages}. They are downloaded from the "
        "Python Package Index and installed into this Slicer. Install them now?"
    ).format(packages=packages)
    if not confirm(question):
        declined = _("Nothing was installed. CovidCT needs {packages}; press the button again to install them.")
        tell(declined.format(packages=packages))
        return False
    install()
    return True


def _installTorch() -> None:
    if not isImportable("PyTorchUtils"):
        raise CovidCTError(
            "The PyTorch extension is needed to install torch, but it is not there. Install it in the "
            "Extensions Manager, restart Slicer and try again."
        )
    failed = "Torch is needed for the networks, but was not installed. Try again when online."
    try:
        # A module of another extension, which may be installed while Slicer runs.
        logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
        installed = logic.installTorch(askConfirmation=False, torchVersionRequirement=PYTORCH_REQUIREMENT)
    except FAILURES as error:
        raise CovidCTError(failed) from error
    if installed is None:
        raise CovidCTError(failed)
