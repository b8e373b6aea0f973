"""Analyze a folder of CTs in 3D Slicer without its window.

Run it with

    Slicer --no-main-window --python-script slicer_batch.py INPUT OUTPUT

INPUT is a folder whose NIfTI, NRRD, MetaImage and ZIP files and DICOM subfolders are one CT each, in the order of their
names; OUTPUT gets a folder of results for each of them, and the table cases.csv, which says which file became which
folder. One line a CT says how it went; one that fails does not stop the rest. Run again with the same folders, it goes
on where it was stopped.

Slicer ends with exit code 0 if all went well, 1 if a CT failed or the run did (its last line says why) or was stopped
by Ctrl-C or a kill, 2 if the arguments are wrong. Slicer writes to its standard output in its own way: send that
through a pipe to keep it (``... | tee log``).
"""

from __future__ import annotations

import os
import signal
import sys

DONE, FAILED, WRONG_ARGUMENTS = 0, 1, 2
"""Exit codes."""

ARGUMENTS = 2
"""Input and output folder."""

STOPPED = "Cancelled; the CTs that were finished stay. Run it again with the same folders to go on."

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, kill, a closed terminal, and Windows' Ctrl-Break."""


def main(arguments: list[str]) -> tuple[int, str]:
    """Analyze the folder; give the exit code, and a last line where something is wrong."""
    if len(arguments) != ARGUMENTS:
        return WRONG_ARGUMENTS, (
            f"Two folders were expected, but there are {len(arguments)} arguments. Usage: Slicer --no-main-window "
            "--python-script slicer_batch.py INPUT OUTPUT"
        )
    launcher = launcherOfSlicer()
    try:
        from CovidCT import CovidCTLogic
        from CovidCTLib.cli.interruption import Interruption
        from CovidCTLib.errors import CovidCTError
    except ImportError as error:
        return FAILED, (
            f"The module CovidCT should be there, but could not be loaded ({error.name or 'unknown'}). Install the "
            "extension CovidCT, or give Slicer its folder with --additional-module-paths."
        )
    with Interruption():
        try:
            failures = CovidCTLogic().analyzeFolder(
                *arguments, cancelled=lambda: Interruption.requested() or launcherOfSlicer() != launcher
            )
        except CovidCTError as error:
            # Packages are missing, say; a script does not install anything without being told to.
            return FAILED, str(error)
    return (FAILED if any(failures) else DONE), ""


def launcherOfSlicer() -> int | None:
    """Give the process of Slicer's launcher, which passes no signal on: where it was ended, Slicer is to end, too."""
    import slicer

    return os.getppid() if slicer.app.launcherExecutableFilePath else None


def stop(number: int, frame: object) -> None:
    """Raise KeyboardInterrupt on the first signal, and let nothing disturb the cleaning up after it."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def guarded(arguments: list[str]) -> int:
    """Run `main`, and turn whatever goes wrong into one line and an exit code."""
    # Slicer lets the first signal end it at once, in the middle of writing.
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        code, line = main(arguments)
    except KeyboardInterrupt:
        code, line = FAILED, STOPPED
    except BaseException as error:  # noqa: BLE001
        # The text of an unknown error may hold a path or a patient's name, so only its kind is told.
        code, line = FAILED, f"CovidCT made a mistake ({type(error).__name__}). Report that to the developers."
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if line:
        sys.stderr.write(f"slicer_batch: {' '.join(line.split())}\n")
    return code


def end(code: int) -> None:
    """End Slicer with an exit code; one that is too broken for that is ended at once."""
    try:
        import slicer

        slicer.util.exit(code)
    except BaseException:  # noqa: BLE001
        os._exit(code or FAILED)


# An error that got out of the script would leave Slicer waiting for ever, without a window.
end(guarded(sys.argv[1:]))
