"""What the buttons of the panel do: runs, results, batch; the scene is reached through its actions only."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from CovidCTLib.batch.cases import cases_beside
from CovidCTLib.errors import CovidCTError
from CovidCTPanel.adding_run import AddingRun
from CovidCTPanel.analysis_run import AnalysisRun, HandOver, RunListener
from CovidCTPanel.batch_run import BatchListener, BatchRun
from CovidCTPanel.batch_section import BatchSection
from CovidCTPanel.collaborators import Actions, Choice
from CovidCTPanel.earlier_results import EarlierResults
from CovidCTPanel.edit_notice import EditNotice
from CovidCTPanel.explanation_run import EXPLANATION_PAGE, ExplanationRun
from CovidCTPanel.followup_controls import FollowUpControls
from CovidCTPanel.followup_section import FollowUpSection
from CovidCTPanel.given_section import GivenSection
from CovidCTPanel.measuring_run import MeasuringRun
from CovidCTPanel.panel import Panel
from CovidCTPanel.pieces import LongCall, orMistake
from CovidCTPanel.previous_layout import PreviousLayout
from CovidCTPanel.private_folder import PrivateFolder, removeStubborn
from CovidCTPanel.result_files import ResultFiles
from CovidCTPanel.settings import analysisArguments
from CovidCTPanel.surfaces_run import SurfacesRun
from CovidCTPanel.wait_cursor import waitCursor


class Controller:
    """Connects the panel's buttons with processes and scene.

    Parameters
    ----------
    panel, batchSection, followUpSection, givenSection
        The widgets.
    actions
        The scene.
    choice
        What is chosen.
    install
        Installs what is missing if the user agrees, with what a PDF, and what DICOM results need if it is given True
        for them; says whether the work can begin now.
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
        givenSection: GivenSection,
        actions: Actions,
        choice: Choice,
        install: Callable[[bool, bool], bool],
        python: str,
        library: Path,
        previousLayout: PreviousLayout,
    ) -> None:
        self._panel = panel
        self._batchSection = batchSection
        self._givenSection = givenSection
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
        self.surfaces = SurfacesRun(actions, choice.volumeId, self._try, self.showState)
        self._explanation = ExplanationRun(actions.shownSlice, choice.settings, self._start, self._openExplanation)
        self._files = ResultFiles(
            panel, actions.snapshot, actions.name, self._beside, actions.sourceLater, self._explanation.begin
        )
        self._adding = AddingRun(actions, self._beside, self._isWanted, self._onAdded, self._onReplaced)
        self._earlier = EarlierResults(panel, actions, self._beside, self._adding.add)
        self.runVolumeId: str | None = None
        self._shownId: str | None = None
        self._edits = EditNotice(actions, panel.showEdited)
        panel.onAnalyze(self.analyze, lambda: self.cancel(_("Cancelled; the scene is as it was.")))
        panel.onWindow(lambda name: self._try(lambda: self._actions.applyWindow(self._choice.volumeId(), name)))
        panel.onResultButton("show3DButton", self.surfaces.show)
        panel.onResultButton("heatMapButton", lambda shown: self._withChosen(self._actions.showHeatMap, shown))
        panel.onResultButton("reportButton", lambda _checked: self._withFiles(self._files.report))
        panel.onResultButton("pdfButton", lambda _checked: self._withFiles(self._files.pdf, forPdf=True))
        panel.onResultButton(
            "exportButton", lambda _checked: self._withFiles(self._files.export, forDicom=panel.dicom.wanted)
        )
        panel.dicom.onEarlier(lambda: self._withFiles(self._earlier.show))
        panel.onResultButton("explainButton", lambda _checked: self.explain())
        for name, show in (
            ("chartButton", actions.showChart),
            ("tableButton", actions.showTable),
            ("measuresButton", actions.showMeasures),
            ("statisticsButton", actions.openStatistics),
            ("editButton", actions.editSegments),
        ):
            panel.onResultButton(name, partial(self._showOf, show))
        self._measuring = MeasuringRun(actions, self._beside, panel.showMessage, self._edits.settle)
        panel.onResultButton("measureAgainButton", lambda _checked: self._withFiles(self._measuring.begin))
        givenSection.onMeasure(self.measureGiven)
        batchSection.onRun(self.analyzeFolder, self.cancelFolder)
        self.followUp = FollowUpControls(followUpSection, actions, choice, previousLayout, self.showState)

    @property
    def running(self) -> bool:
        """Whether a single CT is being analyzed or explained."""
        return self.runVolumeId is not None

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return self.running or self.adding or self._batch is not None or self._background is not None

    @property
    def adding(self) -> bool:
        """Whether results come into the scene, or replaced ones go, step by step."""
        return self._adding.running

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
        running = _("Wait until what is running is done, or cancel it.") if self.running else None
        self._givenSection.showRefusal(refusal or running)
        self._panel.showFirstSteps(volumeId is None and not self._actions.hasCt())
        self._batchSection.showBusy(self.busy and self._batch is None)
        record = self._actions.record(volumeId)
        self._panel.showRecord(record)
        self.followUp.refresh()
        self._edits.follow(volumeId if record is not None else None, mayCompare=not self.busy)
        waiting = volumeId is not None and record is None and refusal is None and not self.busy
        self._panel.dicom.showEarlier(volumeId is not None and waiting and self._actions.hasEarlierResults(volumeId))
        if record is None or volumeId is None:
            return
        self._panel.dicom.showExport(self._actions.refusalOfDicom(volumeId))
        for name in ("chartButton", "tableButton", "measuresButton", "statisticsButton", "editButton"):
            self._panel.showResultButton(name, None)
        making = _("The surfaces are being made.") if self.surfaces.running else None
        self._panel.showResultButton("show3DButton", making, bool(making) or self._actions.is3DShown(volumeId))
        self._panel.showResultButton("heatMapButton", None, self._actions.isHeatMapShown(volumeId))
        busy = _("Wait until what is running is done, or cancel it.") if self.busy else None
        for name in ("reportButton", "pdfButton", "exportButton", "explainButton", "measureAgainButton"):
            self._panel.showResultButton(name, busy)

    def analyze(self) -> None:
        """Start the analysis of the chosen CT."""
        # Without a report, which is made from the scene when it is wanted: most readers look at the scene first.
        self._start(
            "analyze", lambda _volumeId: [*analysisArguments(self._choice.settings()), "--no-report"], self._read
        )

    def measureGiven(self, segmentationId: str) -> None:
        """Measure the chosen CT with any segmentation of the scene; what it does not give the networks find."""
        volumeId = self._choice.volumeId()
        if volumeId is not None and self._actions.isMeasured(volumeId, segmentationId):
            self._withFiles(self._measuring.begin)
            return
        self._start(
            "measure",
            lambda _volumeId: [*analysisArguments(self._choice.settings()), "--no-report"],
            self._read,
            segmentationId,
        )

    def explain(self) -> None:
        """Start the explanation of the slice in the red view, from the results that are there."""
        self._withFiles(self._files.forExplanation)

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
        if self._background is not None:
            self._background.drop()
        self._adding.drop()
        self._run = self._batch = self._background = None
        self.runVolumeId = None
        self._explanation.end()
        self.surfaces.stop()
        self.followUp.stop()
        self._files.stop()
        removeStubborn()

    def removeKept(self) -> None:
        """Remove the private folders of pages that were opened."""
        self._files.removeKept()

    def analyzeFolder(self, inputFolder: Path, outputFolder: Path) -> None:
        """Start the batch."""
        if self.busy:
            return
        try:
            if not self._install(False, False) or self.busy:
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
        segmentationId: str | None = None,
    ) -> bool:
        """Hand the chosen CT to a process of the command line; whatever is wrong is shown as one sentence.

        Say whether it runs. With ``segmentationId`` a segmentation of the scene is handed over, too.
        """
        volumeId = self._choice.volumeId()
        if self.busy or volumeId is None:
            return False
        try:
            if not self._install(False, False) or self.busy:
                return False
            handOver = HandOver(*self._actions.handOver(volumeId))
            arguments = argumentsFor(volumeId)
            labels = self._labels(volumeId, segmentationId)
            listener = RunListener(self._panel.showProgress, onFinished, self._end, lambda: self._end(""))
            run = AnalysisRun(self._python, self._library, listener)
            self._run, self.runVolumeId, self._stopReason = run, volumeId, None
            self._panel.startWork()
            orMistake(lambda: run.start(command, handOver, arguments, labels))
        except CovidCTError as error:
            self._end(str(error))
        self.showState()
        return self._run is not None

    def _labels(self, volumeId: str, segmentationId: str | None) -> HandOver | None:
        if segmentationId is None:
            return None
        found = self._actions.segmentsHandOver(volumeId, segmentationId)
        return HandOver(found.byteCount, found.steps)

    def _read(self, folder: PrivateFolder) -> None:
        """Read the results of the run, and show them."""
        self._adding.read(self.runVolumeId, folder)

    def _isWanted(self, volumeId: str) -> bool:
        return self._stopReason is None and self._actions.has(volumeId)

    def _onAdded(self, message: str, shownId: str | None) -> None:
        """Come to rest; where the results of a CT are shown, nobody can cancel any more."""
        if shownId is not None:
            self._stopReason = None
            # Other segments than before, but not edited ones.
            self._edits.settle(shownId)
        self._end(message)

    def _onReplaced(self, failure: str | None, volumeId: str | None) -> None:
        """Tell why a result that was replaced is still there, and show surfaces in place of earlier ones."""
        if failure is not None:
            self._panel.showMessage(failure)
        if volumeId is not None and volumeId == self._choice.volumeId() and not self.surfaces.running:
            self.surfaces.show(True, turn=False)
        else:
            self.showState()

    def _openExplanation(self, folder: PrivateFolder) -> None:
        self._end("")
        self._files.open(folder, EXPLANATION_PAGE)

    def _end(self, message: str) -> None:
        """Come to rest after a run, with one sentence, or the reason why it was stopped."""
        reason = self._stopReason
        self._run = self.runVolumeId = self._stopReason = None
        self._explanation.end()
        self._panel.endWork()
        self._panel.showMessage(message if reason is None else reason)
        self.showState()

    def _endBatch(self) -> None:
        self._batch = None
        self._batchSection.endWork()
        self.showState()

    def _withFiles(self, make: Callable[[str], None], forPdf: bool = False, forDicom: bool = False) -> None:
        """Make files of the chosen CT's results, once all that it needs is installed."""
        volumeId = self._choice.volumeId()
        if self.busy or volumeId is None:
            return
        try:
            # An installation takes events, so that another button may have been pressed meanwhile.
            if not self._install(forPdf, forDicom) or self.busy:
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
            if not self.adding:
                self.showState()

        self._background = LongCall(steps, function, done)
        self.showState()
