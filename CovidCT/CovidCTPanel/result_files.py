"""Report, PDF and export of the results of a CT: taken from the scene in pieces, written beside the user interface."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from slicer.i18n import tr as _

from CovidCTLib.errors import CovidCTError
from CovidCTPanel.panel import Panel, chooseFile, chooseFolder, openFile
from CovidCTPanel.private_folder import PrivateFolder, userFolder

REPORT_PAGE = "report.html"
"""Name of the report as ``covidct analyze`` writes it."""

PDF_SUFFIX = ".pdf"

UNNAMED = "report"
"""Name of a PDF whose CT has a name of which no character may stand in that of a file."""

LONGEST_NAME = 80
"""Most characters of a CT's name in that of a file: systems allow 255 bytes, of which a character may take three."""

_PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
RESERVED_NAMES = {"con", "prn", "aux", "nul", *_PORTS}
"""Names that Windows keeps for devices, also before an ending (Microsoft, "Naming Files, Paths, and Namespaces")."""


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
    nameOf
        Gives the name of the CT with an identifier.
    beside
        Does the work.
    sourceLater
        Gives what reads the DICOM study of the CT with an identifier, in any thread; raises CovidCTError without one.
    explain
        Gets a private folder with results that an explanation is to be made from; it removes the folder.
    """

    def __init__(
        self,
        panel: Panel,
        snapshot: Callable[[str], Snapshot],
        nameOf: Callable[[str], str],
        beside: Beside,
        sourceLater: Callable[[str], Callable[[], Any]],
        explain: Callable[[PrivateFolder], None],
    ) -> None:
        self._explain = explain
        self._panel = panel
        self._snapshot = snapshot
        self._nameOf = nameOf
        self._beside = beside
        self._sourceLater = sourceLater
        self._kept: list[PrivateFolder] = []
        self._unfinished: PrivateFolder | None = None

    def report(self, volumeId: str) -> None:
        """Make the report of a CT in a private folder, and open it."""
        try:
            folder = PrivateFolder(0, forBrowser=True)
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
        try:
            name = safeFileName(self._nameOf(volumeId)) + PDF_SUFFIX
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return
        chosen = chooseFile(None, _("Report as PDF"), str(userFolder() / name), _("PDF files (*.pdf)"))
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
        ended = self._teller(_("The report was written as a PDF."), path.parent)
        self._write(volumeId, lambda analysis: _writePdf(analysis, path), _("Making the PDF..."), ended)

    def export(self, volumeId: str) -> None:
        """Write all results of a CT into a folder of the user's, with DICOM results where they are wanted."""
        try:
            source = self._sourceLater(volumeId) if self._panel.dicom.wanted else None
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return
        chosen = chooseFolder(None, _("Empty folder for the results"))
        if not chosen:
            return
        written = _("All results were written, with the report.")
        if source is not None:
            written = _("All results were written. Those in the folder dicom hold the patient's data, as the CT does.")

        def write(analysis: Any) -> None:
            _writeResults(analysis, Path(chosen), source=source)

        self._write(volumeId, write, _("Writing the results..."), self._teller(written, Path(chosen)))

    def open(self, folder: PrivateFolder, page: str) -> None:
        """Open a page of a private folder's results, which is kept until `removeKept`, and say where it is."""
        path = self._keep(folder).results / page
        # Where a program was found, nobody can tell whether it shows the page: a browser in a sandbox may be denied it.
        text = (
            _("The page was opened in the browser. If it does not appear, open this file by hand: {path}")
            if openFile(str(path))
            else _("No program was found that opens web pages. Open this file by hand: {path}")
        )
        self._panel.showMessage(text.format(path=path), path.parent)

    def _keep(self, folder: PrivateFolder) -> PrivateFolder:
        """Keep a private folder until `removeKept`; its results move to where a browser may read them."""
        if not folder.isForBrowser:
            with contextlib.suppress(CovidCTError, OSError):
                readable = PrivateFolder(0, forBrowser=True)
                self._kept.append(readable)
                shutil.move(folder.results, readable.results)
                folder.remove()
                return readable
        self._kept.append(folder)
        return folder

    def removeKept(self) -> None:
        """Remove the private folders of pages that were opened, not of one that is being made."""
        for folder in self._kept:
            self._panel.forgetFolder(folder.path)
            folder.remove()
        self._kept = []

    def stop(self) -> None:
        """Remove all private folders; nothing is being made any more."""
        self._removeUnfinished()
        self.removeKept()

    def _teller(self, text: str, folder: Path) -> Callable[[], None]:
        return lambda: self._panel.showMessage(text, folder)

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


def safeFileName(name: str) -> str:
    """Make the name of a file of that of a CT, which any system takes.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    str
        Letters and digits of any script, spaces and ``_.,()+-`` stay; each run of others becomes one ``_``.
    """
    kept = re.sub(r"[^\w .,()+-]+", "_", name)[:LONGEST_NAME].strip(" ._")
    return f"{kept}_" if kept.split(".")[0].strip().lower() in RESERVED_NAMES else kept or UNNAMED


def _writeResults(analysis: Any, folder: Path, report: bool = True, source: Callable[[], Any] | None = None) -> None:
    """Write all results of an analysis, usually with the report, and DICOM results into the study that is read."""
    from CovidCTLib.results import write_results

    also = None
    if source is not None:
        from CovidCTLib.dicom_results import check_all_possible, dicom_writer

        check_all_possible()
        also = dicom_writer(replace(analysis, scan=replace(analysis.scan, source=source())))
    write_results(analysis, folder, report=report, also=also)


def _writePdf(analysis: Any, path: Path) -> None:
    """Write the report of an analysis as a PDF."""
    from CovidCTLib.report.html import render_report
    from CovidCTLib.report.pdf import check_pdf_possible, write_pdf

    check_pdf_possible()
    write_pdf(render_report(analysis), path)
