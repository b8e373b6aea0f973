"""``covidct evaluate``: how well the networks do on cases with masks that they never saw."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidCTLib.labelled_data.arguments import add_data_arguments, read_folder

if TYPE_CHECKING:
    from rich.table import Table

    from CovidCTLib.evaluation.evaluate import Evaluation
    from CovidCTLib.models.card import ModelName

_TASKS = ("lungs", "effusion", "opacities", "slices", "cases")

_MODEL_OF: dict[str, ModelName] = {"effusion": "lungs", "cases": "slices"}
"""Model that is judged, where the task is not named by it."""

_FILE_WIDTH = 140
"""Characters of a line where the output is no terminal."""

_EXAMPLE = """\
DATA is laid out as for 'covidct train'. A patient is judged by the first model that never saw it in training, so that
the runs of a cross-validation, one --models each, judge all patients between them. Patients that every model saw are
listed, but count in no mean. CTs whose name begins with 'normal' show no disease; with 'cancer', 'effusion' or 'other'
another disease, and with 'cap' another pneumonia: to 'cases' nothing in them is like COVID-19, and 'slices' lists the
last apart.

OUT holds evaluation.html, evaluation.json and cases.csv; with --pdf also evaluation.pdf.

examples:
  covidct evaluate lungs DATA -o judged
  covidct evaluate opacities DATA -o judged --models runs/fold_0 runs/fold_1 --lungs runs/lungs_0 runs/lungs_1
"""


def add_parser(subparsers: Any) -> None:
    """Add ``evaluate`` to the command line's subparsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="judge the networks on CTs with masks",
        description="Judge the lung network (lungs, pleural effusion), the opacity network, the slice classifier or "
        "the case decision.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=_TASKS, help="what to judge")
    add_data_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results, new or empty"
    )
    parser.add_argument(
        "--models",
        type=Path,
        action="append",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders with trained models, such as the runs of a cross-validation (default: the shipped models)",
    )
    parser.add_argument(
        "--lungs",
        type=Path,
        action="append",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders with lung networks, such as the runs of a cross-validation, that find the lungs for the models "
        "that are judged; a patient's lungs are found by one that never saw the patient, where there is one (default: "
        "the lung network beside the model, or the shipped one)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default %(default)s)")
    parser.add_argument(
        "--pdf",
        action="store_true",
        help="make evaluation.pdf too, on pages of A4 (needs: pip install 'covidct[pdf]')",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out ``covidct evaluate``.

    Raises
    ------
    CovidCTError
        If arguments, data or models cannot be used, or the output folder is not empty.
    """
    from CovidCTLib.writing.folder import check_output_folder

    check_output_folder(arguments.output)
    if arguments.pdf:
        from CovidCTLib.report.pdf import check_pdf_possible

        check_pdf_possible()

    from CovidCTLib.evaluation.decisions import check_thresholds
    from CovidCTLib.evaluation.evaluate import evaluate
    from CovidCTLib.evaluation.judges import load_judges
    from CovidCTLib.evaluation.output import write_evaluation

    folder = read_folder(arguments)
    folders, lungs = ([path for group in groups for path in group] for groups in (arguments.models, arguments.lungs))
    name: ModelName = _MODEL_OF.get(arguments.what, arguments.what)
    judges = load_judges(folders, name, arguments.device, lungs)
    if name == "slices":
        for judge in judges:
            check_thresholds(judge.card)
    evaluation = evaluate(arguments.what, folder, judges, _say)
    write_evaluation(evaluation, arguments.output, pdf=arguments.pdf)
    _show(evaluation)
    _say(f"Everything is in {arguments.output}; open evaluation.html in a browser.")
    return 0


def _say(line: str) -> None:
    """Say a line on the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _show(evaluation: Evaluation) -> None:
    """Show figures and published figures as tables on the terminal."""
    from rich.console import Console

    # Where nobody resizes the terminal, lines are long enough for a table.
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    for table in terminal_tables(evaluation):
        console.print(table)
    for notice in evaluation.notices:
        console.print(f"Note: {notice}", markup=False, highlight=False)


def terminal_tables(evaluation: Evaluation) -> tuple[Table, Table]:
    """Set figures and published figures as tables."""
    from rich.table import Table
    from rich.text import Text

    from CovidCTLib.evaluation.page import INTERVAL_HEADING, TITLES, figure_row
    from CovidCTLib.evaluation.published import compare

    measured = Table(title=TITLES[evaluation.task], title_justify="left")
    for heading in ("figure", "of", "value", INTERVAL_HEADING, "over"):
        measured.add_column(heading)
    for figure in evaluation.figures:
        row = figure_row(figure)
        # Names of cases may look like rich's markup.
        measured.add_row(*(Text(cell) for cell in (row.label, row.group, row.value, row.interval, row.of)))
    published = Table(title="Published, on the cases named", title_justify="left")
    for heading in ("what", "system", "published", "here", "published for"):
        published.add_column(heading)
    for entry in compare(evaluation.task, evaluation.figures):
        here = "\n".join(f"{row.group}: {row.value}" for row in map(figure_row, entry.measured)) or "–"
        cells = (entry.published.what, entry.published.system, f"{entry.published.value:.3f}", here)
        published.add_row(*(Text(cell) for cell in (*cells, entry.published.cases)))
    return measured, published
