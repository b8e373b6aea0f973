"""The scans of a cohort on a Spark cluster: one scan a task, the largest first, and only rows on the driver."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from CovidCTLib.cohort.process import ScanProcess
from CovidCTLib.cohort.rows import CohortRow
from CovidCTLib.cohort.scans import Task
from CovidCTLib.cohort.worker import Work
from CovidCTLib.errors import CovidCTError, OptionsError

APPLICATION = "covidct-cohort"

BATCH = 10_000
"""Scans of one Spark job, which bounds what the driver holds."""

ANSWER_S = 10.0
"""Longest time in seconds that a master takes to accept a connection."""

WORKERS_S = 120.0
"""Longest time in seconds that a cluster takes to give the run its first worker; managed clusters start machines."""

TASK_FAILURES = 8
"""How often Spark may lose one task. A scan never fails a task, so this only counts workers that were lost."""

_POLL_S = 1.0
_PYTHON = "PYSPARK_PYTHON"


def measure_on_spark(
    tasks: Sequence[Task],
    work: Work,
    master: str | None = None,
    settings: Mapping[str, str] | None = None,
    counted: Callable[[int], None] | None = None,
) -> Iterator[CohortRow]:
    """Measure scans on a Spark cluster.

    Parameters
    ----------
    tasks
        What to do, in the order in which it is begun.
    work
        Where to and how; every worker must see the output folder, the scans and own networks under the same paths.
    master
        Spark's master URL, such as ``spark://host:7077`` or ``local[2]``; None takes what ``spark-submit`` set.
    settings
        Spark's own settings.
    counted
        Told about every second how many scans are done.

    Yields
    ------
    CohortRow
        Of a batch together, when all of it is done; each row is on the disk from the moment that its scan was done.

    Raises
    ------
    CovidCTError
        If PySpark or Java is missing, the master does not answer or gives no worker, or Spark fails. What was finished
        stays.
    OutputError, ModelError, OptionsError
        If no scan can be measured: the disk is full, a network is damaged, ...
    """
    with _interpreter_of_driver(master, settings or {}), _session(master, settings or {}) as context:
        _await_workers(context)
        _require_library(context)
        before = 0
        for start in range(0, len(tasks), BATCH):
            batch = list(tasks[start : start + BATCH])
            answers = _collected(context, batch, work, partial(_tell, counted, before))
            for answer in answers:
                if isinstance(answer, RunFailure):
                    raise answer.error
            before += len(batch)
            yield from (answer for answer in answers if isinstance(answer, CohortRow))


@dataclass(frozen=True)
class RunFailure:
    """An error that is the run's, not a scan's, on its way to the driver."""

    error: CovidCTError


_process: ScanProcess | None = None
_process_work: Work | None = None


def _measure(tasks: Iterator[Task], work: Work) -> Iterator[CohortRow | RunFailure]:
    """Measure the scans of a task; runs in a Python worker of Spark, which keeps its process for the next task."""
    global _process, _process_work
    if _process is None or _process_work != work:
        if _process is not None:
            _process.close()
        _process, _process_work = ScanProcess(work), work
    for task in tasks:
        try:
            yield _process.run(task)
        except CovidCTError as error:
            yield RunFailure(error)


def _collected(
    context: Any, batch: list[Task], work: Work, tell: Callable[[int], None]
) -> list[CohortRow | RunFailure]:
    """Run one job and wait for it, so that Ctrl-C is heard and progress is told."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    def collect() -> list[CohortRow | RunFailure]:
        rows: list[CohortRow | RunFailure] = (
            context.parallelize(batch, len(batch)).mapPartitions(partial(_measure, work=work)).collect()
        )
        return rows

    with ThreadPoolExecutor(1, thread_name_prefix="covidct-collecting") as pool:
        answers = pool.submit(collect)
        try:
            while not wait([answers], _POLL_S).done:
                tell(_completed(context))
            return answers.result()
        except (Py4JError, PySparkException) as error:
            raise CovidCTError(
                f"Spark was expected to finish the run, but it failed ({type(error).__name__}); its log says more. "
                "What was finished is kept: run the same command again."
            ) from error
        except BaseException:
            # Without this the pool would wait for the whole job after Ctrl-C.
            context.cancelAllJobs()
            raise


def _completed(context: Any) -> int:
    """Tasks of the running job that are done."""
    tracker = context.statusTracker()
    stages = (tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds())
    return sum(stage.numCompletedTasks for stage in stages if stage is not None)


def _tell(counted: Callable[[int], None] | None, before: int, count: int) -> None:
    """Pass on how many scans are done, in earlier batches and this one."""
    if counted is not None and count:
        counted(before + count)


@contextmanager
def _interpreter_of_driver(master: str | None, settings: Mapping[str, str]) -> Iterator[None]:
    """Let the workers of a local master run this very Python, unless the user names another; undone afterwards.

    PySpark starts the first ``python3`` of the PATH otherwise, which is another one where no environment is activated.
    """
    import os
    import sys

    named = _PYTHON in os.environ or "spark.pyspark.python" in settings
    if named or master is None or not master.startswith("local"):
        yield
        return
    os.environ[_PYTHON] = sys.executable
    try:
        yield
    finally:
        os.environ.pop(_PYTHON, None)


def _version_of_worker(_: int) -> str:
    """Give the version of CovidCT in a worker; runs there."""
    from CovidCTLib import __version__

    return __version__


def _require_library(context: Any) -> None:
    """Refuse workers whose Python cannot import CovidCT, or another version of it, before the first scan."""
    import sys

    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    from CovidCTLib import __version__

    remedy = (
        f"Set the environment variable {_PYTHON}, or --spark spark.pyspark.python=PATH, to a Python "
        f"{sys.version_info.major}.{sys.version_info.minor} that has CovidCT {__version__} on every worker."
    )
    try:
        (version,) = context.parallelize([0], 1).map(_version_of_worker).collect()
    except (Py4JError, PySparkException) as error:
        raise CovidCTError(
            "Workers of Spark whose Python has CovidCT were expected, but theirs cannot import it or does not start. "
            f"{remedy}"
        ) from error
    if version != __version__:
        raise CovidCTError(f"CovidCT {__version__} was expected on Spark's workers, but they have {version}. {remedy}")


@contextmanager
def _session(master: str | None, settings: Mapping[str, str]) -> Iterator[Any]:
    """Start Spark's driver, or take the one of ``spark-submit``, and stop it afterwards."""
    _require_spark()
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException

    try:
        SparkContext._ensure_initialized()
        conf = SparkConf()
        if master is not None:
            conf.setMaster(master)
        elif conf.get("spark.master", "local").startswith("local"):
            # What Spark takes where nobody says anything: this computer, which is never meant.
            raise OptionsError(
                "The engine spark needs a master, but there is none. Give --master, such as spark://host:7077, or "
                "start CovidCT by spark-submit."
            )
        _require_answer(conf.get("spark.master") or "")
        conf.setAppName(APPLICATION)
        defaults = {"spark.task.maxFailures": str(TASK_FAILURES), "spark.ui.showConsoleProgress": "false"}
        for name, value in {**defaults, **settings}.items():
            conf.set(name, value)
        context = SparkContext.getOrCreate(conf)
    except (Py4JError, PySparkException, OSError, RuntimeError) as error:
        raise CovidCTError(
            f"Spark was expected to start, but it failed ({type(error).__name__}). See that the master runs Spark of "
            "the same version as PySpark here, and that JAVA_HOME leads to Java 17 or newer."
        ) from error
    try:
        yield context
    finally:
        context.stop()


def _require_spark() -> None:
    """Refuse where PySpark or Java is missing."""
    import os
    from pathlib import Path

    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise CovidCTError(
            "The engine spark needs PySpark, which is not installed. Install it with 'pip install \"covidct[spark]\"', "
            "or use --engine local."
        ) from error
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") if not home else (Path(home) / "bin" / "java").exists()):
        raise CovidCTError(
            "The engine spark needs Java 17 or newer, but there is none on the PATH or in JAVA_HOME. Install it (for "
            "example 'apt install openjdk-17-jre-headless', or from adoptium.net), or use --engine local."
        )


def _require_answer(master: str) -> None:
    """Try to reach a standalone master: Spark itself would try for minutes before it says anything."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    if not master.startswith("spark://"):
        return
    java = SparkContext._jvm.java  # type: ignore[union-attr]
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        socket = java.net.Socket()
        try:
            socket.connect(java.net.InetSocketAddress(host, int(port)), int(ANSWER_S * 1000))
        except (Py4JError, ValueError):
            continue
        finally:
            socket.close()
        return
    raise CovidCTError(
        f"A Spark master was expected at the address of --master, but none answered within {ANSWER_S:g} s. See that it "
        "runs, that its port is right (usually 7077), and that no firewall is between."
    )


def _await_workers(context: Any) -> None:
    """Refuse a cluster that gives no worker: Spark itself would wait for ever."""
    if context.master.startswith("local"):
        return
    import time

    end = time.monotonic() + WORKERS_S
    # The driver counts as one.
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > end:
            raise CovidCTError(
                f"Spark's master was expected to give the run a worker, but gave none within {WORKERS_S:g} s. See that "
                "workers are registered and have cores and memory free for it."
            )
        time.sleep(_POLL_S / 4)
