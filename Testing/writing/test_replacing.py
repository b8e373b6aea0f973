"""Single files that are replaced whole or not at all, and locks between processes."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

from CovidCTLib.writing import folder as folders
from CovidCTLib.writing.files import replacing
from CovidCTLib.writing.folder import replaced_folder, writer_name
from CovidCTLib.writing.locks import HeldError, locked

ROOT = Path(__file__).resolve().parents[2]


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def stopped_while_writing(lent):
    """Write halfway, as a program that is stopped."""
    with lent as parts:
        for part in parts if isinstance(parts, tuple) else [parts / "card.txt"]:
            part.write_text("half")
        raise KeyboardInterrupt


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with replacing(target) as (part,):
        assert (part.suffix, part.parent) == (".csv", tmp_path)
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["table.csv"]


def test_after_a_failure_nothing_has_changed(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        stopped_while_writing(replacing(first, second))
    assert first.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_what_is_not_written_stays_as_it_was(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("old")
    with replacing(first, second) as (_, other):
        other.write_text("new")
    assert (first.read_text(), second.read_text()) == ("old", "new")


def test_files_are_on_the_disk_before_they_take_their_places_and_the_last_one_goes_last(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("pushed") or fsync(handle))
    monkeypatch.setattr(Path, "replace", lambda part, target: done.append(target.name) or replace(part, target))
    with replacing(tmp_path / "a", tmp_path / "b") as parts:
        for part in parts:
            part.write_text("new")
    assert done == ["pushed", "pushed", "a", "b"]


def test_parts_of_processes_that_were_killed_are_removed_and_no_others(tmp_path):
    computer = writer_name().partition("-")[0]
    dead, alive = f"run.{computer}-{2**22 + 1}.part.pt", f"run.{computer}-{os.getpid()}.part.txt"
    kept = [alive, "run.pt", "run.notes.part.pt", "run.part.pt", f"other.{computer}-{2**22 + 1}.part.pt"]
    for name in (dead, "run.ffffffff-1.part.pt", *kept):
        (tmp_path / name).write_text("x")
    with replacing(tmp_path / "run.pt") as (part,):
        part.write_text("new")
    # One of another computer may still be written, as long as it is fresh.
    assert names_in(tmp_path) == sorted([*kept, "run.ffffffff-1.part.pt"])
    os.utime(tmp_path / "run.ffffffff-1.part.pt", (1, 1))
    with replacing(tmp_path / "run.pt"):
        pass
    assert names_in(tmp_path) == sorted(kept)


def test_a_folder_takes_the_place_of_the_old_one_at_once(tmp_path):
    folder = tmp_path / "bundle"
    for word in ("old", "new"):
        with replaced_folder(folder) as part:
            (part / "card.txt").write_text(word)
        assert (folder / "card.txt").read_text() == word
    with pytest.raises(KeyboardInterrupt):
        stopped_while_writing(replaced_folder(folder))
    assert (folder / "card.txt").read_text() == "new"
    assert names_in(tmp_path) == ["bundle"]


def test_where_the_system_cannot_exchange_folders_two_steps_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "exchange", lambda *_: False)
    folder = tmp_path / "bundle"
    folder.mkdir()
    with replaced_folder(folder) as part:
        (part / "card.txt").write_text("new")
    assert (folder / "card.txt").read_text() == "new"
    assert names_in(tmp_path) == ["bundle"]


HOLDS = """
import sys, pathlib
from CovidCTLib.writing.locks import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_of_another_process_is_seen_and_ends_with_it(tmp_path):
    file = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(HeldError), locked(file):
            pass
        other.kill()
    with locked(file):
        assert file.exists()


def test_a_lock_is_let_go_at_the_end_and_by_a_failure(tmp_path):
    file = tmp_path / "lock"
    with locked(file), pytest.raises(HeldError), locked(file):
        pass
    with pytest.raises(KeyError), locked(file):
        raise KeyError
    with locked(file):
        pass


@pytest.mark.parametrize("failure", [OSError("no locks here"), NotImplementedError()])
def test_on_a_disk_that_cannot_lock_work_goes_on(tmp_path, monkeypatch, failure):
    import filelock

    def refuses(*_, **__):
        raise failure

    monkeypatch.setattr(filelock.FileLock, "acquire", refuses)
    with locked(tmp_path / "lock"):
        (tmp_path / "done").touch()
    assert (tmp_path / "done").exists()


def test_without_the_library_of_locks_work_goes_on(tmp_path, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **options):
        if name == "filelock":
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with locked(tmp_path / "lock"):
        pass
    assert not (tmp_path / "lock").exists()
