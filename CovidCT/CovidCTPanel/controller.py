"""What the buttons of the panel do: runs, results, batch; the scene is reached through its actions only."""

from __future__ import annotations

import concurrent.futures
import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.batch.cases import cases_beside
from CovidCTLib.errors import CovidCTError
from CovidCTPanel.analysis_run import AnalysisRun, HandOver, RunListener
from CovidCTPanel.background import BackgroundCall
from CovidCTPanel.batch_run import BatchListener, BatchRun
from CovidCTPanel.batch_section import BatchSection
from CovidCTPanel.changes_run import ChangesRun
from CovidCTPanel.collaborators import Actions, Choice, FollowUpSummary
from CovidCTPanel.edit_notice import EditNotice
from CovidCTPanel.followup_section import FollowUpSection, StudyEntry
from CovidCTPanel.panel import Panel
from CovidCTPanel.pieces import LongCall, orMistake
from CovidCTPanel.previous_layout import PreviousLayout
from CovidCTPanel.private_folder import PrivateFolder, removeStubborn
from CovidCTPanel.result_files import ResultFiles
from CovidCTPanel.settings import analysisArguments, engineArguments
from CovidCTPanel.summary import changeTable
from CovidCTPanel.wait_cursor import waitCursor

FOLLOW_UP_PACKAGE = "CovidCTLib.followup"
"""Loaded only where it is needed, as it needs packages that Slicer does not ship."""

EXPLANATION_PAGE = "explanation.html"
"""Name of the page that ``covidct explain`` writes."""


class Controller:
    """Connects the panel's buttons with processes and scene.

    Parameters
    ----------
    panel, batchSection, followUpSection
        The widgets.
    actions
        The scene.
    choice
        What is chosen.
    install
        Installs what is missing if the user agrees, with what a PDF needs if it is given True; says whether the work
        can begin now.
    python, library
        As for `AnalysisProcess`.
    previousLayout
        Remembers the layout that the user had.
    """

    def __init__(
        self,
        panel: Panel,
        batchSection: BatchSection,
        followUpSection: FollowUpSection,
        actions: Actions,
        choice: Choice,
        install: Callable[[bool], bool],
        python: str,
        library: Path,
        previousLayout: PreviousLayout,
    ) -> None:
        self._panel = panel
        self._batchSection = batchSection
        self._followUpSection = followUpSection
        self._actions = actions
        self._choice = choice
        self._install = install
        self._python = python
        self._library = library
        self._previousLayout = previousLayout
        self._run: AnalysisRun | None = None
        self._stopReason: str | None = None
        self._batch: BatchRun | None = None
        self._background: LongCall | None = None
        self._loading: BackgroundCall[Any] | None = None
        self._surfaces: LongCall | None = None
        self._files = ResultFiles(panel, actions.snapshot, actions.name, self._beside, self._explain)
        self._results: PrivateFolder | None = None
        self.runVolumeId: str | None = None
        self._shownId: str | None = None
        self._edits = EditNotice(actions, panel.showEdited)
        panel.onAnalyze(self.analyze, lambda: self.cancel(_("Cancelled; the scene is as it was.")))
        panel.onWindow(lambda name: self._try(lambda: self._actions.applyWindow(self._choice.volumeId(), name)))
        panel.onResultButton("show3DButton", self.show3D)
        panel.onResultButton("heatMapButton", lambda shown: self._withChosen(self._actions.showHeatMap, shown))
        panel.onResultButton("reportButton", lambda _checked: self._withFiles(self._files.report))
        panel.onResultButton("pdfButton", lambda _checked: self._withFiles(self._files.pdf, forPdf=True))
        panel.onResultButton("exportButton", lambda _checked: self._withFiles(self._files.export))
        panel.onResultButton("explainButton", lambda _checked: self.explain())
        for name, show in (
            ("chartButton", actions.showChart),
            ("tableButton", actions.showTable),
            ("measuresButton", actions.showMeasures),
            ("statisticsButton", actions.openStatistics),
        ):
            panel.onResultButton(name, partial(self._showOf, show))
        batchSection.onRun(self.analyzeFolder, self.cancelFolder)
        followUpSection.onOpened(self._showStudies)
        followUpSection.onCompare(self.compare)
        self._changes = ChangesRun(followUpSection, actions, choice.volumeId, self.showState)

    @property
    def running(self) -> bool:
        """Whether a single CT is being analyzed or explained."""
        return self.runVolumeId is not None

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return self.running or self._batch is not None or self._background is not None

    def showChosen(self, asSaved: bool = False) -> None:
        """Show in the views which CT is chosen, where that changed while the module is open, and then all the rest.

        Parameters
        ----------
        asSaved
            Whether the choice came with a scene that was loaded, whose views stay as they were saved.
        """
        volumeId = self._choice.volumeId()
        if self._choice.following() and volumeId != self._shownId:
            self._shownId = volumeId
            if volumeId is not None and not asSaved and self._actions.refusal(volumeId) is None:
                self._try(lambda: self._actions.showCt(volumeId))
        self.showState()

    def showState(self) -> None:
        """Enable the buttons exactly when they can work, and show the results of the chosen CT."""
        volumeId = self._choice.volumeId()
        refusal = self._actions.refusal(volumeId)
        self._panel.hideVolumes(self._actions.heatMaps())
        self._panel.forgetMessageOf((volumeId, refusal))
        if refusal is None and self.busy and not self.running:
            refusal = _("Wait until what is running is done, or cancel it.")
        self._panel.showRefusal(refusal)
        self._panel.showFirstSteps(volumeId is None and not self._actions.hasCt())
        self._batchSection.showBusy(self.busy and self._batch is None)
        record = self._actions.record(volumeId)
        self._panel.showRecord(record)
        self._showStudies()
        self._edits.follow(volumeId if record is not None else None, mayCompare=not self.busy)
        self._changes.refresh()
        if record is None or volumeId is None:
            return
        for name in ("chartButton", "tableButton", "measuresButton", "statisticsButton"):
            self._panel.showResultButton(name, None)
        making = _("The surfaces are being made.") if self._surfaces is not None else None
        self._panel.showResultButton("show3DButton", making, bool(making) or self._actions.is3DShown(volumeId))
        self._panel.showResultButton("heatMapButton", None, self._actions.isHeatMapShown(volumeId))
        busy = _("Wait until what is running is done, or cancel it.") if self.busy else None
        for name in ("reportButton", "pdfButton", "exportButton", "explainButton"):
            self._panel.showResultButton(name, busy)

    def analyze(self) -> None:
        """Start the analysis of the chosen CT."""
        # Without a report, which is made from the scene when it is wanted: most readers look at the scene first.
        self._start(
            "analyze", lambda _volumeId: [*analysisArguments(self._choice.settings()), "--no-report"], self._read
        )

    def explain(self) -> None:
        """Start the explanation of the slice in the red view, from the results that are there."""
        self._withFiles(self._files.forExplanation)

    def _explain(self, results: PrivateFolder) -> None:
        """Explain with results that were written into a private folder, which goes at the end."""
        self._results = results
        self._start(
            "explain",
            lambda volumeId: [
                *engineArguments(self._choice.settings()),
                "--results",
                str(results.results),
                "--slices",
                str(self._actions.shownSlice(volumeId)),
            ],
            self._openExplanation,
        )
        if self._run is None:
            self._removeResults()

    def cancel(self, reason: str) -> None:
        """End the run as soon as possible; the scene stays as it was.

        Parameters
        ----------
        reason
            Shown when nothing runs any more.
        """
        if self._run is None or self._stopReason is not None:
            return
        self._stopReason = reason
        self._panel.showCancelling()
        self._run.cancel()

    def stop(self) -> None:
        """End everything now, and leave nothing behind."""
        self._edits.stop()
        self._actions.watchEdits(None, lambda: None)
        for running in (self._run, self._batch):
            if running is not None:
                running.stop()
        for call in (self._background, self._loading, self._surfaces):
            if call is not None:
                call.drop()
        self._run = self._batch = self._background = self._loading = self._surfaces = None
        self.runVolumeId = None
        self._removeResults()
        self._changes.stop()
        self._files.stop()
        removeStubborn()

    def removeKept(self) -> None:
        """Remove the private folders of pages that were opened."""
        self._files.removeKept()

    def forgetStudies(self) -> None:
        """Empty the follow-up section, because its studies go with their scene."""
        self._changes.stop()
        self._followUpSection.showStudies(())

    def show3D(self, shown: bool, turn: bool = True) -> None:
        """Show or hide the surfaces of the chosen CT; the first time they are made beside the user interface.

        With ``turn`` the 3D views then turn to them.
        """
        volumeId = self._choice.volumeId()
        if volumeId is None or self._surfaces is not None:
            return
        try:
            surfaces = self._actions.surfaces(volumeId) if shown else None
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            # The press has checked the button, though nothing is shown.
            self.showState()
            return
        if surfaces is None:
            self._withChosen(self._actions.show3D, shown)
            return

        def done(future: concurrent.futures.Future[Any]) -> None:
            self._surfaces = None

            def show() -> None:
                future.result()
                surfaces.show(turn)

            with waitCursor():
                self._try(show)
            self.showState()

        self._surfaces = LongCall(surfaces.steps(), surfaces.make, done)
        self.showState()

    def compare(self, chosen: list[tuple[str, str]]) -> None:
        """Put the course of the ticked studies into the scene, and show it."""
        try:
            with waitCursor(), self._previousLayout.remembered():
                summary = self._actions.followUp(chosen)
        except CovidCTError as error:
            self._followUpSection.showMessage(str(error))
            self._followUpSection.showResult(())
            return
        self._showCourse(summary)

    def _showCourse(self, summary: FollowUpSummary | None) -> None:
        """Tell the change in words and numbers; without a follow-up nothing stands there."""
        self._followUpSection.showMessage("\n".join(summary.sentences) if summary is not None else "")
        self._followUpSection.showResult(changeTable(summary.regions) if summary is not None else ())

    def _showStudies(self) -> None:
        """List the studies, but only where the list is seen, for the dates of many studies take time to find."""
        if not self._choice.following() or not self._followUpSection.open or self._loading is not None:
            # While the module is closed nothing is chosen, and the list, made anew without that, would lose its ticks.
            return
        if FOLLOW_UP_PACKAGE in sys.modules:
            entries = self._actions.studies(self._choice.volumeId())
            if self._followUpSection.showStudies([StudyEntry(*entry) for entry in entries]):
                self._showCourse(self._actions.earlierFollowUp(self._choice.volumeId()))
            return
        # The first time, its packages load for a second or two, which the panel need not wait for.
        self._followUpSection.showMessage(_("Looking for studies..."))
        self._loading = BackgroundCall(lambda: importlib.import_module(FOLLOW_UP_PACKAGE), self._onFollowUpLoaded)

    def _onFollowUpLoaded(self, future: concurrent.futures.Future[Any]) -> None:
        self._loading = None
        if isinstance(future.exception(), ImportError):
            self._followUpSection.showMessage(_("Packages are missing. Press Analyze once, which installs them."))
            return
        future.result()
        self._followUpSection.showMessage("")
        self._showStudies()

    def analyzeFolder(self, inputFolder: Path, outputFolder: Path) -> None:
        """Start the batch."""
        if self.busy:
            return
        try:
            if not self._install(False) or self.busy:
                return
            cases_beside(inputFolder, outputFolder)
            arguments = analysisArguments(self._choice.settings())
        except CovidCTError as error:
            self._batchSection.addLine(str(error))
            return
        section = self._batchSection
        listener = BatchListener(section.showProgress, section.addLine, self._endBatch)
        self._batch = BatchRun(self._python, self._library, inputFolder, outputFolder, arguments, listener)
        section.startWork()
        self.showState()
        self._batch.start()

    def cancelFolder(self) -> None:
        """End the batch; what is done stays."""
        if self._batch is not None:
            self._batch.cancel()

    def _start(
        self,
        command: str,
        argumentsFor: Callable[[str], list[str]],
        onFinished: Callable[[PrivateFolder], None],
    ) -> None:
        """Hand the chosen CT to a process of the command line; whatever is wrong is shown as one sentence."""
        volumeId = self._choice.volumeId()
        if self.busy or volumeId is None:
            return
        try:
            if not self._install(False) or self.busy:
                return
            handOver = HandOver(*self._actions.handOver(volumeId))
            arguments = argumentsFor(volumeId)
            listener = RunListener(self._panel.showProgress, onFinished, self._end, lambda: self._end(""))
            run = AnalysisRun(self._python, self._library, listener)
            self._run, self.runVolumeId, self._stopReason = run, volumeId, None
            self._panel.startWork()
            orMistake(lambda: run.start(command, handOver, arguments))
        except CovidCTError as error:
            self._end(str(error))
        self.showState()

    def _read(self, folder: PrivateFolder) -> None:
        """Read the results beside the user interface."""
        volumeId = self.runVolumeId
        if self._stopReason is not None or volumeId is None or not self._actions.has(volumeId):
            folder.remove()
            self._end("")
            return
        try:
            scanLater = orMistake(lambda: self._actions.scanLater(volumeId))
            prepare = self._actions.preparing(volumeId)
            check = self._actions.editCheck(volumeId)
        except CovidCTError as error:
            folder.remove()
            self._end(str(error))
            return

        def read() -> tuple[Any, Any, bool]:
            analysis = _readAnalysis(folder, scanLater)
            return analysis, prepare(analysis), check is not None and check.edited()

        self._beside(check.steps() if check is not None else None, read, lambda future: self._add(volumeId, future))

    def _add(self, volumeId: str, future: concurrent.futures.Future[Any]) -> None:
        """Put the results into the scene."""
        if self._stopReason is not None or not self._actions.has(volumeId):
            self._end("")
            return
        seen3D = self._actions.is3DShown(volumeId)
        # The segments that go now are not edited by hand.
        self._actions.watchEdits(None, lambda: None)
        try:
            with waitCursor():
                # Slicer would only print a mistake, and the panel would wait for the end of the run for ever.
                message = orMistake(lambda: self._actions.add(volumeId, *future.result()))
        except CovidCTError as error:
            message, seen3D = str(error), False
        self._end(message)
        if seen3D:
            self.show3D(True, turn=False)

    def _openExplanation(self, folder: PrivateFolder) -> None:
        self._end("")
        self._files.open(folder, EXPLANATION_PAGE)

    def _end(self, message: str) -> None:
        """Come to rest after a run, with one sentence, or the reason why it was stopped."""
        reason = self._stopReason
        self._run = self.runVolumeId = self._stopReason = None
        self._removeResults()
        self._panel.endWork()
        self._panel.showMessage(message if reason is None else reason)
        self.showState()

    def _removeResults(self) -> None:
        results, self._results = self._results, None
        if results is not None:
            results.remove()

    def _endBatch(self) -> None:
        self._batch = None
        self._batchSection.endWork()
        self.showState()

    def _withFiles(self, make: Callable[[str], None], forPdf: bool = False) -> None:
        """Make files of the chosen CT's results, once all that it needs is installed."""
        volumeId = self._choice.volumeId()
        if self.busy or volumeId is None:
            return
        try:
            # An installation takes events, so that another button may have been pressed meanwhile.
            if not self._install(forPdf) or self.busy:
                return
        except CovidCTError as error:
            self._panel.showMessage(str(error))
            return
        make(volumeId)

    def _withChosen(self, action: Callable[[str, bool], None], shown: bool = True) -> None:
        volumeId = self._choice.volumeId()
        if volumeId is not None:
            with waitCursor():
                self._try(lambda: action(volumeId, shown))
            self.showState()

    def _showOf(self, show: Callable[[str], None], _checked: bool) -> None:
        self._withChosen(lambda volumeId, _shown: show(volumeId))

    def _try(self, action: Callable[[], Any]) -> None:
        """Show what is wrong as one sentence."""
        try:
            with self._previousLayout.remembered():
                action()
        except CovidCTError as error:
            self._panel.showMessage(str(error))

    def _beside(
        self,
        steps: Iterator[float] | None,
        function: Callable[[], Any],
        onDone: Callable[[concurrent.futures.Future[Any]], None],
    ) -> None:
        """Do something long, as `LongCall`, during which nothing else that is long can begin."""

        def done(future: concurrent.futures.Future[Any]) -> None:
            self._background = None
            onDone(future)
            self.showState()

        self._background = LongCall(steps, function, done)
        self.showState()


def _readAnalysis(folder: PrivateFolder, scanLater: Callable[[], Any]) -> Any:
    """Read the results of a run and remove its private folder."""
    # Reading results needs packages that Slicer does not ship, so it loads only where there are some.
    from CovidCTLib.results.reading import read_analysis

    try:
        return read_analysis(folder.results, scan=scanLater())
    finally:
        folder.remove()
