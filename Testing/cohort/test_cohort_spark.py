"""Runs on a real Spark standalone cluster of two workers, on the loopback address."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import SimpleITK as sitk
from cohort_stand_ins import RESULT_FILE, STAND_IN, VOLATILE_COLUMNS, make_source
from spark_cluster import LOOPBACK, Cluster, environment, missing_part

from CovidCTLib.cohort import spark
from CovidCTLib.cohort.rows import PICTURE_FILE, ROWS_FOLDER, SCANS_FOLDER, read_rows
from CovidCTLib.cohort.run import EngineChoice, run_cohort
from CovidCTLib.cohort.scans import CohortScan, Task
from CovidCTLib.cohort.settings import CohortSettings, run_record
from CovidCTLib.cohort.sources import find_scans
from CovidCTLib.cohort.worker import Work
from CovidCTLib.errors import CovidCTError, OptionsError
from CovidCTLib.phantom import make_chest_phantom

MISSING = missing_part()
needs_cluster = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

SPARK_SETTINGS = {"spark.ui.enabled": "false", "spark.executor.memory": "512m"}


@pytest.fixture(scope="module", autouse=True)
def loopback_only():
    """The environment of the driver: this process."""
    before = dict(os.environ)
    os.environ.update(environment())
    os.environ["COVIDCT_PATIENT_KEY"] = "the same in both folders"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, loopback_only):
    running = Cluster(tmp_path_factory.mktemp("spark"), workers=2)
    yield running
    running.stop()


def on_spark(cluster):
    return EngineChoice("spark", master=cluster.master, spark_settings=SPARK_SETTINGS)


def same(out):
    """Rows without what differs from run to run."""
    rows = [asdict(row) for row in read_rows(out)]
    return [{name: value for name, value in row.items() if name not in VOLATILE_COLUMNS} for row in rows]


@needs_cluster
def test_spark_gives_the_same_rows_as_this_computer_also_where_a_scan_kills_its_process(cluster, tmp_path):
    words = ["measure 0.1", "refuse", "die", "mistake", "measure 3.3"]
    make_source(tmp_path / "source", words)
    phantom = make_chest_phantom((32, 128, 128), (8.0, 2.4, 2.4), diseased=False)
    sitk.WriteImage(phantom.scan.geometry.to_image(phantom.scan.hu), str(tmp_path / "source" / "phantom.nii.gz"))
    lines = [f"source/scan_{index:04d}.nii,s{index},CT-{index % 2},Jane {index % 2}" for index in range(len(words))]
    lines.append("source/phantom.nii.gz,s5,,")
    manifest = tmp_path / "scans.csv"
    manifest.write_text("\n".join(["path,id,class,patient", *lines]), encoding="utf-8")
    scans = find_scans(str(manifest))
    settings = CohortSettings("fast", analyzer=STAND_IN)
    run_cohort(scans, tmp_path / "here", settings, engine=EngineChoice(processes=2))
    seen = []
    outcome = run_cohort(scans, tmp_path / "there", settings, engine=on_spark(cluster), progress=seen.append)

    assert same(tmp_path / "there") == same(tmp_path / "here")
    rows = read_rows(tmp_path / "there")
    assert [row.status for row in rows] == ["ok", "failed", "killed", "failed", "ok", "ok"]
    assert rows[5].vessel_ratio_percent > 0
    assert (outcome.measured, sum(count for *_, count in outcome.failures), seen[-1].done) == (6, 3, 6)
    for name in ("here", "there"):
        assert (tmp_path / name / SCANS_FOLDER / "s4" / RESULT_FILE).read_text(encoding="utf-8") == "3.3"
        assert (tmp_path / name / SCANS_FOLDER / "s5" / PICTURE_FILE).is_file()


@needs_cluster
def test_a_run_whose_worker_is_lost_half_way_ends_complete(cluster, tmp_path):
    source = make_source(tmp_path / "source", ["wait 0.4"] * 16)
    out = tmp_path / "out"
    lost = []

    def lose_a_worker():
        end = time.monotonic() + 60
        while len(list((out / ROWS_FOLDER).glob("scan-*"))) < 4 and time.monotonic() < end:
            time.sleep(0.05)
        cluster.kill_worker("worker1")
        lost.append(len(list((out / ROWS_FOLDER).glob("scan-*"))))

    thread = threading.Thread(target=lose_a_worker)
    thread.start()
    outcome = run_cohort(
        find_scans(str(source)), out, CohortSettings("fast", analyzer=STAND_IN), engine=on_spark(cluster)
    )
    thread.join()
    rows = read_rows(out)
    assert 4 <= lost[0] < 16
    assert (outcome.measured, outcome.failures) == (16, ())
    assert [row.status for row in rows] == ["ok"] * 16
    assert len({row.id for row in rows}) == 16
    assert len(list(out.glob(f"{SCANS_FOLDER}/*/{RESULT_FILE}"))) == 16


@needs_cluster
def test_a_master_that_does_not_answer_is_said_at_once():
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        port = closed.getsockname()[1]
        begun = time.monotonic()
        with (
            pytest.raises(CovidCTError, match=r"master was expected at the address of --master, but none answered"),
            spark._session(f"spark://{LOOPBACK}:{port}", {}),
        ):
            pass
    assert time.monotonic() - begun < 30


@needs_cluster
def test_spark_without_a_master_is_refused():
    with (
        pytest.raises(OptionsError, match="needs a master, but there is none"),
        spark._session(None, {}),
    ):
        pass


@needs_cluster
def test_a_master_of_an_unknown_kind_is_said():
    with (
        pytest.raises(CovidCTError, match=r"Spark was expected to start, but it failed"),
        spark._session("nonsense://here", {}),
    ):
        pass


def test_without_java_the_way_to_get_it_is_said(monkeypatch):
    pytest.importorskip("pyspark", reason="PySpark is not installed (pip install -e '.[spark]')")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CovidCTError, match=r"needs Java 17 or newer, but there is none"), spark._session(None, {}):
        pass


def test_without_pyspark_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(CovidCTError, match=r"needs PySpark.*covidct\[spark\]"), spark._session(None, {}):
        pass


def context_of(workers, failure=None):
    """A Spark context with some workers, whose jobs fail."""

    def fail():
        raise failure

    job = SimpleNamespace(mapPartitions=lambda function: SimpleNamespace(collect=fail))
    status = SimpleNamespace(getExecutorMemoryStatus=lambda: SimpleNamespace(size=lambda: workers + 1))
    return SimpleNamespace(
        master="spark://somewhere:7077",
        _jsc=SimpleNamespace(sc=lambda: status),
        parallelize=lambda tasks, count: job,
        cancelAllJobs=lambda: None,
    )


def test_a_cluster_that_gives_no_worker_is_said(monkeypatch):
    monkeypatch.setattr(spark, "WORKERS_S", 0.3)
    with pytest.raises(CovidCTError, match=r"expected to give the run a worker, but gave none within 0\.3 s"):
        spark._await_workers(context_of(0))
    spark._await_workers(context_of(1))


def test_a_job_that_fails_is_said(tmp_path):
    errors = pytest.importorskip("pyspark.errors", reason="PySpark is not installed")
    settings = CohortSettings("fast")
    work = Work(tmp_path, settings, run_record(settings))
    with pytest.raises(CovidCTError, match=r"expected to finish the run, but it failed \(PySparkException\)"):
        spark._collected(context_of(1, errors.PySparkException("x")), [], work, lambda count: None)


def test_an_error_of_the_run_comes_from_the_worker_to_the_driver(tmp_path, monkeypatch):
    settings = CohortSettings("fast", analyzer="nowhere:nothing")
    work = Work(tmp_path, settings, run_record(settings))
    task = Task(CohortScan("a", "/nowhere"))
    (answer,) = spark._measure(iter([task]), work)
    assert isinstance(answer, spark.RunFailure)

    @contextmanager
    def session(master, settings):
        yield context_of(1)

    monkeypatch.setattr(spark, "_session", session)
    monkeypatch.setattr(spark, "_require_library", lambda context: None)
    monkeypatch.setattr(spark, "_collected", lambda *arguments: [answer])
    with pytest.raises(OptionsError, match="of the form module:function was expected"):
        list(spark.measure_on_spark([task], work, "spark://somewhere:7077"))
