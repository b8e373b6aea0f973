"""Options of an analysis; every default is meant to be right for a clinician who changes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from CovidCTLib.errors import OptionsError
from CovidCTLib.hu import AERATION_BANDS, HIGH_OPACITY_HU, VESSEL_HU, AerationBand

LungEngine = Literal["network", "contour"]
LUNG_ENGINES: tuple[LungEngine, ...] = ("network", "contour")


@dataclass(frozen=True)
class Options:
    """How to analyze a scan.

    Parameters
    ----------
    lungs
        ``"network"`` or ``"contour"`` (no weights; healthy lungs only).
    device
        ``"auto"`` (a CUDA or Apple GPU if there is one, else the CPU), or a torch device such as ``"cpu"``
        or ``"cuda:0"``.
    threads
        CPU threads; None takes as many as the process may use.
    slice_threshold
        Probability in (0, 1) at or above which a slice is called like COVID-19; None takes the classifier's own, from
        its model card.
    case_threshold
        Share in [0, 1) of lung slices above which a case is called like COVID-19; None takes the classifier's own.
    localization_threshold
        Localization values in [0, 1) under it are set to zero before smoothing.
    localization_sigma_mm
        Standard deviation of the 3D Gaussian that smooths the localization, in mm; 0 leaves it as it is.
    high_opacity_hu
        Lower limit of high opacity, inclusive.
    vessel_hu
        Lower limit of vessels, inclusive.
    aeration_bands
        HU bands; each low limit inclusive, high limit exclusive.

    Raises
    ------
    OptionsError
        If a value is out of its range.
    """

    lungs: LungEngine = "network"
    device: str = "auto"
    threads: int | None = None
    slice_threshold: float | None = None
    case_threshold: float | None = None
    localization_threshold: float = 0.2
    localization_sigma_mm: float = 2.0
    high_opacity_hu: float = HIGH_OPACITY_HU
    vessel_hu: float = VESSEL_HU
    aeration_bands: tuple[AerationBand, ...] = AERATION_BANDS

    def __post_init__(self) -> None:
        if self.lungs not in LUNG_ENGINES:
            raise OptionsError(
                f"The lung engine must be one of {', '.join(LUNG_ENGINES)}, not {self.lungs!r}. Choose one."
            )
        if self.threads is not None and self.threads < 1:
            raise OptionsError(f"The number of threads must be at least 1, not {self.threads}. Correct it.")
        if self.slice_threshold is not None and not 0 < self.slice_threshold < 1:
            raise OptionsError(f"The slice threshold must lie between 0 and 1, not {self.slice_threshold}. Correct it.")
        if self.case_threshold is not None and not 0 <= self.case_threshold < 1:
            raise OptionsError(
                f"The case threshold must be at least 0 and under 1, not {self.case_threshold}. Correct it."
            )
        if not 0 <= self.localization_threshold < 1:
            raise OptionsError(
                f"The localization threshold must be at least 0 and under 1, not {self.localization_threshold}. "
                "Correct it."
            )
        if not 0 <= self.localization_sigma_mm <= 20:
            raise OptionsError(
                f"The localization sigma must lie within 0 and 20 mm, not {self.localization_sigma_mm}. Correct it."
            )
        for name, limit in (("high opacity", self.high_opacity_hu), ("vessels", self.vessel_hu)):
            if not math.isfinite(limit):
                raise OptionsError(f"The lower limit of {name} must be a finite number of HU, not {limit}. Correct it.")
        for band in self.aeration_bands:
            if not band.low_hu < band.high_hu:
                raise OptionsError(
                    f"The aeration band {band.name!r} must end above its start, but goes from {band.low_hu} to "
                    f"{band.high_hu} HU. Correct it."
                )
