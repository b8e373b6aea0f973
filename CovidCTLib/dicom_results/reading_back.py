"""Our own DICOM results, read back from a study: the analysis as it was, without running the networks again."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from CovidCTLib.analysis import Analysis
from CovidCTLib.dicom_results.parametric_map import PARAMETRIC_MAP_CLASS
from CovidCTLib.dicom_results.reading_measurements import read_measurements
from CovidCTLib.dicom_results.reading_segments import planes_on_grid, read_object, read_segments
from CovidCTLib.dicom_results.structured_report import (
    MAP_ELEMENT,
    RECORD_CREATOR,
    RECORD_ELEMENT,
    RECORD_GROUP,
    SR_CLASS,
)
from CovidCTLib.dicom_results.study import MAKER
from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import OPACITY_LABELS, Label
from CovidCTLib.reading.archive import is_archive, unpacked
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.dicom_files import find_dicom_files
from CovidCTLib.reading.dicom_headers import date_of
from CovidCTLib.reading.quiet import quiet_pydicom
from CovidCTLib.results.plain_values import PlainValueError, from_plain
from CovidCTLib.results.reading import restored_analysis
from CovidCTLib.results.stored_record import LARGEST_RECORD_BYTES, damaged_record, parsed_record
from CovidCTLib.scan import Scan
from CovidCTLib.segments.dicom_seg import LABELMAP_CLASS, SEGMENTATION_CLASS

NO_LOCALIZATION = Notice(
    "localization-not-stored",
    "The study holds no localization beside these results, so heat maps of them are empty; the numbers are complete.",
    "note",
)

_CLASSES = (SR_CLASS, SEGMENTATION_CLASS, LABELMAP_CLASS, PARAMETRIC_MAP_CLASS)
_HEADER = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Manufacturer", "Modality"]


@dataclass(frozen=True)
class StoredResults:
    """The objects of one analysis of ours in a folder.

    Parameters
    ----------
    report
        File of the SR.
    segmentations
        Files of the SEG that it refers to.
    localizations
        Files of parametric maps of the same analysis.
    """

    report: Path
    segmentations: tuple[Path, ...] = ()
    localizations: tuple[Path, ...] = ()


def find_dicom_results(folder: str | os.PathLike[str]) -> tuple[StoredResults, ...]:
    """Find analyses of ours in the DICOM files of a folder, nested, other files among them.

    Parameters
    ----------
    folder
        A folder; anything else holds none.

    Returns
    -------
    tuple of StoredResults
        By the names of their SR files; empty where there are none.
    """
    root = Path(folder)
    return results_among(find_dicom_files(root)) if root.is_dir() else ()


def results_among(files: Iterable[Path]) -> tuple[StoredResults, ...]:
    """Find analyses of ours among DICOM files, such as those of one study; as `find_dicom_results`."""
    by_class: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    for path in files:
        header = _header(path)
        if header is not None:
            by_class[str(header.SOPClassUID)].append((path, header))
    segmentations = {
        str(header.SOPInstanceUID): path
        for sop_class in (SEGMENTATION_CLASS, LABELMAP_CLASS)
        for path, header in by_class[sop_class]
    }
    results = []
    for path, _ in by_class[SR_CLASS]:
        report = read_object(path)
        if _record_of(report) is None:
            continue
        named = [segmentations[uid] for uid in _segmentations_named(report) if uid in segmentations]
        wanted = _map_named(report)
        maps = [other for other, beside in by_class[PARAMETRIC_MAP_CLASS] if beside.SOPInstanceUID == wanted]
        results.append(StoredResults(path, tuple(named), tuple(maps)))
    return tuple(results)


def holds_dicom_results(path: str | os.PathLike[str]) -> bool:
    """Tell whether a folder holds an analysis of ours as DICOM."""
    try:
        return bool(find_dicom_results(path))
    except (OSError, ValueError, InputError):
        return False


def read_dicom_results(
    folder: str | os.PathLike[str], scan: Scan | None = None, *, with_study_date: bool = False
) -> Analysis:
    """Read an analysis of ours from the DICOM files of a study.

    Parameters
    ----------
    folder
        A folder or ZIP archive with our SR and SEG, other files (the CT) among them.
    scan
        The CT, on the grid of the results; None where it is not at hand.
    with_study_date
        Whether the study's date is taken from the SR into the facts of the scan.

    Returns
    -------
    Analysis
        With the voxels and numbers that were written. Without the CT, `CovidCTLib.results.reading.CT_NOT_STORED` says
        so; without a parametric map, `NO_LOCALIZATION`.

    Raises
    ------
    InputError
        If there are no results of ours, those of several analyses, the SEG is missing, an object is damaged, its
        numbers and its record differ, or the scan lies on another grid.
    """
    path = Path(folder)
    if path.is_file() and is_archive(path):
        with unpacked(path) as inside:
            return read_dicom_results(inside, scan, with_study_date=with_study_date)
    results = find_dicom_results(path)
    if not results:
        raise InputError(
            "DICOM results of CovidCT were expected, an SR with its SEG, but the folder holds none. Fetch the study "
            "with its results from the archive.",
            hint="Or analyze the CT with --dicom.",
        )
    if len(results) > 1:
        raise InputError(
            f"DICOM results of one analysis were expected, but the folder holds {len(results)}. Put those that you "
            "want into a folder of their own."
        )
    return read_stored(results[0], scan, with_study_date)


def patient_number(folder: str | os.PathLike[str]) -> str | None:
    """Give the PatientID in the results of a folder, to tell whether studies are of one patient; never to be shown."""
    results = find_dicom_results(folder)
    return str(read_object(results[0].report).get("PatientID") or "") or None if results else None


def read_stored(stored: StoredResults, scan: Scan | None = None, with_study_date: bool = False) -> Analysis:
    """Read an analysis of CovidCT that was found; scan, result and errors are those of `read_dicom_results`.

    Raises
    ------
    InputError
        If an object is missing or damaged, or the numbers of the SR are not those of its record.
    """
    report = read_object(stored.report)
    record = _record_of(report)
    if record is None:
        raise damaged_record("record")
    try:
        geometry = from_plain(Geometry, record["geometry"])
    except (KeyError, PlainValueError, AttributeError, TypeError, ValueError, InputError) as error:
        raise damaged_record("geometry") from error
    wanted = set(_segmentations_named(report))
    if not stored.segmentations or len(stored.segmentations) < len(wanted):
        raise InputError(
            f"{len(wanted)} segmentations (SEG) were expected beside the SR, but {len(stored.segmentations)} are "
            "there. Fetch the whole study, its SEG series included."
        )
    lungs = np.zeros(geometry.shape_zyx, np.uint8)
    opacities = np.zeros(geometry.shape_zyx, np.uint8)
    for path in stored.segmentations:
        segments = read_segments(path, geometry)
        for label, mask in segments.items():
            array, value = _array_of(label, lungs, opacities)
            array[mask] = value
    localization = np.zeros(geometry.shape_zyx, np.float32)
    for path in stored.localizations:
        _add_localization(path, geometry, localization)
    if with_study_date:
        record = {**record, "scan": {**record["scan"], "study_date": date_of(report.get("StudyDate"))}}
    analysis = restored_analysis(record, lungs, opacities, localization, None if scan is None else scan.hu, scan)
    _check_numbers(report, analysis)
    if not stored.localizations:
        analysis = replace(analysis, notices=(*analysis.notices, NO_LOCALIZATION))
    return analysis


def _array_of(label: Label, lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """The array that a label belongs to, and its value there."""
    if label in OPACITY_LABELS:
        return opacities, OPACITY_LABELS.index(label) + 1
    return lungs, label.value


def _add_localization(path: Path, geometry: Geometry, localization: NDArray[np.float32]) -> None:
    dataset = read_object(path)
    try:
        planes = planes_on_grid(dataset, geometry)
        shape = len(planes), int(dataset.Rows), int(dataset.Columns)
        values = np.frombuffer(dataset.FloatPixelData, "<f4", count=int(np.prod(shape))).reshape(shape)
        if not (float(values.min()) >= 0 and float(values.max()) <= 1):
            raise InputError(
                "The localization must hold values from 0 to 1, but holds others. Analyze the CT again, or fetch the "
                "study anew."
            )
        localization[planes] = values
    except InputError:
        raise
    except READ_FAILURES:
        raise InputError(
            "A localization that can be read was expected beside the SR, but its parametric map is damaged. Fetch it "
            "again, or leave it out."
        ) from None


def _check_numbers(report: Dataset, analysis: Analysis) -> None:
    """Hold the SR's numbers, which other programs may have changed, against the record's."""
    reported = {(entry.region, entry.name): entry.value for entry in read_measurements(report)}
    kept = {(entry.region, entry.name): entry.value for entry in analysis.measures if entry.value is not None}
    differing = sum(reported.get(key) != value for key, value in kept.items())
    if differing:
        raise InputError(
            f"The SR's {len(kept)} numbers were expected to be those of its record, but {differing} differ: another "
            "program changed the object. Analyze the CT again."
        )


def _segmentations_named(report: Dataset) -> list[str]:
    """SOPInstanceUIDs of the segmentations that an SR refers to."""
    named = []
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for entry in report.get(keyword) or ():
            for series in entry.ReferencedSeriesSequence:
                named += [
                    str(reference.ReferencedSOPInstanceUID)
                    for reference in series.ReferencedSOPSequence
                    if reference.ReferencedSOPClassUID in (SEGMENTATION_CLASS, LABELMAP_CLASS)
                ]
    return list(dict.fromkeys(named))


def _map_named(report: Dataset) -> str | None:
    """SOPInstanceUID of the parametric map of the same analysis."""
    try:
        return str(report.private_block(RECORD_GROUP, RECORD_CREATOR)[MAP_ELEMENT].value)
    except KeyError:
        return None


def _record_of(report: Dataset) -> dict[str, Any] | None:
    """The record of an SR of ours; None where there is none."""
    try:
        block = report.private_block(RECORD_GROUP, RECORD_CREATOR)
        packed = bytes(block[RECORD_ELEMENT].value)
        inflater = zlib.decompressobj()
        content = inflater.decompress(packed, LARGEST_RECORD_BYTES)
    except KeyError:
        return None
    except (zlib.error, TypeError, ValueError) as error:
        raise damaged_record("record") from error
    return parsed_record(content)


def _header(path: Path) -> Dataset | None:
    """Header of an object of ours; None of any other."""
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
            ours = str(header.get("Manufacturer", "")) == MAKER and str(header.get("SOPClassUID", "")) in _CLASSES
            return header if ours else None
    except READ_FAILURES:
        return None
