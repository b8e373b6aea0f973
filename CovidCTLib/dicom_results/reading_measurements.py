"""The numbers of CovidCT's SR, read back from its content."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from CovidCTLib.analysis import Measurement
from CovidCTLib.dicom_results.structured_report import CASE_REGION

_TRACKING_IDENTIFIER = "112039"
"""Code value of DCM's Tracking Identifier."""


def read_measurements(report: Dataset) -> tuple[Measurement, ...]:
    """Read the numbers of CovidCT's SR back from its content, not from the record beside it.

    Parameters
    ----------
    report
        pydicom's data set.

    Returns
    -------
    tuple of Measurement
        In the order of the report, the case's left out; ``unit`` is the code value, ``reason`` None. Numbers come from
        FloatingPointValue (DICOM PS3.3, C.18.1) and are those that were written, to the last bit.
    """
    measurements = []
    for item in _walk(report):
        if item.get("ValueType") != "NUM" or not item.get("MeasuredValueSequence"):
            continue
        value = item.MeasuredValueSequence[0]
        tracking = next(
            (
                str(child.TextValue)
                for child in item.get("ContentSequence", ())
                if child.get("ValueType") == "TEXT"
                and child.ConceptNameCodeSequence[0].CodeValue == _TRACKING_IDENTIFIER
            ),
            "",
        )
        region, _, name = tracking.partition(".")
        if not name or region == CASE_REGION:
            continue
        number = float(value.get("FloatingPointValue", value.NumericValue))
        measurements.append(Measurement(region, name, number, str(value.MeasurementUnitsCodeSequence[0].CodeValue)))
    return tuple(measurements)


def _walk(item: Dataset) -> Any:
    yield item
    for child in item.get("ContentSequence", ()):
        yield from _walk(child)
