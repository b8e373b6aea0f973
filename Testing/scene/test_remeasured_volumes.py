"""Volumes measured again are those that Slicer's Segment Statistics counts: VTK's sums of the segments' labelmaps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk  # noqa: E402
from CovidCTScene import addAnalysisToScene  # noqa: E402
from CovidCTScene.prepared_results import orientedImage  # noqa: E402
from CovidCTScene.remeasure import Remeasure  # noqa: E402
from CovidCTScene.scan import ijkToRasOfVolumeNode  # noqa: E402
from scene_analysis import made_analysis  # noqa: E402
from scene_maker import added_volume  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from CovidCTLib.errors import InputError  # noqa: E402

MOST_DIFFERENCE = 0.001
"""Share by which the volumes may differ."""


@pytest.fixture
def analyzed(scene, geometry, monkeypatch):
    """A CT in the scene with its results; the fixture ``geometry`` goes over orientations."""
    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.001)
    made = made_analysis(geometry)
    slices = tuple(replace(made.slices[1], index=index) for index in range(made.axial.geometry.shape_zyx[0]))
    analysis = replace(made, slices=slices)
    node = added_volume(scene, analysis.scan.hu, analysis.scan.geometry)
    return node, addAnalysisToScene(scene, node, analysis)


def statistics_cm3(segment):
    """Volume as the plugin LabelmapSegmentStatistics of Slicer computes it: voxels by vtkImageAccumulate."""
    image = segment.GetRepresentation("Binary labelmap")
    threshold = vtk.vtkImageThreshold()
    threshold.SetInputData(image)
    threshold.ThresholdBetween(segment.GetLabelValue(), segment.GetLabelValue())
    threshold.SetInValue(1)
    threshold.SetOutValue(0)
    threshold.SetOutputScalarType(vtk.VTK_UNSIGNED_CHAR)
    accumulate = vtk.vtkImageAccumulate()
    accumulate.SetInputConnection(threshold.GetOutputPort())
    accumulate.IgnoreZeroOn()
    accumulate.Update()
    return accumulate.GetVoxelCount() * float(np.prod(image.GetSpacing())) / 1000


def measured(scene, node, nodes):
    work = Remeasure(scene, node)
    for _share in work.steps():
        continue
    work.make()
    work.put()
    record = json.loads(nodes.record.GetText())
    return {(entry["region"], entry["name"]): entry["value"] for entry in record["measures"]}


def test_volumes_of_segments_are_those_of_segment_statistics(scene, analyzed):
    node, nodes = analyzed
    segmentation = nodes.segmentation.GetSegmentation()
    mask = np.zeros(slicer.util.arrayFromVolume(node).shape, np.uint8)
    mask[tuple(slice(1, size - 2) for size in mask.shape)] = 1
    area = slicer.vtkSegment()
    area.SetName("area A")
    area.AddRepresentation("Binary labelmap", orientedImage(mask, ijkToRasOfVolumeNode(node)))
    area.SetLabelValue(1)
    segmentation.AddSegment(area, "area")
    voxels = vtk_to_numpy(
        segmentation.GetSegment("ggo").GetRepresentation("Binary labelmap").GetPointData().GetScalars()
    )
    voxels[: voxels.size // 3] = 0
    values = measured(scene, node, nodes)
    for identifier, key in (
        ("right_lung", ("right_lung", "volume_ml")),
        ("left_lung", ("left_lung", "volume_ml")),
        ("ggo", ("both_lungs", "ggo_volume_ml")),
        ("consolidation", ("both_lungs", "consolidation_volume_ml")),
        ("area", ("area:area A", "area_volume_ml")),
    ):
        theirs = statistics_cm3(segmentation.GetSegment(identifier))
        assert values[key] == pytest.approx(theirs, rel=MOST_DIFFERENCE), identifier


def test_numbers_are_not_put_before_they_are_made_or_after_the_results_went(scene, analyzed):
    node, nodes = analyzed
    work = Remeasure(scene, node)
    with pytest.raises(InputError, match="must be measured before their numbers are shown"):
        work.put()
    for _share in work.steps():
        continue
    work.make()
    scene.RemoveNode(nodes.record)
    with pytest.raises(InputError, match="but they were removed"):
        work.put()


def test_without_results_there_is_nothing_to_measure_again(scene, analyzed):
    node, nodes = analyzed
    scene.RemoveNode(nodes.record)
    with pytest.raises(InputError, match="there are none"):
        Remeasure(scene, node)


def test_segments_that_change_while_they_are_read_stop_it(scene, analyzed):
    node, nodes = analyzed
    work = Remeasure(scene, node)
    steps = work.steps()
    next(steps)
    nodes.segmentation.GetSegmentation().AddEmptySegment("more", "more")
    with pytest.raises(InputError, match="they were changed"):
        list(steps)
