"""The scans of a cohort on this computer, several processes at a time."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from CovidCTLib.cohort.process import ScanProcess
from CovidCTLib.cohort.rows import CohortRow
from CovidCTLib.cohort.scans import Task
from CovidCTLib.cohort.worker import Work
from CovidCTLib.errors import OptionsError

_LISTEN_S = 0.5
"""Seconds between two looks for Ctrl-C."""


def measure_here(tasks: Sequence[Task], work: Work, processes: int) -> Iterator[CohortRow]:
    """Measure scans in processes of this computer.

    Parameters
    ----------
    tasks
        What to do, in the order in which it is begun.
    work
        Where to and how.
    processes
        How many at a time, at least 1.

    Yields
    ------
    CohortRow
        As they get done, each once. A caller that stops asking ends the processes.

    Raises
    ------
    OptionsError
        If there is to be no process.
    OutputError, ModelError, OptionsError
        If no scan can be measured: the disk is full, a network is damaged, ... What was finished stays.
    CovidCTError
        If the processes cannot be started.
    """
    if processes < 1:
        raise OptionsError(f"The number of processes must be at least 1, not {processes}. Correct it.")
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    rows: queue.SimpleQueue[CohortRow] = queue.SimpleQueue()
    workers = [ScanProcess(work) for _ in range(min(processes, len(tasks)))]
    # One thread a process, which only waits for it.
    with ThreadPoolExecutor(max(1, len(workers)), thread_name_prefix="covidct-leading") as pool:
        try:
            leaders = [pool.submit(_lead, worker, waiting, rows) for worker in workers]
            for _ in tasks:
                yield _next(rows, leaders)
        finally:
            for worker in workers:
                worker.close()


def _lead(worker: ScanProcess, waiting: queue.SimpleQueue[Task], rows: queue.SimpleQueue[CohortRow]) -> None:
    """Give a process one scan after the other, until none is left."""
    while True:
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            return
        rows.put(worker.run(task))


def _next(rows: queue.SimpleQueue[CohortRow], leaders: Sequence[Future[None]]) -> CohortRow:
    """Wait for the next row, in short steps so that Ctrl-C is heard; raise what a leader failed by."""
    while True:
        try:
            return rows.get(timeout=_LISTEN_S)
        except queue.Empty:
            for leader in leaders:
                if leader.done():
                    leader.result()
