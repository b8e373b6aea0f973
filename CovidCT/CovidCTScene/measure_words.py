"""What a reader of Slicer's tables sees: names of regions and measures, and units, in the user's language.

Slicer's translation looks for the caller's file each time, about 30 µs a text; so the words are translated once, at
their first use. A change of language takes a restart of Slicer.
"""

from __future__ import annotations

from functools import cache

from CovidCTLib.units import pretty_unit
from CovidCTScene.texts import tr as _

_BAND = ("aeration_", "_ml", "_percent")
"""How the measures of an aeration band are called: beginning, and the two ends (`band_measure_names`)."""


def titleWithUnit(title: str, unit: str) -> str:
    """Write a heading with its unit in parentheses; without parentheses where there is none."""
    return f"{title} ({pretty_unit(unit)})" if unit else title


def regionWords(region: str) -> str:
    """Give the name of a region of `CovidCTLib.measures.regions`; an unknown one is its own name."""
    return _regions().get(region) or region.removeprefix("area:")


@cache
def _regions() -> dict[str, str]:
    return {
        "both_lungs": _("both lungs"),
        "right_lung": _("right lung"),
        "left_lung": _("left lung"),
        "right_upper": _("right lung, upper third"),
        "right_middle": _("right lung, middle third"),
        "right_lower": _("right lung, lower third"),
        "left_upper": _("left lung, upper third"),
        "left_middle": _("left lung, middle third"),
        "left_lower": _("left lung, lower third"),
        "upper": _("both lungs, upper third"),
        "middle": _("both lungs, middle third"),
        "lower": _("both lungs, lower third"),
        "right_upper_lobe": _("right upper lobe"),
        "right_middle_lobe": _("right middle lobe"),
        "right_lower_lobe": _("right lower lobe"),
        "left_upper_lobe": _("left upper lobe"),
        "left_lower_lobe": _("left lower lobe"),
    }


def measureWords(name: str, label: str) -> str:
    """Give the name of a measure of `CovidCTLib.measures.definitions`.

    Parameters
    ----------
    name
        Its identifier.
    label
        What it is called where it is not known here, such as a measure of a later version.
    """
    names = _measures()
    if name in names:
        return names[name]
    begin, inMl, inPercent = _BAND
    if name.startswith(begin) and name.endswith(inMl):
        return _aeration()[0].format(band=_bandWords(name.removeprefix(begin).removesuffix(inMl)))
    if name.startswith(begin) and name.endswith(inPercent):
        return _aeration()[1].format(band=_bandWords(name.removeprefix(begin).removesuffix(inPercent)))
    return label


@cache
def _measures() -> dict[str, str]:
    return {
        "volume_ml": _("lung volume"),
        "ggo_volume_ml": _("ground-glass opacity"),
        "consolidation_volume_ml": _("consolidation"),
        "opacity_volume_ml": _("opacity volume (U-Net)"),
        "pleural_effusion_volume_ml": _("pleural effusion"),
        "opacity_percent": _("percentage of opacity"),
        "high_opacity_percent": _("percentage of high opacity"),
        "hu_mean": _("mean of HU"),
        "hu_sd": _("standard deviation of HU"),
        "hu_skewness": _("skewness of HU"),
        "hu_kurtosis": _("excess kurtosis of HU"),
        "hu_percentile_15": _("15th percentile of HU"),
        "mass_g": _("lung mass"),
        "corona_score_cm3": _("Corona Score"),
        "severity": _("severity of the zone (0 to 4)"),
        "severity_0_24": _("severity of six zones (0 to 24)"),
        "lobar_severity": _("severity of the lobe (0 to 5)"),
        "lobar_severity_0_25": _("severity of five lobes (0 to 25)"),
        "localization_volume_ml": _("localized volume"),
        "localization_percent": _("percentage localized"),
        "readings_difference_ml": _("opacity less localized volume"),
        "readings_dice": _("agreement of the two readings (Dice)"),
    }


def sliceWords(name: str, label: str) -> str:
    """Give the heading, without its unit, of a column of the table of slices; ``label`` as for `measureWords`."""
    return _columns().get(name, label)


@cache
def _columns() -> dict[str, str]:
    return {
        "index": _("slice"),
        "position_mm": _("position"),
        "positive": _("like COVID-19 (1 yes, 0 no)"),
        "probability_percent": _("probability"),
        "probability": _("probability, 0 to 1"),
        "opacity_percent": _("opacity"),
        "opacity_area_cm2": _("opacity"),
        "ggo_area_mm2": _("ground glass"),
        "consolidation_area_mm2": _("consolidation"),
        "localization_area_mm2": _("localization"),
        "effusion_area_mm2": _("pleural effusion"),
        "lung_area_mm2": _("lung"),
        "openness": _("open or closed"),
        "representative": _("representative (1 yes, 0 no)"),
        "vessel_area_mm2": _("vessels or lesions"),
        "vessel_ratio_percent": _("vessels or lesions"),
    }


@cache
def _aeration() -> tuple[str, str]:
    return _("aeration: {band}"), _("aeration: {band}, share")


def _bandWords(band: str) -> str:
    """Give the name of one of the usual aeration bands; a band of the user's has the user's name."""
    return _bands().get(band, band)


@cache
def _bands() -> dict[str, str]:
    return {
        "emphysema": _("emphysema"),
        "inflated": _("inflated"),
        "infiltrated": _("infiltrated"),
        "collapsed": _("collapsed"),
        "vessels": _("vessels"),
    }
