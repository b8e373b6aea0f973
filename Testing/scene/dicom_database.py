"""Slicer's DICOM database (ctkDICOMDatabase), as far as the module asks it; made of the files of a folder.

What does not exist is an empty text there, ``isOpen`` is a property, and lists come as tuples.
"""

from __future__ import annotations

import pydicom


class DicomDatabase:
    """Knows the DICOM files of folders."""

    def __init__(self, *folders):
        self.isOpen = True
        self._headers = {}
        for folder in folders:
            for path in sorted(folder.rglob("*.dcm")):
                self._headers[str(path)] = pydicom.dcmread(path, stop_before_pixels=True)

    def _first(self, keyword, value, wanted):
        found = (str(header.get(wanted) or "") for header in self._headers.values() if header.get(keyword) == value)
        return next(found, "")

    def fileForInstance(self, instance):
        return next((path for path, header in self._headers.items() if header.SOPInstanceUID == instance), "")

    def seriesForFile(self, path):
        return str(self._headers[path].SeriesInstanceUID) if path in self._headers else ""

    def studyForSeries(self, series):
        return self._first("SeriesInstanceUID", series, "StudyInstanceUID")

    def seriesForStudy(self, study):
        of_study = (header for header in self._headers.values() if header.StudyInstanceUID == study)
        return tuple(dict.fromkeys(str(header.SeriesInstanceUID) for header in of_study))

    def filesForSeries(self, series):
        return tuple(path for path, header in self._headers.items() if header.SeriesInstanceUID == series)

    def descriptionForSeries(self, series):
        return self._first("SeriesInstanceUID", series, "SeriesDescription")

    def fieldForSeries(self, field, series):
        return self._first("SeriesInstanceUID", series, field)

    def instances(self, series):
        """What Slicer's DICOM module notes of a volume of a series."""
        of_series = (header for header in self._headers.values() if header.SeriesInstanceUID == series)
        return " ".join(str(header.SOPInstanceUID) for header in of_series)
