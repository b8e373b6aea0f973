"""From files to a `Scan`: DICOM folders, NIfTI, NRRD and MetaImage."""

from __future__ import annotations

from CovidCTLib.reading.dicom_series import SeriesSummary
from CovidCTLib.reading.source import list_series, read_scan

__all__ = ["SeriesSummary", "list_series", "read_scan"]
