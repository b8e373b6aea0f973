"""The way of a folder of CTs: begun, continued, told case by case."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from CovidCTLib import __version__
from CovidCTLib.batch.cases import cases_beside, content_of_case
from CovidCTLib.batch.table import CaseTable, Row
from CovidCTLib.errors import CancelledError, CovidCTError, InputError, OutputError
from CovidCTLib.options import Options
from CovidCTLib.results.names import RECORD_FILE
from CovidCTLib.results.record import plain_json
from CovidCTLib.results.stored_record import MADE_BY, is_result_folder, read_stored_record
from CovidCTLib.writing.folder import explained, remove_stale_folders

if TYPE_CHECKING:
    from CovidCTLib.analysis import CancelCheck, Progress, Stage
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.reading.source import GridWishes

AS_THE_HEADER_SAYS: GridWishes = {"assume_axial": False, "geometry": None, "spacing_zyx_mm": None}
"""Nothing is given in place of what headers say of the grid."""

ENDED_BEFORE = (
    "The program ended in the middle of this CT, perhaps for lack of memory. Close other programs, and analyze the CT "
    "by itself."
)
"""Reason given for a case in which the process ended."""

LOCAL_OPTIONS = ("device", "threads")
"""Options that change how long an analysis takes, and not what comes out."""

READING_END = 0.05
WRITING_BEGIN = 0.85
"""Shares of a case's way at which its CT is read, and at which its results begin to be written, without unit; as long
as they take on a processor, for a chest CT of 300 slices."""

Event = Literal["begun", "done", "failed", "kept"]


@dataclass(frozen=True)
class CaseEvent:
    """What happened to a case.

    Parameters
    ----------
    number, count
        Place of the case in the folder, from 1, and number of its cases.
    event
        ``"kept"`` where an earlier run has finished it.
    folder
        Name of its folder of results.
    reason
        Why it failed, else empty.
    """

    number: int
    count: int
    event: Event
    folder: str
    reason: str = ""


def analyze_folder(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: Options,
    models: ModelStore,
    *,
    report: bool = True,
    grid: GridWishes | None = None,
    skip: int = 0,
    tell: Callable[[CaseEvent], None] | None = None,
    progress: Callable[[Stage, float], None] | None = None,
    cancelled: CancelCheck | None = None,
) -> tuple[str | None, ...]:
    """Analyze every CT of a folder, one after the other; one that fails does not stop the rest.

    The networks are loaded once. Cases that an earlier run into the same output folder has finished are kept, the
    others are analyzed again.

    Parameters
    ----------
    source
        As `CovidCTLib.batch.cases.cases_of_folder` takes it.
    output
        Gets a folder of results for each CT, and the table of `CovidCTLib.batch.table`.
    options
        How to analyze.
    models
        The networks.
    report
        Whether each case gets its ``report.html``.
    grid
        What stands for headers that are wrong about the grid, for all CTs; None takes the headers'.
    skip
        So many cases at the beginning are passed over; one of them in which the process ended has failed.
    tell
        Is told what happens to each case.
    progress
        Gets the stage and the share of the whole way, 0 to 1.
    cancelled
        Is asked now and then whether to stop.

    Returns
    -------
    tuple of str or None
        For each CT None, or the reason why it failed.

    Raises
    ------
    InputError
        If the input folder cannot be read or holds no CT.
    OutputError
        If the results cannot be written, or those in the folder are of other settings; finished cases stay.
    ModelError, OptionsError
        If own networks, the device or the spacing cannot be used.
    CancelledError
        If asked to stop; finished cases stay, and nothing else.
    """
    out = Path(output).absolute()
    cases = cases_beside(source, out)
    if os.path.lexists(out) and not out.is_dir():
        raise OutputError("The output must be a folder, but a file of that name is there. Choose another folder.")
    # A device or models with which no case could be analyzed are refused before the first case.
    models.device  # noqa: B018
    models.load_own()
    if grid is not None and grid["spacing_zyx_mm"] is not None:
        from CovidCTLib.reading.given_grid import check_given_spacing

        check_given_spacing(grid["spacing_zyx_mm"])
    batch = _Batch(out, options, models, grid or AS_THE_HEADER_SAYS, tell, progress, cancelled)
    rows = batch.prepare(cases)
    failures: list[str | None] = []
    for number, (case, row) in enumerate(zip(cases, rows, strict=True), start=1):
        batch.enter(number, len(cases), row)
        if number <= skip:
            failures.append(batch.passed_over())
        elif batch.is_finished(row):
            failures.append(batch.end("kept"))
        else:
            failures.append(batch.analyze(case, report))
    return tuple(failures)


class _Batch:
    """A run over the cases of a folder, with the one that it is at."""

    def __init__(
        self,
        out: Path,
        options: Options,
        models: ModelStore,
        grid: GridWishes,
        tell: Callable[[CaseEvent], None] | None,
        progress: Callable[[Stage, float], None] | None,
        cancelled: CancelCheck | None,
    ) -> None:
        self._out = out
        self._options = options
        self._models = models
        self._grid = grid
        self._tell = tell
        self._progress = progress
        self._cancelled = cancelled
        self._table = CaseTable(out)
        self._number, self._count = 0, 0
        self._row = Row("", "")

    def prepare(self, cases: list[Path]) -> list[Row]:
        """Find the row of each case, remove what killed runs left, and write the table."""
        rows = []
        for case in cases:
            self._check_cancelled()
            rows.append(self._table.row_of(case.name, content_of_case(case)))
        for row in rows:
            if self.is_finished(row):
                self._check_settings(row)
            else:
                row.grid = _in_words(self._grid)
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explained(error) from error
        remove_stale_folders(self._out)
        self._table.write()
        return rows

    def enter(self, number: int, count: int, row: Row) -> None:
        """Go on to a case."""
        self._check_cancelled()
        self._number, self._count, self._row = number, count, row

    def is_finished(self, row: Row) -> bool:
        """Tell whether the results of a case are all there: where the record is, all is, whatever the table says."""
        return (self._out / row.folder / RECORD_FILE).is_file()

    def passed_over(self) -> str | None:
        """Give the failure of a case that was passed over, and note it where the process ended in it."""
        if self._row.state == "running":
            return self.end("failed", ENDED_BEFORE)
        return self._row.reason or None

    def analyze(self, case: Path, report: bool) -> str | None:
        """Analyze the case; give None, or why it failed."""
        self._put("running")
        self._say("begun")
        try:
            self._analyze(case, report)
        except OutputError:
            # The next cases could not be written either.
            self._put("waiting")
            raise
        except (CancelledError, KeyboardInterrupt) as stop:
            self._put("waiting")
            raise _cancelled() from stop
        except CovidCTError as error:
            return self.end("failed", " ".join(str(error).split()))
        except MemoryError:
            return self.end("failed", "The computer has too little free memory for this CT. Close other programs.")
        except Exception as error:  # noqa: BLE001
            # The text of an unknown error may hold a path or a patient's name, so only its kind is told.
            return self.end(
                "failed",
                f"CovidCT made a mistake with this CT ({type(error).__name__}). Report that to the developers, without "
                "any patient's name.",
            )
        return self.end("done")

    def end(self, event: Event, reason: str = "") -> str | None:
        """Note and tell what became of the case."""
        self._put("failed" if event == "failed" else "done", reason)
        self._say(event, reason)
        self._report("writing", 1.0)
        return reason or None

    def _analyze(self, case: Path, report: bool) -> None:
        from CovidCTLib.pipeline import analyze
        from CovidCTLib.reading import read_scan
        from CovidCTLib.results import write_results

        if case.is_dir() and is_result_folder(case):
            raise InputError("A CT was expected, but this is a folder of results. Give the CT that was analyzed.")
        self._report("reading", 0.0)
        scan = read_scan(case, **self._grid)
        self._report("reading", READING_END)
        analysis = analyze(
            scan,
            self._options,
            models=self._models,
            progress=lambda step: self._report(step.stage, step.fraction),
            cancelled=self._cancelled,
        )

        def writing(step: Progress) -> None:
            self._report(step.stage, WRITING_BEGIN + (1 - WRITING_BEGIN) * step.fraction)

        write_results(
            analysis, self._out / self._row.folder, report=report, progress=writing, cancelled=self._cancelled
        )

    def _check_settings(self, row: Row) -> None:
        """Refuse to put results beside others that were made in another way."""
        record = read_stored_record(self._out / row.folder)
        cards = {card.name: card.sha256 for card in self._models.cards()}
        used = record.get("models") or ()
        same = (
            record["made_by"] == f"{MADE_BY}{__version__}"
            and _comparable(record.get("options") or {}) == _comparable(plain_json(asdict(self._resolved_options())))
            and all(cards.get(model.get("name")) == model.get("sha256") for model in used)
            and row.grid == _in_words(self._grid)
        )
        if not same:
            raise OutputError(
                "All results of a folder must be made with the same settings, networks and version of CovidCT, but "
                f"those in {row.folder} were made with others. Choose another folder, or the settings of before."
            )

    def _resolved_options(self) -> Options:
        """Give the options as a record holds them, with the classifier's thresholds in place of those left open."""
        thresholds = self._models.card("slices").thresholds
        slice_threshold, case_threshold = self._options.slice_threshold, self._options.case_threshold
        return replace(
            self._options,
            slice_threshold=thresholds.get("slice") if slice_threshold is None else slice_threshold,
            case_threshold=thresholds.get("case") if case_threshold is None else case_threshold,
        )

    def _put(self, state: Literal["waiting", "running", "done", "failed"], reason: str = "") -> None:
        if (self._row.state, self._row.reason) != (state, reason):
            self._row.state, self._row.reason = state, reason
            self._table.write()

    def _say(self, event: Event, reason: str = "") -> None:
        if self._tell is not None:
            self._tell(CaseEvent(self._number, self._count, event, self._row.folder, reason))

    def _report(self, stage: Stage, fraction: float) -> None:
        if self._progress is not None:
            self._progress(stage, (self._number - 1 + fraction) / self._count)

    def _check_cancelled(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise _cancelled()


def _cancelled() -> CancelledError:
    return CancelledError("Cancelled; the CTs that were finished stay. Start again with both folders to go on.")


def _in_words(grid: GridWishes) -> str:
    """Write what was given in place of the headers' grid; empty where nothing was."""
    spacing = grid["spacing_zyx_mm"]
    words = ["assume axial"] * grid["assume_axial"] + [grid["geometry"] or ""]
    words += [] if spacing is None else [f"spacing {' '.join(f'{size:.10g}' for size in spacing)}"]
    return ", ".join(word for word in words if word)


def _comparable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the options that change no result."""
    return {name: value for name, value in options.items() if name not in LOCAL_OPTIONS}
