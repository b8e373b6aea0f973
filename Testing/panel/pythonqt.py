"""Qt as PythonQt gives it to Slicer's Python, made of PySide6: the modules ``qt`` and ``ctk``.

PythonQt's manners that are imitated: what is a property of Qt's meta-object is a value and no method, also of objects
that Qt itself made; the setters of properties exist too; an attribute that the class has not got cannot be set;
``name`` is ``objectName``; signals connect by their signature and by attribute; an object of Qt holds what is connected
to its signals until it is deleted, which Python's garbage collector cannot see; ``QTimer.singleShot`` is Slicer's own,
whose timer lives as long as the application; enums are flat (PySide6 allows that itself). A signature that the class
has not got is an error here, where Slicer only prints one. docs/slicer_stand_in.md lists every difference.
"""

# Names are Qt's and Slicer's.
# ruff: noqa: N815
from __future__ import annotations

import functools
import inspect
import re
from types import BuiltinMethodType, ModuleType
from typing import ClassVar
from xml.etree import ElementTree

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

TWO_FORMS_IN_QT_5 = {("QProcess", "finished"), ("QProcess", "error")}
"""Class and signal that an attribute may take for the other form in Slicer; only the signature says which is meant."""

SECTION_HEADER_LINES = 1.6
"""Height of a collapsible button's header in lines of its font."""


class Manners:
    """Makes a class of PySide6 behave as PythonQt's."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            if name == "name":
                return QtCore.QObject.objectName(self)
            if name in ("connect", "disconnect"):
                # PySide6 finds its own before those of a class in Python.
                return functools.partial(getattr(Manners, f"_{name}"), self)
            if name in properties_of(type(self)):
                return QtCore.QObject.property(self, name)
            if (type(self).__name__, name) in TWO_FORMS_IN_QT_5:
                raise AttributeError(f"{name} of {type(self).__name__} has two forms in Qt 5; connect by the signature")
        found = super().__getattribute__(name)
        return found if name.startswith("_") else with_manners(self, found)

    def __setattr__(self, name, value):
        if name in properties_of(type(self)):
            if not QtCore.QObject.setProperty(self, name, value):
                raise TypeError(f"{name} cannot be set to {value!r}")
        elif name.startswith("_"):
            super().__setattr__(name, value)
        elif isinstance(value, QtCore.QObject) and QtCore.QObject.objectName(value) == name:
            # PySide6's loader makes children attributes of the widget that it loads; PythonQt does not.
            return
        else:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, and none can be made")

    def _connect(self, signature, function):
        return HeldSignal(self, self._signal(signature), signature).connect(function)

    def _disconnect(self, signature, function):
        return HeldSignal(self, self._signal(signature)).disconnect(function)

    def _signal(self, signature):
        name = signature.split("(")[0]
        known = getattr(type(self), "SIGNATURES", ())
        if signature not in known:
            normalized = QtCore.QMetaObject.normalizedSignature(signature).data().decode()
            if QtCore.QObject.metaObject(self).indexOfSignal(normalized) < 0:
                raise AttributeError(f"{type(self).__name__} has no signal {signature!r}")
        return super().__getattribute__(name)

    def className(self):
        return QtCore.QObject.metaObject(self).className()


@functools.cache
def properties_of(cls):
    """Names of a class's properties, those of its parents included."""
    meta = cls.staticMetaObject
    return frozenset(meta.property(index).name() for index in range(meta.propertyCount()))


def with_manners(owner, found):
    """Give signals that hold what they are connected to, and methods whose results have PythonQt's manners."""
    if isinstance(found, QtCore.SignalInstance):
        return HeldSignal(owner, found)
    if not isinstance(found, BuiltinMethodType):
        return found

    @functools.wraps(found)
    def called(*given, **named):
        result = found(*map(bare, given), **{name: bare(value) for name, value in named.items()})
        return Viewed(result) if isinstance(result, QtCore.QObject) and not isinstance(result, Manners) else result

    return called


def bare(value):
    """Give Qt's own object where PythonQt's view of one is given."""
    return value._object if isinstance(value, Viewed) else value


class Viewed:
    """An object that Qt itself made, such as the selection model of a table, as PythonQt shows it."""

    def __init__(self, found):
        self.__dict__["_object"] = found

    def __getattr__(self, name):
        found = self._object
        if name in ("connect", "disconnect"):
            return lambda signature, function: getattr(getattr(found, signature.split("(")[0]), name)(function)
        if name in properties_of(type(found)):
            return found.property(name)
        return with_manners(found, getattr(found, name))

    def __setattr__(self, name, value):
        if name not in properties_of(type(self._object)):
            raise AttributeError(f"{type(self._object).__name__} has no property {name!r}, and none can be made")
        self._object.setProperty(name, value)

    def __eq__(self, other):
        return self._object is bare(other)

    def __hash__(self):
        return hash(self._object)


_connections: dict[int, list[tuple[object, object]]] = {}
"""By the address of a living object of Qt: what its signals are connected to, and what Qt calls for it."""


class HeldSignal:
    """A signal that holds what it is connected to until its object is deleted, and passes on as much as that takes."""

    def __init__(self, owner, signal, signature=None):
        self._signature = signature or str(signal)
        self._address = shiboken6.getCppPointer(owner)[0]
        self._signal = signal
        if self._address not in _connections:
            _connections[self._address] = []
            address = self._address
            QtCore.QObject.destroyed.__get__(owner).connect(lambda *_: _connections.pop(address, None))

    def connect(self, function):
        # PySide6 passes on as many values as the code of a function has parameters.
        forms = {0: lambda: function(), 1: lambda one: function(one), 2: lambda one, two: function(one, two)}
        accepted, sent = accepted_arguments(function), sent_arguments(self._signature)
        count = accepted if accepted is None else min(accepted, sent)
        call = forms.get(count, lambda *values: function(*values))
        _connections[self._address].append((function, call))
        return self._signal.connect(call)

    def disconnect(self, function=None):
        for entry in list(_connections[self._address]):
            if entry[0] == function:
                _connections[self._address].remove(entry)
                return self._signal.disconnect(entry[1])
        raise ValueError("it is not connected")

    def emit(self, *values):
        self._signal.emit(*values)


def sent_arguments(signature):
    """Number of values that a signal sends."""
    inside = re.search(r"\((.*)\)", signature).group(1)
    return len(inside.split(",")) if inside else 0


def accepted_arguments(function):
    """Number of positional arguments that a function takes; None where there is no limit."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


@functools.cache
def mannered(cls):
    """The class with PythonQt's manners; what is no QObject has them already."""
    if isinstance(cls, type) and issubclass(cls, QtCore.QObject):
        return type(cls.__name__, (Manners, cls), {})
    return cls


class CollapsibleButton(Manners, QtWidgets.QWidget):
    """ctkCollapsibleButton: a header to click, and the content of its layout under it."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self._title = ""
        self._fit()

    def _header(self):
        return round(SECTION_HEADER_LINES * QtGui.QFontMetrics(QtWidgets.QWidget.font(self)).height())

    def _fit(self):
        QtWidgets.QWidget.setContentsMargins(self, 0, self._header(), 0, 0)
        limit = self._header() if self._collapsed else 16777215
        QtWidgets.QWidget.setMaximumHeight(self, limit)

    def _get_collapsed(self):
        return self._collapsed

    def _set_collapsed(self, value):
        self._collapsed = bool(value)
        self._fit()
        self.contentsCollapsed.emit(self._collapsed)

    def _get_text(self):
        return self._title

    def _set_text(self, value):
        self._title = value

    def setCollapsed(self, value):
        self.collapsed = value

    def changeEvent(self, event):
        if event.type() == QtCore.QEvent.FontChange:
            self._fit()

    def mousePressEvent(self, event):
        if event.position().y() < self._header():
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, event):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self), self._header())
        option.text = f"{'▶' if self._collapsed else '▼'} {self._title}"
        painter = QtWidgets.QStylePainter(self)
        painter.drawControl(QtWidgets.QStyle.CE_PushButton, option)

    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)
    text = QtCore.Property(str, _get_text, _set_text)


class UiLoader(QtUiTools.QUiLoader):
    """QUiLoader that makes widgets with PythonQt's manners, and those of Slicer."""

    FURTHER: ClassVar[dict[str, type]] = {}
    """Classes of Slicer's own widgets by name."""

    def load(self, file, parent=None):
        tree = ElementTree.fromstring(bytes(file.readAll().data()))
        connections = [
            tuple(entry.findtext(part) for part in ("sender", "signal", "receiver", "slot"))
            for entry in tree.iter("connection")
        ]
        # Slots of classes that are written in Python are connected below.
        for element in tree.findall("connections"):
            tree.remove(element)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        self._made = []
        widget = super().load(buffer, parent)
        if widget is None:
            return None
        # PySide6 forgets Python's side of a widget that nobody holds.
        widget._made = self._made
        by_name = {entry.name: entry for entry in [widget, *self._made]}
        for sender, signal, receiver, slot in connections:
            by_name[sender].connect(signal, getattr(by_name[receiver], slot.split("(")[0]))
        return widget

    def createWidget(self, className, parent=None, name=""):
        cls = self.FURTHER.get(className)
        if cls is None:
            cls = mannered(getattr(QtWidgets, className))
        widget = cls(parent)
        QtCore.QObject.setObjectName(widget, name)
        if className == "QTableWidget":
            # Headers that Qt makes itself would not have PythonQt's manners.
            for orientation, put in (
                (QtCore.Qt.Horizontal, widget.setHorizontalHeader),
                (QtCore.Qt.Vertical, widget.setVerticalHeader),
            ):
                header = mannered(QtWidgets.QHeaderView)(orientation, widget)
                self._made.append(header)
                put(header)
        self._made.append(widget)
        return widget

    def createLayout(self, className, parent=None, name=""):
        layout = mannered(getattr(QtWidgets, className))(parent if isinstance(parent, QtWidgets.QWidget) else None)
        QtCore.QObject.setObjectName(layout, name)
        self._made.append(layout)
        return layout


class FileDialog(mannered(QtWidgets.QFileDialog)):
    """QFileDialog, whose static functions give PythonQt's users the path alone."""

    @staticmethod
    def getSaveFileName(*given):
        return QtWidgets.QFileDialog.getSaveFileName(*given)[0]


class Timer(mannered(QtCore.QTimer)):
    """QTimer, whose static function is Slicer's own."""


_single_shots = []
"""Timers and what they call, as long as the application lives."""


def _single_shot(milliseconds, function):
    timer = Timer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)
    timer.connect("timeout()", function)
    timer.start(milliseconds)
    _single_shots.append((timer, function))


class QtModule(ModuleType):
    """The module ``qt``: every class of Qt, flat."""

    QUiLoader = UiLoader
    QFileDialog = FileDialog
    QTimer = Timer

    def __init__(self, name):
        super().__init__(name)
        # As Slicer does when it starts (Base/Python/slicerqt.py): its timers are never deleted.
        self.QTimer.singleShot = staticmethod(_single_shot)

    def __getattr__(self, name):
        for module in (QtWidgets, QtCore, QtGui):
            if hasattr(module, name):
                return mannered(getattr(module, name))
        raise AttributeError(f"Qt has no class {name!r}")


def qt_module():
    return QtModule("qt")


def ctk_module():
    module = ModuleType("ctk")
    module.ctkCollapsibleButton = CollapsibleButton
    return module
