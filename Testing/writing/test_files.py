"""Result files among others of the user's."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from CovidCTLib.errors import OutputError
from CovidCTLib.writing.files import check_output_files, new_output_files


@pytest.fixture
def files(tmp_path):
    """Two files that do not exist yet."""
    return [tmp_path / "a.png", tmp_path / "a.nii.gz"]


def write(files, *, overwrite=False):
    with new_output_files(files, overwrite=overwrite) as lent:
        for file in files:
            lent[file].write_text("new")


def test_all_files_appear_and_nothing_else(files, tmp_path):
    write(files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "a.png"]
    assert all(file.read_text() == "new" for file in files)


def test_after_an_error_the_old_files_stay_and_nothing_else(files, tmp_path):
    files[1].write_text("old")

    def write_and_stop():
        with new_output_files(files, overwrite=True) as lent:
            lent[files[1]].write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]
    assert files[1].read_text() == "old"


def test_old_files_are_replaced_only_if_allowed(files):
    files[0].write_text("old")
    with pytest.raises(
        OutputError, match=r"A file \.png of the output's name is there already\. Nothing was overwritten"
    ):
        write(files)
    assert files[0].read_text() == "old"
    write(files, overwrite=True)
    assert files[0].read_text() == "new"


def test_a_folder_of_the_same_name_is_refused(files):
    files[1].mkdir()
    with pytest.raises(OutputError, match="The output must be a file, but a folder of that name is there"):
        check_output_files(files, overwrite=True)


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(OutputError, match="The output must lie in a folder that exists"):
        check_output_files([tmp_path / "no" / "a.png"], overwrite=False)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may write everywhere")
def test_the_folder_must_be_writable(files, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(OutputError, match="The output's folder must be writable"):
            check_output_files(files, overwrite=False)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_folder_that_is_not_writable_is_refused_for_any_user(files, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="The output's folder must be writable"):
        check_output_files(files, overwrite=False)


def test_a_full_disk_is_said_and_leaves_nothing(files, tmp_path):
    with pytest.raises(OutputError, match="need more space than the disk"), new_output_files(files, overwrite=False):
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []
