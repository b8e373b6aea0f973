"""Follow-up in the scene: a patient's studies found in the subject hierarchy, their course as tables and charts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import CovidCTError, InputError
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.scan import Identifiers
from CovidCTScene.chart import fillChartNode
from CovidCTScene.folders import leaveOutOfTree, newFolder, putIntoFolder, removeEmptyFolders
from CovidCTScene.followup_nodes import REGION_FIELDS, FollowUpNodes, fillFollowUpSeries, fillFollowUpTables
from CovidCTScene.followup_summary import summaryOf
from CovidCTScene.nodes import (
    FOLLOW_UP_ATTRIBUTE,
    RESULT_ATTRIBUTE,
    SELF_REFERENCE,
    markedNodes,
    nodesOfClass,
    removeNodes,
)
from CovidCTScene.snapshot import shapeOfRecord
from CovidCTScene.texts import tr as _

if TYPE_CHECKING:
    from CovidCTLib.followup import FollowUp

STUDY_REFERENCE = "CovidCT.Study"
"""Node references from a node of a follow-up to the CTs of its studies."""

FOLDER_KIND = "follow-up"
"""Marks the folder of a follow-up."""

SALT_BYTES = 16
"""Random bytes with which patient numbers are hashed before they are compared; as many as NIST SP 800-132 asks for."""

_CLASSES_AND_NAMES = {
    "table": ("vtkMRMLTableNode", "follow-up"),
    "values": ("vtkMRMLTableNode", "follow-up, values of the charts"),
    "bothLungs": ("vtkMRMLPlotChartNode", "follow-up, both lungs"),
    "rightLung": ("vtkMRMLPlotChartNode", "follow-up, right lung"),
    "leftLung": ("vtkMRMLPlotChartNode", "follow-up, left lung"),
    "summary": ("vtkMRMLTextNode", "follow-up, in words"),
}
_FURTHER_CLASSES = ("vtkMRMLPlotSeriesNode", "vtkMRMLSegmentationNode")
"""Classes of the nodes of a follow-up that are no fields of `FollowUpNodes`: lines, and the map of what changed."""


@dataclass(frozen=True)
class SceneStudy:
    """A CT of the scene as a study of a follow-up.

    Parameters
    ----------
    volumeNode
        The CT.
    record
        vtkMRMLTextNode with its analysis; None while it is not analyzed.
    date
        When the patient was scanned; None where neither the subject hierarchy nor the record says so.
    """

    volumeNode: Any
    record: Any
    date: date | None


def studiesOfPatient(scene: Any, volumeNode: Any) -> tuple[SceneStudy, ...]:
    """Find the CTs of the patient of a CT.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        A CT of the patient.

    Returns
    -------
    tuple of SceneStudy
        All scalar volumes under the same patient in the subject hierarchy, CovidCT's own left out, by date, those
        without a date last; only the CT itself where it lies under no patient. Studies that are not analyzed yet are
        among them.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = _patientItem(hierarchy, volumeNode)
    if not patient:
        return (sceneStudy(scene, volumeNode),)
    nodes = [node for node in _volumes(scene) if _patientItem(hierarchy, node) == patient]
    return tuple(sorted((sceneStudy(scene, node) for node in nodes), key=_byDate))


def analyzedStudies(scene: Any) -> tuple[SceneStudy, ...]:
    """Find every analyzed CT of the scene, whosever it is, for choosing by hand; by date, those without one last."""
    studies = (sceneStudy(scene, node) for node in _volumes(scene))
    return tuple(sorted((study for study in studies if study.record is not None), key=_byDate))


def sceneStudy(scene: Any, volumeNode: Any) -> SceneStudy:
    """Take a CT of the scene as a study, with its analysis and date as far as they are there."""
    records = markedNodes(scene, volumeNode)["record"]
    record = records[-1] if records else None
    return SceneStudy(volumeNode, record, _dateInHierarchy(scene, volumeNode) or _dateInRecord(record))


def addFollowUpToScene(scene: Any, studies: Sequence[SceneStudy]) -> tuple[FollowUpNodes, FollowUp]:
    """Put the course of a disease into the scene, in one batch.

    An earlier follow-up that shares a study with the new one goes once the new one is complete; nothing else is
    touched. If anything fails, the scene is as it was before.

    Parameters
    ----------
    scene
        The scene of the studies.
    studies
        At least two, in any order, each analyzed and with a date.

    Returns
    -------
    nodes, followUp
        The new nodes, and the result with sentences and notices for the panel. Studies are numbered in the order of
        time, from 1.

    Raises
    ------
    InputError
        If there are fewer than two studies, one is given twice, is not analyzed, or has no date, or its text node does
        not hold an analysis.
    """
    followUp = _followUp(scene, _checked(studies))
    volumes = [study.volumeNode for study in sorted(studies, key=_byDate)]
    earlier = _earlierNodes(scene, {node.GetID() for node in volumes})
    added: list[Any] = []
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:

        def create(className: str, name: str, role: str) -> Any:
            node = scene.AddNewNodeByClass(className, name)
            added.append(node)
            markFollowUp(node, role, volumes)
            return node

        nodes = FollowUpNodes(
            **{
                role: create(className, f"{volumes[0].GetName()} {name}", role)
                for role, (className, name) in _CLASSES_AND_NAMES.items()
            }
        )
        fillFollowUpTables(nodes, followUp)
        leaveOutOfTree(nodes.values)
        nodes.summary.SetText("\n".join(summaryOf(followUp).sentences))
        for region, role in REGION_FIELDS.items():
            # The names of the lines are those in the legend, where the name of the CT would leave no room.
            lines = fillFollowUpSeries(lambda name: create("vtkMRMLPlotSeriesNode", name, "line"), nodes, region)
            chart = getattr(nodes, role)
            # The title has no name of the CT for the same reason: Slicer centres it and cuts both ends.
            title = _CLASSES_AND_NAMES[role][1].capitalize()
            fillChartNode(chart, lines, title, "days since the first study", "cm³ (ml)")
        _putIntoFolder(scene, volumes, added, followUp)
    except BaseException:
        # Whatever went wrong, half a follow-up must not stay.
        removeNodes(scene, added)
        removeEmptyFolders(scene)
        raise
    else:
        removeNodes(scene, earlier)
        removeEmptyFolders(scene)
        return nodes, followUp
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def followUpNodesOf(scene: Any, volumeNode: Any) -> FollowUpNodes | None:
    """Find the follow-up that a CT is a study of, for example in a scene from a file; None if there is none."""
    byRole: dict[str, Any] = {}
    for node in _earlierNodes(scene, {volumeNode.GetID()}):
        byRole[node.GetAttribute(FOLLOW_UP_ATTRIBUTE)] = node
    if not all(field.name in byRole for field in fields(FollowUpNodes) if field.default is MISSING):
        return None
    return FollowUpNodes(**{field.name: byRole[field.name] for field in fields(FollowUpNodes) if field.name in byRole})


def markFollowUp(node: Any, role: str, volumes: Sequence[Any]) -> None:
    """Mark a node of the scene as part of the follow-up of CTs."""
    node.SetAttribute(FOLLOW_UP_ATTRIBUTE, role)
    node.SetNodeReferenceID(SELF_REFERENCE, node.GetID())
    for volume in volumes:
        node.AddNodeReferenceID(STUDY_REFERENCE, volume.GetID())


def _checked(studies: Sequence[SceneStudy]) -> Sequence[SceneStudy]:
    if len({study.volumeNode.GetID() for study in studies}) < len(studies):
        raise InputError(_("Each study of a follow-up must be another CT, but one was chosen twice. Choose it once."))
    for number, study in enumerate(studies, start=1):
        if study.record is None:
            raise InputError(
                _(
                    "Each study of a follow-up must be analyzed, but study {number} in the list is not. Choose its CT, "
                    "press Analyze, and try again."
                ).format(number=number)
            )
        if study.date is None:
            raise InputError(
                _(
                    "Each study of a follow-up needs the date of its scan, but study {number} in the list has none. "
                    "Enter it as YYYY-MM-DD."
                ).format(number=number)
            )
    return studies


def _followUp(scene: Any, studies: Sequence[SceneStudy]) -> FollowUp:
    from CovidCTLib.followup import Study, follow_up, patient_key

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    # The numbers of two patients are compared, and never kept.
    salt = secrets.token_bytes(SALT_BYTES)
    given = [
        Study(_numbersOf(study.record), study.date, patient_key(_identifiers(hierarchy, study.volumeNode), salt))
        for study in sorted(studies, key=_byDate)
        if study.date is not None
    ]
    return follow_up(given, register=False)


def _numbersOf(record: Any) -> Analysis:
    """Restore an analysis without its arrays, which tables and charts do not need."""
    from CovidCTLib.results.reading import restored_analysis
    from CovidCTLib.results.stored_record import parsed_record

    content = parsed_record(record.GetText() or "")
    shape = shapeOfRecord(content)
    nothing = np.broadcast_to(np.uint8(0), shape)
    heat = np.broadcast_to(np.float32(0), shape)
    return restored_analysis(content, nothing, nothing, heat, np.broadcast_to(np.int16(LOWEST_HU), shape))


def _volumes(scene: Any) -> list[Any]:
    """Scalar volumes that may be CTs: no labelmaps, no colour pictures, nothing that CovidCT made itself."""
    nodes = nodesOfClass(scene, "vtkMRMLScalarVolumeNode")
    return [
        node
        for node in nodes
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetAttribute(RESULT_ATTRIBUTE)
    ]


def _byDate(study: SceneStudy) -> date:
    return study.date or date.max


def _patientItem(hierarchy: Any, node: Any) -> int:
    """Item of the patient that a node lies under; 0 where there is none."""
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        return 0
    return int(hierarchy.GetItemAncestorAtLevel(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()))


def _identifiers(hierarchy: Any, node: Any) -> Identifiers | None:
    patient = _patientItem(hierarchy, node)
    if not patient:
        return None
    number = hierarchy.GetItemAttribute(
        patient, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMPatientIDAttributeName()
    )
    return Identifiers(patient_id=number or None)


def _dateInHierarchy(scene: Any, volumeNode: Any) -> date | None:
    from CovidCTLib.followup import parse_date

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    names = slicer.vtkMRMLSubjectHierarchyConstants
    item = hierarchy.GetItemByDataNode(volumeNode)
    study = hierarchy.GetItemAncestorAtLevel(item, names.GetDICOMLevelStudy()) if item else 0
    text = hierarchy.GetItemAttribute(study, names.GetDICOMStudyDateAttributeName()) if study else ""
    try:
        return parse_date(text) if text else None
    except CovidCTError:
        # What a file holds as its date may be anything; the user is asked then.
        return None


def _dateInRecord(record: Any) -> date | None:
    """Find the date that an analysis states; only that is read, for this is done each time that studies are listed."""
    from CovidCTLib.followup import parse_date
    from CovidCTLib.results.stored_record import parsed_record

    if record is None:
        return None
    try:
        content = parsed_record(record.GetText() or "")
        parts = [part for part in (content.get("scan"), content.get("identifiers")) if isinstance(part, dict)]
        dates = [str(part["study_date"]) for part in parts if part.get("study_date")]
        return parse_date(dates[0]) if dates else None
    except CovidCTError:
        # A text node that the user changed; adding the follow-up says so.
        return None


def _earlierNodes(scene: Any, volumeIds: set[str]) -> list[Any]:
    """Nodes of follow-ups that have any of these CTs as a study; clones of them are the user's."""
    classes = {*(className for className, _name in _CLASSES_AND_NAMES.values()), *_FURTHER_CLASSES}
    nodes = []
    for node in (node for className in sorted(classes) for node in nodesOfClass(scene, className)):
        count = node.GetNumberOfNodeReferences(STUDY_REFERENCE)
        studies = {node.GetNthNodeReferenceID(STUDY_REFERENCE, index) for index in range(count)}
        # Scenes of an early version know no reference of a node to itself.
        isTheTable = node.GetNodeReferenceID(SELF_REFERENCE) in (None, node.GetID())
        if node.GetAttribute(FOLLOW_UP_ATTRIBUTE) and isTheTable and studies & volumeIds:
            nodes.append(node)
    return nodes


def _putIntoFolder(scene: Any, volumes: Sequence[Any], nodes: Sequence[Any], followUp: FollowUp) -> None:
    """Put the follow-up into one folder, under the patient where all studies have the same one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patients = {_patientItem(hierarchy, volume) for volume in volumes}
    patient = patients.pop() if len(patients) == 1 else 0
    first, last = (followUp.points[index].date.isoformat() for index in (0, -1))
    dates = _("follow-up {first} to {last}").format(first=first, last=last)
    # The name of the patient's item in the tree, so that no more of the patient is shown than there already.
    name = f"{hierarchy.GetItemName(patient)}, {dates}" if patient else f"{dates[:1].upper()}{dates[1:]}"
    folder = newFolder(hierarchy, patient or hierarchy.GetSceneItemID(), name, FOLDER_KIND)
    putIntoFolder(hierarchy, folder, nodes)
