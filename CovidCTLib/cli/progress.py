"""Ways to show how far an analysis is: a bar for people, lines of JSON for programs, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from CovidCTLib.units import RAISED

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from CovidCTLib.analysis import ProgressCallback, Stage

ProgressKind = Literal["bar", "json", "none"]
PROGRESS_KINDS: tuple[ProgressKind, ...] = ("bar", "json", "none")

STAGE_NAMES: Mapping[Stage, str] = {
    "reading": "Reading the scan",
    "lungs": "Finding the lungs",
    "opacities": "Finding opacities",
    "slices": "Judging the slices",
    "measures": "Measuring",
    "explaining": "Explaining the slices",
    "comparing": "Comparing the studies",
    "writing": "Writing the results",
    "report": "Making the report",
}

READING = (0.0, 0.05)
WHOLE = (0.0, 1.0)
WRITING = (0.85, 1.0)
"""Where these parts begin and end on the whole way; the analysis itself reports
fractions of the whole way, between them."""

_BAR_STEPS = 1000
"""Steps of the bar."""


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line for people, to the standard output unless told otherwise.

    Characters that the terminal cannot show are replaced; a raised exponent becomes a digit.
    """
    target = stream if stream is not None else sys.stdout
    encoding = getattr(target, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # cm³ would become cm?, which nobody understands.
        text = text.translate(RAISED).encode(encoding, "replace").decode(encoding)
    target.write(text + "\n")
    target.flush()


def write_json_line(entry: Mapping[str, Any]) -> None:
    """Write one JSON object as a line of its own to the standard output, at once and in ASCII."""
    sys.stdout.write(json.dumps(entry, allow_nan=False) + "\n")
    sys.stdout.flush()


class SilentReporter:
    """Shows nothing; the base of the others."""

    def __init__(self) -> None:
        self._furthest = 0.0

    def __enter__(self) -> SilentReporter:
        """Begin to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to show."""

    def show(self, stage: Stage, fraction: float) -> None:
        """Take note of the stage, and of the fraction of the whole way; it never goes back, and never beyond 1."""
        self._furthest = max(self._furthest, min(1.0, fraction))

    def finish(self, folder: str) -> None:
        """Say that all results are in a folder."""

    def part(self, span: tuple[float, float]) -> ProgressCallback:
        """Give a callback for a part of the way, whose own fractions run from 0 to 1.

        Parameters
        ----------
        span
            Where the part begins and ends on the whole way.
        """
        start, stop = span
        return lambda progress: self.show(progress.stage, start + (stop - start) * progress.fraction)


class JsonReporter(SilentReporter):
    """Writes ``{"stage": ..., "fraction": ...}`` a line, and ``{"done": true, "out": ...}`` at the end."""

    def show(self, stage: Stage, fraction: float) -> None:
        """Write a line."""
        super().show(stage, fraction)
        write_json_line({"stage": stage, "fraction": round(self._furthest, 4)})

    def finish(self, folder: str) -> None:
        """Write the last line."""
        write_json_line({"done": True, "out": folder})


class BarReporter(SilentReporter):
    """Draws a bar with the name of the stage on the standard error output."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = _make_bar()
        self._task = self._bar.add_task(STAGE_NAMES["reading"], total=_BAR_STEPS)

    def __enter__(self) -> BarReporter:
        """Draw the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def show(self, stage: Stage, fraction: float) -> None:
        """Move the bar."""
        super().show(stage, fraction)
        self._bar.update(self._task, completed=round(self._furthest * _BAR_STEPS), description=STAGE_NAMES[stage])

    def finish(self, folder: str) -> None:
        """Fill the bar."""
        self._bar.update(self._task, completed=_BAR_STEPS, description="Done")


def make_reporter(kind: ProgressKind | None, quiet: bool) -> SilentReporter:
    """Choose how progress is shown.

    Parameters
    ----------
    kind
        What the user asked for; None takes a bar if the standard error output is a terminal, else nothing.
    quiet
        Whether people want to see nothing; lines of JSON are for programs and still come.
    """
    if kind == "json":
        return JsonReporter()
    if quiet or kind == "none" or (kind is None and not sys.stderr.isatty()):
        return SilentReporter()
    return BarReporter()


def _make_bar() -> RichProgress:
    """The bar of rich, which is imported only when one is drawn."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    width = max(len(name) for name in STAGE_NAMES.values())
    return RichProgress(
        TextColumn(f"{{task.description:<{width}}}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
