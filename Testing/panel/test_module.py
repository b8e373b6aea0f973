# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from scene_analysis import made_analysis
from scene_maker import added_volume
from slicer_application import Application, module_parent, parameter_names

from CovidCTLib.analysis import Progress
from CovidCTLib.errors import CancelledError, CovidCTError, QualityError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import LABELS
from CovidCTLib.options import Options
from CovidCTLib.results.segmentation_file import terminology_entry

GEOMETRY = Geometry((9, 20, 24), (1.5, 1.25, 4.0))


@pytest.fixture
def application(monkeypatch):
    """Slicer's application around slicer-core."""
    made = Application(monkeypatch)
    yield made
    made.close()


@pytest.fixture
def ready(application, monkeypatch):
    """The application with all packages installed."""
    monkeypatch.setattr(application.module.CovidCTLogic, "missingPackages", lambda self: ())
    return application


@pytest.fixture
def volume(application):
    """A CT in the scene."""
    return added_volume(application.scene, made_analysis(GEOMETRY).scan.hu, GEOMETRY)


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline that answers at once with an analysis made by hand, and keeps what it was asked."""
    module = ModuleType("CovidCTLib.pipeline")
    module.calls = []

    def analyze(scan, options, *, progress=None, cancelled=None):
        module.calls.append(SimpleNamespace(scan=scan, options=options, cancelled=cancelled))
        for fraction in (0.25, 0.5, 1.0):
            if progress is not None:
                progress(Progress("lungs", fraction))
        return made_analysis(GEOMETRY)

    module.analyze = analyze
    monkeypatch.setitem(sys.modules, "CovidCTLib.pipeline", module)
    return module


def test_without_a_volume_the_button_is_disabled_and_its_tooltip_says_why(ready):
    ready.opened()
    assert not ready.ui.analyzeButton.enabled
    assert "no volume is selected" in ready.ui.analyzeButton.toolTip


def test_the_first_volume_is_chosen_and_enables_the_button(ready, volume):
    widget = ready.opened()
    assert widget.logic.getParameterNode().inputVolume is volume
    assert ready.ui.analyzeButton.enabled
    assert "put all results into the scene" in ready.ui.analyzeButton.toolTip


def test_a_volume_under_a_transform_disables_the_button(ready, volume):
    transform = ready.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    ready.opened()
    assert not ready.ui.analyzeButton.enabled
    assert "Harden or remove the transform" in ready.ui.analyzeButton.toolTip


def test_choosing_nothing_disables_the_button_again(ready, volume):
    widget = ready.opened()
    widget.logic.getParameterNode().inputVolume = None
    assert not ready.ui.analyzeButton.enabled


def test_one_press_puts_the_results_into_the_scene_and_shows_them(ready, volume, pipeline):
    view = ready.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    ready.opened()
    ready.ui.analyzeButton.click()
    assert ready.errors == []
    segmentations = ready.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    assert segmentations == 1
    assert view.GetBackgroundVolumeID() == volume.GetID()
    shown = ready.ui.summaryLabel.text
    assert ready.ui.summaryLabel.visible
    assert shown.startswith("Slices are 4 mm apart.")
    assert "positive, 3 of 5 lung slices abnormal" in shown
    assert "Corona Score: 0.1 cm3" in shown
    assert ready.ui.analyzeButton.enabled
    assert not ready.ui.progressBar.visible
    assert ready.ui.progressBar.repaints == 3
    assert ready.ui.progressBar.value == ready.ui.progressBar.maximum


def test_while_it_works_the_button_cannot_be_pressed(ready, volume, pipeline):
    seen = []
    original = pipeline.analyze

    def watched(scan, options, **others):
        seen.append((ready.ui.analyzeButton.enabled, ready.ui.analyzeButton.toolTip, ready.ui.progressBar.visible))
        return original(scan, options, **others)

    pipeline.analyze = watched
    ready.opened()
    ready.ui.analyzeButton.click()
    assert seen == [(False, "The analysis is running.", True)]


def test_a_refused_ct_is_shown_as_an_error_and_leaves_the_scene_as_it_was(ready, volume, pipeline):
    def refuse(scan, options, **others):
        raise QualityError("No lungs were found.")

    pipeline.analyze = refuse
    ready.opened()
    before = ready.scene.GetNumberOfNodes()
    ready.ui.analyzeButton.click()
    assert ready.errors == ["The CT could not be analyzed. No lungs were found."]
    assert ready.scene.GetNumberOfNodes() == before
    assert ready.ui.analyzeButton.enabled
    assert not ready.ui.summaryLabel.visible


def test_an_absent_measure_is_shown_with_its_reason(ready, volume, pipeline):
    ready.opened()
    ready.ui.analyzeButton.click()
    assert "Percentage of opacity: not available. There is no lung." in ready.ui.summaryLabel.text


def test_a_script_gets_nodes_and_analysis_with_its_own_options(ready, volume, pipeline):
    told = []
    options = Options(lungs="contour", device="cpu")
    nodes, analysis = ready.module.CovidCTLogic().process(volume, options, told.append)
    assert pipeline.calls[0].options is options
    assert pipeline.calls[0].scan.geometry.shape_zyx == GEOMETRY.shape_zyx
    assert [progress.fraction for progress in told] == [0.25, 0.5, 1.0]
    assert analysis.case.positive is True
    assert nodes.record.GetText()


def test_a_cancelled_analysis_leaves_the_scene_as_it_was(ready, volume, pipeline):
    def cancel(scan, options, *, progress, cancelled):
        assert cancelled() is True
        raise CancelledError("Cancelled.")

    pipeline.analyze = cancel
    before = ready.scene.GetNumberOfNodes()
    with pytest.raises(CancelledError, match="Cancelled"):
        ready.module.CovidCTLogic().process(volume, cancelled=lambda: True)
    assert ready.scene.GetNumberOfNodes() == before


def test_missing_packages_are_named_to_a_script(application, volume, monkeypatch):
    monkeypatch.setattr(application.module, "missingRequirements", lambda: ("monai>=1.4",))
    with pytest.raises(CovidCTError, match=r"not installed: monai>=1\.4\. Press Analyze"):
        application.module.CovidCTLogic().process(volume)


def test_nothing_is_installed_without_consent(application, volume, pipeline, monkeypatch):
    monkeypatch.setattr(application.module, "missingRequirements", lambda: ("monai>=1.4",))
    application.answer = False
    application.opened()
    application.ui.analyzeButton.click()
    assert len(application.questions) == 1
    assert "monai>=1.4" in application.questions[0]
    assert application.installed == []
    assert pipeline.calls == []


def test_with_consent_the_missing_packages_are_installed_and_the_analysis_runs(
    application, volume, pipeline, monkeypatch
):
    monkeypatch.setattr(
        application.module, "missingRequirements", lambda: () if application.installed else ("monai>=1.4",)
    )
    application.opened()
    application.ui.analyzeButton.click()
    assert application.installed == [["monai>=1.4"]]
    assert len(pipeline.calls) == 1


def without(monkeypatch, module, *absent):
    """Make packages look as if they were not installed."""
    util = module.importlib.util
    original = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name in absent else original(name))


def test_without_the_pytorch_extension_torch_is_not_installed(application, monkeypatch):
    without(monkeypatch, application.module, "torch", "PyTorchUtils")
    logic = application.module.CovidCTLogic()
    assert "torch>=2.3" in logic.missingPackages()
    with pytest.raises(CovidCTError, match="PyTorch extension is needed"):
        logic.installMissingPackages()


@pytest.mark.parametrize("torch", [None, object()])
def test_torch_comes_through_the_pytorch_extension(application, monkeypatch, torch):
    asked = []
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=lambda **given: asked.append(given) or torch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    util = application.module.importlib.util
    found = {"torch": None, "PyTorchUtils": extension}
    monkeypatch.setattr(util, "find_spec", lambda name: found.get(name, "there"))
    logic = application.module.CovidCTLogic()
    if torch is None:
        with pytest.raises(CovidCTError, match="was not installed"):
            logic.installMissingPackages()
    else:
        logic.installMissingPackages()
    assert asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.3"}]


def test_closing_the_scene_lets_go_of_its_parameter_node(ready, volume):
    widget = ready.opened()
    ready.scene.Clear(0)
    assert not ready.ui.analyzeButton.enabled
    widget.exit()
    widget.enter()
    widget.cleanup()
    assert widget.tags == []


def test_the_terminology_loads_into_slicer_and_holds_every_term(application):
    parent = module_parent()
    module = application.module.CovidCT(parent)
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


def test_every_connected_widget_has_its_parameter(application):
    assert parameter_names() == ["inputVolume"]
    assert application.module.CovidCTParameterNode(None) is not None


def test_every_quality_check_stands_in_the_tooltip_with_value_and_limit(ready, volume, pipeline):
    ready.opened()
    ready.ui.analyzeButton.click()
    assert ready.ui.summaryLabel.toolTip == "thick-slices: Slices are 4 mm apart. (found 4 mm, limit 3 mm)"
