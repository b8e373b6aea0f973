"""Definitions of the measures of one analysis: those of lobes and areas too, and of labels that no network made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from CovidCTLib.analysis import Analysis
from CovidCTLib.measures.definitions import (
    MOMENTS_SOURCE,
    NO_UNIT,
    OPACITY_SOURCE,
    OWN,
    PAN_SOURCE,
    PERCENTILE_SOURCE,
    MeasureDefinition,
    definitions_for,
    slice_definitions_for,
)

LOBE_DEFINITIONS: Mapping[str, MeasureDefinition] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            MeasureDefinition(
                "lobar_severity", "severity of the lobe (0 to 5)", "points",
                "Share of opacity in one lobe: 0 none, 1 under 5 %, 2 from 5 to 25 %, 3 above 25 and under 50 %, 4 "
                "from 50 to 75 %, 5 above.",
                PAN_SOURCE,
            ),
            MeasureDefinition(
                "lobar_severity_0_25", "severity of five lobes (0 to 25)", "points",
                "Sum of the severity of the five lobes.", PAN_SOURCE,
            ),
        )
    }
)  # fmt: skip
"""Measures that only lobes have; the others of a lobe are those of a lung."""

AREA_DEFINITIONS: Mapping[str, MeasureDefinition] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            MeasureDefinition(
                "area_volume_ml", "volume of the area", "ml",
                "Voxels of the user's region of interest, in the lungs or not, times the voxel volume.", OWN,
            ),
            MeasureDefinition(
                "area_lung_volume_ml", "lung in the area", "ml",
                "Voxels of the area that are lung, times the voxel volume.", OWN,
            ),
            MeasureDefinition(
                "area_hu_mean", "mean of HU in the area", "HU", "Mean HU of all voxels of the area.", OWN,
            ),
            MeasureDefinition(
                "area_hu_sd", "standard deviation of HU in the area", "HU",
                "Standard deviation of the HU of all voxels of the area, divided by their number (population).", OWN,
            ),
            MeasureDefinition(
                "area_hu_skewness", "skewness of HU in the area", NO_UNIT,
                "Fisher's g1 of the HU of all voxels of the area.", MOMENTS_SOURCE,
            ),
            MeasureDefinition(
                "area_hu_kurtosis", "excess kurtosis of HU in the area", NO_UNIT,
                "Fisher's g2 of the HU of all voxels of the area; a normal distribution has 0.", MOMENTS_SOURCE,
            ),
            MeasureDefinition(
                "area_hu_percentile_15", "15th percentile of HU in the area", "HU",
                "HU under which 15 % of the voxels of the area lie, interpolated linearly between voxels.",
                PERCENTILE_SOURCE,
            ),
            MeasureDefinition(
                "area_ggo_volume_ml", "ground-glass opacity in the area", "ml",
                "Voxels of the area that are ground-glass opacity, times the voxel volume.", OWN,
            ),
            MeasureDefinition(
                "area_consolidation_volume_ml", "consolidation in the area", "ml",
                "Voxels of the area that are consolidation, times the voxel volume.", OWN,
            ),
            MeasureDefinition(
                "area_opacity_volume_ml", "opacity volume in the area", "ml",
                "Ground-glass opacity and consolidation in the area together.", OWN,
            ),
            MeasureDefinition(
                "area_effusion_volume_ml", "pleural effusion in the area", "ml",
                "Voxels of the area that are pleural effusion, times the voxel volume.", OWN,
            ),
            MeasureDefinition(
                "area_opacity_percent", "percentage of opacity in the area", "%",
                "100 times the volume of ground-glass opacity and consolidation in the area, divided by the lung in "
                "the area.",
                OPACITY_SOURCE,
            ),
        )
    }
)  # fmt: skip
"""Measures of a region of interest."""

_BY_NETWORK = "that the U-Net labels as"
_BY_ORIGIN = {"given": "that the segmentation labels as", "corrected": "labelled, after corrections by hand, as"}
_NETWORK_MARK = " (U-Net)"


def definitions_of(analysis: Analysis) -> Mapping[str, MeasureDefinition]:
    """Define the measures of an analysis, in the order of the tables.

    Parameters
    ----------
    analysis
        Its options give the limits; lobes and areas are defined where it measured some. Where the opacities are not
        the network's own, the words say so.

    Returns
    -------
    Mapping[str, MeasureDefinition]
        By name.
    """
    measured = {entry.name for entry in analysis.measures}
    listed = dict(definitions_for(analysis.options))
    listed.update((name, entry) for name, entry in LOBE_DEFINITIONS.items() if name in measured)
    listed.update((name, entry) for name, entry in AREA_DEFINITIONS.items() if name in measured)
    return MappingProxyType({name: _worded(entry, analysis) for name, entry in listed.items()})


def slice_definitions_of(analysis: Analysis) -> Mapping[str, MeasureDefinition]:
    """Define the columns of the table of slices, in the words of `definitions_of`."""
    listed = slice_definitions_for(analysis.options)
    return MappingProxyType({name: _worded(entry, analysis) for name, entry in listed.items()})


def _worded(entry: MeasureDefinition, analysis: Analysis) -> MeasureDefinition:
    """Say where the opacities come from, where they are not the network's."""
    words = _BY_ORIGIN.get(analysis.provenance.opacities)
    if words is None:
        return entry
    return replace(
        entry,
        label=entry.label.removesuffix(_NETWORK_MARK),
        definition=entry.definition.replace(_BY_NETWORK, words),
    )
