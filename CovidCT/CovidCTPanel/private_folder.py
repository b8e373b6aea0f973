"""A folder for one run that only its user can read, and that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from CovidCTLib.errors import OutputError
from CovidCTPanel.later import Ticker
from CovidCTPanel.processes import hasEnded

PREFIX = "covidct-slicer-"
"""Start of the folder's name; the number of the process that made it and a random part follow."""

RESULT_BYTES = 200_000_000
"""Space in bytes that is kept free for the results beside the CT; those of 512 x 512 x 600 voxels took under 40 MB."""

MEGABYTE = 1_000_000

REMOVAL_PAUSE_MS = 500
"""Milliseconds between two tries to remove a folder: Windows refuses while another program has a file of it open."""

REMOVAL_TRIES = 60
"""How often it is tried: for half a minute, which a virus scanner needs for a CT at most."""


class PrivateFolder:
    """Makes a folder with mode 0700 in the system's temporary folder.

    Parameters
    ----------
    neededBytes
        Size of the CT that is to go into it.

    Raises
    ------
    OutputError
        If there is no room in the temporary folder, or it cannot be written to.
    """

    def __init__(self, neededBytes: int) -> None:
        home = Path(tempfile.gettempdir())
        removeLeftBehind(home)
        try:
            free = shutil.disk_usage(home).free
            if free < neededBytes + RESULT_BYTES:
                raise OutputError(
                    f"The temporary folder needs {(neededBytes + RESULT_BYTES) // MEGABYTE} MB for the CT and the "
                    f"results, but has {free // MEGABYTE} MB. Free some space, or start Slicer with the environment "
                    "variable TMPDIR (Windows: TEMP) on another disk."
                )
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=home))
        except OSError as error:
            raise OutputError(
                f"A temporary folder that can be written to is needed, but the system refuses ({error.strerror}). "
                "Start Slicer with the environment variable TMPDIR (Windows: TEMP) on another folder."
            ) from error

    @property
    def scan(self) -> Path:
        """The CT that is handed over."""
        return self.path / "ct.nrrd"

    @property
    def results(self) -> Path:
        """The folder of results."""
        return self.path / "results"

    def remove(self) -> None:
        """Remove the folder with all that is in it; it may be gone already. Where the system refuses, try on."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists() and self.path not in _stubborn:
            _stubborn[self.path] = _Removal(self.path)


class _Removal:
    """Tries again and again to remove a folder, from the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = REMOVAL_TRIES
        self._ticker = Ticker(REMOVAL_PAUSE_MS, self._try)
        self._ticker.start()

    def end(self) -> None:
        """Try once more, and then no more."""
        self._left = 1
        self._try()

    def _try(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        self._left -= 1
        if self._left <= 0 or not self._path.exists():
            self._ticker.end()
            _stubborn.pop(self._path, None)


_stubborn: dict[Path, _Removal] = {}
"""Folders that the system has refused to remove so far."""


def removeStubborn() -> None:
    """Try once more, before the application closes, to remove the folders that the system refused to remove."""
    for removal in list(_stubborn.values()):
        removal.end()


def removeLeftBehind(home: Path) -> None:
    """Remove folders of runs whose Slicer has crashed; what cannot be removed, or may be in use, is left alone."""
    for folder in home.glob(PREFIX + "*"):
        number = folder.name.removeprefix(PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if number.isdigit() and not folder.is_symlink() and hasEnded(int(number)):
                shutil.rmtree(folder, ignore_errors=True)
