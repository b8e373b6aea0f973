"""What every number means: name, unit, definition and source of each measure.

`DEFINITIONS` holds the measures of regions with the default limits, `SLICE_DEFINITIONS` the columns of the table of
slices. `definitions_for` and `slice_definitions_for` write the limits of given options into the sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from CovidCTLib.errors import OptionsError
from CovidCTLib.hu import AERATION_BANDS, AerationBand
from CovidCTLib.measures.representative import AERATED_BELOW_HU, OPEN_FRACTION
from CovidCTLib.options import Options

OWN = "CovidCT"
OPACITY_SOURCE = "Chaganti et al. 2020, doi:10.1148/ryai.2020200048"
FLEISCHNER = "terms: Hansell et al. 2008, doi:10.1148/radiol.2462070712"
PAN_SOURCE = "Pan et al. 2020, doi:10.1148/radiol.2020200370"
ZONES_SOURCE = "Ooi et al. 2004, doi:10.1148/radiol.2303030853; zones by equal heights: CovidCT"
MOMENTS_SOURCE = "Joanes and Gill 1998, doi:10.1111/1467-9884.00122"
PERCENTILE_SOURCE = "Dirksen et al. 1999, doi:10.1164/ajrccm.160.5.9901055"
MASS_SOURCE = "Mull 1984, doi:10.2214/ajr.143.5.1101"
LOCALIZATION_SOURCE = "Gozes et al. 2020, arXiv:2003.05037"
DICE_SOURCE = "Dice 1945, doi:10.2307/1932409"
AERATION_SOURCE = "limits of Slicer's Lung CT Analyzer, github.com/rbumm/SlicerLungCTAnalyzer"
AERATED_SOURCE = "Gattinoni et al. 2001, doi:10.1164/ajrccm.164.9.2103121"
POPULATION_SOURCE = "population study of 1,294 scans (InRad open data)"

NO_UNIT = ""
"""Unit of numbers without one (skewness, kurtosis) and of columns that hold no number."""

SIZE_UNITS = frozenset({"mm", "mm2", "ml", "cm3", "g"})
"""Units of what cannot be told where the spacing is not known; shares, HU and points can."""

SPACING_REASON = "the spacing of the slices and their pixels is not known"
"""Reason for their absence."""


@dataclass(frozen=True)
class MeasureDefinition:
    """What one measure means.

    Parameters
    ----------
    name
        Key of the measure, as in `CovidCTLib.analysis.Measurement.name` or a column of the table of slices.
    label
        Name for people.
    unit
        Unit of the value; `NO_UNIT` where there is none.
    definition
        One or more sentences that say how the value is computed.
    source
        Where the definition or its limits come from, or ``"CovidCT"``.
    """

    name: str
    label: str
    unit: str
    definition: str
    source: str


def definitions_for(options: Options) -> Mapping[str, MeasureDefinition]:
    """Define the measures of regions, with the limits of the options.

    Parameters
    ----------
    options
        Options of the analysis; its aeration bands have two measures each.

    Returns
    -------
    Mapping[str, MeasureDefinition]
        By name, in the order of the tables.

    Raises
    ------
    OptionsError
        If an aeration band has no name, or two bands share one.
    """
    _check_band_names(options.aeration_bands)
    listed = (
        *_volume_definitions(options),
        *(entry for band in options.aeration_bands for entry in _band_definitions(band)),
        *_HU_DEFINITIONS,
        *_SCORE_DEFINITIONS,
        *_readings_definitions(options),
    )
    return MappingProxyType({entry.name: entry for entry in listed})


def band_measure_names(band: AerationBand) -> tuple[str, str]:
    """Name the two measures of an aeration band: its volume in ml and its share in percent."""
    return f"aeration_{band.name}_ml", f"aeration_{band.name}_percent"


def _check_band_names(bands: tuple[AerationBand, ...]) -> None:
    for name, times in Counter(band.name for band in bands).items():
        if not name.strip():
            raise OptionsError("Every aeration band needs a name, but one has none. Name it.")
        if times > 1:
            raise OptionsError(f"Each aeration band needs its own name, but {times} are called {name!r}. Rename them.")


def _volume_definitions(options: Options) -> tuple[MeasureDefinition, ...]:
    return (
        MeasureDefinition(
            "volume_ml", "lung volume", "ml",
            "Voxels of the lung in this region times the voxel volume; diseased lung counts, windpipe and main bronchi "
            "do not.",
            OWN,
        ),
        MeasureDefinition(
            "ggo_volume_ml", "ground-glass opacity", "ml",
            "Voxels inside the lungs that the U-Net labels as ground-glass opacity, times the voxel volume.",
            f"{OWN}; {FLEISCHNER}",
        ),
        MeasureDefinition(
            "consolidation_volume_ml", "consolidation", "ml",
            "Voxels inside the lungs that the U-Net labels as consolidation, times the voxel volume.",
            f"{OWN}; {FLEISCHNER}",
        ),
        MeasureDefinition(
            "opacity_volume_ml", "opacity volume (U-Net)", "ml",
            "Ground-glass opacity and consolidation together. A reading of its own beside the Corona Score, which "
            "comes from the slice classifier.",
            OWN,
        ),
        MeasureDefinition(
            "pleural_effusion_volume_ml", "pleural effusion", "ml",
            "Voxels labelled as pleural effusion, which is no lung and counts in no share of opacity, times the voxel "
            "volume. The side is that of the column half way between the centres of the two lungs.",
            f"{OWN}; {FLEISCHNER}",
        ),
        MeasureDefinition(
            "opacity_percent", "percentage of opacity", "%",
            "100 times the volume of ground-glass opacity and consolidation, divided by the lung volume.",
            OPACITY_SOURCE,
        ),
        MeasureDefinition(
            "high_opacity_percent", "percentage of high opacity", "%",
            f"100 times the volume of opacity voxels at or above {options.high_opacity_hu:g} HU, divided by the lung "
            "volume.",
            OPACITY_SOURCE,
        ),
    )  # fmt: skip


def _band_definitions(band: AerationBand) -> tuple[MeasureDefinition, MeasureDefinition]:
    in_ml, in_percent = band_measure_names(band)
    limits = f"from {band.low_hu:g} (inclusive) to {band.high_hu:g} HU (exclusive)"
    if band.low_hu == float("-inf"):
        limits = f"under {band.high_hu:g} HU"
    if band.high_hu == float("inf"):
        limits = f"at or above {band.low_hu:g} HU" if band.low_hu != float("-inf") else "of any HU"
    source = AERATION_SOURCE if band in AERATION_BANDS else "the user's options"
    return (
        MeasureDefinition(
            in_ml, f"aeration: {band.name}", "ml", f"Lung voxels {limits} times the voxel volume.", source
        ),
        MeasureDefinition(
            in_percent, f"aeration: {band.name}, share", "%", f"100 times the lung voxels {limits}, divided by all "
            "lung voxels of the region.", source,
        ),
    )  # fmt: skip


_HU_DEFINITIONS = (
    MeasureDefinition("hu_mean", "mean of HU", "HU", "Mean HU of all lung voxels of the region.", OWN),
    MeasureDefinition(
        "hu_sd", "standard deviation of HU", "HU",
        "Standard deviation of the HU of all lung voxels, divided by their number (population).", OWN,
    ),
    MeasureDefinition(
        "hu_skewness", "skewness of HU", NO_UNIT,
        "Fisher's g1: third central moment of the HU divided by the standard deviation cubed.",
        MOMENTS_SOURCE,
    ),
    MeasureDefinition(
        "hu_kurtosis", "excess kurtosis of HU", NO_UNIT,
        "Fisher's g2: fourth central moment of the HU divided by the fourth power of the standard deviation, less 3, "
        "so that a normal distribution has 0.",
        MOMENTS_SOURCE,
    ),
    MeasureDefinition(
        "hu_percentile_15", "15th percentile of HU", "HU",
        "HU under which 15 % of the lung voxels lie, interpolated linearly between voxels.", PERCENTILE_SOURCE,
    ),
    MeasureDefinition(
        "mass_g", "lung mass", "g",
        "Sum over the lung voxels of the density (HU + 1000) / 1000 g/ml times the voxel volume; tissue, blood and "
        "fluid count, air weighs nothing.",
        MASS_SOURCE,
    ),
)  # fmt: skip

_SCORE_DEFINITIONS = (
    MeasureDefinition(
        "corona_score_cm3", "Corona Score", "cm3",
        "Sum of the slice classifier's localization (0 to 1) over the lung voxels of the region, times the voxel "
        "volume; slices that the classifier calls normal count 0.",
        LOCALIZATION_SOURCE,
    ),
    MeasureDefinition(
        "severity", "severity of the zone (0 to 4)", "points",
        "Share of opacity in one third of one lung: 0 none, 1 under 25 %, 2 under 50 %, 3 under 75 %, 4 the rest. "
        "Thirds have equal heights along the body axis.",
        ZONES_SOURCE,
    ),
    MeasureDefinition(
        "severity_0_24", "severity of six zones (0 to 24)", "points",
        "Sum of the severity of the six zones, the thirds of both lungs.",
        ZONES_SOURCE,
    ),
)  # fmt: skip


def _readings_definitions(options: Options) -> tuple[MeasureDefinition, ...]:
    localized = f"localization is at least {options.localization_threshold:g} and not 0"
    return (
        MeasureDefinition(
            "localization_volume_ml", "localized volume", "ml",
            f"Lung voxels whose {localized}, times the voxel volume: where the slice classifier looked.", OWN,
        ),
        MeasureDefinition(
            "localization_percent", "percentage localized", "%",
            f"100 times the lung voxels whose {localized}, divided by all lung voxels of the region.", OWN,
        ),
        MeasureDefinition(
            "readings_difference_ml", "opacity less localized volume", "ml",
            "Volume of ground-glass opacity and consolidation less the localized volume: how far the two readings of "
            "the disease are apart.",
            OWN,
        ),
        MeasureDefinition(
            "readings_dice", "agreement of the two readings (Dice)", NO_UNIT,
            "Twice the lung voxels that are both opaque and localized, divided by the sum of the opaque and of the "
            "localized ones; 0 apart, 1 the same.",
            DICE_SOURCE,
        ),
    )  # fmt: skip


def slice_definitions_for(options: Options) -> Mapping[str, MeasureDefinition]:
    """Define the columns of the table of slices, with the limits of the options.

    Parameters
    ----------
    options
        Options of the analysis.

    Returns
    -------
    Mapping[str, MeasureDefinition]
        One entry for each field of `CovidCTLib.analysis.SliceMeasures`, in its order.
    """
    listed = (
        MeasureDefinition("index", "slice", NO_UNIT, "Number of the axial slice, counted from 0 at the feet.", OWN),
        MeasureDefinition(
            "position_mm", "position", "mm",
            "Superior coordinate of the slice's centre in patient space, positive towards the head.",
            "DICOM PS3.3, C.7.6.2.1.1",
        ),
        MeasureDefinition(
            "lung_area_mm2", "lung area", "mm2", "Lung pixels of the slice times the pixel area.", POPULATION_SOURCE,
        ),
        MeasureDefinition(
            "openness", "open or closed", NO_UNIT,
            f"Open if the lung area under {AERATED_BELOW_HU} HU is at least {100 * OPEN_FRACTION:g} % of the "
            "representative slice's lung area, closed if less, no lung without lung pixels.",
            f"idea: {POPULATION_SOURCE}; aeration: {AERATED_SOURCE}; share: {OWN}",
        ),
        MeasureDefinition(
            "representative", "representative", NO_UNIT,
            "The slice with the largest lung area, of several alike the lowest.", POPULATION_SOURCE,
        ),
        MeasureDefinition(
            "vessel_area_mm2", "vessels (or lesions)", "mm2",
            f"Lung pixels at or above {options.vessel_hu:g} HU times the pixel area. Vessels and dense lesions are not "
            "told apart.",
            POPULATION_SOURCE,
        ),
        MeasureDefinition(
            "vessel_ratio_percent", "vessel (or lesion) ratio", "%",
            "100 times the area of vessels (or lesions) divided by the lung area.", POPULATION_SOURCE,
        ),
        MeasureDefinition(
            "ggo_area_mm2", "ground-glass opacity", "mm2",
            "Lung pixels that the U-Net labels as ground-glass opacity, times the pixel area.", OWN,
        ),
        MeasureDefinition(
            "consolidation_area_mm2", "consolidation", "mm2",
            "Lung pixels that the U-Net labels as consolidation, times the pixel area.", OWN,
        ),
        MeasureDefinition(
            "opacity_percent", "percentage of opacity", "%",
            "100 times the area of ground-glass opacity and consolidation, divided by the slice's lung area.",
            f"{OPACITY_SOURCE}, per slice: {OWN}",
        ),
        MeasureDefinition(
            "probability", "probability", NO_UNIT,
            "The slice classifier's probability (0 to 1) that the slice is like COVID-19; none where it shows no lung.",
            LOCALIZATION_SOURCE,
        ),
        MeasureDefinition(
            "positive", "like COVID-19", NO_UNIT,
            "Whether the probability reaches the slice threshold of the case decision.", LOCALIZATION_SOURCE,
        ),
        MeasureDefinition(
            "localization_area_mm2", "localization area", "mm2",
            f"Lung pixels whose localization is at least {options.localization_threshold:g} and not 0, times the pixel "
            "area.",
            OWN,
        ),
        MeasureDefinition(
            "effusion_area_mm2", "pleural effusion", "mm2",
            "Pixels labelled as pleural effusion, which are no lung, times the pixel area; none where it was not "
            "looked for.",
            f"{OWN}; {FLEISCHNER}",
        ),
    )  # fmt: skip
    return MappingProxyType({entry.name: entry for entry in listed})


DEFINITIONS: Mapping[str, MeasureDefinition] = definitions_for(Options())
"""Measures of regions by name, with the default limits."""

SLICE_DEFINITIONS: Mapping[str, MeasureDefinition] = slice_definitions_for(Options())
"""Columns of the table of slices by name, with the default limits."""


def absent_columns(spacing_known: bool) -> frozenset[str]:
    """Name the columns of the table of slices that cannot be told: lengths and areas where the spacing is not known."""
    if spacing_known:
        return frozenset()
    return frozenset(name for name, entry in SLICE_DEFINITIONS.items() if entry.unit in SIZE_UNITS)
