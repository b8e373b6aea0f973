"""Slicer's widgets that show nodes of a scene, on a real MRML scene."""

# Names are Qt's and Slicer's.
# ruff: noqa: N805, N815
from __future__ import annotations

import vtk
from PySide6 import QtCore, QtWidgets
from pythonqt import CollapsibleButton, Manners, UiLoader


class MRMLWidget(Manners, QtWidgets.QWidget):
    """qMRMLWidget: holds a scene and passes it on."""

    SIGNATURES = ("mrmlSceneChanged(vtkMRMLScene*)",)
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene):
        self.mrmlSceneChanged.emit(scene)


class SortFilterProxyModel(Manners, QtCore.QObject):
    """qMRMLSortFilterProxyModel: which nodes a combo box leaves out."""

    def __init__(self, owner):
        super().__init__(owner)
        self._hidden = []

    def _set_hidden(self, identifiers):
        self._hidden = list(identifiers)
        QtCore.QObject.parent(self)._refresh()

    hiddenNodeIDs = QtCore.Property("QStringList", lambda self: self._hidden, _set_hidden)


class NodeComboBox(Manners, QtWidgets.QWidget):
    """qMRMLNodeComboBox: the nodes of some classes in the scene, hidden ones left out.

    Where the chosen node goes, the one behind it in the list takes its place, as in Slicer.
    """

    SIGNATURES = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)")
    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._filter = SortFilterProxyModel(self)
        self._values = {"nodeTypes": [], "showChildNodeTypes": True, "noneEnabled": False}
        self._scene = None
        self._node = None
        self._tags = []
        self._box = QtWidgets.QComboBox(self)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(lambda index: self._choose(self._box.itemData(index)))

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._tags = []
        if scene is not None:
            removed = vtk.calldata_type(vtk.VTK_OBJECT)(lambda caller, event, node: self._on_removed(node))
            self._tags = [
                scene.AddObserver(scene.NodeAddedEvent, lambda *_: self._refresh()),
                scene.AddObserver(scene.NodeRemovedEvent, removed),
                scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: self._refresh()),
            ]
        self._refresh()

    def sortFilterProxyModel(self):
        return self._filter

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        self._choose(node.GetID() if node is not None else None)

    def setCurrentNodeID(self, identifier):
        self._choose(identifier)

    def _get_id(self):
        return self._node.GetID() if self._node is not None else ""

    def _nodes(self):
        if self._scene is None:
            return []
        found = []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            for kind in self._values["nodeTypes"]:
                fits = node.IsA(kind) if self._values["showChildNodeTypes"] else node.GetClassName() == kind
                if fits and not node.GetHideFromEditors() and node.GetID() not in self._filter._hidden:
                    found.append(node)
        return found

    def _on_removed(self, node):
        if node is self._node:
            shown = [self._box.itemData(index) for index in range(self._box.count())]
            place = shown.index(node.GetID())
            behind = [identifier for identifier in shown[place + 1 :] if self._scene.GetNodeByID(identifier)]
            self._choose(behind[0] if behind else None)
        self._refresh()

    def _refresh(self):
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        self._box.clear()
        if self._values["noneEnabled"]:
            self._box.addItem("None", None)
        for node in self._nodes():
            self._box.addItem(node.GetName(), node.GetID())
        self._show()

    def _show(self):
        self._box.setCurrentIndex(self._box.findData(self._node.GetID()) if self._node is not None else 0)

    def _choose(self, identifier):
        node = self._scene.GetNodeByID(identifier) if identifier and self._scene is not None else None
        if node is not None and node not in self._nodes():
            node = None
        changed = node is not self._node
        self._node = node
        self._show()
        if changed:
            self.currentNodeChanged.emit(node)

    def _get(name):
        return lambda self: self._values.get(name, False)

    def _set(name):
        def setter(self, value):
            self._values[name] = value
            self._refresh()

        return setter

    nodeTypes = QtCore.Property("QStringList", _get("nodeTypes"), _set("nodeTypes"))
    showChildNodeTypes = QtCore.Property(bool, _get("showChildNodeTypes"), _set("showChildNodeTypes"))
    noneEnabled = QtCore.Property(bool, _get("noneEnabled"), _set("noneEnabled"))
    addEnabled = QtCore.Property(bool, _get("addEnabled"), _set("addEnabled"))
    removeEnabled = QtCore.Property(bool, _get("removeEnabled"), _set("removeEnabled"))
    currentNodeID = QtCore.Property(str, _get_id, setCurrentNodeID)


UiLoader.FURTHER.update(
    {
        "ctkCollapsibleButton": CollapsibleButton,
        "qMRMLNodeComboBox": NodeComboBox,
        "qMRMLWidget": MRMLWidget,
    }
)
