"""A whole run over a cohort: what is to be done, on which engine, and what came of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from CovidCTLib.cohort.memory import usable_processes
from CovidCTLib.cohort.output_folder import Gatherer, opened_run, plan
from CovidCTLib.cohort.rows import CohortRow
from CovidCTLib.cohort.settings import CohortSettings, run_record
from CovidCTLib.cohort.worker import Work
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.cohort.scans import CohortScan, Task

Engine = Literal["local", "spark"]
ENGINES: tuple[Engine, ...] = ("local", "spark")


@dataclass(frozen=True)
class CohortProgress:
    """How far a run is: scans of the source, finished ones (failed ones among them), failed ones."""

    scans: int
    done: int
    failed: int


@dataclass(frozen=True)
class EngineChoice:
    """Where the scans are measured.

    Parameters
    ----------
    name
        ``"local"`` or ``"spark"``.
    processes
        Of the local engine; None takes one a core, as far as memory allows.
    master
        Spark's master URL; None takes that of ``spark-submit``.
    spark_settings
        Spark's own settings, such as ``{"spark.executor.cores": "4"}``.

    Raises
    ------
    OptionsError
        If there is no such engine, the number of processes is under 1, or Spark's options are given to another engine.
    """

    name: Engine = "local"
    processes: int | None = None
    master: str | None = None
    spark_settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise OptionsError(
                f"The engine must be one of {', '.join(ENGINES)}, not {self.name!r}. Choose one of them."
            )
        if self.name != "spark" and (self.master is not None or self.spark_settings):
            raise OptionsError(
                "A master and settings of Spark belong to the engine spark, but the engine is local. Give --engine "
                "spark, or leave --master and --spark out."
            )
        if self.processes is not None and self.processes < 1:
            raise OptionsError(f"The number of processes must be at least 1, not {self.processes}. Correct it.")


@dataclass(frozen=True)
class CohortOutcome:
    """What came of a run.

    Parameters
    ----------
    scans
        Scans of the source.
    measured, kept
        Scans that this run went through, and those that an earlier one had finished.
    failures
        How often each reason is given by the rows of all of the source's scans, the most frequent first, as
        ``(status, reason, count)``.
    """

    scans: int
    measured: int
    kept: int
    failures: tuple[tuple[str, str, int], ...]


def run_cohort(
    scans: Sequence[CohortScan],
    out: str | os.PathLike[str],
    settings: CohortSettings | None = None,
    *,
    engine: EngineChoice | None = None,
    retry_failed: bool = False,
    progress: Callable[[CohortProgress], None] | None = None,
) -> CohortOutcome:
    """Measure the scans of a cohort that are not finished yet.

    Parameters
    ----------
    scans
        As `CovidCTLib.cohort.sources.find_scans` gives them.
    out
        Output folder: new, empty, or that of a run with the same settings, which is continued.
    settings
        How to measure; None takes the defaults.
    engine
        Where to; None takes this computer.
    retry_failed
        Whether scans that failed in an earlier run are measured again.
    progress
        Told after each scan (local) or about every second (Spark).

    Returns
    -------
    CohortOutcome
        Counts and reasons; the rows are in the folder.

    Raises
    ------
    OutputError
        If the folder belongs to something else, or the disk is full. What was finished stays.
    ModelError, OptionsError
        If a network or an option cannot be used.
    CovidCTError
        If an engine cannot be started, or a package is missing.
    """
    settings = settings if settings is not None else CohortSettings()
    engine = engine if engine is not None else EngineChoice()
    record = run_record(settings)
    with opened_run(out, record) as folder:
        tasks, finished = plan(folder, scans, retry_failed=retry_failed)
        failures = Counter((row.status, row.reason) for row in finished if row.status != "ok")

        def tell(measured: int) -> None:
            if progress is not None:
                progress(CohortProgress(len(scans), len(finished) + measured, sum(failures.values())))

        tell(0)
        gatherer = Gatherer(folder)
        rows = _rows(tasks, Work(folder, settings, record), engine, tell)
        for measured, row in enumerate(rows, start=1):
            gatherer.add(row)
            if row.status != "ok":
                failures[row.status, row.reason] += 1
            tell(measured)
        gatherer.finish()
    ranked = tuple((status, reason, count) for (status, reason), count in failures.most_common())
    return CohortOutcome(len(scans), len(tasks), len(finished), ranked)


def _rows(
    tasks: Sequence[Task], work: Work, engine: EngineChoice, counted: Callable[[int], None]
) -> Iterator[CohortRow]:
    """Measure on the engine."""
    if not tasks:
        return iter(())
    if engine.name == "spark":
        from CovidCTLib.cohort.spark import measure_on_spark

        return measure_on_spark(tasks, work, engine.master, engine.spark_settings, counted)
    from CovidCTLib.cohort.local import measure_here

    processes = engine.processes or usable_processes(work.settings.most_memory_gb)
    return measure_here(tasks, work, processes)
