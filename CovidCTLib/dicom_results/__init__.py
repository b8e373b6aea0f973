"""The results of an analysis as DICOM objects of the CT's own study, and read back from there.

SEG, SR (TID 1500), the report as encapsulated PDF, key pictures and the localization as parametric map. Making them
needs the packages of the extra ``dicom``; reading them back needs none.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "DICOM_FOLDER": "output",
    "check_all_possible": "output",
    "dicom_writer": "output",
    "find_dicom_results": "reading_back",
    "holds_dicom_results": "reading_back",
    "in_sending_order": "output",
    "patient_number": "reading_back",
    "read_dicom_results": "reading_back",
    "read_segments": "reading_segments",
    "read_stored": "reading_back",
    "results_among": "reading_back",
    "study_of": "study",
    "write_dicom": "output",
    "write_objects": "output",
}

__all__ = [
    "DICOM_FOLDER",
    "check_all_possible",
    "dicom_writer",
    "find_dicom_results",
    "holds_dicom_results",
    "in_sending_order",
    "patient_number",
    "read_dicom_results",
    "read_segments",
    "read_stored",
    "results_among",
    "study_of",
    "write_dicom",
    "write_objects",
]


def __getattr__(name: str) -> Any:
    """Load public names on first use: pydicom and the report's painting are not needed by whoever only asks."""
    if name not in _HOMES:
        raise AttributeError(f"module 'CovidCTLib.dicom_results' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"CovidCTLib.dicom_results.{_HOMES[name]}"), name)
