"""The folder of a run: made when there is something to write, and held by one training at a time."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from CovidCTLib.errors import OutputError
from CovidCTLib.models.bundle import WEIGHTS
from CovidCTLib.training.progress import CHECKPOINT
from CovidCTLib.writing.locks import HeldError, locked

LOCK = ".lock"
"""A file that the system frees when the process that holds it ends, however it ends."""


class RunFolder:
    """Says lines on the terminal and keeps them in the log of a run's folder.

    Parameters
    ----------
    path
        The folder. It is made with the first line, so that a training that cannot begin leaves nothing behind.

    Raises
    ------
    OutputError
        If a file is at its path or at part of it.
    """

    def __init__(self, path: Path) -> None:
        if any(part.exists() and not part.is_dir() for part in (path, *path.parents)):
            raise OutputError(
                "The run must be a folder, but a file is at its path or at part of it. Choose another folder with -o."
            )
        self.path = path
        self._lock = ExitStack()
        self._held = False

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held = False
        self._lock.close()

    def check_unfinished(self, name: str) -> None:
        """Refuse a folder with a finished network and nothing to continue: it would be replaced.

        Parameters
        ----------
        name
            Name of the network.

        Raises
        ------
        OutputError
            If there is one.
        """
        if (self.path / name / WEIGHTS).exists() and not (self.path / CHECKPOINT).exists():
            raise OutputError(
                f"The run's folder must be new, or hold the checkpoint of a run to continue, but holds a finished "
                f"network ({name}) without one, and nothing was overwritten. Choose another folder with -o."
            )

    def say(self, line: str) -> None:
        """Say a line, and keep it.

        Raises
        ------
        OutputError
            If another training is running in the folder.
        """
        if not self._held:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.enter_context(locked(self.path / LOCK))
                self._held = True
            except HeldError as error:
                raise OutputError(
                    "A run's folder is for one training at a time, but another one is running in it. Wait for its end, "
                    "or choose another folder with -o."
                ) from error
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
