"""``covidct train``: weights with a card that says how to make them again, and refusals before any data are read."""

from __future__ import annotations

import argparse
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_slices import TINY_LUNGS, made_slices
from training_folder import write_pictures, write_training_folder, write_volume

from CovidCTLib.cli.main import build_parser, main
from CovidCTLib.labelled_data.layout import find_cases
from CovidCTLib.models.bundle import read_card
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.registry import SHIPPED
from CovidCTLib.models.store import ModelStore
from CovidCTLib.models.weights import load_network
from CovidCTLib.training import command
from CovidCTLib.training.architectures import ARCHITECTURES
from CovidCTLib.training.run_card import card_of, command_line, thresholds_of
from CovidCTLib.training.slices import load_slices
from CovidCTLib.training.tasks import SLICES, TASKS

SMALL_RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "widths": [4, 8, 16, 32]}
SHORT = ["--steps", "2", "--batch", "2", "--judge-every", "1", "--workers", "0", "--device", "cpu", "--folds", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_folder(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CTs of three patients; the last has no lung mask."""
    root = tmp_path_factory.mktemp("volumes")
    for k in range(3):
        write_volume(root, f"case_{k}", k, lungs=k < 2)
    return root


def parsed(words: list[str]) -> argparse.Namespace:
    return build_parser().parse_args(words)


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that is refused before anything is written."""
    assert main(words) in (1, 2)
    assert not Path(words[words.index("-o") + 1]).exists()
    return capsys.readouterr().err


def test_the_command_writes_weights_that_load(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    command = ["train", "lungs", str(data), "-o", str(run), "--steps", "2", "--batch", "2", "--judge-every", "1"]
    command += ["--folds", "3", "--workers", "0", "--device", "cpu", "--same-patient", "case_0=case_1"]
    command += ["--sources", "own CTs", "--licence", "none"]
    assert main(command) == 0
    card = read_card(run / "lungs")
    load_network(card, run / "lungs")
    assert card.training["command"].endswith(
        "--folds 3 --fold 0 --seed 0 --workers 0 --freeze 0 --thick-slices 0.0 --bits 8 --device cpu "
        "--same-patient case_0=case_1 --sources 'own CTs' --licence none"
    )
    assert card.licence == "none"
    assert "patients" in card.training
    # No photographs, no sentence on whose they are.
    assert "remark" not in card.training
    assert not set(card.training["patients"]) & {"case_0", "case_1"} or "case_1" not in card.training["patients"]
    assert str(tmp_path) not in repr(card)
    assert "Weights and card are in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--same-patient", "case_0"], "takes two names as A=B"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--freeze", "2"], "--freeze keeps given weights"),
        (["--fold", "first"], "the number of a fold or 'none' was expected"),
        (["--case-threshold", "0.2"], "--case-threshold is for covidct train slices only"),
        (["--slice-threshold", "1.5"], "--slice-threshold must lie between 0 and 1"),
    ],
)
def test_wrong_options_of_the_command_exit_with_two(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert main(["train", "lungs", str(data), "-o", str(tmp_path / "r"), *extra]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["lungs"],
        ["lungs", "--fold", "none", "--same-patient", "a b=c", "--same-patient=-a=$(b)", "--reversed-table", "c;d"],
        ["opacities", "--architecture", "unet", "--init", "my weights.pt", "--freeze", "0", "--models", "my models"],
        ["slices", "--slice-threshold", "0.7", "--case-threshold", "0.1", "--device", "cpu", "--workers", "3"],
        ["slices", "--sources=-own 'CTs'\n\"of\" 2020", "--licence", "a & b", "--learning-rate", "1e-05"],
    ],
    ids=["defaults", "names", "weights", "thresholds", "texts"],
)
def test_the_command_of_a_card_gives_the_same_arguments_again(words: list[str]) -> None:
    arguments = parsed(["train", *words, "DATA", "-o", "RUN"])
    written = command_line(arguments)
    program, *again = shlex.split(written)
    assert program == "covidct"
    assert vars(parsed(again)) == vars(arguments)


def test_the_command_of_a_card_holds_no_folder_of_this_machine() -> None:
    words = [
        "train",
        "slices",
        "/home/me/cts",
        "-o",
        "/home/me/run",
        "--init",
        "/home/me/w.pt",
        "--models",
        "/home/me/m",
    ]
    written = command_line(parsed(words))
    assert "/home" not in written
    assert "--init w.pt" in written
    assert "--models m" in written


def test_the_card_names_the_lung_network_that_framed_cases_without_lung_masks(
    volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_lung_finder", lambda _: (lambda scan: (scan.hu < -700) & (scan.hu > -950), "abc123"))
    monkeypatch.setitem(ARCHITECTURES, "slices", {"resnet50": SMALL_RESNET})
    run = tmp_path / "run"
    assert main(["train", "slices", str(volumes), "-o", str(run), *SHORT, "--architecture", "resnet50"]) == 0
    card = read_card(run / "slices")
    assert card.training["lungs_from"] == "abc123"
    assert card.architecture == {**SMALL_RESNET, "weight_bits": 8}
    assert "--architecture resnet50" in card.training["command"]
    network = ModelStore(run, device="cpu").slices()
    assert network.own
    assert network.run(torch.rand(2, 1, 224, 224)).shape == (2,)
    spots_28, spots_14 = network.network.spots(torch.rand(1, 1, 224, 224))
    assert (spots_28.shape, spots_14.shape) == ((1, 28, 28), (1, 14, 14))


def test_opacities_can_be_trained_on_the_plain_unet(
    volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"kind": "unet", "channels": [4, 8], "outputs": 3}
    monkeypatch.setitem(ARCHITECTURES, "opacities", {"unet": small})
    given = build_network(small).state_dict()
    torch.save({"state_dict": {f"net.{name}": value for name, value in given.items()}, "epoch": 3}, tmp_path / "w.pt")
    run, words = tmp_path / "run", ["--architecture", "unet", "--init", str(tmp_path / "w.pt"), "--steps", "1"]
    assert main(["train", "opacities", str(volumes), "-o", str(run), *SHORT, *words]) == 0
    assert f"{len(given)} of {len(given)} tensors taken from the given weights" in (run / "log.txt").read_text()
    card = read_card(run / "opacities")
    assert card.architecture == {**small, "weight_bits": 8}
    assert ModelStore(run, device="cpu").opacities().run(torch.rand(1, 1, 352, 352)).shape == (1, 3, 352, 352)


def test_the_card_says_which_patients_are_groups_of_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "data" / "photos", calibrated=False)
    monkeypatch.setitem(ARCHITECTURES, "opacities", {"unet": {"kind": "unet", "channels": [4, 8], "outputs": 3}})
    run, words = tmp_path / "run", ["--architecture", "unet", "--steps", "1"]
    assert main(["train", "opacities", str(tmp_path / "data"), "-o", str(run), *SHORT, *words]) == 0
    assert read_card(run / "opacities").training["remark"] == (
        "Whose the photographs of photos are is not known: those whose names differ in the last character only count "
        "as one patient."
    )


def test_a_run_is_not_continued_with_another_fold(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "lungs", {"unet": {"kind": "unet", "channels": [4, 8], "outputs": 1}})
    words = ["train", "lungs", str(data), "-o", str(tmp_path / "run"), *SHORT, "--architecture", "unet"]
    assert main([*words, "--fold", "0"]) == 0
    card = (tmp_path / "run" / "lungs" / "docs" / "README.md").read_text()
    assert main([*words, "--fold", "1"]) == 1
    assert "holds a run that differs in --fold (0 of 3 then, 1 of 3 now), the training" in capsys.readouterr().err
    assert (tmp_path / "run" / "lungs" / "docs" / "README.md").read_text() == card
    assert main([*words, "--fold", "0", "--workers", "1"]) == 0


@pytest.mark.parametrize(
    ("what", "extra", "message"),
    [
        ("lungs", ["--init", "none.pt"], "--init must name a file of weights, but nothing is at 'none.pt'."),
        ("lungs", ["--init", "."], "--init must name a file of weights, but a folder is at"),
        ("lungs", ["--init", "unet.pt", "--freeze", "2"], "Only EfficientNet and ResNet have stages to freeze"),
        ("slices", ["--init", "unet.pt"], "Give weights of the same architecture, or choose theirs"),
        (
            "slices",
            ["--architecture", "unet"],
            "must be resnet50-half or resnet50 or efficientnet, but is unet.",
        ),
        (
            "lungs",
            ["--architecture", "resnet50"],
            "--architecture for lungs must be windows-unet or unet, but is resnet50.",
        ),
        ("lungs", ["--architecture", "vit"], "invalid choice: 'vit'"),
    ],
)
def test_what_is_wrong_with_weights_and_network_is_said_before_data_are_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    extra: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(build_network(ARCHITECTURES["lungs"]["unet"]).state_dict(), "unet.pt")
    assert message in refusal(["train", what, "no such data", "-o", "run", *extra], capsys)


def test_stored_slices_that_are_cut_off_are_made_again(data: Path, tmp_path: Path) -> None:
    first = load_slices(find_cases(data), "lungs", None, tmp_path)
    stored = sorted(tmp_path.iterdir())[0]
    content = stored.read_bytes()
    for left in (0, 10, len(content) // 2, len(content) - 10):
        stored.write_bytes(content[:left])
        lines: list[str] = []
        again = load_slices(find_cases(data), "lungs", None, tmp_path, "", lines.append)
        # The other cases are taken as they were stored; the archive is of no use here.
        assert lines[0:2] == ["archive: 0 slices", "Stored slices cannot be read, so they are made again."]
        assert lines[2].endswith(" slices")
        assert len(lines) == 3
        assert np.array_equal(first.image, again.image)
    assert load_slices(find_cases(data), "lungs", None, tmp_path).image.shape == first.image.shape


@pytest.mark.parametrize(("judge_every", "chosen"), [(5, True), (10, False)])
def test_a_card_says_whether_the_held_out_patients_chose_the_step(judge_every: int, chosen: bool) -> None:
    slices = made_slices()
    held_out = slices.patient == "Smith_0"
    made = {"steps": 10, "judge_every": judge_every}
    card = card_of(TINY_LUNGS, slices.only(~held_out), slices.only(held_out), {"score": 0.5}, made, "none", {})
    assert ("chosen_by" in card.validation) is chosen
    assert card.validation["score"] == 0.5


def test_a_share_of_thick_slices_beyond_all_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "lungs", str(tmp_path), "-o", str(tmp_path / "run"), "--thick-slices", "1.5"]
    assert "--thick-slices must lie within 0 and 1, but is 1.5. Correct it." in refusal(words, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "-1"], "--seed must lie within 0 and 9223372036854775807, but is -1. Correct it."),
        (["--seed", str(2**70)], "--seed must lie within 0 and 9223372036854775807"),
        (
            ["--folds", "3", "--fold", "3"],
            "--fold must lie within 0 and 2, as there are 3 --folds, or be 'none', but is 3.",
        ),
    ],
)
def test_seeds_and_folds_that_are_none_are_refused_before_data_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in refusal(["train", "lungs", str(tmp_path / "none"), "-o", str(tmp_path / "run"), *words], capsys)


def test_models_without_a_lung_network_frame_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_volume(tmp_path / "data", "case_0", 0)
    shutil.copytree(SHIPPED / "opacities", tmp_path / "mine" / "opacities")
    words = ["train", "slices", str(tmp_path / "data"), "-o", str(tmp_path / "run"), "--models", str(tmp_path / "mine")]
    assert "--models must name a folder with a lung network, but 'mine' has none." in refusal(words, capsys)


@pytest.mark.parametrize(
    ("found", "expected"), [(0.0004, 0.001), (0.0, 0.001), (0.4321, 0.433), (0.9996, 0.999), (1.0, 0.999)]
)
def test_a_slice_threshold_is_rounded_up_and_never_calls_all_or_none(found: float, expected: float) -> None:
    given = argparse.Namespace(slice_threshold=None, case_threshold=0.2)
    thresholds, chosen = thresholds_of(SLICES, {"specific_threshold": found}, given)
    assert thresholds == {"slice": expected, "case": 0.2}
    assert chosen == "slice: from the held-out slices; case: given"


def test_a_card_says_which_thresholds_nobody_validated() -> None:
    given = argparse.Namespace(slice_threshold=None, case_threshold=None)
    assert thresholds_of(SLICES, {}, given)[1] == "slice: the default, not validated; case: the default, not validated"
    assert thresholds_of(TINY_LUNGS, {}, given) == ({}, "")


def test_no_card_speaks_of_data_that_its_training_did_not_have() -> None:
    for task in TASKS.values():
        text = " ".join(task.limits)
        assert not any(words in text for words in ("nine CTs", "8 mm", "were not in the training data"))


def test_a_cancelled_training_says_how_it_goes_on() -> None:
    said = parsed(["train", "lungs", "data", "-o", "run"]).cancelled
    assert said.startswith("Cancelled. ")
    assert "the same command goes on from there" in said
