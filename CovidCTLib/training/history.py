"""The history of a training: a table, and a picture of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


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
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "loss", *figures])
        writer.writerow([step, f"{loss:.5f}", *[f"{value:.5f}" for value in figures.values()]])
    _draw(table, run / "history.png")


def _draw(table: Path, picture: Path) -> None:
    """Draw loss and figures against the step, under a temporary name first."""
    from matplotlib.figure import Figure

    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    names = [name for name in rows[0] if name not in ("step", "loss") and not name.endswith("percent")]
    chart = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = chart.subplots(2, 1, sharex=True)
    upper.plot(steps, [float(row["loss"]) for row in rows], color="black", marker="o", markersize=3)
    upper.set_ylabel("mean training loss")
    for name in names:
        lower.plot(steps, [float(row[name]) for row in rows], marker="o", markersize=3, label=name.replace("_", " "))
    lower.set_xlabel("optimizer steps")
    lower.set_ylabel("on held-out patients")
    if names:
        lower.legend(fontsize="small")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    part = picture.with_suffix(".part")
    chart.savefig(part, format="png", dpi=100)
    part.replace(picture)
