"""A Spark standalone cluster on this computer: one master, and workers that can be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
START_S = 90.0
LOOPBACK = "127.0.0.1"


def missing_part():
    """What a cluster needs and this computer lacks; None where all is there."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "PySpark is not installed (pip install -e '.[spark]')"
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        return "Java is not on this computer (apt install openjdk-17-jre-headless)"
    return None


def free_ports(count):
    """Ports that nobody listens to."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for entry in sockets:
            entry.bind((LOOPBACK, 0))
        return [entry.getsockname()[1] for entry in sockets]
    finally:
        for entry in sockets:
            entry.close()


def environment():
    """Environment of all parts of the cluster: the loopback address alone, this Python, and the tests' stand-ins."""
    return {
        **os.environ,
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(TESTING.parent), str(TESTING / "cohort"), os.environ.get("PYTHONPATH", "")]),
        "SPARK_DAEMON_MEMORY": "256m",
        "OMP_NUM_THREADS": "1",
        # Short runs: no time for the compiler's last effort.
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }


class Cluster:
    """One master and some workers of one core each, as processes of their own groups."""

    def __init__(self, folder, workers):
        import pyspark

        self._folder = folder
        self._program = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
        self._parts = {}
        self._count = 0
        port, page = free_ports(2)
        self.master = f"spark://{LOOPBACK}:{port}"
        self._start("master", "master.Master", "--host", LOOPBACK, "--port", str(port), "--webui-port", str(page))
        self._await("master", "I have been elected leader")
        for name in [self.start_worker() for _ in range(workers)]:
            self._await(name, "Successfully registered with master")

    def add_worker(self):
        """Start one more worker and wait for it; gives its name."""
        name = self.start_worker()
        self._await(name, "Successfully registered with master")
        return name

    def start_worker(self):
        """Start one more worker; gives its name."""
        self._count += 1
        name = f"worker{self._count}"
        port, page = free_ports(2)
        options = ("--host", LOOPBACK, "--port", str(port), "--webui-port", str(page), "--cores", "1", "--memory", "1g")
        self._start(name, "worker.Worker", *options, "--work-dir", str(self._folder / name), self.master)
        return name

    def kill_worker(self, name):
        """Kill a worker with all that it started, as if its computer had lost its power."""
        process = self._parts.pop(name)
        for number in reversed(self._family(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.wait()

    def stop(self):
        """End all parts."""
        for name in reversed(list(self._parts)):
            self.kill_worker(name)

    def _start(self, name, kind, *options):
        log = (self._folder / f"{name}.log").open("wb")
        self._parts[name] = subprocess.Popen(
            [self._program, f"org.apache.spark.deploy.{kind}", *options],
            stdout=log,
            stderr=log,
            env=environment(),
            cwd=self._folder,
            start_new_session=True,
        )

    def _await(self, name, words):
        end = time.monotonic() + START_S
        while words not in (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace"):
            assert self._parts[name].poll() is None, f"Spark's {name} ended at its start"
            assert time.monotonic() < end, f"Spark's {name} was not ready within {START_S} s"
            time.sleep(0.1)

    @staticmethod
    def _family(number):
        """A process and all that come from it, the eldest first."""
        children = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
        family = [number]
        for member in family:
            family += children.get(member, [])
        return family
