"""What an analysis gives: arrays, measures, decisions and how they were made. Frozen; nothing here computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan

Stage = Literal["reading", "lungs", "opacities", "slices", "measures", "explaining", "comparing", "writing", "report"]
Openness = Literal["open", "closed", "no lung"]
Origin = Literal["network", "contour", "given", "corrected", "none"]
"""Where labels come from: CovidCT's networks or contours, a segmentation that was given, CovidCT's own after they were
corrected by hand; none where there are none."""


@dataclass(frozen=True)
class Progress:
    """One report of progress: the stage, and how much of the whole analysis is done (0 to 1)."""

    stage: Stage
    fraction: float


ProgressCallback = Callable[[Progress], None]
CancelCheck = Callable[[], bool]


@dataclass(frozen=True)
class AxialArrays:
    """A scan and its results in the canonical axial orientation; all arrays have shape ``geometry.shape_zyx``.

    Parameters
    ----------
    hu
        int16, HU.
    lungs
        uint8: 0 background, 1 right, 2 left; diseased lung included.
    opacities
        uint8: 0 none, 1 ground-glass opacity, 2 consolidation, 3 pleural effusion.
    localization
        float32 in [0, 1]: where the slice classifier looked, zero outside the lungs and in slices that it calls normal.
    geometry
        Grid of the arrays.
    spacing_known
        Whether the grid's spacing is the true one; where not, lengths, areas and volumes mean nothing.
    effusion_known
        Whether pleural effusion was looked for, so that none is 0 ml; where not, none says nothing.
    """

    hu: NDArray[np.int16]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    localization: NDArray[np.float32]
    geometry: Geometry
    spacing_known: bool = True
    effusion_known: bool = False


@dataclass(frozen=True)
class Measurement:
    """One value of one measure in one region; ``value`` is None with a ``reason`` where it is undefined.

    ``name`` is a key of `CovidCTLib.measures.definitions.DEFINITIONS`, which holds unit, definition and source;
    ``region`` is one of `CovidCTLib.measures.regions.REGIONS` or ``LOBES``, or an area (`area_region`).
    """

    region: str
    name: str
    value: float | None
    unit: str
    reason: str | None = None


@dataclass(frozen=True)
class SliceFinding:
    """What the slice classifier says of one axial slice; ``probability`` is None where the slice shows no lung."""

    probability: float | None
    positive: bool


@dataclass(frozen=True)
class SliceMeasures:
    """One axial slice, counted from the feet (``index`` 0) in the canonical orientation.

    Areas are in mm2, ``position_mm`` is the slice centre's S coordinate (positive to the head), ratios are None
    where the slice shows no lung, the area of pleural effusion is None where it was not looked for. Where the spacing
    is not known (`CovidCTLib.scan.ScanFacts.spacing_known`) areas and position are those of the nominal grid; they
    serve to compare slices, and tables and reports leave them out.
    """

    index: int
    position_mm: float
    lung_area_mm2: float
    openness: Openness
    representative: bool
    vessel_area_mm2: float
    vessel_ratio_percent: float | None
    ggo_area_mm2: float
    consolidation_area_mm2: float
    opacity_percent: float | None
    probability: float | None
    positive: bool
    localization_area_mm2: float
    effusion_area_mm2: float | None = None


LIKE_COVID, NOT_LIKE_COVID = "like COVID-19", "not like COVID-19"
"""The two decisions on a case. Other diseases are meant to be not like COVID-19, whatever else they are."""

_MOST_DECIMALS = 4
"""Decimals with which a share close to its threshold is told at most."""


@dataclass(frozen=True)
class CaseDecision:
    """Whether the case is called like COVID-19: share of positive slices among lung slices, above the threshold (B8).

    ``positive`` and ``positive_fraction`` are None, with a ``reason``, where no slice shows lung. ``judged_on`` says on
    which cases such decisions were judged.
    """

    positive: bool | None
    positive_fraction: float | None
    positive_slices: int
    lung_slices: int
    slice_threshold: float
    case_threshold: float
    reason: str | None = None
    judged_on: str = ""

    @property
    def verdict(self) -> str:
        """The decision in words; empty where there is none."""
        return {True: LIKE_COVID, False: NOT_LIKE_COVID, None: ""}[self.positive]

    @property
    def percent_words(self) -> str:
        """The share in percent, so finely that it stands on its own side of the threshold: 15.4, not 15, beside 15.

        Without decimals where these are not needed, with four at most; empty where there is no share.
        """
        if self.positive_fraction is None:
            return ""
        limit = float(self.limit_words)
        texts = [f"{100 * self.positive_fraction:.{digits}f}" for digits in range(_MOST_DECIMALS + 1)]
        above = self.positive_fraction > self.case_threshold
        return next((text for text in texts if (float(text) > limit) == above), texts[-1])

    @property
    def limit_words(self) -> str:
        """The threshold of the case in percent."""
        return f"{100 * self.case_threshold:.3g}"

    @property
    def words(self) -> str:
        """What was counted, by which thresholds slices and the case are called so, and what it was judged on."""
        return (
            f"{self.positive_slices} of {self.lung_slices} lung slices ({self.percent_words} %) are called {LIKE_COVID}"
            f", at a probability of at least {self.slice_threshold:.2f}. A case is called so when their share is above "
            f"{self.limit_words} %.{self.judged_on and ' '}{self.judged_on}"
        )


@dataclass(frozen=True)
class ModelUsed:
    """A network that took part.

    Parameters
    ----------
    name, version, sha256
        Its name, version and the SHA-256 of its weights.
    role
        What it was used for: ``"lungs"``, ``"opacities"`` or ``"slices"``.
    own
        Whether it is a user's, not one that ships with CovidCT.
    """

    name: str
    version: str
    sha256: str
    role: str = ""
    own: bool = False


@dataclass(frozen=True)
class Provenance:
    """Where the labels come from that were measured.

    Parameters
    ----------
    lungs, opacities, effusion, lobes
        Their origin; ``"none"`` where there are none, or where nobody looked for them.
    slices
        ``"network"``: the slice classifier judged the slices with these lungs; ``"before"``: it did not run again, and
        its answers are those of the analysis before.
    given_as
        Kind of the segmentation that was given, such as ``"Slicer segmentation"``; empty where none was.
    left_out
        Names of segments that are not known and were left out.
    """

    lungs: Origin = "network"
    opacities: Origin = "network"
    effusion: Origin = "network"
    lobes: Origin = "none"
    slices: Literal["network", "before"] = "network"
    given_as: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was corrected by hand, and what was given, in words; empty where CovidCT found everything itself."""
        named = (
            ("lungs", self.lungs), ("opacities", self.opacities), ("effusion", self.effusion), ("lobes", self.lobes),
        )  # fmt: skip
        corrected = [name for name, origin in named if origin == "corrected"]
        given = [name for name, origin in named if origin == "given"]
        parts = [f"{in_a_row(corrected)} corrected by hand"] if corrected else []
        return "; ".join([*parts, *([f"{in_a_row(given)} given"] if given else [])])


def in_a_row(names: Sequence[str]) -> str:
    """Join names as people do: ``a, b and c``."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


@dataclass(frozen=True)
class Analysis:
    """The result for one scan.

    Parameters
    ----------
    scan
        The scan on its own grid.
    lungs, opacities, localization
        As in `AxialArrays`, on the scan's own grid.
    axial
        The same in the canonical orientation, for pictures and measures.
    measures
        One entry a region and measure.
    slices
        One entry an axial slice, from the feet to the head.
    case
        The case decision.
    notices
        What a reader must know, worst first.
    options, models, seconds, versions
        How it was made; ``seconds`` per stage.
    provenance
        Where lungs, opacities and lobes come from.
    lobes
        uint8 on the scan's own grid, values of `CovidCTLib.labels.LOBE_LABELS`; None where none were given.
    areas
        Regions of interest by the user's names, bool on the scan's own grid.
    """

    scan: Scan
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    localization: NDArray[np.float32]
    axial: AxialArrays
    measures: tuple[Measurement, ...]
    slices: tuple[SliceMeasures, ...]
    case: CaseDecision
    notices: tuple[Notice, ...]
    options: Options
    models: tuple[ModelUsed, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    lobes: NDArray[np.uint8] | None = None
    areas: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def labelmap(self) -> NDArray[np.uint8]:
        """uint8 on the scan's own grid: 1 right lung, 2 left lung, 3 GGO, 4 consolidation, 5 pleural effusion."""
        return np.where(self.opacities > 0, self.opacities + np.uint8(2), self.lungs).astype(np.uint8, copy=False)

    def measure(self, region: str, name: str) -> Measurement:
        """Find one measurement.

        Raises
        ------
        KeyError
            If there is no such region or measure.
        """
        for entry in self.measures:
            if entry.region == region and entry.name == name:
                return entry
        raise KeyError(f"There is no measure {name!r} of region {region!r}.")
