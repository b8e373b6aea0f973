"""Bad inputs of training and evaluating."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import broken_files as broken
import numpy as np
from bad_commands import words
from bad_inputs import BadInput
from dicom_maker import chest_like


def _cases(folder: Path, **parts: np.ndarray) -> Path:
    """Write a training folder of one CT with masks."""
    home = folder / "data"
    home.mkdir()
    for name, values in parts.items():
        broken.volume(home / f"case_{name}.nii.gz", values)
    return home


def train(name: str, what: str, make: Callable[[Path], object], *options: str) -> BadInput:
    """A bad input of ``covidct train lungs``."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return ["lungs", str(folder / "data"), "-o", "out", "--device", "cpu", "--workers", "0", *options]

    return BadInput(name, "covidct train", what, given)


def _alone(folder: Path) -> list[str]:
    _good(folder)
    return ["lungs", "data", "-o", "out", "--device", "cpu", "--workers", "0"]


def _twins(folder: Path) -> list[str]:
    home = _cases(folder, ct=chest_like(), lungs=LUNGS)
    for part in ("ct", "lungs"):
        shutil.copy(home / f"case_{part}.nii.gz", home / f"other_{part}.nii.gz")
    return ["lungs", "data", "-o", "out", "--device", "cpu", "--workers", "0", "--fold", "none"]


def _lost_link(folder: Path) -> None:
    _good(folder)
    (folder / "data" / "moved_ct.nii.gz").symlink_to(folder / "gone_ct.nii.gz")


def _two_of_a_name(folder: Path) -> None:
    for part in ("a", "b"):
        (folder / "data" / part).mkdir(parents=True)
        broken.volume(folder / "data" / part / "case_ct.nii.gz")
        broken.volume(folder / "data" / part / "case_lungs.nii.gz", LUNGS)


def _lone_pictures(folder: Path) -> None:
    (folder / "data" / "set" / "images").mkdir(parents=True)


def _blocked_run(folder: Path) -> None:
    _good(folder)
    (folder / "out").write_text("mine")


LUNGS = (chest_like() < -500).astype(np.uint8)


def _good(folder: Path) -> None:
    _cases(folder, ct=chest_like(), lungs=LUNGS)


TRAIN = (
    words("train-nothing", "train", "no words"),
    train("no-data", "a folder that is not there", lambda f: None),
    train("no-cases", "an empty folder", lambda f: (f / "data").mkdir()),
    train("mask-without-ct", "a mask without CT", lambda f: _cases(f, lungs=LUNGS)),
    train("images-without-labels", "pictures without labels", _lone_pictures),
    train("two-cases-of-a-name", "two cases of one name", _two_of_a_name),
    train("mask-of-another-grid", "a mask of another grid", lambda f: _cases(f, ct=chest_like(), lungs=LUNGS[:6])),
    train("mask-out-of-range", "labels up to 9", lambda f: _cases(f, ct=chest_like(), lungs=LUNGS * 9)),
    train("empty-mask", "a mask without lungs", lambda f: _cases(f, ct=chest_like(), lungs=LUNGS * 0)),
    train("ct-is-a-mask", "a labelmap as CT", lambda f: _cases(f, ct=LUNGS, lungs=LUNGS)),
    train("no-steps", "--steps 0", _good, "--steps", "0"),
    train("batch-of-1", "--batch 1", _good, "--batch", "1"),
    train("judge-never", "--judge-every 0", _good, "--judge-every", "0"),
    train("one-fold", "--folds 1", _good, "--folds", "1"),
    train("fold-in-words", "--fold in words", _good, "--fold", "first"),
    train("learning-rate-nan", "--learning-rate nan", _good, "--learning-rate", "nan"),
    train("one-name-of-a-pair", "--same-patient with one name", _good, "--same-patient", "case"),
    train("unknown-pair", "--same-patient with an unknown name", _good, "--same-patient", "case=other"),
    BadInput("one-patient", "covidct train", "one patient alone", _alone, keeps=("out",)),
    BadInput("twins", "covidct train", "one patient under two names", _twins, keeps=("out",)),
    train("lost-link", "a link that leads nowhere", _lost_link),
    train("fold-beyond", "--fold 5 of 5", _good, "--fold", "5"),
    train("negative-seed", "--seed -1", _good, "--seed", "-1"),
    train("freeze-alone", "--freeze without --init", _good, "--fold", "none", "--freeze", "2"),
    train("run-is-a-file", "an output that is a file", _blocked_run),
    train("unknown-device", "a device that is not there", _good, "--device", "toaster"),
)


def evaluate(name: str, what: str, make: Callable[[Path], object], *options: str) -> BadInput:
    """A bad input of ``covidct evaluate lungs``."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return ["lungs", str(folder / "data"), "-o", "out", "--device", "cpu", *options]

    return BadInput(name, "covidct evaluate", what, given)


def _filled_beside_data(folder: Path) -> None:
    _good(folder)
    broken.filled_output(folder)


EVALUATE = (
    words("evaluate-nothing", "evaluate", "no words"),
    evaluate("evaluate-no-data", "a folder that is not there", lambda f: None),
    evaluate("evaluate-no-cases", "an empty folder", lambda f: (f / "data").mkdir()),
    evaluate("evaluate-into-content", "an output folder with content", _filled_beside_data),
    evaluate("evaluate-one-name", "--same-patient with one name", _good, "--same-patient", "case"),
    evaluate("evaluate-no-models", "models that are not there", _good, "--models", "none"),
    evaluate("evaluate-lungs-of-lungs", "--lungs where lungs are judged", _good, "--lungs", "runs"),
)

ROWS = (*TRAIN, *EVALUATE)
