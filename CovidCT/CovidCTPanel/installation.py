"""Installation of what an analysis needs, once the user agreed; Slicer's own functions for it come as arguments."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.requirements import (
    PYTORCH_REQUIREMENT,
    isImportable,
    isInstalled,
    missingRequirements,
    versionsToKeep,
)
from CovidCTPanel.wait_cursor import waitCursor

TORCH_REQUIREMENT = f"torch{PYTORCH_REQUIREMENT}"

PYTORCH_EXTENSION = "PyTorchUtils"
"""Module of the extension PyTorch."""


def missingPackages(forPdf: bool = False, forDicom: bool = False) -> tuple[str, ...]:
    """List the packages that an analysis, or also a PDF or DICOM results, still need, torch first; empty if none."""
    torch = () if isInstalled("torch", TORCH_REQUIREMENT) else (TORCH_REQUIREMENT,)
    return torch + missingRequirements(forPdf=forPdf, forDicom=forDicom)


def isExtensionMissing() -> bool:
    """Say whether torch is still to be installed, but the extension that does it is not there."""
    return not isInstalled("torch", TORCH_REQUIREMENT) and not isImportable(PYTORCH_EXTENSION)


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


def installPackages(
    packaging: Any | None, pipInstall: Callable[[list[str]], Any], forPdf: bool = False, forDicom: bool = False
) -> None:
    """Install what is missing; what Slicer ships stays as it is.

    Parameters
    ----------
    packaging
        The module ``slicer.packaging`` of Slicer 5.12; None in 5.10, which has none.
    pipInstall
        ``slicer.util.pip_install``.
    forPdf, forDicom
        Whether what a PDF, or DICOM results, need is installed too.

    Raises
    ------
    CovidCTError
        If the PyTorch extension is missing, or packages were not installed, for example without a network.
    """
    if not isInstalled("torch", TORCH_REQUIREMENT):
        _installTorch()
    missing = list(missingRequirements(forPdf=forPdf, forDicom=forDicom))
    if not missing:
        return
    try:
        if packaging is not None:
            # As objects, for Slicer 5.12 takes no texts; the package is there wherever slicer.packaging is.
            requirement = importlib.import_module("packaging.requirements").Requirement
            with _constraints() as constraints:
                packaging.pip_ensure(
                    [requirement(text) for text in missing],
                    constraints=constraints,
                    prompt_install=False,
                    requester="CovidCT",
                )
        else:
            pipInstall([*missing, *versionsToKeep(importlib.metadata.version)])
    except Exception as error:
        # Slicer and pip have many ways to fail.
        raise CovidCTError(
            f"Python packages are needed, but could not be installed: {', '.join(missing)}. Connect the computer to "
            "the network and press the button again; Slicer's error log has the details."
        ) from error
    importlib.invalidate_caches()
    left = missingRequirements(forPdf=forPdf, forDicom=forDicom)
    if left:
        raise CovidCTError(
            f"Python packages were installed, but are not found: {', '.join(left)}. Restart Slicer and try again."
        )


def installWithConsent(
    missing: Sequence[str],
    extensionMissing: bool,
    confirm: Callable[[str], bool],
    tell: Callable[[str], None],
    install: Callable[[], None],
) -> bool:
    """Install what is missing if the user agrees.

    Parameters
    ----------
    missing
        As `missingPackages` lists it; where it is empty, nobody is asked.
    extensionMissing
        As `isExtensionMissing` says; then nothing is installed, for it would not be enough.
    confirm
        Asks the user a question, and gives the answer.
    tell
        Shows one sentence at once, or nothing where it is empty.
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
    if extensionMissing:
        text = _(
            "CovidCT needs {packages}. Torch comes with the extension PyTorch, which is not installed: choose View, "
            "Extensions Manager, install PyTorch, restart Slicer, and press the button again. It then asks before it "
            "downloads the packages. Nothing was installed now."
        )
        tell(text.format(packages=packages))
        return False
    question = _(
        "CovidCT needs Python packages that Slicer does not ship: {packages}. They are downloaded from the "
        "Python Package Index and installed into this Slicer. Install them now?"
    ).format(packages=packages)
    if not confirm(question):
        declined = _("Nothing was installed. CovidCT needs {packages}; press the button again to install them.")
        tell(declined.format(packages=packages))
        return False
    with waitCursor():
        tell(_("Installing {packages}. This takes some minutes; Slicer waits meanwhile.").format(packages=packages))
        try:
            install()
        finally:
            tell("")
    return True


@contextlib.contextmanager
def _constraints() -> Iterator[str]:
    """Lend a file that pins what Slicer ships: pip then refuses to replace it."""
    with tempfile.TemporaryDirectory(prefix="covidct-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, "constraints.txt")
        file.write_text("\n".join(versionsToKeep(importlib.metadata.version)) + "\n", encoding="utf-8")
        yield str(file)


def _installTorch() -> None:
    if not isImportable(PYTORCH_EXTENSION):
        raise CovidCTError(
            "The PyTorch extension is needed to install torch, but it is not there. Choose View, Extensions Manager, "
            "install PyTorch, restart Slicer and try again."
        )
    failed = "Torch is needed for the networks, but was not installed. Try again when online."
    try:
        # A module of another extension, which may be installed while Slicer runs.
        logic = importlib.import_module(PYTORCH_EXTENSION).PyTorchUtilsLogic()
        installed = logic.installTorch(askConfirmation=False, torchVersionRequirement=PYTORCH_REQUIREMENT)
    except Exception as error:
        # Its own refusals of a version are of many kinds, too.
        raise CovidCTError(failed) from error
    if installed is None:
        raise CovidCTError(failed)
