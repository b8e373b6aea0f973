# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, analysisFromScene, exportResults, resultNodesOf
from scene_analysis import made_analysis, phantom_analysis
from scene_maker import added_volume
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import InputError, OutputError
from CovidCTLib.results import analysis_json, write_results
from CovidCTLib.results.reading import read_analysis


@pytest.fixture(scope="module")
def phantom():
    """Results of the synthetic chest."""
    return phantom_analysis()


@pytest.fixture
def phantom_node(scene, phantom):
    """The synthetic chest in the scene, with its results."""
    node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    addAnalysisToScene(scene, node, phantom)
    return node


def test_the_analysis_comes_out_of_the_scene_as_it_went_in(scene, phantom, phantom_node):
    back = analysisFromScene(scene, phantom_node)
    for name in ("lungs", "opacities", "localization"):
        np.testing.assert_array_equal(getattr(back, name), getattr(phantom, name))
        np.testing.assert_array_equal(getattr(back.axial, name), getattr(phantom.axial, name))
    np.testing.assert_array_equal(back.scan.hu, phantom.scan.hu)
    assert back.measures == phantom.measures
    assert back.slices == phantom.slices
    assert (back.case, back.notices, back.options) == (phantom.case, (), phantom.options)


def test_exported_files_are_those_of_the_terminal(tmp_path, scene, phantom, phantom_node):
    files = exportResults(scene, phantom_node, tmp_path / "out", report=False)
    expected = write_results(phantom, tmp_path / "expected", report=False)
    assert [file.name for file in files] == [file.name for file in expected]
    for name in ("measures.csv", "slices.csv"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "expected" / name).read_text(), name
    records = [json.loads((tmp_path / folder / "analysis.json").read_text()) for folder in ("out", "expected")]
    assert records[0] == records[1]
    one, other = read_analysis(tmp_path / "out"), read_analysis(tmp_path / "expected")
    np.testing.assert_array_equal(one.lungs, other.lungs)
    np.testing.assert_array_equal(one.opacities, other.opacities)
    np.testing.assert_allclose(one.localization, other.localization)


def test_segments_changed_by_hand_are_exported_as_they_are_and_said_to_be(scene, phantom, phantom_node):
    nodes = resultNodesOf(scene, phantom_node)
    layer = nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap")
    values = vtk_to_numpy(layer.GetPointData().GetScalars())
    values[values == 1] = 0
    back = analysisFromScene(scene, phantom_node)
    assert not (back.opacities == 1).any()
    np.testing.assert_array_equal(back.opacities == 2, phantom.opacities == 2)
    assert back.notices[0].code == "segments-edited"
    assert back.measures == phantom.measures


def test_a_ct_without_results_is_refused(scene, phantom):
    node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    with pytest.raises(InputError, match=r"must be in the scene, but there are none\. Press Analyze first"):
        analysisFromScene(scene, node)


def test_a_removed_segment_is_named(scene, phantom_node):
    resultNodesOf(scene, phantom_node).segmentation.GetSegmentation().RemoveSegment("left_lung")
    with pytest.raises(InputError, match=r"must hold the segment 'left_lung', but it was removed"):
        analysisFromScene(scene, phantom_node)


def test_a_text_that_is_no_analysis_is_refused(scene, phantom_node):
    record = resultNodesOf(scene, phantom_node).record
    record.SetText("shopping list")
    with pytest.raises(InputError, match="is damaged or no JSON"):
        analysisFromScene(scene, phantom_node)
    record.SetText(json.dumps({"made_by": "CovidCT 0.1.0", "schema_version": 1}))
    with pytest.raises(InputError, match="its geometry is missing"):
        analysisFromScene(scene, phantom_node)


def test_results_of_another_grid_are_refused(scene, phantom_node, geometry):
    record = resultNodesOf(scene, phantom_node).record
    record.SetText(analysis_json(made_analysis(geometry)))
    with pytest.raises(InputError, match=r"grid of the CT, \(60, 96, 96\) voxels .* but have \(9, 20, 24\)"):
        analysisFromScene(scene, phantom_node)


def test_a_localization_of_another_size_is_refused(scene, phantom, phantom_node):
    nodes = resultNodesOf(scene, phantom_node)
    nodes.localization.GetImageData().SetDimensions(*phantom.scan.hu.shape)
    with pytest.raises(InputError, match=r"localization must have the grid of the CT, \(60, 96, 96\) voxels"):
        analysisFromScene(scene, phantom_node)


def test_a_folder_with_content_is_refused_before_anything_is_computed(tmp_path, scene, phantom_node):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match="must be empty or not exist yet"):
        exportResults(scene, phantom_node, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
