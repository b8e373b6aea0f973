"""CovidCT's module in 3D Slicer: Slicer's own classes, which wire panel, scene and library."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if importlib.util.find_spec("CovidCTLib") is None:
    # Run from the source tree the library lies beside this folder; installed, it is on the path already.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from CovidCTPanel import PYTORCH_REQUIREMENT, Panel, missingRequirements, noticeLines, summaryLines
from CovidCTScene import ResultNodes, addAnalysisToScene, refusalOfVolumeNode, scanFromVolumeNode, showAnalysis

from CovidCTLib.analysis import Analysis, Progress
from CovidCTLib.errors import CovidCTError
from CovidCTLib.options import Options


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
        slicer.app.connect("startupCompleted()", self.loadTerminology)

    def loadTerminology(self):
        """Make the terms of CovidCT's segments known to Slicer's terminology selector."""
        slicer.modules.terminologies.logic().LoadTerminologyFromFile(self.resourcePath("CovidCT.term.json"))


@parameterNodeWrapper
class CovidCTParameterNode:
    """What the user chose; it is saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode


class CovidCTWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        """Load the panel and connect it."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/CovidCT.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CovidCTLogic()
        self.panel = Panel(self.ui)
        self.panel.onAnalyze(self.onAnalyze)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Let go of the scene before the application closes."""
        self.removeObservers()

    def enter(self):
        """Catch up with the scene each time the module opens."""
        self.initializeParameterNode()

    def exit(self):
        """Stop following the parameter node while another module is open."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """Forget the parameter node, which goes with the scene."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Take up the new scene's parameter node if the module is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Follow the scene's parameter node, and choose the first volume where none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.inputVolume is None:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first is not None:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, parameterNode):
        """Connect the panel to a parameter node, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.onParametersModified()

    def onParametersModified(self, caller=None, event=None):
        """Enable the button exactly when it can work."""
        self.panel.showRefusal(refusalOfVolumeNode(self._parameterNode.inputVolume))

    def onAnalyze(self):
        """Analyze the chosen CT and show the results."""
        with slicer.util.tryWithErrorDisplay(_("The CT could not be analyzed."), waitCursor=True):
            if not self.installWithConsent():
                return
            self.panel.startWork()
            try:
                volumeNode = self._parameterNode.inputVolume
                nodes, analysis = self.logic.process(volumeNode, progress=self.onProgress)
                showAnalysis(slicer.mrmlScene, volumeNode, nodes)
                self.panel.showSummary(summaryLines(analysis), noticeLines(analysis))
            finally:
                self.panel.endWork()

    def onProgress(self, progress: Progress):
        """Move the bar."""
        self.panel.showProgress(progress.fraction)

    def installWithConsent(self) -> bool:
        """Install what is missing if the user agrees; say whether an analysis can run now."""
        if not self.logic.missingPackages():
            return True
        question = _(
            "CovidCT needs Python packages that Slicer does not ship: {packages}. They are downloaded from the "
            "Python Package Index and installed into this Slicer. Install them now?"
        ).format(packages=", ".join(self.logic.missingPackages()))
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("CovidCT")):
            return False
        self.logic.installMissingPackages()
        return True


class CovidCTLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, also for scripts: ``CovidCTLogic().process(volumeNode)``."""

    def getParameterNode(self):
        """Give the scene's parameter node with its types."""
        return CovidCTParameterNode(super().getParameterNode())

    def process(
        self,
        volumeNode,
        options: Options | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[ResultNodes, Analysis]:
        """Analyze a CT of the scene and put the results into the scene.

        Parameters
        ----------
        volumeNode
            vtkMRMLScalarVolumeNode with voxels in HU, under no transform.
        options
            How to analyze; None takes the defaults.
        progress
            Is told how far the analysis is.
        cancelled
            Is asked now and then whether to stop; the scene then stays as it was.

        Returns
        -------
        nodes, analysis
            The results in the scene and as objects.

        Raises
        ------
        CovidCTError
            If the volume cannot be analyzed, or packages are missing; the scene then stays as it was.
        """
        missing = self.missingPackages()
        if missing:
            raise CovidCTError(
                f"The analysis needs Python packages that are not installed: {', '.join(missing)}. Press Analyze in "
                "the module's panel, or call CovidCTLogic().installMissingPackages()."
            )
        # The pipeline needs packages that Slicer does not ship, so it loads only now.
        from CovidCTLib.pipeline import analyze

        scan = scanFromVolumeNode(volumeNode)
        analysis = analyze(scan, options or Options(), progress=progress, cancelled=cancelled)
        return addAnalysisToScene(volumeNode.GetScene(), volumeNode, analysis), analysis

    def missingPackages(self) -> tuple[str, ...]:
        """List the packages that an analysis still needs; empty if it can run."""
        torch = () if importlib.util.find_spec("torch") is not None else (f"torch{PYTORCH_REQUIREMENT}",)
        return torch + missingRequirements()

    def installMissingPackages(self):
        """Install what is missing; call it only with the user's consent.

        Raises
        ------
        CovidCTError
            If the PyTorch extension is missing or torch was not installed.
        """
        if importlib.util.find_spec("torch") is None:
            if importlib.util.find_spec("PyTorchUtils") is None:
                raise CovidCTError(
                    "The PyTorch extension is needed to install torch, but it is not there. Install it in the "
                    "Extensions Manager, restart Slicer and try again."
                )
            import PyTorchUtils

            logic = PyTorchUtils.PyTorchUtilsLogic()
            if logic.installTorch(askConfirmation=False, torchVersionRequirement=PYTORCH_REQUIREMENT) is None:
                raise CovidCTError("Torch is needed for the networks, but was not installed. Try again when online.")
        missing = missingRequirements()
        if missing:
            slicer.util.pip_install(list(missing))


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
        nodes, analysis = CovidCTLogic().process(volumeNode, Options(lungs="contour", device="cpu"))
        # Slicer's test classes are unittest's, whose checks also work where Python runs without assert.
        self.assertEqual(analysis.scan.geometry.shape_zyx, phantom.scan.geometry.shape_zyx)  # noqa: PT009
        self.assertTrue(nodes.segmentation.GetSegmentation().GetSegment("right_lung"))  # noqa: PT009
        self.delayDisplay("Test passed")
