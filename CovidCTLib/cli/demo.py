"""``covidct demo``: the whole way on a CT that the program makes itself, against the known truth."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from CovidCTLib.cli.analyze import CANCELLED, analyze_and_write, tell_results
from CovidCTLib.cli.arguments import add_command, add_display_arguments, add_engine_arguments, models_from, options_from
from CovidCTLib.cli.progress import READING, make_reporter, say

if TYPE_CHECKING:
    from CovidCTLib.analysis import Analysis
    from CovidCTLib.cli.arguments import Commands

DEFAULT_FOLDER = "covidct-demo"

_DESCRIPTION = """\
Make a synthetic chest CT with lungs, vessels, airways, ribs, ground-glass opacity and consolidation of known volume,
analyze it, and compare what was measured with what is in it. The results are those of 'covidct analyze', with the CT
itself beside them as ct.nii.gz. Needs no data and no network connection."""

_EPILOG = """\
examples:
  covidct demo
  covidct demo -o somewhere/else"""

COMPARED = (
    ("right lung", "right_lung", "right_lung", "volume_ml"),
    ("left lung", "left_lung", "left_lung", "volume_ml"),
    ("ground-glass opacity", "ggo", "both_lungs", "ggo_volume_ml"),
    ("consolidation", "consolidation", "both_lungs", "consolidation_volume_ml"),
)
"""Name for people, key of the phantom's volumes, region and measure."""

DRAWN = (
    "This chest is drawn, not scanned, with texture, edges and HU as in real opacities. Networks that learned from",
    "scanned chests usually come within 2 % of its lungs, 15 % of its ground glass and 25 % of its consolidation.",
)
"""What a reader of the comparison must know."""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "demo", "analyze a made-up chest CT of known volumes", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default=DEFAULT_FOLDER,
        help=f"folder for the results; it must be empty or not exist yet (default: {DEFAULT_FOLDER})",
    )
    add_engine_arguments(parser)
    add_display_arguments(parser)
    parser.set_defaults(run=run, cancelled=CANCELLED)


def run(args: argparse.Namespace) -> int:
    """Make the phantom, analyze it, write the results, and compare.

    Raises
    ------
    CovidCTError
        If an option or the output folder cannot be used.
    """
    from CovidCTLib.results import check_output_folder

    options = options_from(args)
    check_output_folder(args.output)
    models = models_from(args)
    with make_reporter(args.progress, args.quiet) as reporter:
        reporter.show("reading", READING[0])
        started = time.perf_counter()
        from CovidCTLib.phantom import make_chest_phantom

        phantom = make_chest_phantom()
        seconds = time.perf_counter() - started
        reporter.show("reading", READING[1])
        analysis = analyze_and_write(
            phantom.scan, options, args.output, reporter, seconds, models=models, with_scan=True
        )
    tell_results(analysis, args, report=True)
    if not args.quiet and args.progress != "json":
        for line in comparison_lines(analysis, phantom.volumes_ml):
            say(line)
    return 0


def comparison_lines(analysis: Analysis, volumes_ml: Mapping[str, float]) -> list[str]:
    """Set measured volumes against the true ones.

    Parameters
    ----------
    analysis
        The result for the phantom.
    volumes_ml
        The phantom's exact volumes in ml.

    Returns
    -------
    list of str
        A small table with a heading.
    """
    lines = ["", f"{'volume in ml':<22}{'measured':>10}{'true':>10}{'difference':>12}"]
    for title, key, region, name in COMPARED:
        true = volumes_ml[key]
        value = analysis.measure(region, name).value
        measured = "-" if value is None else f"{value:.1f}"
        difference = "-" if value is None or true == 0 else f"{100 * (value - true) / true:+.1f} %"
        lines.append(f"{title:<22}{measured:>10}{true:>10.1f}{difference:>12}")
    lines += ["", *DRAWN]
    return lines
