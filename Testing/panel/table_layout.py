"""Slicer's table view, on Qt's real table and sorting, which is clicked with real events of the mouse."""

# Names are Qt's and Slicer's.
from __future__ import annotations

from types import SimpleNamespace

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from pythonqt import Manners, mannered


class TableView(Manners, QtWidgets.QTableView):
    """qMRMLTableView: the rows of a table node, behind a model that sorts; cells are texts, as in Slicer."""

    SIGNATURES = ("selectionChanged()",)
    _cells = QtCore.Signal()

    def __init__(self):
        super().__init__()
        self._node = None
        self._rows = QtGui.QStandardItemModel()
        self._sorted = mannered(QtCore.QSortFilterProxyModel)()
        self._sorted.setSourceModel(self._rows)
        super().setModel(self._sorted)
        self.resize(500, 400)
        super().selectionModel().selectionChanged.connect(lambda *_: self._cells.emit())

    def _signal(self, signature):
        return self._cells if signature == "selectionChanged()" else Manners._signal(self, signature)

    transposed = QtCore.Property(bool, lambda self: False)

    def mrmlTableNode(self):
        return self._node

    def _set_node(self, node):
        """As qMRMLTableModel::updateModelFromMRML: cells that are there stay, with what is selected of them."""
        self._node = node
        table = node.GetTable()
        named = node.GetUseColumnTitleAsColumnHeader()
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        rows = [] if named else [names]
        for row in range(table.GetNumberOfRows()):
            rows.append([table.GetValue(row, column).ToString() for column in range(len(names))])
        self._rows.setRowCount(len(rows))
        self._rows.setColumnCount(len(names))
        headings = [self._heading(node, name) for name in names]
        self._rows.setHorizontalHeaderLabels(headings if named else [str(column) for column in range(len(names))])
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                self._rows.setItem(row, column, QtGui.QStandardItem(text))
        self._cells.emit()

    @staticmethod
    def _heading(node, name):
        """As Slicer 5.12: the title of the column, or its name, with its unit in brackets."""
        unit = node.GetColumnUnitLabel(name)
        return (node.GetColumnTitle(name) or name) + (f" [{unit}]" if unit else "")

    def _headings(self):
        """What the header shows."""
        columns = range(self._rows.columnCount())
        return [self._rows.headerData(column, QtCore.Qt.Horizontal) for column in columns]

    def _click(self, row, column=0):
        """Press the left button on a cell as it is shown."""
        place = QtWidgets.QTableView.visualRect(self, self._sorted.index(row, column)).center()
        viewport = QtWidgets.QTableView.viewport(self)
        QtTest.QTest.mouseClick(viewport, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, place)


class Tables:
    """The table views of a layout, of which there are none until a layout with one is chosen."""

    def __init__(self):
        self.views = []

    def create(self):
        """Make the view of a layout with a table; one that is there stays."""
        if not self.views:
            self.views.append(TableView())

    def widget(self, index):
        return SimpleNamespace(tableView=lambda: self.views[index])

    def show(self, node):
        """Show a node in every view, as vtkMRMLApplicationLogic::PropagateTableSelection does."""
        for view in self.views:
            view._set_node(node)
