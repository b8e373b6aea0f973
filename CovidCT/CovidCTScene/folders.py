"""Folders of the subject hierarchy for CovidCT's nodes; they go with what they hold, but never with the user's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import slicer
import vtk

FOLDER_ATTRIBUTE = "CovidCT.Folder"
"""Attribute of a folder's item in the subject hierarchy that marks it as CovidCT's; its value is the kind."""

LEVEL_ATTRIBUTE = "Level"
"""Attribute of items that stand for no node, such as a folder, patient or study (vtkMRMLSubjectHierarchyConstants)."""


def folderOfNodes(hierarchy: Any, nodes: Iterable[Any], parent: int, kind: str) -> int:
    """Find CovidCT's folder that holds nodes.

    Parameters
    ----------
    hierarchy
        The scene's vtkMRMLSubjectHierarchyNode.
    nodes
        Nodes of CovidCT's, such as earlier results.
    parent
        Item that the folder must lie under; one that the user moved elsewhere is not meant.
    kind
        As for `newFolder`.

    Returns
    -------
    int
        Its item; 0 where there is none.
    """
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        folder = hierarchy.GetItemParent(item) if item else 0
        if not folder or hierarchy.GetItemAttribute(folder, FOLDER_ATTRIBUTE) != kind:
            continue
        if hierarchy.GetItemParent(folder) == parent:
            return int(folder)
    return 0


def newFolder(hierarchy: Any, parent: int, name: str, kind: str) -> int:
    """Make a folder under an item, marked as CovidCT's, and give its item."""
    folder = hierarchy.CreateFolderItem(parent, name)
    hierarchy.SetItemAttribute(folder, FOLDER_ATTRIBUTE, kind)
    return int(folder)


def putIntoFolder(hierarchy: Any, folder: int, nodes: Sequence[Any]) -> None:
    """Put nodes into a folder, except those hidden from editors: Slicer's tree has no place for them."""
    for node in nodes:
        if node.GetHideFromEditors():
            continue
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
        hierarchy.SetItemParent(item, folder)


def leaveOutOfTree(node: Any) -> None:
    """Let Slicer's tree not show a node that a reader needs not see; it is saved and found like any other."""
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    node.SetAttribute(name, "1")


def removeEmptyFolders(scene: Any) -> None:
    """Remove CovidCT's folders that hold nothing any more."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for folder in _childrenOf(hierarchy, hierarchy.GetSceneItemID(), recursive=True):
        if not hierarchy.GetItemAttribute(folder, FOLDER_ATTRIBUTE):
            continue
        if any(_isThere(hierarchy, child) for child in _childrenOf(hierarchy, folder, recursive=True)):
            continue
        # A folder whose visibility or colour was set has a display node.
        display = hierarchy.GetItemDataNode(folder)
        hierarchy.RemoveItem(folder, False, True)
        if display is not None and display.GetScene() is scene:
            scene.RemoveNode(display)


def _childrenOf(hierarchy: Any, item: int, *, recursive: bool) -> list[int]:
    children = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, children, recursive)
    return [int(children.GetId(index)) for index in range(children.GetNumberOfIds())]


def _isThere(hierarchy: Any, item: int) -> bool:
    """Say whether an item stands for something: a node of the scene, or the user's own folder or study."""
    node = hierarchy.GetItemDataNode(item)
    if node is not None and node.GetScene() is not None:
        return True
    return bool(hierarchy.GetItemAttribute(item, LEVEL_ATTRIBUTE))
