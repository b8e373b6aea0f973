"""The output folder: everything or nothing, whatever goes wrong."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from CovidCTLib.errors import OutputError
from CovidCTLib.writing import folder as folders
from CovidCTLib.writing.folder import (
    STALE_AFTER_S,
    TEMPORARY_PREFIX,
    check_output_folder,
    new_output_folder,
    remove_stale_folders,
)


def leftovers(parent):
    """Temporary folders that lie in a folder."""
    return list(parent.glob(TEMPORARY_PREFIX + "*"))


def names_in(folder):
    """Names of what lies in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def fill(out):
    """Write two files by way of a temporary folder."""
    with new_output_folder(out) as temporary:
        (temporary / "a.txt").write_text("a")
        (temporary / "b.txt").write_text("b")


def fail(out, error):
    """Begin to write, then run into an error."""
    with new_output_folder(out) as temporary:
        (temporary / "part").write_bytes(b"1")
        raise error


def fill_while(out, others_do):
    """Write two files while somebody else does something, too."""
    with new_output_folder(out) as temporary:
        (temporary / "a.txt").write_text("ours")
        (temporary / "b.txt").write_text("ours")
        others_do()


def test_a_new_folder_and_its_missing_parents_appear_with_all_files(tmp_path):
    fill(tmp_path / "deep" / "er" / "out")
    assert names_in(tmp_path / "deep" / "er" / "out") == ["a.txt", "b.txt"]
    assert not leftovers(tmp_path / "deep" / "er")


def test_an_empty_folder_is_taken_and_keeps_its_permissions(tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o750)
    out.chmod(0o750)
    fill(out)
    assert len(list(out.iterdir())) == 2
    assert out.stat().st_mode & 0o777 == 0o750


def test_nothing_is_visible_before_the_end(tmp_path):
    out = tmp_path / "out"
    with new_output_folder(out) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not out.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
    assert (out / "a.txt").read_text() == "a"


def test_the_current_folder_is_filled_in_place_so_that_the_shell_stays_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(".")
    assert Path.cwd().samefile(tmp_path)
    assert names_in(tmp_path) == ["a.txt", "b.txt"]


def test_a_mount_point_is_filled_in_place(mounted):
    point = mounted("size=64k")
    fill(point)
    assert names_in(point) == ["a.txt", "b.txt"]


def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    fill(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "b.txt").exists()


@pytest.mark.parametrize("act", [check_output_folder, fill])
def test_a_folder_with_content_is_refused_and_left_untouched(tmp_path, act):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="must be empty or not exist yet, but it holds 1 entry"):
        act(tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("act", [check_output_folder, fill])
def test_a_file_in_its_place_is_refused(tmp_path, act):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="must be a folder, but a file of that name is there"):
        act(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("act", [check_output_folder, fill])
def test_a_file_in_place_of_a_parent_is_refused(tmp_path, act):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"part of its path is a file|must be empty or not exist yet"):
        act(tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_path_with_a_zero_character_is_refused():
    with pytest.raises(OutputError, match="must be a valid path, but this one holds a zero character"):
        check_output_folder("out\0put")


def test_a_name_that_is_too_long_is_refused_with_the_systems_reason(tmp_path):
    with pytest.raises(OutputError, match=r"could not be written \(File name too long\)"):
        fill(tmp_path / ("x" * 300))


def test_a_read_only_file_system_is_refused_before_any_work(mounted):
    point = mounted("size=64k,ro")
    with pytest.raises(OutputError, match="must be writable, but the system does not permit writing there"):
        check_output_folder(point / "out")
    with pytest.raises(OutputError, match="must be writable"):
        check_output_folder(point)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="must be writable"):
        check_output_folder(tmp_path / "out")


def test_a_full_disk_is_told_and_leaves_nothing_behind(mounted):
    point = mounted("size=64k")
    with (
        pytest.raises(OutputError, match="need more space than the disk"),
        new_output_folder(point / "new" / "out") as temporary,
    ):
        (temporary / "big").write_bytes(bytes(1 << 20))
    assert list(point.iterdir()) == []


def test_a_full_disk_is_told_also_where_nothing_can_be_mounted(tmp_path):
    with pytest.raises(OutputError, match="need more space than the disk"):
        fail(tmp_path / "new" / "out", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_whatever_is_raised_passes_and_leaves_nothing_behind(tmp_path, error):
    with pytest.raises(error):
        fail(tmp_path / "new" / "out", error)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_still_there_and_empty_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        fail(".", ValueError("stop"))
    assert list(tmp_path.iterdir()) == []


def test_files_moved_in_place_are_taken_back_when_one_of_them_cannot_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="something else appeared in its place"):
        fill_while(".", lambda: (tmp_path / "a.txt").write_text("theirs"))
    assert names_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "theirs"


def test_files_moved_in_place_end_with_the_first_name_the_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    order = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, target: (order.append(self.name), rename(self, target))[1])
    fill(".")
    assert order == ["b.txt", "a.txt"]


def test_a_folder_that_another_run_filled_meanwhile_is_not_overwritten(tmp_path):
    out = tmp_path / "out"

    def others():
        out.mkdir()
        (out / "a.txt").write_text("theirs")

    with pytest.raises(OutputError, match="something else appeared in its place"):
        fill_while(out, others)
    assert (out / "a.txt").read_text() == "theirs"
    assert not leftovers(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a matter of POSIX")
def test_a_killed_run_leaves_no_output_and_the_next_one_removes_its_hidden_folder(tmp_path):
    script = (
        "import sys, time\n"
        "from CovidCTLib.writing.folder import new_output_folder\n"
        "with new_output_folder(sys.argv[1]) as temporary:\n"
        "    (temporary / 'half').write_bytes(b'1')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    repository = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "out")], stdout=subprocess.PIPE, cwd=repository
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        # While it runs, another run must leave its folder alone.
        remove_stale_folders(tmp_path)
        assert len(leftovers(tmp_path)) == 1
        process.kill()
    assert not (tmp_path / "out").exists()
    assert len(leftovers(tmp_path)) == 1
    fill(tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_left_by_another_computer_is_removed_after_a_day(tmp_path):
    other = tmp_path / f"{TEMPORARY_PREFIX}ffffffff-1-00000000"
    other.mkdir()
    remove_stale_folders(tmp_path)
    assert other.exists()
    long_ago = time.time() - STALE_AFTER_S - 60
    os.utime(other, (long_ago, long_ago))
    remove_stale_folders(tmp_path)
    assert not other.exists()


def test_what_only_looks_like_a_temporary_folder_is_left_alone(tmp_path):
    file = tmp_path / f"{TEMPORARY_PREFIX}file"
    file.write_text("mine")
    strange = tmp_path / f"{TEMPORARY_PREFIX}mine"
    strange.mkdir()
    os.utime(strange, (0, 0))
    remove_stale_folders(tmp_path)
    assert file.exists()
    assert strange.exists()


def test_the_temporary_name_does_not_tell_the_computers_name(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.socket, "gethostname", lambda: "ward-7-mri")
    with new_output_folder(tmp_path / "out") as temporary:
        assert "ward" not in temporary.name
