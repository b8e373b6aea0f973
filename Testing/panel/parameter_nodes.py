"""``slicer.parameterNodeWrapper``: typed parameters of a node, and the widgets that follow them.

Parameters live in a real vtkMRMLScriptedModuleNode, in the texts and references that Slicer writes. Widgets are
connected by their exact class, as Slicer does.
"""

# Names are Qt's and Slicer's.
# ruff: noqa: N807
from __future__ import annotations

import enum
import typing

import slicer
import vtk
from mrml_widgets import NodeComboBox
from PySide6 import QtCore, QtWidgets
from pythonqt import mannered


class WithinRange:
    """Both ends are inclusive."""

    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], but is {value}")


class Parameter:
    """One typed parameter."""

    def __init__(self, name, hint, default):
        self.name = name
        self.range = None
        if typing.get_origin(hint) is typing.Annotated:
            hint, self.range = typing.get_args(hint)
        self.kind = hint
        self.default = default

    @property
    def is_node(self):
        return issubclass(self.kind, slicer.vtkMRMLNode)

    def write(self, node, value):
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name} must be a {self.kind.__name__}")
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"{self.name} must be {self.kind.__name__}, not {type(value).__name__}")
        if self.range is not None:
            self.range.validate(value)
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return self.kind[text] if issubclass(self.kind, enum.Enum) else self.kind(text)


class Connector:
    """Keeps one widget and one parameter alike."""

    def __init__(self, widget, parameter):
        self.widget, self.parameter, self.callback = widget, parameter, None
        kind = parameter.kind
        if type(widget) is NodeComboBox and parameter.is_node:
            widget.nodeTypes = [kind.__name__]
            self.signal, self.read, self.write = widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
        elif type(widget) is mannered(QtWidgets.QComboBox) and issubclass(kind, enum.Enum):
            widget.clear()
            members = list(kind)
            for member in members:
                widget.addItem(member.label() if hasattr(kind, "label") else member.name)
            self.signal = widget.currentIndexChanged
            self.read = lambda: members[widget.currentIndex]
            self.write = lambda value: self._set("currentIndex", members.index(value))
        elif type(widget) is mannered(QtWidgets.QDoubleSpinBox) and kind is float:
            widget.minimum, widget.maximum = parameter.range.minimum, parameter.range.maximum
            self._plain("value", widget.valueChanged)
        elif type(widget) is mannered(QtWidgets.QSpinBox) and kind is int:
            widget.setRange(parameter.range.minimum, parameter.range.maximum)
            self._plain("value", widget.valueChanged)
        elif type(widget) is mannered(QtWidgets.QLineEdit) and kind is str:
            self._plain("text", widget.textChanged)
        else:
            raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to '{type(widget)}'")

    def _plain(self, name, signal):
        self.signal = signal
        self.read = lambda: getattr(self.widget, name)
        self.write = lambda value: self._set(name, value)

    def _set(self, name, value):
        setattr(self.widget, name, value)

    def start(self, callback):
        self.callback = lambda *_values: callback()
        self.signal.connect(self.callback)

    def stop(self):
        self.signal.disconnect(self.callback)


def parameterNodeWrapper(cls):
    """Give the class a constructor that takes a node, and typed attributes that are parameters of that node."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: Parameter(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}

    def property_of(parameter):
        return property(
            lambda self: parameter.read(self.parameterNode),
            lambda self, value: parameter.write(self.parameterNode, value),
        )

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connected = {}
        self._updating = False
        for parameter in parameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)

    def connectGui(self, ui):
        """Gives no tag, as in Slicer up to 5.12 (wrapper.py forgets to return it)."""
        named = {QtCore.QObject.property(widget, "SlicerParameterName"): widget for widget in vars(ui).values()}
        self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping):
        connectors = []
        for name, widget in mapping.items():
            if name not in parameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
            connectors.append(Connector(widget, parameters[name]))

        def from_gui(connector):
            if not self._updating:
                connector.parameter.write(self.parameterNode, connector.read())

        for connector in connectors:
            connector.write(connector.parameter.read(self.parameterNode))
            connector.start(lambda connector=connector: from_gui(connector))

        def to_gui(_caller, _event):
            if self._updating:
                return
            self._updating = True
            for connector in connectors if tag in self._connected else ():
                connector.write(connector.parameter.read(self.parameterNode))
            self._updating = False

        tag = len(self._connected)
        self._connected[tag] = connectors
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, to_gui)
        return tag

    def disconnectGui(self, tag):
        for connector in self._connected.pop(tag, ()):
            connector.stop()

    for parameter in parameters.values():
        setattr(cls, parameter.name, property_of(parameter))
    cls.__init__ = __init__
    cls.connectGui = connectGui
    cls.connectParametersToGui = connectParametersToGui
    cls.disconnectGui = disconnectGui
    cls.AddObserver = lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    )
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    return cls
