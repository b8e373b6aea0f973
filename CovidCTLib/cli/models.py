"""``covidct models``: which networks there are, what they expect, and how well they do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidCTLib.cli.arguments import add_command, add_models_argument
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands
    from CovidCTLib.models.card import ModelCard
    from CovidCTLib.models.registry import Entry

_DESCRIPTION = """\
List the networks with what they expect, what they were trained on, how well they, or other runs of the same training,
did on patients that they never saw, their licence, and whether the weights are the ones that the card speaks of. With
NAME, show the whole model card."""

_EPILOG = """\
examples:
  covidct models
  covidct models opacities
  covidct models --models my_models --json
  covidct models lungs --models my_models --add-validation evaluation.json"""

FIGURES_SHOWN = 4
"""Validated figures of a network in the table; the card holds all."""

NOT_FIGURES = ("score", "threshold", "n", "folds", "step", "patients", "slices")
"""Numbers of a validation whose name ends so say nothing of accuracy to a reader."""

_PIPE_WIDTH = 160
"""Columns of the table where the output is no terminal."""

_BYTES_PER_MB = 1e6


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "models", "list the networks and show their cards", _DESCRIPTION, _EPILOG)
    parser.add_argument("name", metavar="NAME", nargs="?", help="lungs, opacities, slices, or a model of your own")
    add_models_argument(parser, "list your own networks in place of CovidCT's; may be given again")
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.add_argument(
        "--add-validation",
        type=Path,
        metavar="FILE",
        help="put the figures of 'covidct evaluate' (its JSON) into the card of your own model NAME",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the networks, show a card, or add figures to one.

    Raises
    ------
    OptionsError
        If there is no model of this name, or figures are to be added to no own model.
    ModelError
        If a card cannot be read, or the figures cannot be used.
    """
    from CovidCTLib.models.registry import all_entries

    entries = all_entries(args.models)
    if args.add_validation is not None:
        return _add_validation(args, entries)
    chosen = entries if args.name is None else (_find(args.name, entries),)
    if args.json:
        facts = [facts_of(entry) for entry in chosen]
        say(json.dumps(facts if args.name is None else facts[0], indent=1, allow_nan=False))
    elif args.name is None:
        _show_table(entries)
    else:
        _show_card(chosen[0].card)
    return 0


def facts_of(entry: Entry) -> dict[str, Any]:
    """All that is known of a model, as plain values; size in MB (1,000,000 bytes), None without weights."""
    from CovidCTLib.models.bundle import WEIGHTS, has_its_weights

    weights = entry.folder / WEIGHTS
    return {
        **asdict(entry.card),
        "own": entry.own,
        "size_mb": round(weights.stat().st_size / _BYTES_PER_MB, 3) if weights.is_file() else None,
        "checksum_ok": has_its_weights(entry.folder, entry.card),
    }


def main_figures(validation: Mapping[str, Any]) -> list[str]:
    """The first figure of each kind of data in a validation, then the others in their order, in words.

    Parameters
    ----------
    validation
        As in the card. Lists of figures count before plain numbers, later ones before earlier ones: an evaluation that
        was added tells more than what the training itself noted. Verdicts on whole cases are few, and come last.

    Returns
    -------
    list of str
        At most `FIGURES_SHOWN`; empty where nothing was validated.
    """
    from CovidCTLib.models.card import figure_words, plain_text

    first: dict[str, Mapping[str, Any]] = {}
    others = []
    for figure in _figures_in(validation):
        kind = str(figure.get("name")).rpartition(", ")[2]
        if kind in first:
            others.append(figure)
        else:
            first[kind] = figure
    words = []
    for figure in (*first.values(), *others):
        name, value, interval, _ = figure_words(figure)
        notes = [note for note in (interval, figure.get("remark")) if note and note != "-"]
        words.append(f"{name} {value}" + (f" ({'; '.join(notes)})" if notes else ""))
    if not words:
        words = [
            f"{key.replace('_', ' ')} {plain_text(value)}"
            for key, value in validation.items()
            if isinstance(value, float) and not key.endswith(NOT_FIGURES)
        ]
    return words[:FIGURES_SHOWN]


def validation_words(validation: Mapping[str, Any]) -> str:
    """The cell of the table: whose figures these are, and the `main_figures`, a line each."""
    from CovidCTLib.models.card import CROSS_VALIDATION_WORDS, is_cross_validation

    words = main_figures(validation)
    if not words:
        return "not validated"
    source = next((key for key, value in _best_first(validation) if _figures_in({key: value})), "")
    whose = CROSS_VALIDATION_WORDS if is_cross_validation(source) else "These weights on patients that they never saw"
    return "\n".join([f"{whose}:", *words])


def _best_first(validation: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Entries of a validation, later ones first, but verdicts on whole cases last."""
    from CovidCTLib.models.card import OF_CASES, OF_EFFUSION

    latest_first = reversed(list(validation.items()))
    return sorted(latest_first, key=lambda entry: entry[0].endswith((OF_CASES, OF_EFFUSION)))


def _figures_in(validation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The last list of figures in a validation, however deep; those of verdicts on whole cases for want of others."""
    for key, value in _best_first(validation):
        if key == "figures" and isinstance(value, (list, tuple)):
            return list(value)
        if isinstance(value, Mapping) and (figures := _figures_in(value)):
            return figures
    return []


def _find(name: str, entries: Sequence[Entry]) -> Entry:
    """The model of a role or name."""
    for entry in entries:
        if name in (entry.card.role, entry.card.name):
            return entry
    names = ", ".join(dict.fromkeys(entry.card.name for entry in entries))
    raise OptionsError(f"There is no model {name!r}. There are: {names}.")


def _add_validation(args: argparse.Namespace, entries: Sequence[Entry]) -> int:
    """Put the figures of an evaluation into the card of a model."""
    from CovidCTLib.models.bundle import with_validation
    from CovidCTLib.models.card import count_of
    from CovidCTLib.models.evaluation_record import read_evaluation
    from CovidCTLib.models.registry import find_own

    if args.name is None or not args.models:
        raise OptionsError("--add-validation needs NAME and --models FOLDER, which say whose card is to be changed.")
    entry = _find(args.name, tuple(find_own(args.models).values()) or entries)
    key, added = read_evaluation(args.add_validation, entry.card)
    with_validation(entry.folder, {**entry.card.validation, key: added})
    count = len(added["figures"])
    say(f"{count_of(count, 'figures')} {'is' if count == 1 else 'are'} now in the card of {entry.card.name}.")
    return 0


def _show_table(entries: Sequence[Entry]) -> None:
    """Draw the table of the networks."""
    from rich.table import Table

    table = Table(show_lines=True)
    for column in (
        "name",
        "version",
        "role",
        "expects",
        "MB",
        "trained on",
        "validation",
        "licence",
        "checksum",
    ):
        table.add_column(column, justify="right" if column == "MB" else "left", overflow="fold")
    for entry in entries:
        facts = facts_of(entry)
        table.add_row(
            entry.card.name + (" (own)" if entry.own else ""),
            entry.card.version,
            entry.card.role,
            entry.card.expects,
            "-" if facts["size_mb"] is None else f"{facts['size_mb']:.1f}",
            str(entry.card.training.get("slices_and_patients", "not stated")),
            validation_words(entry.card.validation),
            entry.card.licence,
            "ok" if facts["checksum_ok"] else "WRONG",
        )
    _print(table)


def _show_card(card: ModelCard) -> None:
    """Draw a card."""
    from rich.markdown import Markdown

    _print(Markdown(card.to_markdown()))


def _print(thing: Any) -> None:
    """Draw with rich on the standard output."""
    from rich.console import Console

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(thing)
