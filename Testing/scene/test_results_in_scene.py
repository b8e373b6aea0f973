# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk
from CovidCTScene import addAnalysisToScene, resultNodesOf, showAnalysis, showHeatMap
from CovidCTScene import results as results_file
from scene_analysis import NO_LUNG, made_analysis
from scene_maker import SceneWithLogics, added_volume
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import CONSOLIDATION, GGO, LABELS, LEFT_LUNG, PLEURAL_EFFUSION, RIGHT_LUNG
from CovidCTLib.results import analysis_json

SHOWN = (RIGHT_LUNG, LEFT_LUNG, GGO, CONSOLIDATION)


@pytest.fixture
def nodes(scene, volume_node, analysis):
    """The results in the scene."""
    return addAnalysisToScene(scene, volume_node, analysis)


def voxels_of(segmentation_node, segment_id, volume_node):
    """Voxels of a segment on the grid of the CT, as Slicer itself resamples them."""
    image = slicer.vtkOrientedImageData()
    grid = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(volume_node)
    segmentation_node.GetBinaryLabelmapRepresentation(segment_id, image)
    out = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, grid, out)
    x, y, z = out.GetDimensions()
    return vtk_to_numpy(out.GetPointData().GetScalars()).reshape(z, y, x) > 0


def expected_masks(analysis):
    """Voxels of each segment by its identifier."""
    return {
        "right_lung": analysis.lungs == 1,
        "left_lung": analysis.lungs == 2,
        "ggo": analysis.opacities == 1,
        "consolidation": analysis.opacities == 2,
        "pleural_effusion": analysis.opacities == 3,
    }


def names_of(scene):
    """Identifiers of all nodes."""
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def test_each_segment_has_its_fixed_id_name_and_colour(nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == [label.segment_id for label in SHOWN]
    for label in SHOWN:
        segment = segmentation.GetSegment(label.segment_id)
        assert segment.GetName() == label.name
        np.testing.assert_allclose(segment.GetColor(), np.array(label.colour) / 255)


def test_each_segment_holds_the_voxels_of_its_label_on_the_grid_of_the_ct(nodes, volume_node, analysis):
    masks = expected_masks(analysis)
    for label in SHOWN:
        found = voxels_of(nodes.segmentation, label.segment_id, volume_node)
        np.testing.assert_array_equal(found, masks[label.segment_id], err_msg=label.segment_id)


def test_lungs_and_opacities_take_two_shared_layers(nodes):
    assert nodes.segmentation.GetSegmentation().GetNumberOfLayers() == 2


def test_the_terminology_of_each_segment_reads_back_as_its_codes(logics, nodes):
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    for label in SHOWN:
        text = vtk.mutable("")
        assert nodes.segmentation.GetSegmentation().GetSegment(label.segment_id).GetTag(tag, text)
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logics.terminologies.DeserializeTerminologyEntry(str(text), entry)
        assert entry.GetTerminologyContextName() == "Segmentation category and type - CovidCT"
        for code, found in ((label.category, entry.GetCategoryObject()), (label.type, entry.GetTypeObject())):
            assert (found.GetCodingSchemeDesignator(), found.GetCodeValue()) == (code.scheme, code.value)
            assert found.GetCodeMeaning() == code.meaning
        modifier = entry.GetTypeModifierObject()
        assert (modifier.GetCodeValue() or None) == (label.modifier.value if label.modifier else None)


def test_pleural_effusion_has_a_segment_where_it_is_present(scene, volume_node, geometry):
    analysis = made_analysis(geometry, effusion=True)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    assert list(nodes.segmentation.GetSegmentation().GetSegmentIDs()) == [label.segment_id for label in LABELS]
    found = voxels_of(nodes.segmentation, PLEURAL_EFFUSION.segment_id, volume_node)
    np.testing.assert_array_equal(found, analysis.opacities == 3)


def test_an_analysis_without_findings_gives_empty_segments(scene, volume_node, geometry):
    nodes = addAnalysisToScene(scene, volume_node, made_analysis(geometry, empty=True))
    for label in SHOWN:
        assert not voxels_of(nodes.segmentation, label.segment_id, volume_node).any()


def test_the_ct_is_the_reference_geometry_of_the_segmentation(nodes, volume_node):
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert nodes.segmentation.GetNodeReferenceID(role) == volume_node.GetID()


def test_the_localization_has_the_values_and_place_of_the_analysis(nodes, analysis):
    from CovidCTScene.scan import ijkToRasOfVolumeNode

    array = slicer.util.arrayFromVolume(nodes.localization)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, analysis.localization)
    np.testing.assert_allclose(ijkToRasOfVolumeNode(nodes.localization), analysis.scan.geometry.ijk_to_ras, atol=1e-6)


def test_the_localization_is_drawn_hot_where_it_is_high_and_not_at_all_where_it_is_zero(nodes, analysis):
    display = nodes.localization.GetDisplayNode()
    display.SetInputImageDataConnection(nodes.localization.GetImageDataConnection())
    display.GetOutputImageDataConnection().GetProducer().Update()
    drawn = display.GetOutputImageData()
    colours = vtk_to_numpy(drawn.GetPointData().GetScalars()).reshape(*analysis.localization.shape, -1)
    assert colours.shape[-1] == 4
    hot = analysis.localization > 0
    assert (colours[~hot][:, 3] == 0).all()
    assert (colours[hot][:, 3] == 255).all()
    # At 0.75 the table is orange: (0.97, 0.55, 0.04) of 255.
    np.testing.assert_allclose(colours[hot][:, :3].mean(axis=0), [247, 140, 10], atol=3)


def test_the_measure_table_holds_values_units_definitions_and_reasons(nodes, analysis):
    table = nodes.measures.GetTable()
    assert table.GetNumberOfRows() == len(analysis.measures)
    assert table.GetValueByName(0, "region").ToString() == "both lungs"
    assert table.GetValueByName(0, "value").ToDouble() == analysis.measures[0].value
    assert table.GetValueByName(1, "measure").ToString() == "Corona Score"
    assert table.GetValueByName(1, "unit").ToString() == "cm³"
    assert table.GetValueByName(1, "measure_id").ToString() == "corona_score_cm3"
    for row in range(5):
        assert len(table.GetValueByName(row, "definition").ToString()) > 20
        assert table.GetValueByName(row, "source").ToString()


def test_an_absent_measure_is_an_empty_cell_and_says_why(nodes):
    table = nodes.measures.GetTable()
    assert table.GetValueByName(4, "value").ToString() == ""
    assert table.GetValueByName(4, "reason").ToString() == NO_LUNG


def test_the_slice_table_holds_every_field_of_every_slice(nodes, analysis):
    table = nodes.slices.GetTable()
    assert table.GetNumberOfRows() == 3
    for row, entry in enumerate(analysis.slices):
        for name, expected in vars(entry).items():
            cell = table.GetValueByName(row, name)
            if expected is None:
                assert cell.ToString() == ""
            elif isinstance(expected, str):
                assert cell.ToString() == expected
            else:
                assert cell.ToDouble() == pytest.approx(float(expected))
    assert nodes.slices.GetColumnTitle("position_mm") == "position (mm)"
    assert "Lung pixels" in nodes.slices.GetColumnDescription("lung_area_mm2")


def test_the_record_is_the_text_of_analysis_json(nodes, analysis):
    assert nodes.record.GetText() == analysis_json(analysis)
    assert json.loads(nodes.record.GetText())["case"]["positive"] is True


def test_a_second_analysis_replaces_the_first_and_nothing_else(scene, volume_node, analysis, nodes):
    other = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, "other")
    others = addAnalysisToScene(scene, other, analysis)
    users = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "chest segmentation")
    before = names_of(scene)
    first = {getattr(nodes, name).GetID() for name in vars(nodes)}
    again = addAnalysisToScene(scene, volume_node, analysis)
    after = names_of(scene)
    assert not first & after
    assert users.GetID() in after
    assert {getattr(others, name).GetID() for name in vars(others)} <= after
    assert {getattr(again, name).GetID() for name in vars(again)} <= after
    assert len(after) == len(before), "display and storage nodes must go with their nodes"


def test_a_failure_leaves_the_scene_as_it_was(scene, volume_node, analysis, nodes, monkeypatch):
    def broken(_table, _analysis):
        raise KeyboardInterrupt

    before = names_of(scene)
    monkeypatch.setattr(results_file, "fillSliceTable", broken)
    with pytest.raises(KeyboardInterrupt):
        addAnalysisToScene(scene, volume_node, analysis)
    assert names_of(scene) == before
    assert not scene.IsBatchProcessing()
    assert resultNodesOf(scene, volume_node) == nodes


def test_an_analysis_of_another_size_is_refused(scene, analysis):
    geometry = Geometry((10, 20, 24))
    node = added_volume(scene, np.zeros(geometry.shape_zyx, np.int16), geometry)
    with pytest.raises(InputError, match=r"grid of the CT, \(10, 20, 24\) voxels .* Analyze the CT again"):
        addAnalysisToScene(scene, node, analysis)


def test_an_analysis_of_another_place_is_refused(scene, volume_node, analysis):
    volume_node.SetOrigin(1.0, 2.0, 3.0)
    with pytest.raises(InputError, match="another origin, spacing or orientation"):
        addAnalysisToScene(scene, volume_node, analysis)


def test_results_lie_beside_the_ct_in_the_subject_hierarchy(scene, volume_node, analysis):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "A")
    study = hierarchy.CreateStudyItem(patient, "B")
    hierarchy.CreateItem(study, volume_node)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    folders = {
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        for node in vars(nodes).values()
        if not node.GetHideFromEditors()
    }
    assert len(folders) == 1
    assert hierarchy.GetItemParent(folders.pop()) == study


def test_showing_puts_the_ct_into_every_slice_view_and_the_heat_map_over_it_when_asked(scene, volume_node, nodes):
    views = [scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode") for _ in range(3)]
    showAnalysis(scene, volume_node, nodes)
    for view in views:
        assert view.GetBackgroundVolumeID() == volume_node.GetID()
        assert view.GetForegroundVolumeID() is None
    showHeatMap(scene, volume_node, nodes, True)
    for view in views:
        assert view.GetForegroundVolumeID() == nodes.localization.GetID()
        assert 0 < view.GetForegroundOpacity() < 1


def test_a_scene_file_brings_everything_back(tmp_path, scene, volume_node, analysis, nodes):
    bundle = tmp_path / "results.mrb"
    assert scene.WriteToMRB(str(bundle))
    # Reading an MRB needs the application's cache folder; the file is a zip of a scene, so the test unpacks it.
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    fresh = SceneWithLogics()
    loaded = fresh.scene
    loaded.SetURL(str(next(tmp_path.glob("*/*.mrml"))))
    assert loaded.Connect()
    volume = next(
        loaded.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        for index in range(loaded.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
        if loaded.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode").GetName() == "chest"
    )
    back = resultNodesOf(loaded, volume)
    assert back is not None
    masks = expected_masks(analysis)
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    for label in SHOWN:
        segment = back.segmentation.GetSegmentation().GetSegment(label.segment_id)
        assert segment.GetName() == label.name
        np.testing.assert_allclose(segment.GetColor(), np.array(label.colour) / 255, atol=1e-4)
        text = vtk.mutable("")
        assert segment.GetTag(tag, text)
        assert label.type.value in str(text)
        np.testing.assert_array_equal(voxels_of(back.segmentation, label.segment_id, volume), masks[label.segment_id])
    np.testing.assert_allclose(slicer.util.arrayFromVolume(back.localization), analysis.localization)
    assert back.localization.GetDisplayNode().GetColorNodeID() == back.colours.GetID()
    assert back.measures.GetTable().GetValueByName(1, "value").ToDouble() == pytest.approx(0.0675)
    assert back.slices.GetTable().GetNumberOfRows() == 3
    assert back.slices.GetColumnTitle("position_mm") == "position (mm)"
    assert "Lung pixels" in back.slices.GetColumnDescription("lung_area_mm2")
    assert back.chart.GetNthPlotSeriesNode(0) is back.probabilitySeries
    assert back.areaSeries.GetTableNode() is back.chartValues
    assert back.chartValues.GetTable().GetNumberOfRows() == 3
    assert back.areaSeries.GetYColumnName() == "opacity_area_cm2"
    assert json.loads(back.record.GetText()) == json.loads(analysis_json(analysis))
    fresh.close()
