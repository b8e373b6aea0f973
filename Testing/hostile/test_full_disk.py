"""A full disk and a read-only folder: one line says so, and what was there before stays as it was."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analysis_maker import make_analysis
from PIL import Image
from replaced_files import progress_of, written_bundle

from CovidCTLib import write_results
from CovidCTLib.cli.main import main
from CovidCTLib.errors import ModelError, OutputError

REPOSITORY = Path(__file__).parents[2]

FULL = "need more space than the disk (or the quota) has left"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file systems are mounted and limited the POSIX way")


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
