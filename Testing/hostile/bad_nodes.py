"""Bad inputs of the scene layer; needs slicer-core."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bad_inputs import BadInput
from dicom_maker import chest_like

from CovidCTLib.geometry import Geometry

MODULE = Path(__file__).resolve().parents[2] / "CovidCT"

SCAN = "scanFromVolumeNode()"


def node(name: str, entry: str, what: str, do: Callable[[Any], object]) -> BadInput:
    """A bad node; ``do`` takes an empty scene with its logics."""

    def given(folder: Path) -> None:
        if str(MODULE) not in sys.path:
            sys.path.insert(0, str(MODULE))
        from scene_maker import SceneWithLogics

        logics = SceneWithLogics()
        try:
            do(logics.scene)
        finally:
            logics.close()

    return BadInput(name, entry, what, given)


def _taken(volume: Any) -> object:
    from CovidCTScene import scanFromVolumeNode

    return scanFromVolumeNode(volume)


def _chest(scene: Any, values: np.ndarray | None = None) -> Any:
    from scene_maker import added_volume

    hu = chest_like() if values is None else values
    return added_volume(scene, hu, Geometry(hu.shape), "MARK^NODE")


def _colours(scene: Any) -> object:
    import vtk

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    image = vtk.vtkImageData()
    image.SetDimensions(20, 20, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    volume.SetAndObserveImageData(image)
    return _taken(volume)


def _transformed(scene: Any) -> object:
    volume = _chest(scene)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    return _taken(volume)


def _sheared(scene: Any) -> object:
    import vtk

    volume = _chest(scene)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.3)
    volume.SetIJKToRASMatrix(matrix)
    return _taken(volume)


def _flat(scene: Any) -> object:
    import vtk

    volume = _chest(scene)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, 0.0)
    volume.SetIJKToRASMatrix(matrix)
    return _taken(volume)


def _other_grid(scene: Any) -> object:
    from CovidCTScene import addAnalysisToScene
    from scene_analysis import made_analysis

    return addAnalysisToScene(scene, _chest(scene), made_analysis(Geometry((9, 20, 24))))


def _moved(scene: Any) -> object:
    from CovidCTScene import addAnalysisToScene
    from scene_analysis import made_analysis

    return addAnalysisToScene(scene, _chest(scene), made_analysis(Geometry((12, 20, 24), (1.0, 1.0, 2.0))))


def batch(name: str, what: str, make: Callable[[Path], object], source: str = "in") -> BadInput:
    """A folder that the panel's batch cannot analyze; ``make`` fills the folder of the test."""

    def given(folder: Path) -> object:
        make(folder)
        return analyzed_folder(folder / source if "\0" not in source else source, folder / "out", lambda line: None)

    return BadInput(name, "CovidCTLogic.analyzeFolder()", what, given)


def analyzed_folder(source: Path | str, out: Path, tell: Callable[[str], None]) -> tuple[str | None, ...]:
    """Let the module's logic analyze a folder, in a stand-in for Slicer's application."""
    sys.path[:0] = [path for path in (str(MODULE), str(Path(__file__).parents[1] / "panel")) if path not in sys.path]
    import pytest
    from slicer_application import Application

    with pytest.MonkeyPatch.context() as patch:
        application = Application(patch)
        try:
            failures: tuple[str | None, ...] = application.module.CovidCTLogic().analyzeFolder(source, out, tell=tell)
        finally:
            application.close()
    return failures


def _text_only(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "a.txt").write_text("no CT")
    (folder / "in" / ".ct.nii.gz").write_text("hidden")


BATCHES = (
    batch("batch-no-folder", "a folder that is not there", lambda f: None),
    batch("batch-of-file", "a file", lambda f: (f / "in").write_text("x")),
    batch("batch-of-empty", "an empty folder", lambda f: (f / "in").mkdir()),
    batch("batch-of-texts", "a folder of texts and hidden files", _text_only),
    batch("batch-zero", "a name with a zero character", lambda f: None, "a\0b"),
    batch("batch-ring", "a link to itself", lambda f: (f / "in").symlink_to(f / "in")),
    batch("batch-long-name", "a name of 300 characters", lambda f: None, "x" * 300),
)

ROWS = (
    *BATCHES,
    node("no-node", SCAN, "no volume", lambda scene: _taken(None)),
    node("labelmap-node", SCAN, "a labelmap", lambda s: _taken(s.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode"))),
    node(
        "empty-node", SCAN, "a volume without voxels", lambda s: _taken(s.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    ),
    node("colour-node", SCAN, "a volume of colours", _colours),
    node("transformed-node", SCAN, "a volume under a transform", _transformed),
    node("sheared-node", SCAN, "sheared axes", _sheared),
    node("flat-node", SCAN, "a spacing of 0", _flat),
    node(
        "constant-node", SCAN, "one value everywhere", lambda s: _taken(_chest(s, np.full((12, 20, 24), 40, np.int16)))
    ),
    node("another-grid", "addAnalysisToScene()", "the analysis of another volume", _other_grid),
    node("moved-volume", "addAnalysisToScene()", "the analysis of a volume that lay elsewhere", _moved),
)
