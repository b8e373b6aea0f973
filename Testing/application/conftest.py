"""The real application: which one, and how a walk is taken in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SLICER = "COVIDCT_SLICER"
"""Environment variable with the path of a Slicer; without it these tests skip."""

OUTPUT = "COVIDCT_APPLICATION_OUTPUT"
"""Environment variable with a folder that keeps pictures and what was found of each walk; else they are temporary."""

HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "CovidCT"
LONGEST_S = 3600


@pytest.fixture(scope="session")
def slicer_program():
    """Path of the application."""
    given = os.environ.get(SLICER)
    if not given:
        pytest.skip(f"no Slicer was given (set {SLICER} to the path of one)")
    if not Path(given).is_file():
        pytest.fail(f"{SLICER} must be the path of a Slicer, but there is no file at {given}")
    return given


@pytest.fixture(scope="session")
def display():
    """What comes before the application where there is no display: a virtual one."""
    if os.environ.get("DISPLAY"):
        return []
    if shutil.which("xvfb-run") is None:
        pytest.skip("there is neither a display nor xvfb-run (Debian: xvfb)")
    return ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]


@pytest.fixture
def take_walk(slicer_program, display, tmp_path):
    """Take a walk by the name of its file; gives what it found."""

    def take(name, module_paths=(MODULE,), further=()):
        kept = os.environ.get(OUTPUT)
        folder = Path(kept) / name if kept else tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        words = [*display, slicer_program, "--no-splash", "--ignore-slicerrc"]
        words += ["--additional-module-paths", *map(str, module_paths)]
        words += ["--python-script", str(HERE / "walks" / f"{name}.py"), *further]
        environment = {**os.environ, "COVIDCT_WALK": str(folder)}
        log = folder / "output.txt"
        # Slicer opens its standard output anew, so it goes through a pipe.
        done = subprocess.run(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONGEST_S, check=False
        )
        log.write_bytes(done.stdout)
        found = folder / "walk.json"
        assert found.is_file(), f"the walk did not come to its end:\n{done.stdout.decode(errors='replace')[-3000:]}"
        return json.loads(found.read_text()), done.returncode

    return take
