"""The follow-up section: studies to tick, a button, and the change from the first study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidCTPanel.summary import Cell
from CovidCTPanel.tables import fillTable, fitHeight, prepareTable, setColumns
from CovidCTPanel.tool_tips import wrapped

FEWEST_STUDIES = 2
"""A change needs at least so many."""


@dataclass(frozen=True)
class StudyEntry:
    """A study of the list.

    Parameters
    ----------
    identifier
        Names it to the module; not shown.
    name
        As in the scene.
    date
        ``YYYY-MM-DD``, or empty where it is not known.
    ticked
        Whether it is chosen beforehand, as a study of the patient whose CT the panel shows.
    """

    identifier: str
    name: str
    date: str
    ticked: bool


class FollowUpSection:
    """Sets the widgets of the follow-up section.

    Parameters
    ----------
    ui
        Holds the widgets by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._entries: list[StudyEntry] = []
        self._filling = False
        ui.followUpMessageLabel.visible = False
        ui.followUpTable.visible = False
        self.showChanges(None, False)
        for table in (ui.studiesTable, ui.followUpTable):
            prepareTable(table)
        ui.studiesTable.visible = False
        ui.studiesTable.connect("itemChanged(QTableWidgetItem*)", lambda *_item: self._showButton())
        self._showButton()

    @property
    def open(self) -> bool:
        """Whether the section is unfolded, so that its list must be up to date."""
        return not self._ui.followUpSection.collapsed

    def onOpened(self, function: Callable[[], None]) -> None:
        """Call a function when the section is folded or unfolded."""
        self._ui.followUpSection.connect("contentsCollapsed(bool)", lambda *_collapsed: function())

    def onCompare(self, function: Callable[[list[tuple[str, str]]], None]) -> None:
        """Call a function with identifier and date of each ticked study when the button is pressed."""
        self._ui.followUpButton.connect("clicked(bool)", lambda _checked=False: function(self.chosen()))

    def showStudies(self, entries: Sequence[StudyEntry]) -> bool:
        """List the studies that can be compared, and say whether the list is another than before.

        Typed dates of those that stay are kept, and ticks too, until the panel shows another patient's CT. What was
        said of the studies before goes where the list changes, for it may be about another patient.
        """
        if list(entries) == self._entries:
            return False
        self.showMessage("")
        self.showResult(())
        proposed = {entry.identifier: entry.ticked for entry in self._entries}
        before = {identifier: (ticked, date) for identifier, ticked, date in self._rows()}
        self._entries = list(entries)
        table = self._ui.studiesTable
        self._filling = True
        setColumns(table, [Cell(_("Study")), Cell(_("Date"))])
        table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            ticked, date = before.get(entry.identifier, (entry.ticked, ""))
            if proposed.get(entry.identifier) != entry.ticked:
                ticked = entry.ticked
            name = qt.QTableWidgetItem(entry.name)
            name.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            name.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
            table.setItem(row, 0, name)
            table.setItem(row, 1, qt.QTableWidgetItem(date or entry.date))
        fitHeight(table)
        table.visible = bool(self._entries)
        self._filling = False
        self._showButton()
        return True

    def chosen(self) -> list[tuple[str, str]]:
        """Give identifier and date (empty where there is none) of each ticked study."""
        return [(identifier, date) for identifier, ticked, date in self._rows() if ticked]

    def onChanges(self, function: Callable[[bool], None]) -> None:
        """Call a function with whether the button of the map of changes is checked now, when it is pressed."""
        self._ui.followUpChangesButton.connect("clicked(bool)", lambda checked=False: function(bool(checked)))

    def showChanges(self, shown: bool | None, making: bool) -> None:
        """Set the button of the map of what changed.

        Parameters
        ----------
        shown
            Whether the map is shown; None where there is no follow-up, and so no button.
        making
            Whether the map is being made; the button then cancels that.
        """
        button = self._ui.followUpChangesButton
        button.visible = shown is not None
        button.checked = bool(shown) or making
        button.text = _("Cancel: looking for what changed...") if making else _("Show what changed")
        button.toolTip = wrapped(
            _(
                "New, resolved and persistent opacity over the later CT, as segments with their terms. The first "
                "time the lungs of the first study are laid on those of the later one, which takes up to a minute."
            )
        )

    def showMessage(self, text: str) -> None:
        """Show one sentence, or nothing."""
        self._ui.followUpMessageLabel.text = text
        self._ui.followUpMessageLabel.visible = bool(text)

    def showResult(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Show the change from the first study, or nothing where there are no rows."""
        change = Cell("\u0394", _("Change: the last value less the first"))
        header = [Cell(""), Cell(_("First")), Cell(_("Last")), change]
        fillTable(self._ui.followUpTable, header, rows)
        self._ui.followUpTable.visible = bool(rows)

    def _rows(self) -> list[tuple[str, bool, str]]:
        table = self._ui.studiesTable
        studies = []
        for row, entry in enumerate(self._entries):
            name, date = table.item(row, 0), table.item(row, 1)
            if name is not None and date is not None:
                studies.append((entry.identifier, name.checkState() == qt.Qt.Checked, str(date.text()).strip()))
        return studies

    def _refusal(self) -> str | None:
        ticked = self.chosen()
        if len(ticked) < FEWEST_STUDIES:
            return _("Analyze and tick at least {count} studies of one patient; {found} are ticked.").format(
                count=FEWEST_STUDIES, found=len(ticked)
            )
        undated = sum(not date for _identifier, date in ticked)
        if undated:
            return _("Type the date of each ticked study as YYYY-MM-DD; {count} have none.").format(count=undated)
        return None

    def _showButton(self) -> None:
        if self._filling:
            return
        refusal = self._refusal()
        self._ui.followUpButton.enabled = refusal is None
        self._ui.followUpButton.toolTip = wrapped(
            refusal or _("Make a table and a chart of the ticked studies over the days.")
        )
