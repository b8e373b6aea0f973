"""Small tables of a panel: the first column takes the room and wraps, the numbers keep their width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from CovidCTPanel.summary import Cell
from CovidCTPanel.tool_tips import wrapped


def prepareTable(table: Any) -> None:
    """Make a QTableWidget as high as its rows, whatever width and font it gets; call it once."""
    columns, rows = table.horizontalHeader(), table.verticalHeader()
    columns.setMinimumSectionSize(1)
    rows.setVisible(False)
    rows.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.setTextElideMode(qt.Qt.ElideNone)
    for header in (columns, rows):
        header.connect("geometriesChanged()", lambda: fitHeight(table))
        header.connect("sectionResized(int,int,int)", lambda *_sizes: fitHeight(table))


def fitHeight(table: Any) -> None:
    """Make a table as high as its header and rows."""
    # Of itself Qt leaves rows as they are when a column becomes narrower, until something asks for their height.
    table.resizeRowsToContents()
    columns, rows = table.horizontalHeader(), table.verticalHeader()
    table.setFixedHeight(columns.height + rows.length() + 2 * table.frameWidth)


def setColumns(table: Any, header: Sequence[Cell]) -> None:
    """Empty a table and give it columns, the first of which stretches."""
    table.clear()
    table.setRowCount(0)
    table.setColumnCount(len(header))
    for column, cell in enumerate(header):
        item = qt.QTableWidgetItem(cell.text)
        item.setToolTip(wrapped(cell.toolTip))
        table.setHorizontalHeaderItem(column, item)
    columns = table.horizontalHeader()
    columns.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    columns.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def fillTable(table: Any, header: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> None:
    """Put rows into a QTableWidget that was prepared.

    Parameters
    ----------
    table
        The widget; what it held goes.
    header
        One cell a column.
    rows
        As many cells a row as the header has; from the second column on they are numbers.
    """
    setColumns(table, header)
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            item = qt.QTableWidgetItem(cell.text)
            item.setToolTip(wrapped(cell.toolTip))
            if column > 0:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(row, column, item)
    fitHeight(table)
