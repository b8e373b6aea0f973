"""The module around its panel: description, logic for scripts, Slicer's own test, opening and closing."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, panel_qt, without  # noqa: E402
from slicer_application import MODULE_FOLDER, module_parent, parameter_names  # noqa: E402

from CovidCTLib.analysis import Progress  # noqa: E402
from CovidCTLib.errors import CancelledError, InputError, QualityError  # noqa: E402
from CovidCTLib.labels import LABELS  # noqa: E402
from CovidCTLib.options import Options  # noqa: E402
from CovidCTLib.results.segmentation_file import terminology_entry  # noqa: E402


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline that answers at once with an analysis made by hand, and keeps what it was asked."""
    module = ModuleType("CovidCTLib.pipeline")
    module.calls = []

    def analyze(scan, options, *, models=None, progress=None, cancelled=None):
        module.calls.append(SimpleNamespace(scan=scan, options=options))
        for fraction in (0.25, 0.5, 1.0):
            if progress is not None:
                progress(Progress("lungs", fraction))
        return ANALYSIS

    module.analyze = analyze
    monkeypatch.setitem(sys.modules, "CovidCTLib.pipeline", module)
    return module


def test_a_script_gets_nodes_and_analysis_with_its_own_options(application, volume, pipeline):
    told = []
    options = Options(lungs="contour", device="cpu")
    nodes, analysis = application.module.CovidCTLogic().analyze(volume, options, told.append)
    assert pipeline.calls[0].options is options
    assert pipeline.calls[0].scan.geometry.shape_zyx == GEOMETRY.shape_zyx
    assert [progress.fraction for progress in told] == [0.25, 0.5, 1.0]
    assert analysis.case.positive is True
    assert nodes.record.GetText()


def test_the_earlier_name_of_analyze_still_works(application, volume, pipeline):
    nodes, _analysis = application.module.CovidCTLogic().process(volume)
    assert nodes.segmentation is not None


@pytest.mark.parametrize("error", [CancelledError("Cancelled."), QualityError("No lungs were found.")])
def test_an_analysis_that_ends_early_leaves_the_scene_as_it_was(application, volume, pipeline, error):
    def end(scan, options, **others):
        raise error

    pipeline.analyze = end
    before = application.scene.GetNumberOfNodes()
    with pytest.raises(type(error), match=str(error)):
        application.module.CovidCTLogic().analyze(volume)
    assert application.scene.GetNumberOfNodes() == before


def test_a_script_without_a_volume_is_told(application, pipeline):
    with pytest.raises(InputError, match="no volume is selected"):
        application.module.CovidCTLogic().analyze(None)


def test_a_sequence_given_by_a_script_is_refused(application, pipeline):
    node = slicer.vtkMRMLTextNode()
    with pytest.raises(InputError, match="a scalar volume is needed, but this is a Text node"):
        application.module.CovidCTLogic().analyze(node)


def test_a_folder_is_analyzed_with_one_line_a_case(application, pipeline, tmp_path, monkeypatch):
    import CovidCTLib.reading
    import CovidCTLib.results

    def read(path, **grid):
        if path.name == "b.nii":
            raise InputError("The file is empty.")
        return ANALYSIS.scan

    asked = []
    monkeypatch.setattr(CovidCTLib.reading, "read_scan", read)
    monkeypatch.setattr(CovidCTLib.results, "write_results", lambda analysis, folder, **others: folder.mkdir())
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.nii", "b.nii", "c.nii"):
        (source / name).write_text(name)
    lines = []
    failures = application.module.CovidCTLogic().analyzeFolder(
        source, tmp_path / "out", Options(device="cpu"), lines.append, lambda: asked.append(1)
    )
    assert failures == (None, "The file is empty.", None)
    assert lines == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed. The file is empty.",
        "Case 3 of 3: done, case_0003",
        "2 of 3 CTs analyzed. cases.csv says which file is which case.",
    ]
    assert asked
    assert (tmp_path / "out" / "cases.csv").is_file()


def test_a_script_shows_how_far_it_is_in_the_status_bar(application, volume, pipeline):
    window = application.with_window()
    seen = []

    def look(progress):
        cursor = panel_qt().QApplication.overrideCursor()
        seen.append((window.statusBar().currentMessage(), cursor.shape() == panel_qt().Qt.WaitCursor))

    application.module.CovidCTLogic().analyze(volume, progress=look)
    assert seen[0] == ("CovidCT: Finding the lungs, 25 %", True)
    assert seen[-1] == ("CovidCT: Finding the lungs, 100 %", True)
    assert window.statusBar().currentMessage() == ""
    assert panel_qt().QApplication.overrideCursor() is None
    application.module.CovidCTLogic().analyze(volume)
    assert window.statusBar().currentMessage() == ""


def test_slicers_own_test_of_the_module_passes(application, pipeline, monkeypatch):
    """The networks are those of the other tests; what is tested here is the test itself."""
    from scene_analysis import phantom_analysis

    import CovidCTLib.phantom

    shape, spacing = (40, 48, 48), (7.5, 7.5, 7.5)
    make = CovidCTLib.phantom.make_chest_phantom
    made = phantom_analysis(shape, spacing)
    monkeypatch.setattr(CovidCTLib.phantom, "make_chest_phantom", lambda: make(shape, spacing))
    monkeypatch.setattr(pipeline, "analyze", lambda scan, options, **others: replace(made, scan=scan))
    test = application.module.CovidCTTest()
    test.runTest()
    assert test.displayed == ["Test passed"]
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    without(monkeypatch, "monai")
    test = application.module.CovidCTTest()
    test.runTest()
    assert test.displayed == ["Skipped: the packages of the analysis are not installed, and it said so."]
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_panel_closes_and_opens_again_without_leaving_observers(application, volume):
    widget = application.opened()
    application.scene.Clear(0)
    application.rest()
    assert not widget.ui.analyzeButton.enabled
    widget.exit()
    widget.enter()
    widget.cleanup()
    assert widget.Observations == []


def test_a_parameter_node_that_was_left_follows_the_widgets_no_more(application, volume):
    widget = application.opened()
    left = widget._parameterNode
    for _ in range(3):
        widget.exit()
        widget.enter()
    assert left._connected == {}
    assert len(widget._parameterNode._connected) == 1
    application.scene.Clear(0)
    application.rest()
    current = widget._parameterNode
    assert current is not left
    assert len(current._connected) == 1
    widget.ui.highOpacityBox.value = -111
    assert current.highOpacityHu == -111


def test_the_terminology_loads_into_slicer_and_holds_every_term(application):
    module = application.module.CovidCT(module_parent())
    (signal, function) = application.startup[0]
    assert signal == "startupCompleted()"
    function()
    terminologies = application.logics.terminologies
    context = "Segmentation category and type - CovidCT"
    assert terminologies.IsTerminologyContextLoaded(context)
    entry = slicer.vtkSlicerTerminologyEntry()
    for label in LABELS:
        assert terminologies.DeserializeTerminologyEntry(terminology_entry(label), entry)
        assert terminologies.UpdateEntryFromLoadedTerminologies(entry, [context], []), label.name
        coloured = entry.GetTypeModifierObject() if label.modifier else entry.GetTypeObject()
        assert tuple(coloured.GetRecommendedDisplayRGBValue()) == label.colour, label.name
    assert "Research software, not a medical device" in module.parent.helpText


def test_the_samples_are_registered_where_slicer_has_sample_data(application, monkeypatch):
    registered = []
    sample_data = ModuleType("SampleData")
    sample_data.SampleDataLogic = SimpleNamespace(
        registerCustomSampleDataSource=lambda **given: registered.append(given["sampleName"])
    )
    sample_data.__spec__ = ModuleSpec("SampleData", None)
    monkeypatch.setitem(sys.modules, "SampleData", sample_data)
    application.module.CovidCT(module_parent()).onStartupCompleted()
    assert registered


def test_every_connected_widget_has_its_parameter(application):
    assert sorted(parameter_names()) == sorted(import_module("CovidCTModule").CovidCTParameterNode.__annotations__)


def test_the_slice_of_the_red_view_is_the_one_that_is_explained(application, volume):
    from CovidCTScene.choice import shownSlice

    assert shownSlice(application.scene, volume) == 4
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    view.SetSingletonTag("Red")
    application.scene.AddNode(view)
    view.GetSliceToRAS().SetElement(2, 3, 7 * 4.0 + 1)
    assert shownSlice(application.scene, volume) == 7
    view.GetSliceToRAS().SetElement(2, 3, 10_000)
    assert shownSlice(application.scene, volume) == 8


def test_a_ct_that_is_gone_is_told(application, program, volume):
    actions = application.opened().controller._actions
    with pytest.raises(InputError, match="it was removed"):
        actions.scanLater("nothing")
    with pytest.raises(InputError, match="but there are none"):
        actions.show3D(volume.GetID(), True)
    with pytest.raises(InputError, match="one was removed"):
        actions.followUp([(volume.GetID(), "2020-01-01")])


START = """
import logging, os, runpy, sys
sys.path[:0] = [{scene!r}, {panel!r}, {module!r}]
import pytest
from slicer_application import Application
with pytest.MonkeyPatch.context() as patch:
    application = Application(patch)
    application.module.CovidCT(__import__("slicer_application").module_parent())
    application.startup[0][1]()
    sys.stderr.write(" ".join(sorted({{name.split(".")[0] for name in sys.modules}})))
    application.close()
"""
"""Starts a Slicer with the module, and tells which packages it has loaded then."""


def test_the_start_of_slicer_loads_nothing_that_is_large():
    testing = MODULE_FOLDER.parent / "Testing"
    program = START.format(scene=str(testing / "scene"), panel=str(testing / "panel"), module=str(MODULE_FOLDER))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "CovidCTScene" in loaded
    assert not loaded & {"SimpleITK", "jinja2", "matplotlib", "monai", "pydicom", "skimage", "torch"}


def test_slicers_log_takes_no_small_talk_of_libraries(application, monkeypatch):
    root, lines = logging.getLogger(), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.name)
    for name in ("matplotlib", "PIL"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    monkeypatch.setattr(root, "handlers", [handler])
    logging.getLogger("matplotlib.font_manager").debug("a font")
    assert lines == ["matplotlib.font_manager"]
    application.module.CovidCTLogic()
    # What a logger takes is kept, and is asked again once a level has changed.
    logging.getLogger("matplotlib.font_manager").debug("a font")
    logging.getLogger("PIL.PngImagePlugin").debug("STREAM")
    logging.getLogger("matplotlib").warning("no such font")
    assert lines == ["matplotlib.font_manager", "matplotlib"]
    logging.getLogger("matplotlib").setLevel(logging.DEBUG)
    application.module.CovidCTLogic()
    assert logging.getLogger("matplotlib").level == logging.DEBUG, "somebody asked for it"
    logging.getLogger("matplotlib").setLevel(logging.NOTSET)
