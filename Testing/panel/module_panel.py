"""Slicer's panel of modules, as far as it sizes a module: what it does with the widget, in Qt's own layouts."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

HELP_HEIGHT_PX = 24


class ModulePanel:
    """qSlicerModulePanel: a scroll area with the help, the widget of the open module, and a spacer under it.

    It takes the layout's item of a module out when another opens and never deletes it (qSlicerModulePanel.cxx,
    ``removeModule``). Qt then tells that item, not the one that came in its place, to forget the heights that it
    remembers for each width.

    Parameters
    ----------
    module
        Widget of the module.
    """

    def __init__(self, module):
        self._module = module
        self.scroll = QtWidgets.QScrollArea()
        self.scroll.setFrameShape(QtWidgets.QFrame.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.scroll.setWidgetResizable(True)
        contents = QtWidgets.QWidget()
        contents.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self._layout = QtWidgets.QVBoxLayout(contents)
        self._layout.setSizeConstraint(QtWidgets.QLayout.SetMinAndMaxSize)
        self._layout.setContentsMargins(0, 0, 0, 0)
        helping = QtWidgets.QPushButton("Help && Acknowledgement")
        helping.setFixedHeight(HELP_HEIGHT_PX)
        self._layout.addWidget(helping)
        growing = QtWidgets.QSizePolicy.MinimumExpanding
        self._layout.addItem(QtWidgets.QSpacerItem(0, 0, QtWidgets.QSizePolicy.Minimum, growing))
        self.scroll.setWidget(contents)
        self._taken = []

    def enter(self):
        """Open the module."""
        module = self._module
        QtWidgets.QWidget.layout(module).setContentsMargins(0, 0, 0, 0)
        self._layout.insertWidget(1, module, 1)
        vertical = QtWidgets.QWidget.sizePolicy(module).verticalPolicy()
        QtWidgets.QWidget.setSizePolicy(module, QtWidgets.QSizePolicy.Minimum, vertical)
        QtWidgets.QWidget.setVisible(module, True)

    def leave(self):
        """Open another module."""
        self._taken.append(self._layout.takeAt(1))
        QtWidgets.QWidget.setVisible(self._module, False)
        QtWidgets.QWidget.setParent(self._module, None)
