"""The results of an analysis as files: segmentation, labelmap, localization, tables, record and report."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from CovidCTLib.analysis import Analysis, CancelCheck, Progress, ProgressCallback
from CovidCTLib.errors import CancelledError, OptionsError
from CovidCTLib.results.names import (
    LABELMAP_FILE,
    LOCALIZATION_FILE,
    MEASURES_FILE,
    PDF_FILE,
    RECORD_FILE,
    REPORT_FILE,
    SCAN_FILE,
    SEGMENTATION_FILE,
    SLICES_FILE,
)
from CovidCTLib.results.nifti_file import write_nifti
from CovidCTLib.results.reading import has_ct, read_analysis
from CovidCTLib.results.record import analysis_json, analysis_record, write_record
from CovidCTLib.results.segmentation_file import write_segmentation
from CovidCTLib.results.stored_record import is_result_folder, read_stored_record
from CovidCTLib.results.tables import write_measures, write_slices
from CovidCTLib.writing.folder import check_output_folder, new_output_folder

__all__ = [
    "LABELMAP_FILE",
    "LOCALIZATION_FILE",
    "MEASURES_FILE",
    "PDF_FILE",
    "RECORD_FILE",
    "REPORT_FILE",
    "SCAN_FILE",
    "SEGMENTATION_FILE",
    "SLICES_FILE",
    "analysis_json",
    "analysis_record",
    "check_output_folder",
    "has_ct",
    "is_result_folder",
    "read_analysis",
    "read_stored_record",
    "write_results",
]

_WORKERS = 3
"""Files that are compressed at the same time; more than three large ones there are not."""

_REPORT_SHARE = 0.5
"""Share of the time that the report takes, for the progress alone."""


def write_results(
    analysis: Analysis,
    folder: str | os.PathLike[str],
    *,
    report: bool = True,
    pdf: bool = False,
    scan: bool = False,
    also: Callable[[Path], None] | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelCheck | None = None,
) -> tuple[Path, ...]:
    """Write all results into a new folder; either all of them are there afterwards, or none.

    Parameters
    ----------
    analysis
        The result of one scan.
    folder
        A path that does not exist yet, or an empty folder. Missing parents are created.
    report
        Whether ``report.html`` is made too.
    pdf
        Whether the report is made as ``report.pdf`` too; it needs the package PlutoPrint.
    scan
        Whether the CT itself is written too, as ``ct.nii.gz`` (int16, HU).
    also
        Writes more into the folder before it appears, given its temporary path; what it raises ends the writing.
    progress
        Told about the stages ``"writing"`` and ``"report"``; fractions run from 0 to 1 over both.
    cancelled
        Asked between files; True ends the writing.

    Returns
    -------
    tuple of Path
        The files, in the order of their names.

    Raises
    ------
    OptionsError
        If a PDF is asked for without a report.
    CovidCTError
        If a PDF is asked for and PlutoPrint is missing; this is found before anything is written.
    OutputError
        If the folder is not empty, is a file, cannot be written to, or the disk is full. Nothing is overwritten, and
        nothing stays behind.
    CancelledError
        If ``cancelled`` said so. Nothing stays behind.
    """
    if pdf:
        if not report:
            raise OptionsError("A PDF is the report on paper, but no report is wanted. Ask for both, or for neither.")
        from CovidCTLib.report.pdf import check_pdf_possible

        check_pdf_possible()
    with new_output_folder(folder) as temporary:
        _write_all(analysis, temporary, report, pdf, scan, _Teller(progress, cancelled))
        if also is not None:
            also(temporary)
        names = sorted(file.name for file in temporary.iterdir())
    return tuple(Path(folder) / name for name in names)


class _Teller:
    """Passes progress on and stops when the caller wants to."""

    def __init__(self, progress: ProgressCallback | None, cancelled: CancelCheck | None) -> None:
        self._progress = progress
        self._cancelled = cancelled

    def tell(self, progress: Progress) -> None:
        """Report, unless the caller cancelled."""
        if self._cancelled is not None and self._cancelled():
            raise CancelledError("Cancelled; nothing was written.")
        if self._progress is not None:
            self._progress(progress)


def _write_all(analysis: Analysis, folder: Path, report: bool, pdf: bool, scan: bool, teller: _Teller) -> None:
    """Write the files; large ones are compressed in threads while the report is made."""
    teller.tell(Progress("writing", 0.0))
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="covidct-writing")
    try:
        pending = [pool.submit(job) for job in _image_jobs(analysis, folder, scan)]
        write_record(folder / RECORD_FILE, analysis)
        write_measures(folder / MEASURES_FILE, analysis)
        write_slices(folder / SLICES_FILE, analysis)
        done = 0.0
        if report:
            # The report needs matplotlib and Jinja2, which nobody should wait for who does not want it.
            from CovidCTLib.report import write_report

            teller.tell(Progress("report", done))
            if pdf:
                write_report(analysis, folder / REPORT_FILE, pdf=folder / PDF_FILE)
            else:
                write_report(analysis, folder / REPORT_FILE)
            done = _REPORT_SHARE
        _await(pending, done, teller)
    finally:
        # Nobody may still write into the folder when it is renamed or removed.
        pool.shutdown(wait=True, cancel_futures=True)


def _image_jobs(analysis: Analysis, folder: Path, scan: bool) -> list[Callable[[], None]]:
    """What is to be compressed, the longest first."""
    geometry = analysis.scan.geometry
    jobs: list[Callable[[], None]] = [
        lambda: write_nifti(
            folder / LOCALIZATION_FILE, analysis.localization, geometry, "CovidCT localization, 0 to 1"
        ),
        lambda: write_segmentation(folder / SEGMENTATION_FILE, analysis),
        lambda: write_nifti(folder / LABELMAP_FILE, analysis.labelmap, geometry, "CovidCT labelmap"),
    ]
    if scan:
        jobs.insert(0, lambda: write_nifti(folder / SCAN_FILE, analysis.scan.hu, geometry, "CovidCT scan in HU"))
    return jobs


def _await(pending: list[Future[None]], done: float, teller: _Teller) -> None:
    """Wait for the files and pass on the first failure."""
    for number, future in enumerate(pending, start=1):
        future.result()
        teller.tell(Progress("writing", done + (1 - done) * number / len(pending)))
