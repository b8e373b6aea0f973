"""Coded concepts of the DICOM results: findings, regions, measures and units.

Codes of DICOM's dictionaries (PS3.16), SNOMED CT, IBSI and UCUM are used wherever one says what is meant; the private
scheme `PRIVATE_SCHEME` stands for the rest. Types and colours of segments are those of `CovidCTLib.labels`, which the
Slicer module's terminology file lists, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from CovidCTLib.labels import CONSOLIDATION, GGO, LEFT_LUNG, LOBE_LABELS, PLEURAL_EFFUSION, RIGHT_LUNG, Code, Label

PRIVATE_SCHEME = "99COVIDCT"
"""Designator of CovidCT's own codes (DICOM PS3.3, 8.2: private schemes begin with 99)."""

PRIVATE_SCHEME_NAME = "Measures of CovidCT, research software"

LONGEST_MEANING = 64
"""Characters of a code's meaning at most (DICOM PS3.3, 8.3)."""

LUNG = Code("39607008", "SCT", "Lung")
RIGHT_SIDE = Code("24028007", "SCT", "Right")
LEFT_SIDE = Code("7771000", "SCT", "Left")
BOTH_SIDES = Code("51440002", "SCT", "Right and left")
_THIRD_CODES = {
    "upper": Code("UPPER-THIRD", PRIVATE_SCHEME, "Upper third, by equal heights"),
    "middle": Code("MIDDLE-THIRD", PRIVATE_SCHEME, "Middle third, by equal heights"),
    "lower": Code("LOWER-THIRD", PRIVATE_SCHEME, "Lower third, by equal heights"),
}

LOBES: Mapping[str, Code] = MappingProxyType({label.segment_id: label.type for label in LOBE_LABELS})
"""Lobes in the order of their values, from 1, in an array of lobes."""

OPACITY = Code("OPACITY", PRIVATE_SCHEME, "Ground-glass opacity or consolidation")
LOCALIZED = Code("LOCALIZED", PRIVATE_SCHEME, "Where the slice classifier looked")
CASE = Code("CASE", PRIVATE_SCHEME, "Case decision of COVID-19 pneumonia")

_VOLUME = Code("118565006", "SCT", "Volume")
_PERCENT_OF_LUNG = Code("PERCENT-LUNG", PRIVATE_SCHEME, "Share of the lung volume of the region")

MEASURES: Mapping[str, tuple[Code, Code]] = MappingProxyType(
    {
        "volume_ml": (LUNG, _VOLUME),
        "ggo_volume_ml": (GGO.type, _VOLUME),
        "consolidation_volume_ml": (CONSOLIDATION.type, _VOLUME),
        "opacity_volume_ml": (OPACITY, _VOLUME),
        "pleural_effusion_volume_ml": (PLEURAL_EFFUSION.type, _VOLUME),
        "localization_volume_ml": (LOCALIZED, _VOLUME),
        "opacity_percent": (OPACITY, _PERCENT_OF_LUNG),
        "localization_percent": (LOCALIZED, _PERCENT_OF_LUNG),
        "high_opacity_percent": (OPACITY, Code("PERCENT-HIGH", PRIVATE_SCHEME, "Share of high opacity in the lung")),
        "corona_score_cm3": (LOCALIZED, Code("CORONA-SCORE", PRIVATE_SCHEME, "Corona Score")),
        "severity": (OPACITY, Code("SEVERITY-ZONE", PRIVATE_SCHEME, "Severity of the zone (0 to 4)")),
        "severity_0_24": (OPACITY, Code("SEVERITY-0-24", PRIVATE_SCHEME, "Severity of six zones (0 to 24)")),
        "hu_mean": (LUNG, Code("373098007", "SCT", "Mean")),
        "hu_sd": (LUNG, Code("386136009", "SCT", "Standard Deviation")),
        "hu_skewness": (LUNG, Code("KE2A", "IBSI", "Intensity Skewness")),
        "hu_kurtosis": (LUNG, Code("IPH6", "IBSI", "Intensity Kurtosis")),
        "mass_g": (LUNG, Code("118538004", "SCT", "Mass")),
    }
)
"""Per measure, the finding that it is of and its concept. All others are measures of the lung with a private code."""

_UNITS: Mapping[str, Code] = MappingProxyType(
    {
        "ml": Code("ml", "UCUM", "milliliter"),
        "cm3": Code("cm3", "UCUM", "cubic centimeter"),
        "mm": Code("mm", "UCUM", "millimeter"),
        "mm2": Code("mm2", "UCUM", "square millimeter"),
        "g": Code("g", "UCUM", "gram"),
        "%": Code("%", "UCUM", "percent"),
        "HU": Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
        "points": Code("{points}", "UCUM", "points"),
        "": Code("1", "UCUM", "no units"),
    }
)

_SIDES = {"right": RIGHT_SIDE, "left": LEFT_SIDE}


def private_code(name: str, meaning: str) -> Code:
    """Give a private code whose value follows from a name alone: ``CT-`` and eight hexadecimal digits."""
    return Code(
        f"CT-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}", PRIVATE_SCHEME, meaning[:LONGEST_MEANING]
    )


def measure_code(name: str, label: str) -> tuple[Code, Code]:
    """Give the finding that a measure is of, and the measure's concept.

    Parameters
    ----------
    name
        As in `CovidCTLib.analysis.Measurement.name`.
    label
        Name for people, the meaning of a private code.
    """
    return MEASURES.get(name) or (LUNG, private_code(name, label))


def unit_code(unit: str) -> Code:
    """Give the UCUM code of a unit; one that is not known becomes an annotation, which UCUM allows in braces."""
    return _UNITS.get(unit) or Code(f"{{{unit[:14]}}}", "UCUM", unit[:LONGEST_MEANING])


def site_codes(region: str) -> tuple[Code, Code | None, Code | None]:
    """Give anatomic location, laterality and topographic modifier of a region.

    Parameters
    ----------
    region
        One of `CovidCTLib.measures.regions.REGIONS` or of `LOBES`; any other is the lung.
    """
    if region in LOBES:
        return LOBES[region], None, None
    words = region.split("_")
    side = BOTH_SIDES if region == "both_lungs" else _SIDES.get(words[0])
    third = _THIRD_CODES.get(words[-1])
    return LUNG, side or (BOTH_SIDES if third else None), third


def site_of_label(label: Label) -> tuple[Code, Code | None, Code | None]:
    """Give the place of a segment: a lung's side, both lungs for a finding."""
    if label == RIGHT_LUNG:
        return site_codes("right_lung")
    if label == LEFT_LUNG:
        return site_codes("left_lung")
    return site_codes("both_lungs")
