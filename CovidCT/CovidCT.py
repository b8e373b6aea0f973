"""CovidCT's module in 3D Slicer: Slicer's own classes, which wire panel, scene and library."""

import importlib.util
import sys
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if importlib.util.find_spec("CovidCTLib") is None:
    # Run from the source tree the library lies beside this folder; installed, it is on the path already.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

import CovidCTPanel as panels
import CovidCTScene as scenes
from CovidCTModule import CovidCTLogic
from CovidCTScene.actions import SceneActions
from CovidCTScene.choice import SeenCts

import CovidCTLib
from CovidCTLib.errors import CovidCTError, InputError
from CovidCTLib.options import Options

LIBRARY = Path(CovidCTLib.__file__).resolve().parents[1]
"""Folder that holds the package CovidCTLib."""


class CovidCT(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("CovidCT")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["The CovidCT contributors"]
        self.parent.helpText = _(
            "Choose a chest CT and press Analyze. You get lungs, ground-glass opacity and consolidation as a "
            "segmentation, a heat map of where the slice classifier looked, and tables with the Corona Score and all "
            "measures. Research software, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "The networks were trained on public CTs for non-commercial research; their model cards name the sources."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        """Make the terms of CovidCT's segments known to Slicer, and its samples."""
        slicer.modules.terminologies.logic().LoadTerminologyFromFile(self.resourcePath("CovidCT.term.json"))
        if importlib.util.find_spec("SampleData") is not None:
            import SampleData

            thumbnail = self.resourcePath("Icons/CovidCT.png")
            scenes.registerSamples(SampleData.SampleDataLogic, lambda: slicer.mrmlScene, thumbnail)


class CovidCTWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self.charts = None
        self.tables = None
        self.previousLayout = None
        self.controller = None
        self._parameterNode = None
        self._guiTag = None
        self._seen = SeenCts()

    def setup(self):
        """Load the panel and connect it."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/CovidCT.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CovidCTLogic()
        # Loads what compares versions while the module opens, so that the first click on Analyze need not.
        self.logic.missingPackages()
        self.panel = panels.Panel(self.ui, uiWidget, self.openModule)
        self.charts = panels.Charts(
            lambda: slicer.app.layoutManager(), lambda: slicer.modules.plots.logic(), self.onChartPoint
        )
        self.tables = panels.TableViews(
            lambda: slicer.app.layoutManager(),
            lambda: slicer.modules.tables.logic(),
            lambda tableNode: scenes.showTableNode(slicer.app.applicationLogic(), tableNode),
            self.onTableRow,
        )
        self.tables.follow()
        self.previousLayout = panels.PreviousLayout(lambda: slicer.app.layoutManager())
        self.panel.followLayout(self.previousLayout)
        self.controller = panels.Controller(
            self.panel,
            panels.BatchSection(self.ui),
            panels.FollowUpSection(self.ui),
            panels.GivenSection(self.ui),
            SceneActions(
                slicer.mrmlScene,
                self.charts.show,
                self.tables.show,
                self.openStatistics,
                self.openEditor,
                lambda: getattr(slicer, "dicomDatabase", None),
            ),
            self,
            self.installWithConsent,
            self.logic.python(),
            LIBRARY,
            self.previousLayout,
        )
        panels.connectFolderButton(self.ui.modelsButton, self.ui.modelsEdit, _("Folder with your models"))
        self.ui.advancedLabel.text = panels.advancedText()
        self.ui.resetButton.connect("clicked(bool)", lambda _checked=False: panels.resetSettings(self.settings()))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReplaced)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        # A CT gets its voxels after it was added, and one import adds many nodes: one look when all is done is enough.
        self._lookTimer = qt.QTimer()
        self._lookTimer.setSingleShot(True)
        self._lookTimer.setInterval(0)
        self._lookTimer.timeout.connect(self.lookAtScene)
        self.initializeParameterNode()

    def cleanup(self):
        """End what is running and let go of the scene, before the application closes or the module is unloaded."""
        self.setParameterNode(None)
        # First of all, for what ends may take nodes out of the scene, and nobody must look there any more.
        self.removeObservers()
        # Connected, it would hold the panel for as long as Slicer runs, also where the module is loaded anew.
        self._lookTimer.stop()
        self._lookTimer.deleteLater()
        self.controller.stop()
        self.charts.leave()
        self.tables.leave()
        self.previousLayout.leave()
        self.panel.leave()

    def enter(self):
        """Catch up with the scene each time the module opens."""
        self.initializeParameterNode()

    def exit(self):
        """Stop following the parameter node while another module is open; an analysis goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """Stop the analysis, which has nowhere to go, and forget the parameter node, which goes with the scene."""
        self.controller.cancel(_("The scene was closed, so the analysis was stopped."))
        self.controller.removeKept()
        self.controller.followUp.forgetStudies()
        self.setParameterNode(None)

    def onSceneReplaced(self, caller, event):
        """Take up the parameter node of the new scene, or what a loaded one says was chosen, if the module is open."""
        self._seen.forget()
        if self.parent.isEntered:
            self.initializeParameterNode(asSaved=True)

    def onNodesChanged(self, caller, event):
        """Look at the scene once it has come to rest."""
        self._lookTimer.start()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        """Stop the analysis of a CT that is removed, and take its results out of the panel."""
        if node is not None and node.GetID() == self.controller.runVolumeId:
            self.controller.cancel(_("The CT was removed from the scene, so its analysis was stopped."))
        self._lookTimer.start()

    def lookAtScene(self):
        """Choose a CT that is new, and show the results of the chosen one."""
        if self.controller.adding:
            # Once, when all results have come, and not after each of their nodes.
            self._lookTimer.start()
            return
        if self._parameterNode is not None or self.controller.running:
            self._chooseNewest()
        self.controller.showState()

    def initializeParameterNode(self, asSaved=False):
        """Follow the scene's parameter node, and choose the newest CT where none is chosen.

        With ``asSaved`` the node came with a scene that was loaded, whose views stay as they were saved.
        """
        self.setParameterNode(self.logic.getParameterNode(), asSaved)
        self._chooseNewest()
        self.controller.showChosen(asSaved)

    def _chooseNewest(self):
        """Choose the newest CT if none is chosen, or if it was never seen before; never while one is analyzed."""
        # Also while one is analyzed: what came then is not new later.
        newest, isNew = self._seen.look(slicer.mrmlScene)
        if newest is None or self.controller.running:
            return
        if isNew or self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = newest

    def setParameterNode(self, parameterNode, asSaved=False):
        """Connect the panel to a parameter node, or to none; ``asSaved`` as in `initializeParameterNode`."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = panels.connectWidgets(parameterNode, self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.controller.showChosen(asSaved)

    def onParametersModified(self, caller=None, event=None):
        """Keep views, buttons and results in step with what is chosen."""
        self.controller.showChosen()

    def following(self):
        """Say whether the module is open, so that what is chosen is known."""
        return self._parameterNode is not None

    def volumeId(self):
        """Give the identifier of the chosen CT; None where none is chosen."""
        volumeNode = self._parameterNode.inputVolume if self._parameterNode is not None else None
        return volumeNode.GetID() if volumeNode is not None else None

    def settings(self):
        """Give the settings, which are those of the parameter node, also while another module is open."""
        return self._parameterNode or self.logic.getParameterNode()

    def onChartPoint(self, seriesId, row):
        """Move the slice views to the slice of a point that was chosen in the chart of any analyzed CT."""
        self._orMessage(lambda: scenes.jumpToChartPoint(slicer.mrmlScene, seriesId, row))

    def onTableRow(self, tableId, row):
        """Move the slice views to the slice of a row that was chosen in the table of any analyzed CT."""
        self._orMessage(lambda: scenes.jumpToTableRow(slicer.mrmlScene, tableId, row))

    def openModule(self, name):
        """Open a module of Slicer."""
        self._orMessage(lambda: _selectModule(name))

    def openStatistics(self, segmentationNode, volumeNode):
        """Open Segment Statistics with a segmentation and a CT chosen; it writes its own table when it is told to."""
        _selectModule("SegmentStatistics")
        statistics = slicer.modules.segmentstatistics.widgetRepresentation().self()
        statistics.segmentationSelector.setCurrentNode(segmentationNode)
        statistics.scalarSelector.setCurrentNode(volumeNode)

    def openEditor(self, segmentationNode, volumeNode):
        """Open the Segment Editor with a segmentation and a CT chosen; the views stay as they are."""
        # Before it opens, for it takes the first segmentation of the scene where its own node names none.
        scenes.editorNodeFor(slicer.mrmlScene, segmentationNode, volumeNode)
        _selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentationNode)
        editor.setSourceVolumeNode(volumeNode)
        # The editor chooses the first segment of a segmentation that it is given.
        scenes.editorNodeFor(slicer.mrmlScene, segmentationNode, volumeNode)

    def _orMessage(self, action):
        """Show what is wrong as one sentence."""
        try:
            action()
        except CovidCTError as error:
            self.panel.showMessage(str(error))

    def installWithConsent(self, forPdf: bool = False, forDicom: bool = False) -> bool:
        """Install what is missing if the user agrees; say whether an analysis, a PDF or DICOM can be made now."""

        def tell(text: str) -> None:
            self.panel.showMessage(text)
            # What follows may keep the user interface waiting for minutes.
            slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)

        missing = self.logic.missingPackages(forPdf, forDicom)
        return panels.installWithConsent(
            missing,
            bool(missing) and panels.isExtensionMissing(),
            lambda question: slicer.util.confirmOkCancelDisplay(question, windowTitle=_("CovidCT")),
            tell,
            lambda: self.logic.installMissingPackages(forPdf, forDicom),
        )


def _selectModule(name):
    """Open a module of Slicer; raise InputError where it is not there, or there is no main window."""
    if not hasattr(slicer.modules, name.lower()):
        text = _("Slicer's module {name} is needed, but it is not loaded. Enable it in Slicer's settings, Modules.")
        raise InputError(text.format(name=name))
    try:
        slicer.util.selectModule(name)
    except RuntimeError as error:
        raise InputError(_("A main window of Slicer is needed to open a module, but there is none.")) from error


class CovidCTTest(ScriptedLoadableModuleTest):
    """Slicer's own test of the module, on the synthetic chest of ``covidct demo``."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all tests."""
        self.setUp()
        self.test_AnalyzePhantom()

    def test_AnalyzePhantom(self):
        """A synthetic chest goes through the whole module with the method that needs no weights for the lungs."""
        from CovidCTLib.phantom import make_chest_phantom

        phantom = make_chest_phantom()
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy([float(value) for value in phantom.scan.geometry.ijk_to_ras.ravel()])
        volumeNode = slicer.util.addVolumeFromArray(phantom.scan.hu, ijkToRAS=matrix, name="phantom")
        options = Options(lungs="contour", device="cpu")
        # Slicer's test classes are unittest's, whose checks also work where Python runs without assert.
        missing = CovidCTLogic().missingPackages()
        if missing:
            with self.assertRaises(CovidCTError) as refused:  # noqa: PT027
                CovidCTLogic().analyze(volumeNode, options)
            self.assertIn(", ".join(missing), str(refused.exception))  # noqa: PT009
            self.delayDisplay("Skipped: the packages of the analysis are not installed, and it said so.")
            return
        nodes, analysis = CovidCTLogic().analyze(volumeNode, options)
        self.assertEqual(analysis.scan.geometry.shape_zyx, phantom.scan.geometry.shape_zyx)  # noqa: PT009
        self.assertTrue(nodes.segmentation.GetSegmentation().GetSegment("right_lung"))  # noqa: PT009
        self.delayDisplay("Test passed")
