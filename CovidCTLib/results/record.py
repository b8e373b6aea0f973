"""``analysis.json``: everything that an analysis says, and how it was made, as strict JSON without patient data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from CovidCTLib.analysis import Analysis, Measurement
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import LABELS
from CovidCTLib.measures.definitions import MeasureDefinition, absent_columns
from CovidCTLib.measures.described import definitions_of, slice_definitions_of
from CovidCTLib.measures.regions import REGIONS, region_words
from CovidCTLib.writing.records import record_head, record_text

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""

NOT_FINITE = "The computed value is not a finite number."
"""Reason given for a measure that came out as NaN or infinity."""


def analysis_record(analysis: Analysis) -> dict[str, Any]:
    """Put an analysis, without its arrays, into plain dictionaries, lists, numbers and text.

    Parameters
    ----------
    analysis
        The result of one scan.

    Returns
    -------
    dict
        Holds no NaN and no infinity: open ends of aeration bands and undefined values are None. Lengths are in mm,
        coordinates LPS. Neither the input's path nor patient data is in it; ``identifiers`` and the study date only
        if the scan carries them, which it does only when the user asked for it.
    """
    absent = dict.fromkeys(absent_columns(analysis.scan.facts.spacing_known))
    record = {
        "schema_version": SCHEMA_VERSION,
        **record_head(),
        "identifiers": None if analysis.scan.identifiers is None else asdict(analysis.scan.identifiers),
        "scan": asdict(analysis.scan.facts),
        "geometry": _geometry(analysis.scan.geometry),
        "case": asdict(analysis.case),
        "notices": [asdict(notice) for notice in analysis.notices],
        "provenance": {**asdict(analysis.provenance), "words": analysis.provenance.words},
        "regions": _regions(analysis),
        "measures": [_measurement(entry) for entry in analysis.measures],
        "measure_definitions": _definitions(definitions_of(analysis)),
        "slices": [{**asdict(entry), **absent} for entry in analysis.slices],
        "slice_definitions": _definitions(slice_definitions_of(analysis)),
        "labels": {str(label.value): label.name for label in LABELS},
        "options": asdict(analysis.options),
        "models": [asdict(model) for model in analysis.models],
        "versions": dict(analysis.versions),
        "seconds": dict(analysis.seconds),
    }
    plain: dict[str, Any] = plain_json(record)
    return plain


def analysis_json(analysis: Analysis) -> str:
    """Give `analysis_record` as indented JSON (RFC 8259), with a line end at the end."""
    return record_text(analysis_record(analysis))


def write_record(path: Path, analysis: Analysis) -> None:
    """Write ``analysis.json`` in UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.write_text(analysis_json(analysis), encoding="utf-8", newline="\n")


def _regions(analysis: Analysis) -> dict[str, str]:
    """Names for people of all regions; lobes and areas where some were measured."""
    measured = dict.fromkeys(entry.region for entry in analysis.measures)
    return {**REGIONS, **{region: region_words(region) for region in measured}}


def _geometry(geometry: Geometry) -> dict[str, Any]:
    """The scan's own grid."""
    return {**asdict(geometry), "voxel_volume_mm3": geometry.voxel_volume_mm3}


def _measurement(entry: Measurement) -> dict[str, Any]:
    """One measure; a value that is no number gets a reason."""
    fields = asdict(entry)
    if entry.value is not None and not math.isfinite(entry.value):
        fields.update(value=None, reason=entry.reason or NOT_FINITE)
    return fields


def _definitions(definitions: Mapping[str, MeasureDefinition]) -> dict[str, Any]:
    """Label, unit, definition and source of each measure, by its name."""
    return {
        name: {"label": entry.label, "unit": entry.unit, "definition": entry.definition, "source": entry.source}
        for name, entry in definitions.items()
    }


def plain_json(value: Any) -> Any:
    """Turn tuples into lists, numpy's numbers into Python's, and what is not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
