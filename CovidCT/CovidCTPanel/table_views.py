"""Tables in the application's layout, whose rows can be chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from CovidCTPanel.watched_views import WatchedViews

SELECTED = "selectionChanged()"
"""Signal of qMRMLTableView: other cells are selected."""


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
        self._views = WatchedViews(
            layoutManager,
            lambda manager: [manager.tableWidget(index) for index in range(manager.tableViewCount)],
            lambda widget: widget.tableView(),
            SELECTED,
            self._listenerOf,
        )

    def show(self, tableNode: Any) -> None:
        """Show a vtkMRMLTableNode; without a main window there is nobody to show it to, and nothing happens."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        layoutManager.setLayout(self._tablesLogic().GetLayoutWithTable(layoutManager.layout))
        self._activate(tableNode)
        self._views.watch()

    def follow(self) -> None:
        """Watch the table views now and after each change of the layout, for tables can be shown in other ways too."""
        self._views.follow()

    def leave(self) -> None:
        """Watch nothing any more."""
        self._views.leave()

    def _listenerOf(self, tableWidget: Any) -> Callable[[], None]:
        view = tableWidget.tableView()
        chosen = _chosenCell(view)

        def listener() -> None:
            nonlocal chosen
            before, chosen = chosen, _chosenCell(view)
            # Slicer tells of a selection too when another table takes the place of one, and at the end of each batch of
            # changes of the scene: the selected cell then stays where it was, and nobody has chosen it.
            if chosen[1] is not None and chosen != before and before[0] in (None, chosen[0]):
                self._tell(view.mrmlTableNode(), chosen[1][0])

        return listener

    def _tell(self, tableNode: Any, number: int) -> None:
        # Slicer 5.12 has another name for it, and writes a warning into its log for the old one.
        if hasattr(tableNode, "GetUseColumnTitleAsColumnHeader"):
            named = tableNode.GetUseColumnTitleAsColumnHeader()
        else:
            named = tableNode.GetUseColumnNameAsColumnHeader()
        # Where the names of the columns are no header of the view, they are its first row.
        row = number if named else number - 1
        if row >= 0:
            self._onRow(tableNode.GetID(), row)


def _chosenCell(view: Any) -> tuple[str | None, tuple[int, int] | None]:
    """Give the identifier of a view's table, and its first selected cell: number of the table's row, and column."""
    tableNode = view.mrmlTableNode()
    # A property, which PythonQt gives as a value.
    cells = view.selectionModel().selectedIndexes
    if tableNode is None or not cells:
        return (None if tableNode is None else tableNode.GetID()), None
    # The user may have sorted the view.
    cell = view.model().mapToSource(cells[0])
    position = (cell.column(), cell.row()) if view.transposed else (cell.row(), cell.column())
    return tableNode.GetID(), position
