"""Tables in the application's layout, whose rows can be chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


class TableViews:
    """Shows tables in the layout, and tells which row of a table the user chose.

    Parameters
    ----------
    layoutManager
        Gives the application's qMRMLLayoutManager; None where there is no main window.
    tablesLogic
        Gives the logic of the module Tables.
    activate
        Shows a vtkMRMLTableNode in the table views that are there.
    onRow
        Gets the identifier of a vtkMRMLTableNode and the row, from 0, that the user has just chosen in it.
    """

    def __init__(
        self,
        layoutManager: Callable[[], Any | None],
        tablesLogic: Callable[[], Any],
        activate: Callable[[Any], None],
        onRow: Callable[[str, int], None],
    ) -> None:
        self._layoutManager = layoutManager
        self._tablesLogic = tablesLogic
        self._activate = activate
        self._onRow = onRow
        self._watched: list[Any] = []
        # One object for connecting and disconnecting; each look at a method makes another.
        self._onLayout = self.watch

    def show(self, tableNode: Any) -> None:
        """Show a vtkMRMLTableNode; without a main window there is nobody to show it to, and nothing happens."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        layoutManager.setLayout(self._tablesLogic().GetLayoutWithTable(layoutManager.layout))
        self._activate(tableNode)
        self.watch()

    def follow(self) -> None:
        """Watch the table views now and after each change of the layout, for tables can be shown in other ways too."""
        layoutManager = self._layoutManager()
        if layoutManager is not None:
            layoutManager.connect("layoutChanged(int)", self._onLayout)
            self.watch()

    def leave(self) -> None:
        """Watch nothing any more."""
        layoutManager = self._layoutManager()
        if layoutManager is not None:
            layoutManager.disconnect("layoutChanged(int)", self._onLayout)
        for view, listener in self._watched:
            # PythonQt raises it for a view that the application has deleted already.
            with contextlib.suppress(ValueError):
                view.disconnect("selectionChanged()", listener)
        self._watched = []

    def watch(self, *_layout: int) -> None:
        """Watch every table view that is there and is not watched yet; a view stays when the layout changes."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        known = [view for view, _listener in self._watched]
        for index in range(layoutManager.tableViewCount):
            view = layoutManager.tableWidget(index).tableView()
            if view not in known:
                self._watch(view)

    def _watch(self, view: Any) -> None:
        def listener() -> None:
            self._onSelection(view)

        # By its signature: an attribute could mean the protected slot of the same name.
        view.connect("selectionChanged()", listener)
        self._watched.append((view, listener))

    def _onSelection(self, view: Any) -> None:
        """Tell the row of the first cell that is selected; none is while another table takes the place of one."""
        tableNode = view.mrmlTableNode()
        cells = view.selectionModel().selectedIndexes()
        if tableNode is None or not cells:
            return
        # The user may have sorted the view.
        cell = view.model().mapToSource(cells[0])
        row = cell.column() if view.transposed else cell.row()
        # Where the names of the columns are no header of the view, they are its first row.
        row -= 0 if tableNode.GetUseColumnNameAsColumnHeader() else 1
        if row >= 0:
            self._onRow(tableNode.GetID(), row)
