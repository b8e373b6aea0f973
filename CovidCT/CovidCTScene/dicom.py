"""A CT that came as DICOM: its files in Slicer's DICOM database, and results of earlier analyses in its study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTLib.scan import Scan, SourceSeries
from CovidCTScene.scan import geometryOfVolumeNode
from CovidCTScene.texts import tr as _

INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"
"""Attribute in which Slicer's DICOM module notes a volume's images, with spaces between (DICOMScalarVolumePlugin)."""

REPORT_SERIES = "CovidCT measurements"
"""Start of the description of the series that holds CovidCT's SR (`CovidCTLib.dicom_results.study.SERIES`)."""

CT_MODALITY = "CT"


def refusalOfDicom(database: Any | None, volumeNode: Any) -> str | None:
    """Say why no DICOM results can be made of a CT, without looking into its files; None if they can.

    Parameters
    ----------
    database
        Slicer's ctkDICOMDatabase; None where there is none.
    volumeNode
        The CT.
    """
    if not _instances(volumeNode):
        return _("Only for a CT that was loaded as DICOM: its study is where the results belong.")
    if database is None or not database.isOpen:
        return _("Slicer's DICOM database, which knows the files of this CT, is not open. Open the module DICOM first.")
    return None


def sourceLater(database: Any | None, volumeNode: Any) -> Callable[[], SourceSeries]:
    """Prepare to read the study of a CT from its DICOM files: give a function that may run in any thread.

    It raises InputError as `CovidCTLib.reading.dicom_source.source_of_grid`.

    Raises
    ------
    InputError
        If no DICOM results can be made of the CT.
    """
    refusal = refusalOfDicom(database, volumeNode)
    if database is None or refusal is not None:
        raise InputError(refusal)
    # A file that the database does not know is told as one that is gone.
    files = [Path(str(database.fileForInstance(uid) or "")) for uid in _instances(volumeNode)]
    geometry = geometryOfVolumeNode(volumeNode)

    def read() -> SourceSeries:
        # pydicom takes a while to load.
        from CovidCTLib.reading.dicom_source import source_of_grid

        return source_of_grid(list(dict.fromkeys(files)), geometry)

    return read


def hasEarlierResults(database: Any | None, volumeNode: Any) -> bool:
    """Say whether the study of a CT holds an SR of CovidCT in the database; no file is opened."""
    return any(
        str(database.descriptionForSeries(series) or "").startswith(REPORT_SERIES)
        for series in _seriesOfStudy(database, volumeNode)
        if database is not None
    )


def earlierResultsLater(database: Any | None, volumeNode: Any, scanLater: Callable[[], Scan]) -> Callable[[], Analysis]:
    """Prepare to read the newest of CovidCT's results in the study of a CT: give a function that may run in any thread.

    Parameters
    ----------
    database, volumeNode
        As for `refusalOfDicom`.
    scanLater
        Gives the CT, in any thread.

    Returns
    -------
    function
        Gives the analysis; raises InputError if there is none on the grid of the CT, or an object is damaged.
    """
    files = [
        Path(str(name))
        for series in _seriesOfStudy(database, volumeNode)
        if database is not None and str(database.fieldForSeries("Modality", series) or "") != CT_MODALITY
        for name in database.filesForSeries(series)
    ]

    def read() -> Analysis:
        from CovidCTLib.dicom_results import read_stored, results_among

        scan = scanLater()
        failure: InputError | None = None
        for stored in reversed(results_among(path for path in files if path.is_file())):
            try:
                return read_stored(stored, scan)
            except InputError as error:
                # Results of another CT of the study, say.
                failure = error
        raise failure or InputError(
            _(
                "Results of an earlier analysis were expected in the study, but their files are gone. Load the study "
                "again, or press Analyze."
            )
        )

    return read


def _instances(volumeNode: Any) -> list[str]:
    return str(volumeNode.GetAttribute(INSTANCES_ATTRIBUTE) or "").split()


def _seriesOfStudy(database: Any | None, volumeNode: Any) -> list[str]:
    """Give the UIDs of the series in the study of a CT, as the database knows them."""
    instances = _instances(volumeNode)
    if not instances or database is None or not database.isOpen:
        return []
    series = str(database.seriesForFile(database.fileForInstance(instances[0]) or "") or "")
    study = str(database.studyForSeries(series) or "") if series else ""
    return [str(uid) for uid in database.seriesForStudy(study)] if study else []
