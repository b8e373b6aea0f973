"""The module without its panel, also for scripts."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import CovidCTPanel as panels
import CovidCTScene as scenes
import slicer
from CovidCTScene.choice import refusalOfCt
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from CovidCTLib.analysis import Analysis, Progress
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import InputError
from CovidCTLib.options import Options
from CovidCTModule.parameters import CovidCTParameterNode


class CovidCTLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, also for scripts: ``CovidCTLogic().analyze(volumeNode)``."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleLogic.__init__(self, parent)
        panels.quietLibraries()

    def getParameterNode(self):
        """Give the scene's parameter node with its types."""
        return CovidCTParameterNode(super().getParameterNode())

    def python(self) -> str:
        """Give the interpreter that runs the command line: Slicer's own, or in a test the one that runs it."""
        return shutil.which("PythonSlicer") or sys.executable

    def analyze(
        self,
        volumeNode,
        options: Options | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[scenes.ResultNodes, Analysis]:
        """Analyze a CT of the scene, wait for it, and put the results into the scene.

        Meanwhile Slicer's window, where there is one, shows a wait cursor and how far the analysis is.

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
        panels.requirePackages()
        # The pipeline needs packages that Slicer does not ship, so it loads only now.
        from CovidCTLib.pipeline import analyze

        refusal = refusalOfCt(volumeNode)
        if refusal is not None:
            raise InputError(refusal)
        with panels.statusBarProgress(slicer.util.mainWindow(), progress) as tell:
            scan = scenes.scanFromVolumeNode(volumeNode)
            analysis = analyze(scan, options or Options(), progress=tell, cancelled=cancelled)
            return scenes.addAnalysisToScene(volumeNode.GetScene(), volumeNode, analysis), analysis

    process = analyze
    """The name of `analyze` in earlier versions."""

    def analyzeFolder(
        self,
        inputFolder: str | Path,
        outputFolder: str | Path,
        options: Options | None = None,
        tell: Callable[[str], None] = say,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[str | None, ...]:
        """Analyze every CT of a folder, one after the other; one that fails does not stop the rest.

        Called again with the same folders, it goes on where it was stopped.

        Parameters
        ----------
        inputFolder
            Its volume files, ZIP archives and subfolders with DICOM files are one CT each.
        outputFolder
            Gets a folder of results for each CT, ``case_0001`` and so on in the order of their names, and the table
            ``cases.csv``, which says which file became which folder; names of files may be those of patients.
        options
            How to analyze; None takes the defaults.
        tell
            Gets one line a CT, and one at the end; they go to the standard output unless told otherwise.
        cancelled
            Is asked now and then whether to stop.

        Returns
        -------
        tuple of str or None
            For each CT None, or the reason why it failed.

        Raises
        ------
        CovidCTError
            If packages are missing, the input folder cannot be read or holds no CT, or the results cannot be written.
        CancelledError
            If asked to stop; finished CTs stay.
        """
        panels.requirePackages()
        return panels.analyzeCases(Path(inputFolder), Path(outputFolder), options or Options(), tell, cancelled)

    def missingPackages(self, forPdf: bool = False) -> tuple[str, ...]:
        """List the packages that an analysis, or also a PDF of its report, still needs; empty if it can be made."""
        return panels.missingPackages(forPdf)

    def installMissingPackages(self, forPdf: bool = False):
        """Install what is missing; call it only with the user's consent. What Slicer ships stays as it is.

        Parameters
        ----------
        forPdf
            Whether what a PDF of the report needs is installed too.

        Raises
        ------
        CovidCTError
            If the PyTorch extension is missing, or packages were not installed, for example without a network.
        """
        packaging = None
        if importlib.util.find_spec("slicer.packaging") is not None:
            import slicer.packaging as packaging
        panels.installPackages(packaging, slicer.util.pip_install, forPdf)
