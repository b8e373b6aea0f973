"""Kill -9 at every step: the old result or the new one, never half of one."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import sys
import time

import pytest
from analysis_maker import make_analysis
from replaced_files import progress_of, written_bundle

from CovidCTLib import write_results
from CovidCTLib.errors import ModelError
from CovidCTLib.writing.files import new_output_files
from CovidCTLib.writing.folder import TEMPORARY_PREFIX

RESULTS = {
    "analysis.json", "labelmap.nii.gz", "localization.nii.gz", "measures.csv", "segmentation.seg.nrrd", "slices.csv",
}  # fmt: skip

RANDOM_KILLS = 8

STEPS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree"}
"""Events of Python's audit hooks (PEP 578) before which a process is killed: all that changes a folder, and more."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are forked and killed the POSIX way")


def forked(work, *, at_step=None):
    """Start some work in a process of its own; at one of its steps it kills itself."""
    child = os.fork()
    if child:
        return child
    # Nothing of pytest may run in the child, whatever happens.
    try:
        if at_step is not None:
            left = [at_step]

            def hook(event, arguments):
                if event in STEPS:
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001
        os._exit(1)


def ended(child):
    """Wait for a process; True if it was killed, False if it came to its end."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def killed_at_every_step(work, check):
    """Kill some work before each of its steps, and look at what it left each time."""
    for step in range(1000):
        killed = ended(forked(work, at_step=step))
        check(killed)
        if not killed:
            return step
    raise AssertionError("the work has no end")


def whole_results(folder):
    """Whether a results folder is there; half of one fails the test."""
    if not folder.exists():
        return False
    assert {file.name for file in folder.iterdir()} == RESULTS
    json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    for name in ("labelmap.nii.gz", "localization.nii.gz"):
        assert len(gzip.decompress((folder / name).read_bytes())) > 352
    return True


def only_recognizable(home, *known):
    """Hold that beside known names only hidden temporary ones are there."""
    names = {entry.name for entry in home.iterdir()} - set(known)
    assert all(name.startswith(TEMPORARY_PREFIX) for name in names)


def test_kill_9_before_any_step_leaves_all_results_or_none_and_the_next_run_works(tmp_path):
    out, analysis = tmp_path / "out", make_analysis()

    def check(killed):
        if whole_results(out):
            for file in out.iterdir():
                file.unlink()
            out.rmdir()
        only_recognizable(tmp_path)
        assert out.exists() is False

    steps = killed_at_every_step(lambda: write_results(analysis, out, report=False), check)
    assert steps > 10
    write_results(analysis, out, report=False)
    assert whole_results(out)
    assert {entry.name for entry in tmp_path.iterdir()} == {"out"}, "the next run removes what killed ones left"


def test_kill_9_before_any_step_of_filling_the_current_folder_has_the_record_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    analysis = make_analysis()

    def check(killed):
        names = {entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(TEMPORARY_PREFIX)}
        assert names <= RESULTS
        if "analysis.json" in names:
            assert names == RESULTS
        for name in names:
            (tmp_path / name).unlink()

    killed_at_every_step(lambda: write_results(analysis, tmp_path, report=False), check)


def test_kill_9_at_random_moments_leaves_all_results_or_none(tmp_path):
    analysis = make_analysis()
    started = time.perf_counter()
    write_results(analysis, tmp_path / "first", report=False)
    usual = time.perf_counter() - started
    moments = random.Random(7)
    for number in range(RANDOM_KILLS):
        out = tmp_path / f"out{number}"
        child = forked(lambda out=out: write_results(analysis, out, report=False))
        time.sleep(moments.uniform(0, usual))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole_results(out)
    write_results(analysis, tmp_path / "last", report=False)
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_kill_9_while_files_are_replaced_leaves_each_old_or_new_and_the_last_is_new_last(tmp_path):
    files = [tmp_path / name for name in ("ct.photos.png", "ct.photos.json", "ct.nii.gz")]

    def put(text):
        with new_output_files(files, overwrite=True) as lent:
            for path in lent.values():
                path.write_text(text)

    def check(killed):
        found = [file.read_text() for file in files]
        assert found in (["new"] * count + ["old"] * (3 - count) for count in range(4))
        only_recognizable(tmp_path, *(file.name for file in files))
        put("old")

    put("old")
    assert killed_at_every_step(lambda: put("new"), check) > 5
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_kill_9_while_a_bundle_is_replaced_leaves_the_old_or_the_new_one(tmp_path):
    from CovidCTLib.models.bundle import WEIGHTS, has_its_weights, read_card

    folder = tmp_path / "opacities"
    written_bundle(folder, b"old")

    def check(killed):
        assert (folder / WEIGHTS).read_bytes() in ((b"old", b"new") if killed else (b"new",))
        assert has_its_weights(folder, read_card(folder)), "card and weights belong together"
        assert all(entry.name.startswith(".opacities.") for entry in tmp_path.iterdir() if entry != folder)
        written_bundle(folder, b"old")

    assert killed_at_every_step(lambda: written_bundle(folder, b"new"), check) > 5


def test_where_folders_cannot_change_places_a_bundle_is_replaced_in_two_steps(tmp_path, monkeypatch):
    from CovidCTLib.models import bundle
    from CovidCTLib.writing import folder as folders

    monkeypatch.setattr(folders, "exchange", lambda first, second: False)
    folder = tmp_path / "opacities"
    written_bundle(folder, b"old")
    written_bundle(folder, b"new")
    assert (folder / bundle.WEIGHTS).read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["opacities"]


def test_folders_change_places_in_one_step(tmp_path):
    from CovidCTLib.writing.exchange_folders import exchange

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot swap two folders")
    assert (tmp_path / "a" / "file").read_text() == "b"
    assert not exchange(tmp_path / "a", tmp_path / "none")


def test_kill_9_while_a_checkpoint_is_written_leaves_the_old_or_the_new_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    progress_of(path, 1).save()

    def check(killed):
        found = progress_of(path, 0)
        found.resume()
        assert found.step in ((1, 2) if killed else (2,))
        others = [entry.name for entry in tmp_path.iterdir() if entry != path]
        assert all(name.startswith("checkpoint.") and name.endswith(".part.pt") for name in others)
        # What killed runs leave is removed by the next one.
        assert len(others) <= 1
        progress_of(path, 1).save()

    killed_at_every_step(lambda: progress_of(path, 2).save(), check)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_damaged_checkpoint_is_said_so(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half of one")
    with pytest.raises(ModelError, match=r"checkpoint of covidct train was expected .* damaged. Remove it"):
        progress_of(path, 0).resume()
