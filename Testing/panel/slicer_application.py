"""A stand-in for what Slicer's application adds to slicer-core: its scene, module classes and widgets by name.

Widgets have only the properties that the panel may use, so that a misspelt one fails.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import slicer
from scene_maker import SceneWithLogics

from CovidCTLib.errors import CovidCTError

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "CovidCT"
UI_FILE = MODULE_FOLDER / "Resources" / "UI" / "CovidCT.ui"


class Widget:
    """A widget with PythonQt's manners: properties are attributes, signals connect by their signature."""

    __slots__ = ("enabled", "functions", "maximum", "repaints", "text", "toolTip", "value", "visible")

    def __init__(self):
        self.enabled = self.visible = True
        self.text = self.toolTip = ""
        self.value = self.maximum = self.repaints = 0
        self.functions = []

    def connect(self, signal, function):
        assert signal == "clicked(bool)"
        self.functions.append(function)

    def click(self):
        """Press the button as a user can: a disabled one does nothing."""
        if self.enabled:
            for function in self.functions:
                function(False)

    def repaint(self):
        self.repaints += 1


class UiWidget:
    """The loaded .ui file."""

    def setMRMLScene(self, scene):
        self.scene = scene


def module_parent():
    """What Slicer passes to the module's and the widget's constructor."""
    return SimpleNamespace(isEntered=True)


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent

    def resourcePath(self, name):
        return str(MODULE_FOLDER / "Resources" / name)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = SimpleNamespace(addWidget=lambda widget: None)

    def setup(self):
        pass

    def resourcePath(self, name):
        return str(MODULE_FOLDER / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        found = slicer.mrmlScene.GetFirstNodeByName("CovidCT parameters")
        return found or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "CovidCT parameters")


class ScriptedLoadableModuleTest:
    pass


def parameterNodeWrapper(cls):
    """Give the class typed attributes that are node references of the wrapped node."""

    class Wrapped:
        def __init__(self, node):
            self.__dict__["node"] = node

        def __getattr__(self, name):
            if name in cls.__annotations__:
                return self.node.GetNodeReference(name)
            return getattr(self.node, name)

        def __setattr__(self, name, value):
            assert name in cls.__annotations__
            self.node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
            self.node.Modified()

        def connectGui(self, ui):
            return 1

        def disconnectGui(self, tag):
            assert tag == 1

    return Wrapped


class VTKObservationMixin:
    def __init__(self):
        self.tags = []

    def addObserver(self, subject, event, method):
        subject = getattr(subject, "node", subject)
        self.tags.append((subject, event, method, subject.AddObserver(event, method)))

    def removeObserver(self, subject, event, method):
        subject = getattr(subject, "node", subject)
        for entry in [entry for entry in self.tags if entry[:3] == (subject, event, method)]:
            subject.RemoveObserver(entry[3])
            self.tags.remove(entry)

    def removeObservers(self):
        for subject, _event, _method, tag in self.tags:
            subject.RemoveObserver(tag)
        self.tags.clear()


class Application:
    """Installs the stand-in into ``slicer`` for one test."""

    def __init__(self, monkeypatch):
        self.logics = SceneWithLogics()
        self.scene = self.logics.scene
        self.errors = []
        self.questions = []
        self.installed = []
        self.startup = []
        self.widgets = []
        self.answer = True
        self.ui = SimpleNamespace(**{name: Widget() for name in widget_names()})
        for name, value in self._attributes().items():
            monkeypatch.setattr(slicer, name, value, raising=False)
        for name, value in self._utilities().items():
            monkeypatch.setattr(slicer.util, name, value, raising=False)
        classes = (
            ScriptedLoadableModule,
            ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest,
            ScriptedLoadableModuleWidget,
        )
        self._module(monkeypatch, "ScriptedLoadableModule", {cls.__name__: cls for cls in classes})
        self._module(monkeypatch, "parameterNodeWrapper", {"parameterNodeWrapper": parameterNodeWrapper})
        self._module(monkeypatch, "i18n", {"tr": str, "translate": lambda context, text: text})
        for name in [name for name in sys.modules if name.split(".")[0] in ("CovidCT", "CovidCTPanel")]:
            monkeypatch.delitem(sys.modules, name)
        self.module = importlib.import_module("CovidCT")

    def _attributes(self):
        terminologies = SimpleNamespace(logic=lambda: self.logics.terminologies)
        return {
            "mrmlScene": self.scene,
            "modules": SimpleNamespace(terminologies=terminologies),
            "app": SimpleNamespace(connect=lambda signal, function: self.startup.append((signal, function))),
        }

    def _utilities(self):
        @contextmanager
        def tryWithErrorDisplay(message, waitCursor=False):
            try:
                yield
            except (CovidCTError, RuntimeError) as error:
                self.errors.append(f"{message} {error}")

        def confirmOkCancelDisplay(text, windowTitle=None):
            self.questions.append(text)
            return self.answer

        return {
            "VTKObservationMixin": VTKObservationMixin,
            "childWidgetVariables": lambda widget: self.ui,
            "confirmOkCancelDisplay": confirmOkCancelDisplay,
            "loadUI": self._load_ui,
            "pip_install": self.installed.append,
            "tryWithErrorDisplay": tryWithErrorDisplay,
        }

    def _load_ui(self, path):
        assert Path(path) == UI_FILE
        return UiWidget()

    @staticmethod
    def _module(monkeypatch, name, content):
        module = ModuleType(f"slicer.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, f"slicer.{name}", module)
        monkeypatch.setattr(slicer, name, module, raising=False)

    def opened(self):
        """Open the module's panel."""
        widget = self.module.CovidCTWidget(module_parent())
        widget.setup()
        self.widgets.append(widget)
        return widget

    def close(self):
        """Close the panels, then the scene, as Slicer does."""
        for widget in self.widgets:
            widget.cleanup()
        self.logics.close()


def widget_names():
    """Names of all widgets in the .ui file."""
    return [widget.get("name") for widget in ElementTree.parse(UI_FILE).iter("widget")]


def parameter_names():
    """Names of the parameters that widgets of the .ui file are connected to."""
    properties = ElementTree.parse(UI_FILE).iter("property")
    return [entry.findtext("string") for entry in properties if entry.get("name") == "SlicerParameterName"]


__all__ = ["Application", "module_parent", "parameter_names", "widget_names"]
