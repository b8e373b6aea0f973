"""Small studies, a listener as a process of its own whose analysis is a stand-in, and Orthanc's answers."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
for neighbour in ("results", "reading", "dicom_results"):
    sys.path.insert(0, str(HERE.parent / neighbour))


def free_port():
    """A port that nobody uses at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(true, seconds=60.0, what="it"):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def answers(port):
    """Whether a port of this machine takes connections."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


class Orthanc:
    """A real archive on the loopback address, with its data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.http = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "orthanc.json"
        self.configure()
        self.process = None

    def configure(self, **more):
        """Write the configuration."""
        told = {
            "Name": "test", "StorageDirectory": str(self.folder / "data"), "IndexDirectory": str(self.folder / "data"),
            "DicomAet": "ORTHANC", "DicomPort": self.port, "HttpPort": self.http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomCheckCalledAet": True, "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True, "DicomCheckModalityHost": False, "OverwriteInstances": False,
            "DicomModalities": {}, "Plugins": [], **more,
        }  # fmt: skip
        self.config.write_text(json.dumps(told), encoding="utf-8")

    def start(self):
        """Start it, and wait until it answers."""
        assert self.process is None
        program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([program, str(self.config)], stdout=log, stderr=log)
        wait_until(lambda: answers(self.http) and answers(self.port), 60, "Orthanc's start")
        return self

    def stop(self):
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    @property
    def address(self):
        """As `covidct listen` takes it."""
        return f"ORTHANC@127.0.0.1:{self.port}"

    def ask(self, path, body=None):
        """Ask its REST interface."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def instances(self):
        """Main tags of all instances, with modality and study."""
        found = self.ask("/tools/find", {"Level": "Instance", "Query": {}, "Expand": True})
        return [{**one["MainDicomTags"], **self._parents(one["ParentSeries"])} for one in found]

    def _parents(self, series):
        told = self.ask(f"/series/{series}")
        study = self.ask(f"/studies/{told['ParentStudy']}")
        return {
            "Modality": told["MainDicomTags"]["Modality"],
            "StudyInstanceUID": study["MainDicomTags"]["StudyInstanceUID"],
        }

    def count(self):
        """Number of its instances."""
        return self.ask("/statistics")["CountInstances"]


class ListenerProcess:
    """`standin_listener.py` as a process that can be killed."""

    def __init__(self, spool: Path, archive: str, *, analysis_s=0.0, rest_s=0.5, more=()):
        self.spool, self.archive, self.port = spool, archive, free_port()
        self.analysis_s, self.rest_s, self.more = analysis_s, rest_s, more
        self.process = None
        self.log = spool.parent / "listener.log"

    def start(self):
        """Start it, and wait until it listens."""
        command = [sys.executable, str(HERE / "standin_listener.py"), str(self.spool), self.archive, str(self.port),
                   str(self.analysis_s), str(self.rest_s), *self.more]  # fmt: skip
        log = self.log.open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE.parents[1])
        wait_until(lambda: answers(self.port), 60, "the listener's start")
        return self

    def kill(self):
        """Kill it as kill -9 does."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def lines(self):
        """Its log."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def idle(self):
        """Whether nothing arrives and nothing waits."""
        return not any((self.spool / "incoming").iterdir()) and not any((self.spool / "work").iterdir())
