"""Private folders where the system refuses to use or remove them, and what Windows says of other processes."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from CovidCTLib.errors import OutputError


@pytest.fixture
def folders(application, monkeypatch):
    """The module of the private folders, with short pauses."""
    module = application.panels.private_folder
    monkeypatch.setattr(module, "REMOVAL_PAUSE_MS", 1)
    return module


class Refusals:
    """A system that refuses to remove anything so many times."""

    def __init__(self, monkeypatch, count):
        self.tries = 0
        self.count = count
        self._remove = shutil.rmtree
        monkeypatch.setattr(shutil, "rmtree", self._rmtree)

    def _rmtree(self, path, ignore_errors=False):
        self.tries += 1
        if self.tries > self.count:
            self._remove(path, ignore_errors=ignore_errors)


def test_a_folder_that_cannot_be_removed_yet_is_removed_later(application, folders, monkeypatch):
    refusals = Refusals(monkeypatch, 3)
    folder = folders.PrivateFolder(0)
    folder.scan.write_bytes(b"a CT")
    folder.remove()
    folder.remove()
    assert folder.path.exists()
    application.until(lambda: not folder.path.exists())
    application.rest()
    assert refusals.tries == 4
    assert folders._stubborn == {}


def test_a_folder_that_can_never_be_removed_is_given_up(application, folders, monkeypatch):
    monkeypatch.setattr(folders, "REMOVAL_TRIES", 3)
    refusals = Refusals(monkeypatch, 1000)
    folder = folders.PrivateFolder(0)
    folder.remove()
    application.until(lambda: not folders._stubborn)
    application.rest()
    assert refusals.tries == 4
    refusals.count = 0
    folder.remove()


def test_a_folder_is_tried_once_more_when_the_application_closes(application, program, volume, folders, monkeypatch):
    widget = application.opened()
    monkeypatch.setattr(folders, "REMOVAL_PAUSE_MS", 60_000)
    Refusals(monkeypatch, 1)
    folder = folders.PrivateFolder(0)
    folder.remove()
    assert folder.path.exists()
    widget.cleanup()
    assert not folder.path.exists()
    assert folders._stubborn == {}


def test_a_ct_that_another_program_reads_goes_with_its_folder(application, program, volume, monkeypatch):
    def refuse(self, missing_ok=False):
        raise PermissionError(13, "in use")

    widget = application.opened()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        application.click(widget.ui.analyzeButton)
        application.until(lambda: not widget.controller.busy)
    assert widget.ui.resultsWidget.visible
    assert list(application.temporary.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_used_is_told(folders, monkeypatch):
    def refuse(path):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(folders.shutil, "disk_usage", refuse)
    with pytest.raises(OutputError, match="the system refuses \\(Permission denied\\)"):
        folders.PrivateFolder(0)


def test_folders_of_a_slicer_that_crashed_are_removed(application, folders):
    dead = application.temporary / f"{folders.PREFIX}999999999-x"
    living = application.temporary / f"{folders.PREFIX}{os.getpid()}-x"
    for folder in (dead, living):
        folder.mkdir()
    folders.removeLeftBehind(application.temporary)
    assert not dead.exists()
    assert living.exists()
    living.rmdir()


class Kernel:
    """kernel32 of a Windows with one process that runs, one that has ended, and one of another user."""

    RUNS, ENDED, FOREIGN = 11, 12, 13
    ACCESS_DENIED, INVALID_PARAMETER = 5, 87

    def __init__(self):
        self.error = 0
        self.open = []
        self.OpenProcess = self._function(self._open)
        self.GetExitCodeProcess = self._function(self._exit_code)
        self.CloseHandle = self._function(self.open.remove)

    @staticmethod
    def _function(function):
        """A function that takes attributes, as those of a library do."""
        return lambda *given: function(*given)

    def _open(self, rights, inherit, number):
        assert (rights, inherit) == (0x1000, False)
        if number in (self.RUNS, self.ENDED):
            self.open.append(number)
            return number
        self.error = self.ACCESS_DENIED if number == self.FOREIGN else self.INVALID_PARAMETER
        return None

    def _exit_code(self, process, code):
        code._obj.value = 259 if process == self.RUNS else 0
        return 1


@pytest.fixture
def windows(application, monkeypatch):
    """A Windows, as far as processes are asked for."""
    kernel = Kernel()
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: kernel.error, raising=False)
    monkeypatch.setattr(application.panels.processes, "sys", SimpleNamespace(platform="win32"))
    return kernel


def test_on_windows_folders_of_a_slicer_that_crashed_are_removed_too(application, folders, windows):
    made = {}
    for number in (windows.RUNS, windows.ENDED, windows.FOREIGN, 14):
        made[number] = application.temporary / f"{folders.PREFIX}{number}-x"
        made[number].mkdir()
    folders.removeLeftBehind(application.temporary)
    assert [number for number, folder in made.items() if folder.exists()] == [windows.RUNS, windows.FOREIGN]
    assert windows.open == [], "handles are closed"
    for folder in (made[windows.RUNS], made[windows.FOREIGN]):
        folder.rmdir()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked in another way")
def test_a_number_that_no_process_can_have_changes_nothing(application):
    assert not application.panels.processes.hasEnded(10**30)
