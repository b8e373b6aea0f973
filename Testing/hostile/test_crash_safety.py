"""A full disk, a read-only folder and kill -9: the old result or the new one, never half of one."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analysis_maker import make_analysis
from PIL import Image

from CovidCTLib import write_results
from CovidCTLib.cli.main import main
from CovidCTLib.errors import ModelError, OutputError
from CovidCTLib.models.card import ModelCard
from CovidCTLib.results.files import new_output_files
from CovidCTLib.results.folder import TEMPORARY_PREFIX

REPOSITORY = Path(__file__).parents[2]

RESULTS = {
    "analysis.json", "labelmap.nii.gz", "localization.nii.gz", "measures.csv", "segmentation.seg.nrrd", "slices.csv",
}  # fmt: skip

RANDOM_KILLS = 8

STEPS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree"}
"""Events of Python's audit hooks (PEP 578) before which a process is killed: all that changes a folder, and more."""

FULL = "need more space than the disk (or the quota) has left"

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


CARD = ModelCard(
    name="opacities",
    version="1",
    role="opacities",
    architecture={"decoder": [8], "outputs": 3},
    size=64,
    framing="lungs",
    expects="CT",
    gives="logits",
    sha256="",
)


def written_bundle(folder, content):
    """Write a bundle whose weights are a text."""
    from CovidCTLib.models.bundle import write_bundle

    return write_bundle(folder, CARD, lambda path: path.write_bytes(content))


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

    monkeypatch.setattr(bundle, "exchange", lambda first, second: False)
    folder = tmp_path / "opacities"
    written_bundle(folder, b"old")
    written_bundle(folder, b"new")
    assert (folder / bundle.WEIGHTS).read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["opacities"]


def test_folders_change_places_in_one_step(tmp_path):
    from CovidCTLib.models.exchange import exchange

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot swap two folders")
    assert (tmp_path / "a" / "file").read_text() == "b"
    assert not exchange(tmp_path / "a", tmp_path / "none")


def progress_of(path, step):
    """The state of a training at a step."""
    from CovidCTLib.training.loop import _Progress

    progress = _Progress(path, "identity")
    progress.step = step
    return progress


def test_kill_9_while_a_checkpoint_is_written_leaves_the_old_or_the_new_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    progress_of(path, 1).save()

    def check(killed):
        found = progress_of(path, 0)
        found.resume()
        assert found.step in ((1, 2) if killed else (2,))
        assert {entry.name for entry in tmp_path.iterdir()} <= {"checkpoint.pt", "checkpoint.part"}
        progress_of(path, 1).save()

    killed_at_every_step(lambda: progress_of(path, 2).save(), check)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_damaged_checkpoint_is_said_so(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half of one")
    with pytest.raises(ModelError, match=r"checkpoint of covidct train was expected .* damaged. Remove it"):
        progress_of(path, 0).resume()


def state_of(folder):
    """Names and contents of all files under a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def remounted(point):
    """Make a mounted file system read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(point)], check=True)


def large_analysis():
    """An analysis whose localization takes more than a small disk, however it is compressed."""
    analysis = make_analysis()
    noise = np.random.default_rng(0).random(analysis.localization.shape, np.float32)
    return replace(analysis, localization=noise)


def test_results_on_a_full_disk_are_told_in_one_line_and_nothing_stays(mounted):
    point = mounted("size=24k")
    (point / "old").write_text("mine")
    with pytest.raises(OutputError) as caught:
        write_results(large_analysis(), point / "out", report=False)
    assert FULL in str(caught.value)
    assert state_of(point).keys() == {"old"}


def test_results_in_a_read_only_folder_are_refused_and_the_old_ones_stay(mounted):
    point = mounted("size=256k")
    write_results(make_analysis(), point / "old", report=False)
    before = state_of(point)
    remounted(point)
    with pytest.raises(OutputError, match="must be writable, but the system does not permit"):
        write_results(make_analysis(), point / "new", report=False)
    assert state_of(point) == before


def pictures(folder):
    """A folder of three pictures."""
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"slice{number}.png")
    return folder


def photos(folder, output, *options):
    return main(["photos", str(folder), "-o", str(output), "--air", "10", "--fat", "100", "--quiet", *options])


def test_photos_on_a_full_disk_are_told_in_one_line_and_the_old_ones_stay(mounted, tmp_path, capsys):
    point, folder = mounted("size=64k"), pictures(tmp_path / "pictures")
    for name in ("ct.nii.gz", "ct.photos.png"):
        (point / name).write_text("old")
    before = state_of(point)
    assert photos(folder, point / "ct.nii.gz", "--overwrite") == 1
    assert FULL in capsys.readouterr().err.splitlines()[-1]
    assert state_of(point) == before


def test_photos_in_a_read_only_folder_are_refused_and_the_old_ones_stay(mounted, tmp_path, capsys):
    point, folder = mounted("size=64k"), pictures(tmp_path / "pictures")
    (point / "ct.nii.gz").write_text("old")
    before = state_of(point)
    remounted(point)
    assert photos(folder, point / "ct.nii.gz", "--overwrite") == 1
    captured = capsys.readouterr().err
    assert captured.startswith("covidct: The output's folder must be writable")
    assert captured.count("\n") == 1
    assert state_of(point) == before


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_bundle_that_cannot_be_written_is_told_and_the_old_one_stays(mounted, kind):
    point = mounted("size=64k")
    written_bundle(point / "opacities", b"old")
    before = state_of(point)
    if kind == "read-only":
        remounted(point)
    with pytest.raises(ModelError, match=r"cannot be written \(.*\). Choose a folder that can be written"):
        written_bundle(point / "opacities", bytes(100_000))
    assert state_of(point) == before


@pytest.mark.parametrize(("kind", "number"), [("full", errno.ENOSPC), ("read-only", errno.EROFS)])
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(mounted, kind, number):
    import torch

    point = mounted("size=32k")
    progress_of(point / "checkpoint.pt", 1).save()
    before = state_of(point)
    if kind == "read-only":
        remounted(point)
    large = progress_of(point / "checkpoint.pt", 2)
    large.best = {"weights": torch.rand(100_000)}
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        large.save()
    assert caught.value.errno == number
    assert state_of(point) == before


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, f"The results {FULL}. What was complete before stays"),
        (errno.EROFS, "Input that can be read and output that can be written were expected"),
        (errno.EACCES, "Input that can be read and output that can be written were expected"),
        (errno.EBADF, "CovidCT made a mistake (OSError) and stopped."),
    ],
)
def test_what_the_system_refuses_a_command_is_one_line_without_a_path(number, message, monkeypatch, capsys):
    from CovidCTLib.cli import models

    def refused(args):
        raise OSError(number, os.strerror(number), "/data/DOE^JANE")

    monkeypatch.setattr(models, "run", refused)
    assert main(["models"]) == 1
    captured = capsys.readouterr().err
    assert captured.startswith(f"covidct: {message}")
    assert captured.count("\n") == 1
    assert "DOE" not in captured


def test_a_limit_of_file_size_is_a_full_disk_where_nothing_can_be_mounted(tmp_path):
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        f"sys.path[:0] = [{str(REPOSITORY / 'Testing' / 'results')!r}]\n"
        "from analysis_maker import make_analysis\n"
        "from CovidCTLib import write_results\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "try:\n"
        "    write_results(make_analysis(), 'out', report=False)\n"
        "except Exception as error:\n"
        "    sys.stderr.write(f'{type(error).__name__}: {error}')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr.startswith("OutputError: The results need more space")
    assert list(tmp_path.iterdir()) == []


IMPATIENT = """
import os, signal, sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.argv = ["covidct", "--help"]
from CovidCTLib.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["CovidCTLib.cli.main", "argparse", "CovidCTLib.cli.photos"])
def test_ctrl_c_while_the_program_still_loads_is_one_line(module):
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT.format(module=module)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "covidct: Cancelled.\n")


def test_the_program_takes_ctrl_c_before_it_loads_anything_else():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert 'covidct = "CovidCTLib.__main__:main"' in text
