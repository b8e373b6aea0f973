"""The program ``covidct``: reads the arguments, runs a command, and turns every failure into one line.

Exit codes: 0 done, 1 failed or cancelled, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from CovidCTLib import __version__
from CovidCTLib.cli import (
    analyze,
    batch,
    cohort,
    compare,
    demo,
    explain,
    fetch,
    followup,
    listen,
    measure,
    models,
    photos,
    report,
    series,
)
from CovidCTLib.cli.arguments import add_debug_argument
from CovidCTLib.cli.interruption import Interruption
from CovidCTLib.cli.notice_hints import hint_of
from CovidCTLib.cli.progress import say, write_json_line
from CovidCTLib.errors import CancelledError, CovidCTError, OptionsError, OutputError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands

DONE, FAILED, WRONG_ARGUMENTS = 0, 1, 2
"""Exit codes."""

_DESCRIPTION = """\
CovidCT reads COVID-19 in a chest CT: lungs, opacities, where the slice classifier looked, Corona Score and a report.
It works offline. Research software, not a medical device."""

_EPILOG = """\
examples:
  covidct demo                                analyze a made-up chest CT, to see what you get
  covidct analyze my_ct_folder -o results     analyze a DICOM folder; open results/report.html afterwards
  covidct series my_ct_folder                 list the series of a DICOM folder
  covidct photos my_pictures -o ct.nii.gz --auto   make a CT volume of pictures
  covidct models                              what the networks expect, and how well they do

exit codes: 0 done, 1 failed or cancelled (one line says why), 2 wrong arguments"""


_MISTAKE = "CovidCT made a mistake ({}) and stopped. Report it to the developers, without any patient's name."
_MISTAKE_HINT = "Run the command again with --debug, and send the text that it shows."


class UnexpectedError(CovidCTError):
    """A mistake in CovidCT itself, not in what the user gave it."""


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line and points to the help."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Keep the words, for the complaint about them."""
        self._given = sys.argv[1:] if args is None else args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required"):
            option_names = self._option_string_actions
            for word in self._given:
                if (
                    word[:1] == "-"
                    and word[1:2].isalnum()
                    and word not in option_names
                    and word[:2] not in option_names
                ):
                    message = f"{message}; {word!r} was read as an option, so a name that begins so needs './' before"
                    break
        self.exit(WRONG_ARGUMENTS, f"covidct: {_one_line(message)}. See '{self.prog} --help'.\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the program with all of its commands.

    Returns
    -------
    ArgumentParser
        After parsing, ``run`` is the command's function: it takes the parsed arguments and returns the exit code.
    """
    parser: argparse.ArgumentParser = _Parser(
        prog="covidct",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"covidct {__version__}")
    parser.add_argument("--debug", action="store_true", help="on failure, also show where in the program it happened")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    analyze.add_parser(commands)
    measure.add_parser(commands)
    batch.add_parser(commands)
    demo.add_parser(commands)
    explain.add_parser(commands)
    followup.add_parser(commands)
    compare.add_parser(commands)
    report.add_parser(commands)
    series.add_parser(commands)
    models.add_parser(commands)
    photos.add_parser(commands)
    cohort.add_parser(commands)
    listen.add_parser(commands)
    fetch.add_parser(commands)
    for package in ("training", "evaluation"):
        _add_if_there(commands, package)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    int
        0 done, 1 failed or cancelled, 2 wrong arguments.
    """
    with Interruption():
        args = argparse.Namespace()
        try:
            build_parser().parse_args(argv, namespace=args)
            return _run(args)
        except SystemExit as stop:
            # argparse leaves this way after --help, --version and wrong arguments, having said everything.
            return stop.code if isinstance(stop.code, int) else DONE
        except KeyboardInterrupt:
            # Commands that leave nothing behind say so; a training keeps what it has so far.
            return _fail(args, CancelledError(getattr(args, "cancelled", "Cancelled.")))
        except BrokenPipeError:
            # Whoever read our output has gone (``covidct series x | head``); Python must not complain at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except CovidCTError as error:
            return _fail(args, error)


def _run(args: argparse.Namespace) -> int:
    """Run the chosen command; a mistake of the program becomes an `UnexpectedError`."""
    try:
        code: int = args.run(args)
    except (CovidCTError, BrokenPipeError):
        raise
    except MemoryError as error:
        raise UnexpectedError(
            "The computer has too little free memory for this scan. Close other programs, or use another computer."
        ) from error
    except ImportError as error:
        raise UnexpectedError(
            f"A part that CovidCT needs could not be loaded ({error.name or 'unknown'}). Install CovidCT again.",
            hint="For example with 'pip install --force-reinstall covidct'; --debug shows what is wrong.",
        ) from error
    except OSError as error:
        raise _refused(error) from error
    except Exception as error:
        # The text of an unknown error may hold a path or a patient's name, so only its kind is shown.
        raise UnexpectedError(_MISTAKE.format(type(error).__name__), hint=_MISTAKE_HINT) from error
    else:
        return code


def _refused(error: OSError) -> CovidCTError:
    """Say why the system refused, without the path; what is neither the disk's nor the permissions' is a mistake."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            "The results need more space than the disk (or the quota) has left. What was complete before stays; free "
            "some space and run the command again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"Input that can be read and output that can be written were expected, but the system does not permit it "
            f"({os.strerror(error.errno)}). Check the permissions of both, or choose other folders."
        )
    return UnexpectedError(_MISTAKE.format(type(error).__name__), hint=_MISTAKE_HINT)


def _fail(args: argparse.Namespace, error: CovidCTError) -> int:
    """Say in one line what went wrong, and choose the exit code."""
    message = _one_line(str(error))
    if getattr(args, "debug", False):
        traceback.print_exception(error, file=sys.stderr)
    if getattr(args, "progress", None) == "json":
        # Programs that read this do not know the options of the terminal, so the hint is left out.
        write_json_line({"error": message})
    hint = f" {error.hint}" if error.hint else hint_of(error.notice)
    say(f"covidct: {message}{hint}", sys.stderr)
    return WRONG_ARGUMENTS if isinstance(error, OptionsError) else FAILED


def _one_line(text: str) -> str:
    """Join the lines of a message."""
    return " ".join(text.split())


def _add_if_there(commands: Commands, package: str) -> None:
    """Add the command of a package, unless this installation came without it."""
    if importlib.util.find_spec(f"CovidCTLib.{package}") is None:
        return
    if importlib.util.find_spec(f"CovidCTLib.{package}.command") is None:
        return
    before = set(commands.choices)
    importlib.import_module(f"CovidCTLib.{package}.command").add_parser(commands)
    for name in set(commands.choices) - before:
        # These packages lie below the terminal and cannot take the argument from it.
        add_debug_argument(commands.choices[name])


if __name__ == "__main__":
    sys.exit(main())
