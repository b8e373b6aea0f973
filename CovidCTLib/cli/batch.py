"""``covidct batch``: a folder of CTs in, a folder of results for each out."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import (
    add_command,
    add_display_arguments,
    add_engine_arguments,
    add_grid_arguments,
    add_limit_arguments,
    add_output_argument,
    grid_options,
    models_from,
    options_from,
)
from CovidCTLib.cli.interruption import Interruption
from CovidCTLib.cli.progress import make_reporter, say, write_json_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from CovidCTLib.batch.run import CaseEvent
    from CovidCTLib.cli.arguments import Commands

CANCELLED = "Cancelled; the CTs that were finished stay. Run the same command again to go on."
"""What is said after Ctrl-C or a polite kill."""

DONE, FAILED = 0, 1
"""Exit codes: all went well, or a CT failed."""

_WORDS = {"done": "done", "kept": "finished before"}

_DESCRIPTION = """\
Analyze every CT of a folder, one after the other, in one process that loads the networks once. In FOLDER each volume
file (NIfTI, NRRD, MetaImage), each ZIP archive and each subfolder of DICOM files is one CT. OUT gets a folder of
results for each, as 'covidct analyze' writes it, named case_0001 and so on, and the table cases.csv, which says which
file became which folder and how far it is. Names of files may name patients: do not pass the table on with the results.

The same command goes on where it was stopped: finished CTs are kept, others are analyzed again. A CT that fails does
not stop the rest; the exit code is then 1.

For thousands of CTs, a table of their numbers or a cluster, see 'covidct cohort'."""

_EPILOG = """\
examples:
  covidct batch my_cts -o results
  covidct batch my_cts -o results --no-report --device cpu
  covidct batch my_cts -o results --spacing 2 0.7 0.7     (of all CTs, where their headers have lost it)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "batch", "analyze every CT of a folder", _DESCRIPTION, _EPILOG)
    parser.add_argument("input", metavar="FOLDER", help="folder whose files, archives and subfolders are one CT each")
    add_output_argument(parser, "folder for the results: new, or of a run to go on with")
    parser.add_argument("--no-report", action="store_true", help="do not make report.html")
    add_grid_arguments(
        parser.add_argument_group("where the headers are wrong about the grid (of all CTs of the folder)")
    )
    # After a process ended in the middle of a CT, Slicer goes on behind that one.
    parser.add_argument("--skip", type=int, default=0, help=argparse.SUPPRESS)
    add_engine_arguments(parser)
    add_limit_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def run(args: argparse.Namespace) -> int:
    """Analyze the folder, and say what became of each CT.

    Returns
    -------
    int
        Exit code: 0, or 1 if a CT failed.

    Raises
    ------
    CovidCTError
        If the input, an option or the output folder cannot be used.
    """
    options = options_from(args)
    models = models_from(args)
    with make_reporter(args.progress, args.quiet) as reporter:
        reporter.show("reading", 0.0)
        from CovidCTLib.batch.run import analyze_folder
        from CovidCTLib.models.store import ModelStore

        failures = analyze_folder(
            args.input,
            args.output,
            options,
            models if models is not None else ModelStore(device=args.device),
            report=not args.no_report,
            grid=grid_options(args),
            skip=args.skip,
            tell=_teller(args),
            progress=reporter.show,
            cancelled=Interruption.requested,
        )
        reporter.finish(args.output)
    _tell_outcome(failures, args)
    return FAILED if any(failures) else DONE


def _teller(args: argparse.Namespace) -> Callable[[CaseEvent], None]:
    """Give what tells of each case."""

    def tell(event: CaseEvent) -> None:
        if args.progress == "json":
            write_json_line(
                {
                    "case": event.number,
                    "cases": event.count,
                    "event": event.event,
                    "folder": event.folder,
                    "reason": event.reason,
                }
            )
        elif event.event == "failed":
            say(f"covidct: warning: case {event.number} of {event.count} failed: {event.reason}", sys.stderr)
        elif event.event != "begun" and not args.quiet:
            say(f"Case {event.number} of {event.count}: {_WORDS[event.event]}, {event.folder}")

    return tell


def _tell_outcome(failures: tuple[str | None, ...], args: argparse.Namespace) -> None:
    """Say how many went well."""
    if args.progress == "json" or args.quiet:
        return
    done = len(failures) - sum(failure is not None for failure in failures)
    say(f"{done} of {len(failures)} CTs analyzed. All is in {args.output}; cases.csv says which is which.")
