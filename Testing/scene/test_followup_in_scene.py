# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import (
    addAnalysisToScene,
    addFollowUpToScene,
    analyzedStudies,
    followUpNodesOf,
    sceneStudy,
    studiesOfPatient,
)
from CovidCTScene import followup as followup_file
from scene_analysis import phantom_analysis
from scene_maker import added_volume
from scene_views import chart_pixels, keep, require_rendering

from CovidCTLib.analysis import Measurement
from CovidCTLib.errors import InputError

DAYS = ("20200302", "20200309", "20200323")
SHARES = (1.0, 0.5, 0.25)
"""What is left of the first study's volumes in each study."""


@pytest.fixture(scope="module")
def phantom():
    """Results of the synthetic chest."""
    return phantom_analysis()


def fading(analysis, share):
    """The same analysis with every volume of opacities reduced to a share."""
    names = ("corona_score_cm3", "opacity_volume_ml", "opacity_percent", "ggo_volume_ml", "consolidation_volume_ml")
    measures = tuple(
        Measurement(entry.region, entry.name, entry.value * share, entry.unit) if entry.name in names else entry
        for entry in analysis.measures
        if entry.value is not None
    )
    return replace(analysis, measures=measures)


def under_patient(scene, number, days, analysis, shares=SHARES, name="study"):
    """Add a patient with studies, in the order given, each with an analyzed CT."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    names = slicer.vtkMRMLSubjectHierarchyConstants
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), number)
    hierarchy.SetItemAttribute(patient, names.GetDICOMPatientIDAttributeName(), number)
    volumes = []
    for day, share in zip(days, shares, strict=True):
        study = hierarchy.CreateStudyItem(patient, day)
        hierarchy.SetItemAttribute(study, names.GetDICOMStudyDateAttributeName(), day)
        node = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, f"{name} {day}")
        hierarchy.CreateItem(study, node)
        addAnalysisToScene(scene, node, fading(analysis, share))
        volumes.append(node)
    return patient, volumes


def folder_of(hierarchy, node):
    """Item in the subject hierarchy under which a node lies."""
    return hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))


def ids_of(scene):
    """Identifiers of all nodes."""
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


@pytest.fixture
def course(scene, phantom):
    """Three studies of one patient, in another order than that of time."""
    order = (2, 0, 1)
    patient, volumes = under_patient(scene, "P1", [DAYS[i] for i in order], phantom, [SHARES[i] for i in order])
    return patient, [volumes[order.index(i)] for i in range(3)]


def test_the_studies_of_a_patient_are_found_by_the_subject_hierarchy_in_the_order_of_time(scene, course, phantom):
    _patient, volumes = course
    under_patient(scene, "P2", DAYS[:1], phantom, SHARES[:1], "other")
    found = studiesOfPatient(scene, volumes[1])
    assert [study.volumeNode for study in found] == volumes
    assert [study.date for study in found] == [date(2020, 3, 2), date(2020, 3, 9), date(2020, 3, 23)]
    assert all(study.record is not None for study in found)
    assert len(analyzedStudies(scene)) == 4


def test_a_ct_under_no_patient_stands_for_itself_and_has_no_date(scene, phantom):
    node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    (study,) = studiesOfPatient(scene, node)
    assert (study.volumeNode, study.record, study.date) == (node, None, None)
    assert analyzedStudies(scene) == ()


def test_the_date_in_the_record_serves_where_the_hierarchy_has_none(scene, phantom):
    node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    facts = replace(phantom.scan.facts, study_date="2020-04-01")
    addAnalysisToScene(scene, node, replace(phantom, scan=replace(phantom.scan, facts=facts)))
    assert sceneStudy(scene, node).date == date(2020, 4, 1)
    sceneStudy(scene, node).record.SetText("no analysis any more")
    assert sceneStudy(scene, node).date is None


def test_a_date_that_is_none_leaves_the_study_without_one(scene, phantom):
    _patient, (node,) = under_patient(scene, "P1", ["soon"], phantom, [1.0])
    assert sceneStudy(scene, node).date is None


def test_the_table_tells_every_measure_and_its_change_from_the_first_study(scene, course, phantom):
    _patient, volumes = course
    nodes, followUp = addFollowUpToScene(scene, studiesOfPatient(scene, volumes[0]))
    table = nodes.table.GetTable()
    assert table.GetNumberOfRows() == len(followUp.rows)
    seen = set()
    for row in range(table.GetNumberOfRows()):
        cell = {name: table.GetValueByName(row, name) for name in ("study", "days", "region", "measure", "value")}
        change = table.GetValueByName(row, "change_percent").ToDouble()
        seen.add((cell["region"].ToString(), cell["measure"].ToString()))
        expected = 100 * (SHARES[cell["study"].ToInt() - 1] - 1)
        if cell["measure"].ToString() == "Corona Score" and followUp.rows[row].value:
            assert change == pytest.approx(expected)
        assert cell["days"].ToInt() == (0, 7, 21)[cell["study"].ToInt() - 1]
        assert len(table.GetValueByName(row, "definition").ToString()) > 20
    for region in ("both lungs", "right lung", "left lung"):
        assert (region, "Corona Score") in seen
    assert nodes.table.GetColumnTitle("days") == "time (days)"
    assert nodes.bothLungs.GetTitle() == "Follow-up, both lungs"
    assert len(followUp.sentences) == 2


def test_the_charts_show_four_lines_per_region_over_the_days(scene, course, phantom):
    require_rendering()
    _patient, volumes = course
    nodes, _followUp = addFollowUpToScene(scene, studiesOfPatient(scene, volumes[0]))
    for chart, region in (
        (nodes.bothLungs, "both_lungs"),
        (nodes.rightLung, "right_lung"),
        (nodes.leftLung, "left_lung"),
    ):
        assert chart.GetNumberOfPlotSeriesNodes() == 4
        for index, name in enumerate(
            ("corona_score_cm3", "opacity_volume_ml", "ggo_volume_ml", "consolidation_volume_ml")
        ):
            line = chart.GetNthPlotSeriesNode(index)
            assert (line.GetXColumnName(), line.GetYColumnName()) == ("days", f"{region}.{name}")
            values = nodes.values.GetTable()
            for row, share in enumerate(SHARES):
                expected = phantom.measure(region, name).value * share
                assert values.GetValueByName(row, line.GetYColumnName()).ToDouble() == pytest.approx(expected)
        drawn = chart_pixels(chart, scene).astype(int)
        keep(f"chart-follow-up-{region}", drawn.astype(np.uint8))
        colours = {tuple(np.rint(np.array(chart.GetNthPlotSeriesNode(i).GetColor()) * 255)) for i in range(4)}
        assert all((np.abs(drawn - colour).max(axis=-1) < 40).sum() > 60 for colour in colours)


def test_a_second_follow_up_replaces_the_first_and_nothing_else(scene, course, phantom):
    patient, volumes = course
    _other, others = under_patient(scene, "P2", DAYS[:2], phantom, SHARES[:2], "other")
    foreign, _ = addFollowUpToScene(scene, studiesOfPatient(scene, others[0]))
    first, _ = addFollowUpToScene(scene, studiesOfPatient(scene, volumes[0])[:2])
    before = ids_of(scene)
    again, _ = addFollowUpToScene(scene, studiesOfPatient(scene, volumes[0]))
    after = ids_of(scene)
    assert not {getattr(first, name).GetID() for name in vars(first)} & after
    assert {getattr(foreign, name).GetID() for name in vars(foreign)} <= after
    assert len(after) == len(before)
    assert followUpNodesOf(scene, volumes[2]) == again
    assert followUpNodesOf(scene, others[0]) == foreign
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folders = {folder_of(hierarchy, node) for node in vars(again).values()}
    assert len(folders) == 1
    assert hierarchy.GetItemParent(folders.pop()) == patient
    assert volumes[0].GetName() in again.table.GetName()


def test_studies_chosen_by_hand_take_a_date_and_a_warning_where_patients_differ(scene, phantom):
    _patient, one = under_patient(scene, "P1", DAYS[:1], phantom, SHARES[:1])
    _patient, other = under_patient(scene, "P2", [""], phantom, SHARES[1:2], "other")
    by_hand = replace(sceneStudy(scene, other[0]), date=date(2020, 2, 1))
    nodes, followUp = addFollowUpToScene(scene, [sceneStudy(scene, one[0]), by_hand])
    assert [point.days for point in followUp.points] == [0, 30]
    assert "different-patients" in {notice.code for notice in followUp.notices}
    told = " ".join(notice.text for notice in followUp.notices)
    assert "P1" not in told
    assert "P2" not in told
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = folder_of(hierarchy, nodes.table)
    assert hierarchy.GetItemParent(folder) == hierarchy.GetSceneItemID()
    assert hierarchy.GetItemName(folder) == "Follow-up 2020-02-01 to 2020-03-02"


def test_studies_that_cannot_be_used_are_refused_and_the_scene_stays(scene, course, phantom):
    _patient, volumes = course
    studies = studiesOfPatient(scene, volumes[0])
    bare = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    before = ids_of(scene)
    with pytest.raises(InputError, match=r"at least 2 studies .* only one"):
        addFollowUpToScene(scene, studies[:1])
    with pytest.raises(InputError, match=r"one was chosen twice\. Choose it once"):
        addFollowUpToScene(scene, [studies[0], studies[0]])
    with pytest.raises(InputError, match=r"must be analyzed, but study 2 in the list is not\. Choose its CT"):
        addFollowUpToScene(scene, [studies[0], sceneStudy(scene, bare)])
    with pytest.raises(InputError, match=r"needs the date of its scan, but study 1 in the list has none"):
        addFollowUpToScene(scene, [replace(studies[0], date=None), studies[1]])
    studies[1].record.SetText('{"made_by": "CovidCT 0.1.0", "schema_version": 1}')
    with pytest.raises(InputError, match="geometry is missing"):
        addFollowUpToScene(scene, studies)
    assert ids_of(scene) == before
    assert followUpNodesOf(scene, volumes[0]) is None


def test_a_failure_leaves_the_scene_as_it_was(scene, course, monkeypatch):
    _patient, volumes = course
    before = ids_of(scene)

    def broken(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(followup_file, "fillChartNode", broken)
    with pytest.raises(KeyboardInterrupt):
        addFollowUpToScene(scene, studiesOfPatient(scene, volumes[0]))
    assert ids_of(scene) == before
    assert not scene.IsBatchProcessing()
