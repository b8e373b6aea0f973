"""The module without its panel: description, installation, logic for scripts."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import runpy
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from packaging.requirements import Requirement  # noqa: E402
from panel_case import ANALYSIS, GEOMETRY  # noqa: E402
from slicer_application import module_parent, parameter_names  # noqa: E402

from CovidCTLib.analysis import Progress  # noqa: E402
from CovidCTLib.errors import CancelledError, CovidCTError, InputError, QualityError  # noqa: E402
from CovidCTLib.labels import LABELS  # noqa: E402
from CovidCTLib.options import Options  # noqa: E402
from CovidCTLib.results.segmentation_file import terminology_entry  # noqa: E402

BATCH_SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "slicer_batch.py"


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


def without(monkeypatch, *absent):
    """Make packages look as if they were not installed; gives the set, from which they can be taken."""
    gone = set(absent)
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else original(name))
    return gone


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


def test_a_folder_is_analyzed_with_one_line_a_case(application, tmp_path, monkeypatch):
    module = importlib.import_module("CovidCTPanel.folder_analysis")
    store = ModuleType("CovidCTLib.models.store")
    store.ModelStore = lambda device: None
    monkeypatch.setitem(sys.modules, "CovidCTLib.models.store", store)
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.nii", "b.nii", "c.nii"):
        (source / name).touch()

    def analyze_case(path, output, options, models):
        if path.name == "b.nii":
            raise InputError("The file is empty.")
        output.mkdir(parents=True)

    monkeypatch.setattr(module, "_analyzeCase", analyze_case)
    lines = []
    failures = application.module.CovidCTLogic().analyzeFolder(source, tmp_path / "out", tell=lines.append)
    assert failures == (None, "The file is empty.", None)
    assert lines == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed. The file is empty.",
        "Case 3 of 3: done, case_0003",
    ]


def test_a_case_is_read_analyzed_and_written(application, pipeline, finished_results, tmp_path, monkeypatch):
    import CovidCTLib.reading
    import CovidCTLib.results

    module = importlib.import_module("CovidCTPanel.folder_analysis")
    monkeypatch.setattr(CovidCTLib.reading, "read_scan", lambda path: ANALYSIS.scan)
    monkeypatch.setattr(CovidCTLib.results, "write_results", lambda analysis, folder: folder.mkdir())
    module._analyzeCase(tmp_path / "a.nii", tmp_path / "out", Options(), None)
    assert (tmp_path / "out").is_dir()


def test_a_mistake_in_one_case_is_told_by_its_kind_alone(application, pipeline, tmp_path, monkeypatch):
    import CovidCTLib.reading

    def mistake(path):
        raise ZeroDivisionError("Jane Doe")

    module = importlib.import_module("CovidCTPanel.folder_analysis")
    monkeypatch.setattr(CovidCTLib.reading, "read_scan", mistake)
    with pytest.raises(CovidCTError, match=r"made a mistake with this CT \(ZeroDivisionError\)") as caught:
        module._analyzeCase(tmp_path / "a.nii", tmp_path / "out", Options(), None)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "failures", "code"), [(["in", "out"], (None,), 0), (["in", "out"], (None, "no"), 1), (["in"], (), 1)]
)
def test_the_example_script_ends_with_its_exit_code(application, monkeypatch, capsys, arguments, failures, code):
    calls = []

    def analyze_folder(self, *given):
        calls.append(given)
        return failures

    monkeypatch.setattr(application.module.CovidCTLogic, "analyzeFolder", analyze_folder)
    ended = []
    monkeypatch.setattr(slicer.util, "exit", ended.append)
    monkeypatch.setattr(sys, "argv", ["slicer_batch.py", *arguments])
    runpy.run_path(str(BATCH_SCRIPT))
    assert ended == [code]
    assert calls == ([tuple(arguments)] if len(arguments) == 2 else [])


def test_missing_packages_are_named_to_a_script(application, volume, monkeypatch):
    without(monkeypatch, "monai")
    logic = application.module.CovidCTLogic()
    with pytest.raises(CovidCTError, match=r"not installed: monai>=1\.4\. Press Analyze"):
        logic.analyze(volume)
    with pytest.raises(CovidCTError, match=r"not installed: monai>=1\.4\. Press Analyze"):
        logic.analyzeFolder("in", "out")


def test_nothing_is_installed_without_consent(application, volume, program, monkeypatch):
    without(monkeypatch, "monai")
    application.answer = False
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert len(application.questions) == 1
    assert "monai>=1.4" in application.questions[0]
    assert application.installed == []
    assert program.calls == []
    assert "Nothing was installed. CovidCT needs monai>=1.4" in widget.ui.messageLabel.text
    assert widget.ui.analyzeButton.enabled
    application.picture(widget, "10-declined")


def test_with_consent_slicer_5_10_installs_with_its_own_versions_pinned(application, volume, program, monkeypatch):
    import numpy

    gone = without(monkeypatch, "monai", "slicer.packaging")
    application.pip = lambda requirements: gone.discard("monai")
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    application.until(lambda: not widget.controller.busy)
    assert application.installed[0][0] == "monai>=1.4"
    assert f"numpy=={numpy.__version__}" in application.installed[0]
    assert widget.ui.resultsWidget.visible


def test_with_consent_slicer_5_12_installs_and_skips_what_it_ships(application, volume, program, monkeypatch):
    gone = without(monkeypatch, "monai", "skimage")
    application.with_packaging(monkeypatch)
    application.pip = lambda requirements: gone.clear()
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    application.until(lambda: not widget.controller.busy)
    ((requirements, skipped, requester),) = application.installed
    assert requirements == ["monai>=1.4", "scikit-image>=0.22"]
    assert {"numpy", "SimpleITK", "pydicom"} <= set(skipped)
    assert requester == "CovidCT"
    assert widget.ui.resultsWidget.visible


@pytest.mark.parametrize(
    "error", [RuntimeError("declined"), OSError("no network"), subprocess.CalledProcessError(1, [])]
)
def test_an_installation_that_fails_is_told_and_the_panel_stays(application, volume, program, monkeypatch, error):
    def fail(requirements):
        raise error

    without(monkeypatch, "monai", "slicer.packaging")
    application.pip = fail
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert "could not be installed: monai>=1.4. Connect the computer" in widget.ui.messageLabel.text
    assert widget.ui.analyzeButton.enabled
    assert program.calls == []


def test_an_installation_without_effect_is_told(application, monkeypatch):
    without(monkeypatch, "monai", "slicer.packaging")
    with pytest.raises(CovidCTError, match=r"installed, but are not found: monai>=1\.4\. Restart Slicer"):
        application.module.CovidCTLogic().installMissingPackages()


def test_where_all_is_there_nothing_is_installed(application):
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ()
    logic.installMissingPackages()
    assert application.installed == []


def test_a_package_without_a_version_is_not_pinned(application):
    from CovidCTPanel.requirements import versionsToKeep

    def version(name):
        if name == "vtk":
            raise ImportError(name)
        return "1.0"

    assert versionsToKeep(version) == ["numpy==1.0", "scipy==1.0", "SimpleITK==1.0", "pydicom==1.0"]


def test_without_the_pytorch_extension_torch_is_not_installed(application, monkeypatch):
    without(monkeypatch, "torch", "PyTorchUtils")
    logic = application.module.CovidCTLogic()
    assert "torch>=2.3" in logic.missingPackages()
    with pytest.raises(CovidCTError, match="PyTorch extension is needed"):
        logic.installMissingPackages()


@pytest.mark.parametrize("torch", [None, object()])
def test_torch_comes_through_the_pytorch_extension(application, monkeypatch, torch):
    asked = []
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=lambda **given: asked.append(given) or torch)
    extension.__spec__ = ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    without(monkeypatch, "torch")
    logic = application.module.CovidCTLogic()
    if torch is None:
        with pytest.raises(CovidCTError, match="was not installed"):
            logic.installMissingPackages()
    else:
        logic.installMissingPackages()
    assert asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.3"}]


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, ["pip"]),
        ImportError("no module named torch"),
        OSError("no network"),
        RuntimeError("refused"),
    ],
)
def test_torch_that_cannot_be_installed_is_told_and_the_panel_stays(application, volume, program, monkeypatch, error):
    def fail(**given):
        raise error

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=fail)
    extension.__spec__ = ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    without(monkeypatch, "torch")
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert "Torch is needed for the networks, but was not installed. Try again" in widget.ui.messageLabel.text
    assert widget.ui.messageLabel.visible
    assert widget.ui.analyzeButton.enabled
    assert program.calls == []


def with_versions(monkeypatch, **versions):
    """Make packages look as if other versions of them were installed; gives these, which can be changed."""
    original = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or original(name))
    return versions


def test_a_package_that_is_too_old_counts_as_missing_and_is_replaced(application, monkeypatch):
    import numpy

    installed = with_versions(monkeypatch, monai="1.3.2", torch="2.2.2+cpu")
    without(monkeypatch, "slicer.packaging", "PyTorchUtils")
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ("torch>=2.3", "monai>=1.4")
    with pytest.raises(CovidCTError, match="PyTorch extension is needed"):
        logic.installMissingPackages()
    installed["torch"] = "2.14.0.dev20260101+cu130"
    application.pip = lambda requirements: installed.update(monai="1.5.0")
    logic.installMissingPackages()
    assert application.installed[0][0] == "monai>=1.4"
    assert f"numpy=={numpy.__version__}" in application.installed[0]
    assert logic.missingPackages() == ()


def test_nothing_that_slicer_ships_is_asked_for_in_another_version(application):
    from CovidCTPanel.requirements import PDF_REQUIREMENTS, REQUIREMENTS, SHIPPED_BY_SLICER

    asked = {Requirement(entry).name for entry in (*REQUIREMENTS.values(), *PDF_REQUIREMENTS.values())}
    assert asked.isdisjoint(SHIPPED_BY_SLICER)


def test_a_package_whose_version_is_not_known_is_there(application, monkeypatch):
    from CovidCTPanel.requirements import hasVersion

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    assert not hasVersion("monai>=1.4", lambda name: "1.3")
    assert hasVersion("monai>=1.4", absent)
    assert hasVersion("monai>=1.4", lambda name: "a build of mine")
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert hasVersion("monai>=1.4", lambda name: "1.3")


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
    assert sorted(parameter_names()) == sorted(application.module.CovidCTParameterNode.__annotations__)


def test_a_clicked_point_of_the_chart_moves_the_slice_views(application, program, volume, monkeypatch):
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    slices = [replace(entry, ggo_area_mm2=100.0 * entry.index**2) for entry in ANALYSIS.slices]
    widget.controller._actions.add(volume.GetID(), replace(ANALYSIS, slices=tuple(slices)))
    widget.controller.showState()
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    application.click(widget.ui.chartButton)
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
    for series, row in ((0, 6), (1, 3), (0, 5)):
        layout.click(series, row)
        assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(row * 4.0)
    application.click(widget.ui.chartButton)
    assert len(layout.shown) == 2


def heights(view):
    return view.GetSliceToRAS().GetElement(2, 3)


def shown_table(application, volume, monkeypatch):
    """Layout, widget and a slice view, with the table of slices shown by its button."""
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    application.click(widget.ui.tableButton)
    return layout, widget, view


def test_a_clicked_row_of_the_table_moves_the_slice_views(application, program, volume, monkeypatch):
    layout, widget, view = shown_table(application, volume, monkeypatch)
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    table = layout.tables.views[0]
    assert table.mrmlTableNode().GetName() == "chest slices"
    table._click(6)
    assert heights(view) == pytest.approx(6 * 4.0)
    table._click(3, column=4)
    assert heights(view) == pytest.approx(3 * 4.0)
    # Sorted by position from the head to the feet, the first row that is seen is the last slice.
    table._sorted.sort(0, panel_qt().Qt.DescendingOrder)
    table._click(0)
    assert heights(view) == pytest.approx(8 * 4.0)
    application.click(widget.ui.tableButton)
    table._click(5)
    assert heights(view) == pytest.approx(3 * 4.0), "one listener, and the fifth row from the head"


def panel_qt():
    import qt

    return qt


def test_a_table_that_was_shown_from_elsewhere_moves_the_slice_views_of_its_own_ct(
    application, program, volume, monkeypatch
):
    from scene_maker import added_volume

    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    other = added_volume(application.scene, ANALYSIS.scan.hu, replace(GEOMETRY, origin_lps_mm=(0.0, 0.0, 100.0)), "b")
    moved = replace(ANALYSIS, scan=replace(ANALYSIS.scan, geometry=replace(GEOMETRY, origin_lps_mm=(0.0, 0.0, 100.0))))
    for node, analysis in ((volume, ANALYSIS), (other, moved)):
        widget.controller._actions.add(node.GetID(), analysis)
    widget.ui.inputVolumeSelector.setCurrentNode(volume)
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    tables = {node.GetName(): node for node in application.scene.GetNodesByClass("vtkMRMLTableNode")}
    layout.tables.show(tables["b slices"])
    layout.tables.views[0]._click(2)
    assert heights(view) == pytest.approx(100.0 + 2 * 4.0)
    layout.tables.show(tables["b Corona Score"])
    layout.tables.views[0]._click(3)
    assert heights(view) == pytest.approx(100.0 + 2 * 4.0), "a row of another table is no slice"
    unnamed = tables["b slices"]
    unnamed.SetUseColumnTitleAsColumnHeader(False)
    layout.tables.show(unnamed)
    layout.tables.views[0]._click(0)
    assert heights(view) == pytest.approx(100.0 + 2 * 4.0), "the first row holds the names of the columns"
    layout.tables.views[0]._click(1)
    assert heights(view) == pytest.approx(100.0)
    unnamed.GetTable().GetColumnByName("index").SetValue(1, 99)
    layout.tables.show(unnamed)
    layout.tables.views[0]._click(2)
    assert "must be from 0 to 8, not 99" in widget.ui.messageLabel.text


def test_a_row_that_stays_selected_while_tables_change_moves_nothing(application, program, volume, monkeypatch):
    layout, _widget, view = shown_table(application, volume, monkeypatch)
    slices = layout.tables.views[0].mrmlTableNode()
    (scores,) = (node for node in application.scene.GetNodesByClass("vtkMRMLTableNode") if "Score" in node.GetName())
    layout.tables.views[0]._click(6)
    assert heights(view) == pytest.approx(6 * 4.0)
    view.GetSliceToRAS().SetElement(2, 3, 1.0)
    layout.tables.show(slices)
    assert heights(view) == 1.0, "Slicer shows the table anew at the end of each batch of changes"
    layout.tables.show(scores)
    layout.tables.views[0]._click(2)
    layout.tables.show(slices)
    assert heights(view) == 1.0, "the row was chosen in another table"
    layout.tables.views[0]._click(3)
    assert heights(view) == pytest.approx(3 * 4.0)


def test_charts_and_tables_are_left_when_the_module_is_reloaded(application, program, volume, monkeypatch):
    layout = application.with_plots(monkeypatch)
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.chartButton)
    application.click(widget.ui.tableButton)
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    widget.cleanup()
    application.widgets.clear()
    layout.click(0, 6)
    layout.tables.views[0]._click(3)
    assert heights(view) == 0.0
    assert layout._listeners == []


def test_the_first_pdf_asks_for_what_it_needs(application, volume, program, monkeypatch):
    gone = without(monkeypatch, "plutoprint", "slicer.packaging")
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ()
    assert logic.missingPackages(forPdf=True) == ("plutoprint>=0.23",)
    application.answer = False
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.pdfButton)
    assert "plutoprint>=0.23" in application.questions[0]
    assert application.installed == []
    assert "Nothing was installed" in widget.ui.messageLabel.text
    application.answer = True
    application.pip = lambda requirements: gone.discard("plutoprint")
    monkeypatch.setattr(application.panels.result_files, "chooseFile", lambda *_: "")
    application.click(widget.ui.pdfButton)
    assert application.installed[0][0] == "plutoprint>=0.23"


def test_a_pdf_whose_package_cannot_be_installed_is_told(application, volume, program, monkeypatch):
    def fail(requirements):
        raise OSError("no network")

    without(monkeypatch, "plutoprint", "slicer.packaging")
    application.pip = fail
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.pdfButton)
    assert "could not be installed: plutoprint>=0.23" in widget.ui.messageLabel.text


def test_where_the_chart_cannot_be_told_to_take_clicks_a_box_chooses(application, program, monkeypatch):
    layout = application.with_plots(monkeypatch)
    monkeypatch.setattr(type(layout.view), "chart", lambda self: object())
    application.panels.charts.letPointsBeClicked(layout.plotWidget(0))
    assert layout.viewNode.GetInteractionMode() == slicer.vtkMRMLPlotViewNode.InteractionModeSelectPoints


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
