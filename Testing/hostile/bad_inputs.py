"""What a row of the table of bad inputs is, and how it is tried."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CovidCTLib.cli.main import main
from CovidCTLib.errors import CovidCTError

FOLDER = "<folder>"
"""Stands in messages for the folder of the test."""


@dataclass(frozen=True)
class BadInput:
    """A bad input.

    Parameters
    ----------
    name
        Identifier in kebab case.
    entry
        Entry point: a command of the terminal, or a call of the library.
    what
        What is wrong with the input.
    given
        Makes the input in an empty folder. For a command it gives the arguments, for a call it calls.
    keeps
        Folders that may stay: the run of a training that had read its cases keeps its log and its cache of slices.
    """

    name: str
    entry: str
    what: str
    given: Callable[[Path], Any]
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Parameters
    ----------
    end
        Exit code, or the name of the error.
    message
        The message.
    trace
        Whether more than this line was said on the standard error output, or a trace of the program.
    left
        Files that are there or changed now, or no longer there.
    """

    end: int | str
    message: str
    trace: bool
    left: tuple[str, ...]


def tried(case: BadInput, folder: Path) -> Outcome:
    """Give a bad input to its entry point, in a folder of its own that is the current one."""
    made = folder / "made"
    made.mkdir()
    with _inside(made, folder / "temporary"):
        if case.entry.startswith("covidct"):
            return _command(case, made)
        try:
            case.given(made)
        except CovidCTError as error:
            left = tuple(sorted(_everything(Path(tempfile.gettempdir()))))
            return Outcome(type(error).__name__, _normal(str(error), made), False, left)
    raise AssertionError(f"{case.name} was taken without complaint")


def _command(case: BadInput, made: Path) -> Outcome:
    words = case.entry.split()[1:] + case.given(made)
    before = _everything(made)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    lines = err.getvalue().splitlines()
    message = _normal((lines[-1] if lines else "").removeprefix("covidct: "), made)
    after = _everything(made)
    changed = {name for name in before.keys() | after.keys() if before.get(name, ABSENT) != after.get(name, ABSENT)}
    changed |= set(_everything(Path(tempfile.gettempdir())))
    left = tuple(sorted(name for name in changed if name.split("/")[0] not in case.keeps))
    return Outcome(code, message, "Traceback" in err.getvalue() + out.getvalue() or len(lines) != 1, left)


def _normal(message: str, made: Path) -> str:
    """Leave out what differs from machine to machine: the folder, lists of choices, checksums."""
    message = message.replace(str(made), FOLDER)
    message = re.sub(r"\(choose from [^)]*\)", "(choose from ...)", message)
    return re.sub(r"\b[0-9a-f]{12}\.\.\.", "<checksum>", message)


ABSENT = b"absent"
"""Content of a file that is not there."""


def _everything(folder: Path) -> dict[str, bytes | None]:
    """Names and contents of all files under a folder; None for folders, pipes and links."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


@contextlib.contextmanager
def _inside(folder: Path, temporary: Path) -> Iterator[None]:
    """Make a folder the current one, and another the one of temporary files."""
    temporary.mkdir()
    here, before = Path.cwd(), tempfile.tempdir
    tempfile.tempdir = str(temporary)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        tempfile.tempdir = before
