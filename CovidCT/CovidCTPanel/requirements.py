"""What an analysis needs beyond the Python packages that Slicer ships."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable

PYTORCH_REQUIREMENT = ">=2.4"
"""Version of torch, which the PyTorch extension installs, for it knows the graphics card."""

REQUIREMENTS = {
    "monai": "monai>=1.4",
    "skimage": "scikit-image>=0.22",
    "matplotlib": "matplotlib>=3.10",
    "jinja2": "Jinja2>=3.1",
    "pylibjpeg": "pylibjpeg>=2.0",
    "libjpeg": "pylibjpeg-libjpeg>=2.1",
    "openjpeg": "pylibjpeg-openjpeg>=2.3",
}
"""Name to import, and what pip installs; versions as in ``pyproject.toml``. The two before the last three make the
report, the last three decode compressed DICOM files in the batch, for which Slicer ships pydicom and pyjpegls alone."""

PDF_REQUIREMENTS = {"plutoprint": "plutoprint>=0.23"}
"""What a PDF of the report needs besides; installed only when the first one is asked for."""

DICOM_REQUIREMENTS = {"highdicom": "highdicom>=0.27,<1", **PDF_REQUIREMENTS}
"""What DICOM results need besides: Slicer 5.12 ships highdicom; one of the objects is the report as a PDF."""

SHIPPED_BY_SLICER = ("numpy", "scipy", "SimpleITK", "pydicom", "vtk")
"""Packages that Slicer ships and that an installation must leave as they are."""


def isImportable(name: str) -> bool:
    """Say whether Python finds a package, without importing it."""
    return importlib.util.find_spec(name) is not None


def hasVersion(requirement: str, versionOf: Callable[[str], str]) -> bool:
    """Say whether the installed version of a package is one that is asked for; yes where that cannot be known.

    Parameters
    ----------
    requirement
        Name and versions, such as ``monai>=1.4``.
    versionOf
        Gives the version of an installed package; raises ImportError where there is none.
    """
    try:
        # Slicer ships it, but not every Python that runs the tests or the terminal has it.
        from packaging.requirements import Requirement
        from packaging.version import Version

        wanted = Requirement(requirement)
        # A development version of torch that is new enough will do.
        return wanted.specifier.contains(Version(versionOf(wanted.name)), prereleases=True)
    except (ImportError, ValueError):
        # No metadata, or a version that is written in another way: it is there, and nothing says that it is too old.
        return True


def isInstalled(name: str, requirement: str) -> bool:
    """Say whether Python finds a package, and in a version that is asked for; it is not imported."""
    return isImportable(name) and hasVersion(requirement, importlib.metadata.version)


def missingRequirements(
    isThere: Callable[[str, str], bool] = isInstalled, forPdf: bool = False, forDicom: bool = False
) -> tuple[str, ...]:
    """List what pip still has to install, torch excepted; empty if nothing.

    Parameters
    ----------
    isThere
        Says whether a package, of this name to import, is there as this requirement asks.
    forPdf, forDicom
        Whether a PDF, or DICOM results, are to be made too.
    """
    wanted = {**REQUIREMENTS, **(PDF_REQUIREMENTS if forPdf else {}), **(DICOM_REQUIREMENTS if forDicom else {})}
    return tuple(requirement for name, requirement in wanted.items() if not isThere(name, requirement))


def versionsToKeep(versionOf: Callable[[str], str]) -> list[str]:
    """Pin what Slicer ships to what is there, so that pip refuses where a package asks for another version.

    Parameters
    ----------
    versionOf
        Gives the version of an installed package; raises ImportError where there is none
        (``importlib.metadata.version``).
    """
    pins = []
    for package in SHIPPED_BY_SLICER:
        try:
            pins.append(f"{package}=={versionOf(package)}")
        except ImportError:
            # A package that Slicer holds without metadata cannot be replaced by pip either.
            continue
    return pins
