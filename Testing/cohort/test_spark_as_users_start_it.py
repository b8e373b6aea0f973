"""Spark on this computer, started as the README says: by the program's path, with no environment activated."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import SimpleITK as sitk
from spark_cluster import LOOPBACK, missing_part

from CovidCTLib.cohort import spark
from CovidCTLib.cohort.rows import read_rows
from CovidCTLib.errors import CovidCTError
from CovidCTLib.phantom import make_chest_phantom

MISSING = missing_part()
needs_spark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@needs_spark
def test_a_local_master_uses_the_interpreter_of_the_driver(tmp_path):
    (tmp_path / "scans").mkdir()
    scan = make_chest_phantom((40, 96, 96), (7.0, 3.8, 3.8)).scan
    sitk.WriteImage(scan.geometry.to_image(scan.hu), str(tmp_path / "scans" / "ct.nii.gz"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK", "VIRTUAL_ENV"))}
    environment["PATH"] = os.pathsep.join(
        folder for folder in environment["PATH"].split(os.pathsep) if not folder.startswith(sys.prefix)
    )
    environment["SPARK_LOCAL_IP"] = LOOPBACK
    command = [sys.executable, "-m", "CovidCTLib", "cohort", "scans", "-o", "out", "--measures", "fast", "--no-summary"]
    done = subprocess.run(
        [*command, "--engine", "spark", "--master", "local[2]"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (row,) = read_rows(tmp_path / "out")
    assert row.status == "ok", row.reason


@pytest.mark.parametrize("master", [None, "spark://host:7077"])
def test_a_cluster_keeps_its_own_interpreter(monkeypatch, master):
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    with spark._interpreter_of_driver(master, {}):
        assert "PYSPARK_PYTHON" not in os.environ


def test_an_interpreter_that_the_user_names_stays(monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/python")
    with spark._interpreter_of_driver("local[2]", {}):
        assert os.environ["PYSPARK_PYTHON"] == "/opt/python"
    monkeypatch.delenv("PYSPARK_PYTHON")
    with spark._interpreter_of_driver("local", {}):
        assert os.environ["PYSPARK_PYTHON"] == sys.executable
    assert "PYSPARK_PYTHON" not in os.environ


class Workers:
    """A context whose workers answer as they are told."""

    def __init__(self, answer):
        self.answer = answer

    def parallelize(self, *_):
        return self

    def map(self, _):
        return self

    def collect(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer]


@needs_spark
def test_workers_without_covidct_or_with_another_version_are_refused_before_the_first_scan():
    from pyspark.errors import PySparkRuntimeError

    with pytest.raises(CovidCTError, match=r"their.* cannot import it .*PYSPARK_PYTHON"):
        spark._require_library(Workers(PySparkRuntimeError("no module")))
    with pytest.raises(CovidCTError, match=r"but they have 0\.0\.1\. Set .*PYSPARK_PYTHON"):
        spark._require_library(Workers("0.0.1"))
