"""A stand-in for what Slicer's application adds to slicer-core, for the panel's tests.

What it stands in for, all in this folder:

- `pythonqt`: the modules ``qt`` (PySide6 with PythonQt's manners, QProcess and timers for real) and ``ctk``
  (ctkCollapsibleButton), and QUiLoader, which Slicer's own ``slicer.util.loadUI`` then uses;
- `mrml_widgets`: qMRMLWidget and qMRMLNodeComboBox, on a real scene;
- `parameter_nodes`: ``slicer.parameterNodeWrapper`` with connectGui, on a real vtkMRMLScriptedModuleNode;
- `plot_layout`, `table_layout`: the layout manager with a plot view on VTK's real chart, and a table view on Qt's;
- `module_panel`: qSlicerModulePanel, which scrolls a module and takes it out while another is open;
- here: ``slicer.mrmlScene``, ``slicer.modules.terminologies``, ``slicer.app``, ``slicer.ScriptedLoadableModule``,
  ``slicer.i18n``, ``slicer.packaging``, and of ``slicer.util`` the question to the user and ``pip_install``.

Everything else of ``slicer``, ``slicer.util`` (loadUI, childWidgetVariables, VTKObservationMixin), ``vtk`` and MRML is
Slicer's own, from slicer-core. The stand-in follows Slicer, never the other way round.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import unittest
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from mrml_widgets import MRMLWidget, NodeComboBox
from packaging.requirements import Requirement
from parameter_nodes import WithinRange, parameterNodeWrapper
from plot_layout import Layout
from PySide6 import QtCore, QtGui, QtWidgets
from pythonqt import ctk_module, mannered, qt_module
from scene_maker import SceneWithLogics

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "CovidCT"
UI_FILE = MODULE_FOLDER / "Resources" / "UI" / "CovidCT.ui"
SCREENSHOTS = "COVIDCT_SCREENSHOTS"
"""Environment variable with a folder for pictures of the panel; without it none are written."""

PANEL_WIDTH_PX = 400


def qt_application():
    """The one application of this process."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["covidct-tests"])


class ScriptedLoadableModule:
    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, name):
        return str(MODULE_FOLDER / "Resources" / name)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def cleanup(self):
        pass

    def resourcePath(self, name):
        return str(MODULE_FOLDER / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        found = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if found is not None:
            return found
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetName(self.moduleName)
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.displayed = []

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        self.displayed.append(message)


class ModuleParent(MRMLWidget):
    """qSlicerScriptedLoadableModuleWidget: the panel's frame, which knows whether the module is open."""

    def __init__(self):
        super().__init__()
        self._entered = True
        # qSlicerModulePanel takes the margins away when it shows a module.
        mannered(QtWidgets.QVBoxLayout)(self).setContentsMargins(0, 0, 0, 0)

    @property
    def isEntered(self):
        return self._entered


def module_parent():
    """What Slicer passes to the module's constructor."""
    return SimpleNamespace(path=str(MODULE_FOLDER / "CovidCT.py"))


class Application:
    """Installs the stand-in into ``slicer`` for one test."""

    def __init__(self, monkeypatch):
        self.qt = qt_application()
        self.logics = SceneWithLogics()
        self.scene = self.logics.scene
        for name in ("vtkMRMLSequenceNode", "vtkMRMLSequenceBrowserNode"):
            if hasattr(slicer, name):
                self.scene.RegisterNodeClass(getattr(slicer, name)())
        self.questions = []
        self.installed = []
        self.opened_pages = []
        self.startup = []
        self.widgets = []
        self.windows = []
        self.widgets_of_modules = []
        self.answer = True
        self.layout = None
        self.pauses = []
        self.mistakes = []
        # What is raised in a slot is only printed, here as in Slicer.
        monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: self.mistakes.append(error))
        self.pip = lambda requirements: None
        for name, value in self._attributes().items():
            monkeypatch.setattr(slicer, name, value, raising=False)
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", self._confirm)
        monkeypatch.setattr(slicer.util, "pip_install", self._pip_install)
        self._modules(monkeypatch)
        qt = qt_module()
        monkeypatch.setitem(sys.modules, "qt", qt)
        monkeypatch.setitem(sys.modules, "ctk", ctk_module())
        monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", self._open_url)
        for name in [
            name for name in sys.modules if name.split(".")[0] in ("CovidCT", "CovidCTModule", "CovidCTPanel")
        ]:
            monkeypatch.delitem(sys.modules, name)
        self.module = importlib.import_module("CovidCT")
        self.panels = importlib.import_module("CovidCTPanel")

    def _attributes(self):
        terminologies = SimpleNamespace(logic=lambda: self.logics.terminologies)
        app = SimpleNamespace(
            connect=lambda signal, function: self.startup.append((signal, function)),
            processEvents=self.turn,
            pauseRender=lambda: self.pauses.append(1),
            resumeRender=lambda: self.pauses.append(-1),
            applicationName="Slicer",
            launcherExecutableFilePath="",
            testingEnabled=lambda: False,
            layoutManager=lambda: self.layout,
            topLevelWidgets=lambda: self.windows,
            applicationLogic=lambda: self.layout.application_logic(self.scene),
        )
        return {
            "mrmlScene": self.scene,
            "modules": SimpleNamespace(terminologies=terminologies),
            "app": app,
            "qMRMLNodeComboBox": NodeComboBox,
            "qMRMLWidget": MRMLWidget,
        }

    def _modules(self, monkeypatch):
        classes = (
            ScriptedLoadableModule,
            ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest,
            ScriptedLoadableModuleWidget,
        )
        wrapper = {"parameterNodeWrapper": parameterNodeWrapper, "WithinRange": WithinRange}
        self._module(monkeypatch, "ScriptedLoadableModule", {cls.__name__: cls for cls in classes})
        self._module(monkeypatch, "parameterNodeWrapper", wrapper)
        self._module(monkeypatch, "i18n", {"tr": str, "translate": lambda context, text: text})

    def with_plots(self, monkeypatch):
        """Make it a Slicer with a main window, whose layout can show charts; give the layout."""
        self.layout = Layout(self.scene)
        monkeypatch.setattr(slicer.modules, "plots", self.layout.plots(), raising=False)
        monkeypatch.setattr(slicer.modules, "tables", self.layout.tablesModule(), raising=False)
        return self.layout

    def with_window(self):
        """Make it a Slicer with a main window, which has a status bar; give the window."""
        window = mannered(QtWidgets.QMainWindow)()
        window.setObjectName("qSlicerMainWindow")
        self.windows.append(window)
        return window

    def with_modules(self, monkeypatch, *names):
        """Make it a Slicer with some of its modules; gives the names of those that are opened."""
        chosen = []
        for name in names:
            widget = SimpleNamespace(segmentationSelector=NodeComboBox(), scalarSelector=NodeComboBox())
            for selector, kind in (("segmentationSelector", "Segmentation"), ("scalarSelector", "ScalarVolume")):
                getattr(widget, selector).nodeTypes = [f"vtkMRML{kind}Node"]
                getattr(widget, selector).setMRMLScene(self.scene)
            # The editor of the module Segment Editor, which remembers what was chosen.
            widget.editor = SimpleNamespace(chosen={})
            widget.editor.setSegmentationNode = partial(widget.editor.chosen.__setitem__, "segmentation")
            widget.editor.setSourceVolumeNode = partial(widget.editor.chosen.__setitem__, "volume")
            self.widgets_of_modules.append(widget)
            module = SimpleNamespace(
                widgetRepresentation=lambda widget=widget: SimpleNamespace(self=lambda: widget), name=name
            )
            monkeypatch.setattr(slicer.modules, name, module, raising=False)
        monkeypatch.setattr(slicer.util, "selectModule", chosen.append, raising=False)
        return chosen

    def with_packaging(self, monkeypatch):
        """Make it Slicer 5.12, which has ``slicer.packaging``."""

        def pip_ensure(
            requirements,
            constraints=None,
            skip_packages=None,
            prompt_install=True,
            prompt_restart=True,
            requester=None,
            skip_in_testing=True,
            show_progress=True,
        ):
            assert not prompt_install
            assert all(isinstance(entry, Requirement) for entry in requirements), "5.12 takes no texts"
            assert skip_packages is None, "discouraged by Slicer"
            pins = Path(constraints).read_text().splitlines()
            self.installed.append(([str(entry) for entry in requirements], pins, requester))
            self.pip(requirements)

        self._module(monkeypatch, "packaging", {"pip_ensure": pip_ensure})
        sys.modules["slicer.packaging"].__spec__ = ModuleSpec("slicer.packaging", None)

    @staticmethod
    def _module(monkeypatch, name, content):
        module = ModuleType(f"slicer.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, f"slicer.{name}", module)
        monkeypatch.setattr(slicer, name, module, raising=False)

    def _confirm(self, text, windowTitle=None, parent=None):
        self.questions.append(text)
        return self.answer

    def _pip_install(self, requirements):
        self.installed.append(list(requirements))
        self.pip(requirements)

    def _open_url(self, url):
        self.opened_pages.append(Path(url.toLocalFile()))
        return True

    def opened(self, font_percent=100):
        """Open the module's panel as wide as Slicer's narrowest."""
        parent = ModuleParent()
        if font_percent != 100:
            font = QtGui.QFont(self.qt.font())
            font.setPointSizeF(font.pointSizeF() * font_percent / 100)
            QtWidgets.QWidget.setFont(parent, font)
        widget = self.module.CovidCTWidget(parent)
        widget.setup()
        QtWidgets.QWidget.resize(parent, PANEL_WIDTH_PX, 900)
        parent.show()
        self.widgets.append(widget)
        self.rest()
        return widget

    def turn(self, flags=QtCore.QEventLoop.AllEvents):
        """Let the events that are due now happen."""
        # The application's own processEvents loses a reference to None each time, until Python aborts (PySide6 6.12).
        QtCore.QEventLoop().processEvents(flags)

    def rest(self):
        """Let events that are due happen, and those that follow from them."""
        for _ in range(3):
            self.turn()

    def until(self, condition, seconds=60):
        """Let events happen until something is the case."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            self.turn()
            time.sleep(0.002)
        self.rest()

    def click(self, widget):
        """Press a button as a user can: a disabled or hidden one does nothing."""
        QtWidgets.QAbstractButton.click(widget)
        self.rest()

    def picture(self, widget, name):
        """Write a picture of the panel, if somebody wants to look at it."""
        folder = os.environ.get(SCREENSHOTS)
        parent = widget.parent
        for _ in range(3):
            # Texts wrap and tables grow with the width, so the height settles after a few rounds.
            self.rest()
            QtWidgets.QWidget.resize(parent, PANEL_WIDTH_PX, parent.layout().totalHeightForWidth(PANEL_WIDTH_PX))
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            QtWidgets.QWidget.grab(parent).save(str(Path(folder) / f"{name}.png"))

    def close(self):
        """Close the panels, then the scene, as Slicer does."""
        for widget in self.widgets:
            widget.cleanup()
            QtWidgets.QWidget.close(widget.parent)
        for widget in self.widgets_of_modules:
            widget.segmentationSelector.setMRMLScene(None)
            widget.scalarSelector.setMRMLScene(None)
        self.rest()
        if self.layout is not None:
            self.layout.close()
        self.logics.close()
        assert self.mistakes == []
        assert sum(self.pauses) == 0, "the views are drawn again"


def parameter_names():
    """Names of the parameters that widgets of the .ui file are connected to."""
    properties = ElementTree.parse(UI_FILE).iter("property")
    return [entry.findtext("string") for entry in properties if entry.get("name") == "SlicerParameterName"]


__all__ = ["Application", "module_parent", "parameter_names"]
