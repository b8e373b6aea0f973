"""A run that ends with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from CovidCTLib.cli import lifeline

REPOSITORY = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys, time
from CovidCTLib.cli import lifeline
lifeline.SOON_S, lifeline.GRACE_S = {soon}, 0.2
try:
    print(lifeline.hold(), flush=True)
    time.sleep({seconds})
except KeyboardInterrupt:
    print("interrupted", flush=True)
    {after}
"""


def started(asked, soon=0.0, seconds=60, after="pass"):
    return subprocess.Popen(
        [sys.executable, "-S", "-c", PROGRAM.format(soon=soon, seconds=seconds, after=after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, lifeline.VARIABLE: asked, "PYTHONPATH": str(REPOSITORY)},
    )


def test_the_end_of_the_standard_input_interrupts_the_run():
    program = started(lifeline.STDIN)
    assert program.stdout.readline() == "True\n"
    assert program.communicate(timeout=30)[0] == "interrupted\n"
    assert program.returncode == 0


def test_a_run_that_does_not_listen_ends_nevertheless():
    program = started(lifeline.STDIN, after="time.sleep(60)")
    # Only then is the run inside what catches the interruption.
    assert program.stdout.readline() == "True\n"
    assert program.communicate(timeout=30)[0] == "interrupted\n"
    assert program.returncode == 1


def test_an_input_that_was_never_connected_ends_nothing():
    program = started(lifeline.STDIN, soon=60.0, seconds=0.3)
    assert program.communicate(timeout=30)[0] == "True\n"
    assert program.returncode == 0


def test_nobody_who_did_not_ask_is_watched():
    program = started("", seconds=0.1)
    assert program.communicate(timeout=30)[0] == "False\n"


def test_programs_that_a_run_starts_are_not_watched_in_turn(monkeypatch):
    monkeypatch.setenv(lifeline.VARIABLE, lifeline.STDIN)
    monkeypatch.setattr(lifeline.threading, "Thread", lambda **_given: SimpleNamespace(start=str))
    assert lifeline.hold()
    assert lifeline.VARIABLE not in os.environ
