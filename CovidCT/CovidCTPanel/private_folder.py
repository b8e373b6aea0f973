"""A folder for one run that only its user can read, and that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import qt

from CovidCTLib.errors import OutputError
from CovidCTPanel.later import Ticker
from CovidCTPanel.processes import hasEnded

PREFIX = "covidct-slicer-"
"""Start of the folder's name; the number of the process that made it, its computer and a random part follow."""

RESULT_BYTES = 200_000_000
"""Space in bytes that is kept free for the results beside the CT; those of 512 x 512 x 600 voxels took under 40 MB."""

MEGABYTE = 1_000_000

REMOVAL_PAUSE_MS = 500
"""Milliseconds between two tries to remove a folder: Windows refuses while another program has a file of it open."""

REMOVAL_TRIES = 60
"""How often it is tried: for half a minute, which a virus scanner needs for a CT at most."""


class PrivateFolder:
    """Makes a folder with mode 0700 in the system's temporary folder, or where a browser may read it.

    Parameters
    ----------
    neededBytes
        Size of the CT that is to go into it.
    forBrowser
        Whether pages in it are to be opened; it is then made in `browserHome` where that is possible.

    Raises
    ------
    OutputError
        If there is no room in the temporary folder, or it cannot be written to.
    """

    def __init__(self, neededBytes: int, forBrowser: bool = False) -> None:
        temporary = Path(tempfile.gettempdir())
        home = browserHome()
        for parent in {temporary, home or temporary}:
            removeLeftBehind(parent)
        if forBrowser and home is not None:
            with contextlib.suppress(OSError):
                if shutil.disk_usage(home).free >= neededBytes + RESULT_BYTES:
                    self.path = _made(home)
                    return
        try:
            free = shutil.disk_usage(temporary).free
            if free < neededBytes + RESULT_BYTES:
                raise OutputError(
                    f"The temporary folder needs {(neededBytes + RESULT_BYTES) // MEGABYTE} MB for the CT and the "
                    f"results, but has {free // MEGABYTE} MB. Free some space, or start Slicer with the environment "
                    "variable TMPDIR (Windows: TEMP) on another disk."
                )
            self.path = _made(temporary)
        except OSError as error:
            raise OutputError(
                f"A temporary folder that can be written to is needed, but the system refuses ({error.strerror}). "
                "Start Slicer with the environment variable TMPDIR (Windows: TEMP) on another folder."
            ) from error

    @property
    def isForBrowser(self) -> bool:
        """Whether it lies where every browser may read it."""
        home = browserHome()
        return home is None or self.path.parent == home

    @property
    def scan(self) -> Path:
        """The CT that is handed over."""
        return self.path / "ct.nrrd"

    @property
    def labels(self) -> Path:
        """Where a segmentation goes that is handed over with the CT."""
        return self.path / "labels.seg.nrrd"

    @property
    def results(self) -> Path:
        """The folder of results."""
        return self.path / "results"

    def remove(self) -> None:
        """Remove the folder with all that is in it; it may be gone already. Where the system refuses, try on."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists() and self.path not in _stubborn:
            _stubborn[self.path] = _Removal(self.path)


def _made(home: Path) -> Path:
    """Make a folder whose name no other has; tempfile gives it the mode 0700."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{_computer()}-", dir=home))


def _computer() -> str:
    """Give a mark of this computer, for several may share the user's folder and have processes of the same number."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def userFolder() -> Path:
    """Give the folder that holds the user's documents, or the user's own where there is no such folder."""
    documents = Path(qt.QStandardPaths.writableLocation(qt.QStandardPaths.DocumentsLocation))
    return documents if documents.is_dir() else Path(qt.QDir.homePath())


def browserHome() -> Path | None:
    """Give the folder in which a page must lie so that a browser in a sandbox can read it; None where any will do.

    On Linux, browsers from snap or flatpak see neither the temporary folder nor hidden ones, only the user's own.
    Elsewhere no browser is shut in like that, and documents may be copied to a cloud, where a report must not go.
    """
    if not sys.platform.startswith("linux"):
        return None
    home = Path(qt.QDir.homePath())
    for folder in (userFolder(), home):
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and folder.is_relative_to(home):
            inside = folder.relative_to(home).parts
            if not any(part.startswith(".") for part in inside):
                return folder
    return None


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
        number, *rest = folder.name.removeprefix(PREFIX).split("-")
        if len(rest) > 1 and rest[0] != _computer():
            continue
        with contextlib.suppress(OSError):
            if number.isdigit() and not folder.is_symlink() and hasEnded(int(number)):
                shutil.rmtree(folder, ignore_errors=True)
