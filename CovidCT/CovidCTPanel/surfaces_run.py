"""The button of the surfaces in 3D: the first time they are made beside the user interface."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from CovidCTPanel.collaborators import Actions, Surfaces
from CovidCTPanel.pieces import LongCall
from CovidCTPanel.wait_cursor import waitCursor


class SurfacesRun:
    """Shows and hides the surfaces of the chosen CT.

    Parameters
    ----------
    actions
        The scene.
    volumeId
        Gives the identifier of the chosen CT; None where none is chosen.
    attempt
        Does what it is given, and shows what is wrong as one sentence.
    onChange
        Called when what the scene shows has changed, or what the button does.
    """

    def __init__(
        self,
        actions: Actions,
        volumeId: Callable[[], str | None],
        attempt: Callable[[Callable[[], Any]], None],
        onChange: Callable[[], None],
    ) -> None:
        self._actions = actions
        self._volumeId = volumeId
        self._attempt = attempt
        self._onChange = onChange
        self._call: LongCall | None = None

    @property
    def running(self) -> bool:
        """Whether surfaces are being made."""
        return self._call is not None

    def show(self, shown: bool, turn: bool = True) -> None:
        """Show or hide the surfaces; with ``turn`` the 3D views then turn to them."""
        volumeId = self._volumeId()
        if volumeId is None or self.running:
            return
        with waitCursor():
            self._attempt(lambda: self._begin(volumeId, shown, turn))
        # A press that was refused has checked the button, though nothing is shown.
        self._onChange()

    def stop(self) -> None:
        """End what is running, and wait for that."""
        call, self._call = self._call, None
        if call is not None:
            call.drop()

    def _begin(self, volumeId: str, shown: bool, turn: bool) -> None:
        """Show surfaces that are there, hide them, or begin to make them."""
        surfaces = self._actions.surfaces(volumeId) if shown else None
        if surfaces is None:
            self._actions.show3D(volumeId, shown)
        else:
            self._make(surfaces, turn)

    def _make(self, surfaces: Surfaces, turn: bool) -> None:
        def done(future: concurrent.futures.Future[Any]) -> None:
            self._call = None

            def show() -> None:
                future.result()
                surfaces.show(turn)

            with waitCursor():
                self._attempt(show)
            self._onChange()

        self._call = LongCall(surfaces.steps(), surfaces.make, done)
