"""All DICOM results of an analysis as files: made one by one, so that none waits in memory for the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis
from CovidCTLib.dicom_results.segmentation import SegmentKind, make_segmentations
from CovidCTLib.dicom_results.study import Study, check_dicom_possible, study_of
from CovidCTLib.writing.folder import new_output_folder

FILE_ORDER = ("segmentation", "measurements", "report", "key_picture", "localization")
"""Starts of the files' names, in the order in which they are sent."""

DICOM_FOLDER = "dicom"
"""Folder of the DICOM results in a result folder."""


def write_dicom(
    analysis: Analysis,
    folder: str | os.PathLike[str],
    *,
    kind: SegmentKind = "binary",
    lobes: NDArray[np.uint8] | None = None,
) -> tuple[Path, ...]:
    """Write an analysis as DICOM objects that go into the study of the CT; all of them, or none.

    Parameters
    ----------
    analysis
        Of a scan that was read from DICOM with its source (``read_scan(..., with_source=True)``).
    folder
        A path that does not exist yet, or an empty folder.
    kind
        ``"binary"``: one segmentation that every reader knows; ``"labelmap"``: smaller label map segmentations
        (DICOM 2024c), one for lungs, one for findings.
    lobes
        uint8 on the scan's own grid, 1 to 5 as `CovidCTLib.dicom_results.codes.LOBES`; None where not known.

    Returns
    -------
    tuple of Path
        In the order in which they should be sent: ``segmentation.dcm`` (SEG), ``measurements.dcm`` (SR),
        ``report.dcm`` (PDF), ``key_picture_N.dcm`` (SC), ``localization.dcm`` (parametric map).

    Raises
    ------
    InputError
        If the scan has no DICOM source, or the lobes do not fit.
    CovidCTError
        If highdicom or PlutoPrint is missing.
    OutputError
        If the folder is not empty or cannot be written to. Nothing stays behind.

    Notes
    -----
    The files hold the patient's data as the CT does: they belong into its study.
    """
    check_all_possible()
    study = study_of(analysis)
    with new_output_folder(folder) as temporary:
        names = [path.name for path in write_objects(study, temporary, kind, lobes)]
    return tuple(Path(folder) / name for name in names)


def check_all_possible() -> None:
    """Check, before any work, that all DICOM results can be made on this computer.

    Raises
    ------
    CovidCTError
        If highdicom or PlutoPrint is missing.
    """
    from CovidCTLib.report.pdf import check_pdf_possible

    check_dicom_possible()
    check_pdf_possible()


def write_objects(
    study: Study, folder: Path, kind: SegmentKind = "binary", lobes: NDArray[np.uint8] | None = None
) -> list[Path]:
    """Write the objects into a folder that is there; files of the same names are replaced.

    Parameters
    ----------
    study
        The analysis and where it goes.
    folder
        Where the files are to be.
    kind, lobes
        As in `write_dicom`.

    Returns
    -------
    list of Path
        In the order in which they should be sent.
    """
    written = []
    for name, made in _objects(study, kind, lobes):
        path = folder / f"{name}.dcm"
        made.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def dicom_writer(analysis: Analysis, kind: SegmentKind = "binary") -> Callable[[Path], None]:
    """Make what writes the DICOM results into the folder `DICOM_FOLDER` among other results.

    Parameters
    ----------
    analysis, kind
        As in `write_dicom`.

    Returns
    -------
    function
        Gets the folder of the results, as ``also`` of `CovidCTLib.results.write_results`.

    Raises
    ------
    InputError
        If the scan has no DICOM source.
    """
    study = study_of(analysis)

    def write(folder: Path) -> None:
        (folder / DICOM_FOLDER).mkdir()
        write_objects(study, folder / DICOM_FOLDER, kind)

    return write


def in_sending_order(folder: Path) -> list[Path]:
    """List the DICOM results in a folder in the order of sending: what others refer to comes first."""
    files = sorted(folder.glob("*.dcm"))
    rank = {name: number for number, name in enumerate(FILE_ORDER)}
    return sorted(files, key=lambda path: (rank.get(path.stem.rstrip("_0123456789"), len(rank)), path.name))


def _objects(study: Study, kind: SegmentKind, lobes: NDArray[np.uint8] | None) -> Iterator[tuple[str, Any]]:
    from CovidCTLib.dicom_results.documents import make_key_pictures, make_pdf
    from CovidCTLib.dicom_results.parametric_map import make_parametric_map
    from CovidCTLib.dicom_results.structured_report import make_report

    segmentations = make_segmentations(study, kind, study.analysis.lobes if lobes is None else lobes)
    for number, (made, _) in enumerate(segmentations, start=1):
        yield "segmentation" if len(segmentations) == 1 else f"segmentation_{number}", made
    yield "measurements", make_report(study, segmentations)
    del segmentations
    yield "report", make_pdf(study)
    for number, picture in enumerate(make_key_pictures(study), start=1):
        yield f"key_picture_{number}", picture
    yield "localization", make_parametric_map(study)
