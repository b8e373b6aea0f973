"""A folder for one run that only its user can read, and that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from CovidCTLib.errors import OutputError

PREFIX = "covidct-slicer-"
"""Start of the folder's name; the number of the process that made it and a random part follow."""

RESULT_BYTES = 200_000_000
"""Space in bytes that is kept free for the results beside the CT; those of 512 x 512 x 600 voxels took under 40 MB."""

MEGABYTE = 1_000_000


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
        """Remove the folder with all that is in it; it may be gone already."""
        shutil.rmtree(self.path, ignore_errors=True)


def removeLeftBehind(home: Path) -> None:
    """Remove folders of runs whose Slicer has crashed; what cannot be removed, or may be in use, is left alone."""
    for folder in home.glob(PREFIX + "*"):
        number = folder.name.removeprefix(PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if number.isdigit() and not folder.is_symlink() and _hasEnded(int(number)):
                shutil.rmtree(folder, ignore_errors=True)


def _hasEnded(number: int) -> bool:
    """Say whether no process has this number; on Windows, where a signal would end it, never."""
    if os.name == "nt":
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
