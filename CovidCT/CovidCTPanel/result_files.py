"""Report, PDF and export of the results of a CT: taken from the scene in pieces, written beside the user interface."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.panel import Panel, chooseFile, chooseFolder, openFile
from CovidCTPanel.private_folder import PrivateFolder

REPORT_PAGE = "report.html"
REPORT_PDF = "report.pdf"
"""Names of the report as ``covidct analyze`` writes them."""

PDF_SUFFIX = ".pdf"


class Snapshot(Protocol):
    """Results of a CT that are taken from the scene, as `CovidCTScene.snapshot.Snapshot`."""

    def steps(self) -> Iterator[float]:
        """Take them, piece by piece."""

    def analysis(self) -> Any:
        """Give the analysis, in any thread, when all steps were taken."""


Beside = Callable[
    ["Iterator[float] | None", Callable[[], Any], Callable[["concurrent.futures.Future[Any]"], None]], None
]
"""Takes steps, a function for a thread and what is called with its future, as `CovidCTPanel.pieces.LongCall`."""


class ResultFiles:
    """Makes files of the results in the scene.

    Parameters
    ----------
    panel
        Where messages are shown.
    snapshot
        Gives the results of the CT with an identifier; raises CovidCTError where there are none.
    beside
        Does the work.
    explain
        Gets a private folder with results that an explanation is to be made from; it removes the folder.
    """

    def __init__(
        self,
        panel: Panel,
        snapshot: Callable[[str], Snapshot],
        beside: Beside,
        explain: Callable[[PrivateFolder], None],
    ) -> None:
        self._explain = explain
        self._panel = panel
        self._snapshot = snapshot
        self._beside = beside
        self._kept: list[PrivateFolder] = []
        self._unfinished: PrivateFolder | None = None

    def report(self, volumeId: str) -> None:
        """Make the report of a CT in a private folder, and open it."""
        try:
            folder = PrivateFolder(0)
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return
        self._write(
            volumeId,
            lambda analysis: _writeResults(analysis, folder.results),
            _("Making the report..."),
            lambda: self.open(folder, REPORT_PAGE),
            folder,
        )

    def forExplanation(self, volumeId: str) -> None:
        """Write the results of a CT, without a report, for an explanation that needs no network but one for them."""
        try:
            folder = PrivateFolder(0)
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return
        self._write(
            volumeId,
            lambda analysis: _writeResults(analysis, folder.results, report=False),
            _("Preparing the explanation..."),
            lambda: self._explain(folder),
            folder,
        )

    def pdf(self, volumeId: str) -> None:
        """Write the report of a CT as a PDF where the user wants it."""
        chosen = chooseFile(None, _("Report as PDF"), REPORT_PDF, _("PDF files (*.pdf)"))
        if not chosen:
            return
        path = Path(chosen)
        if path.suffix.lower() != PDF_SUFFIX:
            path = path.with_name(path.name + PDF_SUFFIX)
            if path.exists():
                # The dialog asked about the name without its ending, so nobody agreed to replace this file.
                text = _("{name} exists already. Choose that file itself to replace it, or another name.")
                self._panel.showMessage(text.format(name=path.name))
                return
        ended = self._teller(_("The report was written as a PDF."))
        self._write(volumeId, lambda analysis: _writePdf(analysis, path), _("Making the PDF..."), ended)

    def export(self, volumeId: str) -> None:
        """Write all results of a CT into a folder of the user's."""
        chosen = chooseFolder(None, _("Empty folder for the results"))
        if chosen:
            ended = self._teller(_("All results were written, with the report."))
            self._write(
                volumeId, lambda analysis: _writeResults(analysis, Path(chosen)), _("Writing the results..."), ended
            )

    def open(self, folder: PrivateFolder, page: str) -> None:
        """Open a page of a private folder's results, which is kept until `removeKept`."""
        self._kept.append(folder)
        if not openFile(str(folder.results / page)):
            self._panel.showMessage(_("No program here opens web pages. Press Export, and open the page by hand."))

    def removeKept(self) -> None:
        """Remove the private folders of pages that were opened, not of one that is being made."""
        for folder in self._kept:
            folder.remove()
        self._kept = []

    def stop(self) -> None:
        """Remove all private folders; nothing is being made any more."""
        self._removeUnfinished()
        self.removeKept()

    def _teller(self, text: str) -> Callable[[], None]:
        return lambda: self._panel.showMessage(text)

    def _write(
        self,
        volumeId: str,
        write: Callable[[Any], None],
        doing: str,
        onWritten: Callable[[], None],
        folder: PrivateFolder | None = None,
    ) -> None:
        """Take the results from the scene, write them, and say so; whatever is wrong is shown as one sentence."""
        self._unfinished = folder
        try:
            snapshot = self._snapshot(volumeId)
        except CovidCTError as error:
            self._removeUnfinished()
            self._panel.showMessage(str(error))
            return

        def written(future: concurrent.futures.Future[Any]) -> None:
            try:
                future.result()
            except CovidCTError as error:
                self._removeUnfinished()
                self._panel.showMessage(str(error))
                return
            self._unfinished = None
            self._panel.showMessage("")
            onWritten()

        self._panel.showMessage(doing)
        self._beside(snapshot.steps(), lambda: write(snapshot.analysis()), written)

    def _removeUnfinished(self) -> None:
        folder, self._unfinished = self._unfinished, None
        if folder is not None:
            folder.remove()


def _writeResults(analysis: Any, folder: Path, report: bool = True) -> None:
    """Write all results of an analysis, usually with the report."""
    from CovidCTLib.results import write_results

    write_results(analysis, folder, report=report)


def _writePdf(analysis: Any, path: Path) -> None:
    """Write the report of an analysis as a PDF."""
    from CovidCTLib.report.html import render_report
    from CovidCTLib.report.pdf import check_pdf_possible, write_pdf

    check_pdf_possible()
    write_pdf(render_report(analysis), path)
