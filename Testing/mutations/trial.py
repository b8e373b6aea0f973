"""Runs the tests that concern a changed line, in a process of its own that already has the large libraries.

Importing torch, SciPy and SimpleITK takes longer than most tests. So this process imports them once, and nothing of
CovidCT; for each mutant it forks, and the child imports CovidCT with the change.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

LARGE_LIBRARIES = (
    "numpy", "scipy.ndimage", "scipy.stats", "scipy.spatial", "scipy.optimize", "torch", "SimpleITK", "skimage.measure",
    "skimage.morphology", "skimage.segmentation", "matplotlib", "matplotlib.pyplot", "PIL.Image", "PIL.ImageDraw",
    "pydicom", "monai.networks.nets", "jinja2", "hypothesis",
)  # fmt: skip

Outcome = Literal["killed", "too slow", "lives", "not run"]
"""What became of a mutant: a test failed, the tests took too long, all passed, or no test runs its line."""

_ALL = "*"


@dataclass
class Coverage:
    """Which tests run which lines, and how long they take.

    Parameters
    ----------
    tests_of_line
        Per file and line, the tests that run it.
    seconds
        Per test.
    failing
        Tests that fail without any change; they judge no mutant.
    """

    tests_of_line: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, float] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)


def import_large_libraries() -> None:
    """Import what every child needs and no mutant changes."""
    for name in LARGE_LIBRARIES:
        importlib.import_module(name)


class _Watcher:
    """Pytest plugin that writes down which test runs which line of some files."""

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self.names = {str(root / file): file for file in files}
        self.coverage = Coverage()
        self.context = _ALL

    def trace(self, frame: Any, event: str, _: Any) -> Any:
        name = self.names.get(frame.f_code.co_filename)
        if name is None:
            return None
        lines, context = self.coverage.tests_of_line, self.context
        lines[name, frame.f_lineno].add(context)

        def local(frame: Any, event: str, _: Any) -> Any:
            lines[name, frame.f_lineno].add(self.context)
            return local

        return local

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self.context = item.nodeid
        begun = time.monotonic()
        result = yield
        self.coverage.seconds[item.nodeid] = time.monotonic() - begun
        self.context = _ALL
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """What a fixture of a whole file runs counts for all tests of the file."""
        before = self.context
        if fixturedef.scope == "session":
            self.context = _ALL
        elif fixturedef.scope != "function":
            self.context = request.node.nodeid.partition("::")[0]
        result = yield
        self.context = before
        return result

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.coverage.failing.add(report.nodeid)


class _Chooser:
    """Pytest plugin that keeps the tests that concern a line, the fastest first."""

    def __init__(self, coverage: Coverage, file: str, line: tuple[int, int]) -> None:
        self.coverage = coverage
        self.wanted: set[str] = set()
        for number in range(line[0], line[1] + 1):
            self.wanted |= coverage.tests_of_line.get((file, number), set())
        self.chosen = 0

    def files(self, tests: Iterable[str]) -> list[str]:
        """Test files of the wanted tests; all where a line is run when files are imported, or by none."""
        if not self.wanted or _ALL in self.wanted:
            return list(tests)
        return sorted({name.partition("::")[0] for name in self.wanted})

    def _concerns(self, nodeid: str) -> bool:
        return nodeid in self.wanted or nodeid.partition("::")[0] in self.wanted or _ALL in self.wanted

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        kept = [item for item in items if self._concerns(item.nodeid) and item.nodeid not in self.coverage.failing]
        direct = [item for item in kept if item.nodeid in self.wanted]
        rest = [item for item in kept if item.nodeid not in self.wanted]
        items[:] = sorted(direct, key=lambda item: self.coverage.seconds.get(item.nodeid, 0.0)) + rest
        self.chosen = len(items)


def watch(root: Path, files: Iterable[str], tests: Iterable[str]) -> Coverage:
    """Run tests without any change and write down what they run; in this process, so call it in a child.

    Parameters
    ----------
    root
        The copy of the repository.
    files
        Files whose lines are watched, relative to it.
    tests
        Test files or folders.
    """
    watcher = _Watcher(root, files)
    threading.settrace(watcher.trace)
    sys.settrace(watcher.trace)
    try:
        _run_pytest(root, tests, [watcher])
    finally:
        sys.settrace(None)
    return watcher.coverage


def judge(
    root: Path, file: str, line: tuple[int, int], tests: Iterable[str], coverage: Coverage, limit_s: float
) -> Outcome:
    """Run the tests of a changed line in a child.

    Parameters
    ----------
    root
        The copy of the repository, with the change.
    file
        The changed file.
    line
        First and last line of the change.
    tests
        Test files or folders that are nearest to the file.
    coverage
        From `watch`.
    limit_s
        Longest time in seconds; whatever takes longer is caught by it.
    """

    chooser = _Chooser(coverage, file, line)

    def child() -> int:
        code = int(_run_pytest(root, chooser.files(tests), [chooser], "-x"))
        if code == pytest.ExitCode.NO_TESTS_COLLECTED or (code == 0 and chooser.chosen == 0):
            return 100
        return 0 if code == 0 else 1

    code = in_child(child, limit_s)
    outcomes: dict[int | None, Outcome] = {0: "lives", 100: "not run", None: "too slow"}
    return outcomes.get(code, "killed")


def _run_pytest(root: Path, tests: Iterable[str], plugins: list[Any], *arguments: str) -> int:
    os.chdir(root)
    # Numbers drawn by hypothesis are the same for each mutant.
    os.environ["HYPOTHESIS_DERANDOMIZE"] = "1"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", str(root), "-c", "pyproject.toml"]
    return int(pytest.main([*options, *arguments, *tests], plugins=plugins))


def in_child(work: Callable[[], int], limit_s: float) -> int | None:
    """Run a function in a forked process and give its exit code; None if it took too long and was ended."""
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    # The child leads a session of its own, so that what its tests started ends with it.
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
