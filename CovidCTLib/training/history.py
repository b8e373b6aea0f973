"""The history of a training: a table, and a picture of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from CovidCTLib.writing.files import replacing


def write_history(run: Path, step: int, loss: float, figures: Mapping[str, float]) -> None:
    """Append a line to ``history.csv`` and draw ``history.png`` anew.

    Parameters
    ----------
    run
        Folder of the run.
    step, loss
        Steps done, and the mean loss since the last line.
    figures
        What the validation patients gave; empty without validation.
    """
    table = run / "history.csv"
    rows = _rows(table) or [["step", "loss", *figures]]
    rows.append([str(step), f"{loss:.5f}", *[f"{value:.5f}" for value in figures.values()]])
    _write(table, rows)
    _draw(rows, run / "history.png")


def cut_history(run: Path, step: int) -> None:
    """Remove the lines after a step from ``history.csv``, since the run goes on from there; at step 0 remove all.

    Parameters
    ----------
    run
        Folder of the run.
    step
        The last step that counts.
    """
    table = run / "history.csv"
    heading, *rows = _rows(table) or [[]]
    kept = [row for row in rows if row and row[0].isdecimal() and int(row[0]) <= step and len(row) == len(heading)]
    if kept:
        if kept != rows:
            _write(table, [heading, *kept])
        return
    for leftover in (table, run / "history.png"):
        leftover.unlink(missing_ok=True)


def _rows(table: Path) -> list[list[str]]:
    """Read the table with its heading; nothing where there is none."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.reader(file))


def _write(table: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write the table under a temporary name and move it into place."""
    with replacing(table) as (part,), part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _draw(rows: Sequence[Sequence[str]], picture: Path) -> None:
    """Draw loss and figures against the step, under a temporary name first."""
    from matplotlib.figure import Figure

    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    steps = [int(step) for step in columns.pop("step")]
    losses = [float(loss) for loss in columns.pop("loss")]
    names = [name for name in columns if not name.endswith("percent")]
    chart = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = chart.subplots(2, 1, sharex=True)
    upper.plot(steps, losses, color="black", marker="o", markersize=3)
    upper.set_ylabel("mean training loss")
    for name in names:
        values = [float(value) for value in columns[name]]
        lower.plot(steps, values, marker="o", markersize=3, label=name.replace("_", " "))
    lower.set_xlabel("optimizer steps")
    lower.set_ylabel("on held-out patients")
    if names:
        lower.legend(fontsize="small")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    with replacing(picture) as (part,):
        chart.savefig(part, format="png", dpi=100)
