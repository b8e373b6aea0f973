"""The table of measures, one value a region and measure."""

from __future__ import annotations

from collections.abc import Mapping

from CovidCTLib.analysis import AxialArrays, Measurement
from CovidCTLib.measures.checks import check_axial
from CovidCTLib.measures.counts import RegionCounts, add_counts, count_zones
from CovidCTLib.measures.definitions import SIZE_UNITS, SPACING_REASON, band_measure_names, definitions_for
from CovidCTLib.measures.effusion import effusion_voxels_by_side
from CovidCTLib.measures.hu_statistics import hu_statistics, mass_g
from CovidCTLib.measures.regions import REGIONS, ZONES, ZONES_OF_REGION
from CovidCTLib.measures.severity import zone_severity
from CovidCTLib.options import Options
from CovidCTLib.units import MM3_PER_ML

WHOLE = "both_lungs"
"""The region that alone has the severity of six zones."""

_LUNGS = ("right_lung", "left_lung")
"""Regions that have the pleural effusion of their side; both together have all of it."""

NO_LUNG_REASON = "no lung was found in this region"
EFFUSION_REASON = "pleural effusion was not looked for"
CONSTANT_HU_REASON = "every voxel of the region has the same HU"
NOTHING_FOUND_REASON = "neither reading finds disease in this region"
MISSING_ZONE_REASON = "not all six zones show lung"


Values = dict[str, "float | str"]
"""Measures of a region by name: the value, or as text the reason why there is none."""


def measure_regions(axial: AxialArrays, options: Options) -> tuple[Measurement, ...]:
    """Measure the lungs and their thirds.

    Parameters
    ----------
    axial
        The scan and its results in the canonical orientation. Opacities and localization count inside the lungs only,
        pleural effusion everywhere.
    options
        Limit of high opacity and aeration bands.

    Returns
    -------
    tuple of Measurement
        By region in the order of `REGIONS`, then by measure in the order of `definitions_for`. Pleural effusion is
        given for both lungs and for the side of each, ``severity_0_24`` for both lungs only, ``severity`` for the six
        zones only. In a region without lung every value is None, with the reason.

    Raises
    ------
    InputError
        If arrays and grid do not fit together, a label is not known, or the localization leaves [0, 1].
    OptionsError
        If two aeration bands share a name or one has none, or a limit is not a number.

    Notes
    -----
    All regions are sums of the same whole-number counts in six zones: right and left add up to both lungs, and the
    thirds to their lung. If only one lung was found, the measures of both lungs are those of this lung. Where the
    spacing is not known, volumes, mass and Corona Score are None, with the reason.
    """
    check_axial(axial)
    definitions = definitions_for(options)
    zones = count_zones(axial, options.localization_threshold)
    voxel_ml = axial.geometry.voxel_volume_mm3 / MM3_PER_ML
    effusion = _effusion_ml(axial, voxel_ml)
    table: list[Measurement] = []
    for region in REGIONS:
        counts = add_counts([zones[zone] for zone in ZONES_OF_REGION[region]])
        values = measure_counts(counts, options, voxel_ml)
        if region in ZONES:
            values["severity"] = (
                float(zone_severity(counts.opacity_voxels, counts.voxels)) if counts.voxels else NO_LUNG_REASON
            )
        if region == WHOLE:
            values["severity_0_24"] = _six_zone_severity(zones)
        if region in effusion:
            values["pleural_effusion_volume_ml"] = effusion[region]
        if not axial.spacing_known:
            values = {name: without_size(value, definitions[name].unit) for name, value in values.items()}
        table += [
            measurement(region, name, values[name], definition.unit)
            for name, definition in definitions.items()
            if name in values
        ]
    return tuple(table)


def without_size(value: float | str, unit: str) -> float | str:
    """Put the reason in place of a value that needs the spacing."""
    return SPACING_REASON if unit in SIZE_UNITS and not isinstance(value, str) else value


def measurement(region: str, name: str, value: float | str, unit: str) -> Measurement:
    """Make a measurement; text in place of a value is the reason why there is none."""
    if isinstance(value, str):
        return Measurement(region, name, None, unit, value)
    return Measurement(region, name, value, unit)


def measure_counts(counts: RegionCounts, options: Options, voxel_ml: float) -> Values:
    """Compute the measures that every region has."""
    voxels = counts.voxels
    in_ml = {
        "volume_ml": voxels,
        "ggo_volume_ml": counts.ggo_voxels,
        "consolidation_volume_ml": counts.consolidation_voxels,
        "opacity_volume_ml": counts.opacity_voxels,
    }
    in_percent = {
        "opacity_percent": counts.opacity_voxels,
        "high_opacity_percent": counts.high_opacity_voxels(options.high_opacity_hu),
    }
    for band in options.aeration_bands:
        volume_name, share_name = band_measure_names(band)
        in_ml[volume_name] = in_percent[share_name] = counts.band_voxels(band.low_hu, band.high_hu)
    values: Values = {name: number * voxel_ml for name, number in in_ml.items()}
    values.update((name, 100 * number / voxels if voxels else 0.0) for name, number in in_percent.items())
    values.update(hu_values(counts, voxel_ml))
    values["corona_score_cm3"] = counts.localization_sum * voxel_ml  # 1 cm3 is 1 ml.
    values.update(_readings(counts, voxel_ml))
    return values if voxels else dict.fromkeys(values, NO_LUNG_REASON)


def _readings(counts: RegionCounts, voxel_ml: float) -> Values:
    """Compare the two readings: the opacities and the localized lung."""
    both = counts.opacity_voxels + counts.localized_voxels
    return {
        "localization_volume_ml": counts.localized_voxels * voxel_ml,
        "localization_percent": 100 * counts.localized_voxels / counts.voxels if counts.voxels else 0.0,
        "readings_difference_ml": (counts.opacity_voxels - counts.localized_voxels) * voxel_ml,
        "readings_dice": 2 * counts.shared_voxels / both if both else NOTHING_FOUND_REASON,
    }


def hu_values(counts: RegionCounts, voxel_ml: float) -> Values:
    """Compute the statistics of HU and the mass."""
    hu, voxels = counts.hu, counts.all_hu
    statistics = hu_statistics(hu, voxels)
    if statistics is None:
        names = ("hu_mean", "hu_sd", "hu_skewness", "hu_kurtosis", "hu_percentile_15", "mass_g")
        return dict.fromkeys(names, NO_LUNG_REASON)
    return {
        "hu_mean": statistics.mean_hu,
        "hu_sd": statistics.sd_hu,
        "hu_skewness": CONSTANT_HU_REASON if statistics.skewness is None else statistics.skewness,
        "hu_kurtosis": CONSTANT_HU_REASON if statistics.kurtosis is None else statistics.kurtosis,
        "hu_percentile_15": statistics.percentile_15_hu,
        "mass_g": mass_g(hu, voxels, voxel_ml),
    }


def _six_zone_severity(zones: Mapping[str, RegionCounts]) -> float | str:
    """Add up the severity of the six zones; without one of them the sum would look milder than it is."""
    if not any(counts.voxels for counts in zones.values()):
        return NO_LUNG_REASON
    if not all(counts.voxels for counts in zones.values()):
        return MISSING_ZONE_REASON
    return float(sum(zone_severity(counts.opacity_voxels, counts.voxels) for counts in zones.values()))


def _effusion_ml(axial: AxialArrays, voxel_ml: float) -> Mapping[str, float | str]:
    """Measure pleural effusion of each side and of both; where it was not looked for, no 0 is claimed."""
    right, left = effusion_voxels_by_side(axial.opacities, axial.lungs)
    values: dict[str, float | str] = dict.fromkeys((WHOLE, *_LUNGS), EFFUSION_REASON)
    if axial.effusion_known or right + left:
        values.update({WHOLE: (right + left) * voxel_ml, _LUNGS[0]: right * voxel_ml, _LUNGS[1]: left * voxel_ml})
    return values
