"""The explanation of the slice that is shown, by a process of its own, from results that are there already."""

from __future__ import annotations

from collections.abc import Callable

from CovidCTPanel.private_folder import PrivateFolder
from CovidCTPanel.settings import Settings, engineArguments

EXPLANATION_PAGE = "explanation.html"
"""Name of the page that ``covidct explain`` writes."""

Start = Callable[[str, Callable[[str], "list[str]"], Callable[[PrivateFolder], None]], bool]
"""Starts a command on the chosen CT with the arguments for it, and what is called at its end; says whether it runs."""


class ExplanationRun:
    """Explains a slice, and holds the results that it is explained with for as long as that takes.

    Parameters
    ----------
    shownSlice
        Gives the number of the slice of a CT that is shown.
    settings
        Gives the settings.
    start
        Starts the process.
    onPage
        Gets the private folder with `EXPLANATION_PAGE`.
    """

    def __init__(
        self,
        shownSlice: Callable[[str], int],
        settings: Callable[[], Settings],
        start: Start,
        onPage: Callable[[PrivateFolder], None],
    ) -> None:
        self._shownSlice = shownSlice
        self._settings = settings
        self._start = start
        self._onPage = onPage
        self._results: PrivateFolder | None = None

    def begin(self, results: PrivateFolder) -> None:
        """Explain with results that were written into a private folder, which `end` removes."""
        self._results = results

        def argumentsFor(volumeId: str) -> list[str]:
            return [
                *engineArguments(self._settings()),
                "--results",
                str(results.results),
                "--slices",
                str(self._shownSlice(volumeId)),
            ]

        if not self._start("explain", argumentsFor, self._onPage):
            self.end()

    def end(self) -> None:
        """Remove the results, as nothing runs that reads them; without any this does nothing."""
        results, self._results = self._results, None
        if results is not None:
            results.remove()
