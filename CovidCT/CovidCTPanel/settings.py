"""What the user may set: its choices, and the arguments of the command line that they become."""

from __future__ import annotations

import enum
from typing import Any, Protocol

from slicer.i18n import tr as _

from CovidCTLib.errors import OptionsError
from CovidCTLib.hu import AERATION_BANDS, HIGH_OPACITY_HU, VESSEL_HU
from CovidCTLib.options import Options

SLICE_THRESHOLD_OF_MODEL = 0.0
CASE_THRESHOLD_OF_MODEL = -0.01
"""Values of the spin boxes that stand for the classifier's own threshold; no threshold of a user can have them."""

HIGHEST_THRESHOLD = 0.99
LOWEST_HU, HIGHEST_HU = -1000, 1000
"""Ends of the spin boxes, inclusive."""

DEFAULT_HIGH_OPACITY_HU = HIGH_OPACITY_HU
DEFAULT_VESSEL_HU = VESSEL_HU

HIGHEST_LOCALIZATION_THRESHOLD = 0.99
HIGHEST_SIGMA_MM = 20.0
"""Ends of the spin boxes, inclusive, as `CovidCTLib.options.Options` takes them."""

DEFAULT_LOCALIZATION_THRESHOLD = Options.localization_threshold
DEFAULT_LOCALIZATION_SIGMA_MM = Options.localization_sigma_mm
DEFAULT_AERATION_LIMITS_HU = tuple(int(band.high_hu) for band in AERATION_BANDS[:-1])
"""HU at which emphysema, inflated, infiltrated and collapsed lung end, exclusive."""


class Device(enum.Enum):
    """Where the networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"

    def label(self) -> str:
        """Give its name in the combo box."""
        names = {
            "auto": _("Automatic"),
            "cpu": _("Processor (CPU)"),
            "cuda": _("NVIDIA graphics card (CUDA)"),
            "mps": _("Apple graphics (MPS)"),
        }
        return names[self.value]


class LungsEngine(enum.Enum):
    """How the lungs are found."""

    network = "network"
    contour = "contour"

    def label(self) -> str:
        """Give its name in the combo box."""
        return {"network": _("Network"), "contour": _("Contours of the air")}[self.value]


class Settings(Protocol):
    """The settings as the parameter node holds them."""

    device: Device
    lungsEngine: LungsEngine
    sliceThreshold: float
    caseThreshold: float
    highOpacityHu: int
    vesselHu: int
    modelsFolder: str
    localizationThreshold: float
    localizationSigmaMm: float
    emphysemaEndHu: int
    inflatedEndHu: int
    infiltratedEndHu: int
    collapsedEndHu: int


def connectWidgets(parameterNode: Any, ui: Any) -> Any:
    """Connect the widgets with the property SlicerParameterName to a parameter node; give the tag to disconnect them.

    In Slicer up to 5.12 ``connectGui`` gives no tag, so that nothing can be disconnected: each time that the module
    opens, or the scene changes, one more parameter node would follow the widgets. This is what it does inside.
    """
    named = {widget.property("SlicerParameterName"): widget for widget in vars(ui).values()}
    return parameterNode.connectParametersToGui({name: widget for name, widget in named.items() if name})


def resetSettings(settings: Settings) -> None:
    """Set everything back to its default."""
    settings.device = Device.auto
    settings.lungsEngine = LungsEngine.network
    settings.sliceThreshold = SLICE_THRESHOLD_OF_MODEL
    settings.caseThreshold = CASE_THRESHOLD_OF_MODEL
    settings.highOpacityHu = DEFAULT_HIGH_OPACITY_HU
    settings.vesselHu = DEFAULT_VESSEL_HU
    settings.modelsFolder = ""
    settings.localizationThreshold = DEFAULT_LOCALIZATION_THRESHOLD
    settings.localizationSigmaMm = DEFAULT_LOCALIZATION_SIGMA_MM
    (
        settings.emphysemaEndHu,
        settings.inflatedEndHu,
        settings.infiltratedEndHu,
        settings.collapsedEndHu,
    ) = DEFAULT_AERATION_LIMITS_HU


def advancedText() -> str:
    """Name the defaults of the advanced limits."""
    return _(
        "Usual limits: aeration {bands} HU; localization from {threshold:g}, smoothed over {sigma:g} mm. Results with "
        "other limits are not comparable with published ones."
    ).format(
        bands=", ".join(f"{limit}" for limit in DEFAULT_AERATION_LIMITS_HU),
        threshold=DEFAULT_LOCALIZATION_THRESHOLD,
        sigma=DEFAULT_LOCALIZATION_SIGMA_MM,
    )


def aerationLimits(settings: Settings) -> tuple[int, ...]:
    """Give the HU at which each aeration band but the last ends.

    Raises
    ------
    OptionsError
        If they do not rise.
    """
    limits = (settings.emphysemaEndHu, settings.inflatedEndHu, settings.infiltratedEndHu, settings.collapsedEndHu)
    if list(limits) != sorted(set(limits)):
        shown = ", ".join(f"{limit}" for limit in limits)
        raise OptionsError(
            _("The limits of the aeration bands must rise, but are {limits} HU. Correct them under Advanced.").format(
                limits=shown
            )
        )
    return limits


def engineArguments(settings: Settings) -> list[str]:
    """Give the arguments that every command with networks takes.

    Raises
    ------
    OptionsError
        If the folder of own models is no full path.
    """
    arguments = ["--device", settings.device.value, "--lungs", settings.lungsEngine.value]
    folder = settings.modelsFolder.strip()
    if folder.startswith("-"):
        raise OptionsError(
            "The folder with your models must be a full path, but it starts with a hyphen. Choose it with the button."
        )
    return [*arguments, "--models", folder] if folder else arguments


def analysisArguments(settings: Settings) -> list[str]:
    """Give the arguments of ``covidct analyze``, input and output excepted; thresholds of the model are left out.

    Raises
    ------
    OptionsError
        As `engineArguments` and `aerationLimits`.
    """
    arguments = engineArguments(settings)
    if settings.sliceThreshold > SLICE_THRESHOLD_OF_MODEL:
        arguments += ["--slice-threshold", f"{settings.sliceThreshold:.4f}"]
    if settings.caseThreshold > CASE_THRESHOLD_OF_MODEL / 2:
        arguments += ["--case-threshold", f"{max(settings.caseThreshold, 0.0):.4f}"]
    # A negative number after a space would be read as an option.
    arguments += [f"--high-opacity={settings.highOpacityHu}", f"--vessel={settings.vesselHu}"]
    arguments += ["--localization-threshold", f"{settings.localizationThreshold:.4f}"]
    arguments += ["--localization-sigma", f"{settings.localizationSigmaMm:.4f}"]
    return [*arguments, "--aeration-limits", *(f"{limit}" for limit in aerationLimits(settings))]
