"""``covidct models``, and ``--models`` of the commands that analyze."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bundle_maker import VOLUME, VOLUME_SECTION, make_bundle
from evaluation_maker import changed, record

from CovidCTLib.cli.main import main
from CovidCTLib.cli.models import facts_of, main_figures, validation_words
from CovidCTLib.models.bundle import WEIGHTS, read_card
from CovidCTLib.models.registry import shipped_entry

FIGURE = {"name": "infection Dice", "value": 0.8123, "low": 0.77, "high": 0.83, "n": "783 slices of 8 patients"}


@pytest.fixture
def own(tmp_path):
    """Folder with a bundle of a user's own."""
    section = {**VOLUME_SECTION, "limits": ["Weights are random."], "training": {"slices_and_patients": "2 patients"}}
    return make_bundle(tmp_path / "mine", VOLUME, section).parent


def flat(text):
    """Words of a table without its lines and breaks."""
    return " ".join(text.replace("│", " ").split())


def test_the_table_names_every_network_with_its_facts(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    for words in ("lungs", "opacities", "slices", "trained on", "CC BY-NC-SA 4.0", "validation"):
        assert words in text
    assert text.count(" ok ") == 3
    assert "WRONG" not in text
    assert max(len(line) for line in text.splitlines()) <= 160


def test_a_card_is_shown_by_its_role(capsys):
    assert main(["models", "slices"]) == 0
    text = flat(capsys.readouterr().out)
    card = shipped_entry("slices").card
    assert f"slices {card.version}" in text
    assert card.limits[0] in text
    assert card.sha256 in text


def test_all_is_there_as_json(capsys):
    assert main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["role"] for model in models] == ["lungs", "opacities", "slices"]
    assert all(model["checksum_ok"] and not model["own"] and 0 < model["size_mb"] < 25 for model in models)
    assert main(["models", "lungs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == models[0]


def test_own_models_take_their_place_and_are_found_by_name_or_role(own, capsys):
    assert main(["models", "--models", str(own)]) == 0
    text = flat(capsys.readouterr().out)
    assert "mine (own)" in text
    assert "2 patients" in text
    assert "not validated" in text
    for name in ("mine", "opacities"):
        assert main(["models", name, "--models", str(own)]) == 0
        text = flat(capsys.readouterr().out)
        assert "Weights are random." in text
        assert "32 x 32 x 16 voxels" in text
        assert "axes to the patient's right, the front, the head" in text


def test_damaged_and_missing_weights_show_in_the_table(own, capsys):
    weights = own / "mine" / WEIGHTS
    weights.write_bytes(weights.read_bytes() + b"x")
    assert main(["models", "--models", str(own)]) == 0
    assert "WRONG" in capsys.readouterr().out
    weights.unlink()
    assert main(["models", "mine", "--models", str(own), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["size_mb"], facts["checksum_ok"]) == (None, False)


def test_an_unknown_name_is_answered_with_those_that_there_are(capsys):
    assert main(["models", "heart"]) == 2
    assert capsys.readouterr().err == "covidct: There is no model 'heart'. There are: lungs, opacities, slices.\n"


def test_an_evaluation_goes_into_the_card_beside_what_was_there(own, tmp_path, capsys):
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(json.dumps({"figures": [FIGURE], "folds": 3, "patients": None, "cases": ["case_01"]}))
    line = ["models", "mine", "--models", str(own), "--add-validation", str(evaluation)]
    weights = (own / "mine" / WEIGHTS).read_bytes()
    assert main(line) == 0
    assert capsys.readouterr().out == "1 figure is now in the card of mine.\n"
    assert read_card(own / "mine").validation == {"cross_validation": {"folds": 3, "figures": [FIGURE]}}
    assert (own / "mine" / WEIGHTS).read_bytes() == weights
    evaluation.write_text(json.dumps({"figures": [FIGURE, FIGURE]}))
    assert main(line) == 0
    assert set(read_card(own / "mine").validation) == {"cross_validation", "evaluation"}
    capsys.readouterr()
    assert main(["models", "mine", "--models", str(own)]) == 0
    text = flat(capsys.readouterr().out)
    assert "infection Dice 0.8123 0.77 to 0.83 783 slices of 8 patients" in text
    assert facts_of(shipped_entry("lungs"))["checksum_ok"]


@pytest.mark.parametrize(
    ("arguments", "content", "code", "message"),
    [
        (["mine"], "{}", 2, "--add-validation needs NAME and --models FOLDER"),
        (["--models", "OWN"], "{}", 2, "--add-validation needs NAME and --models FOLDER"),
        (["lungs", "--models", "OWN"], "{}", 2, "There is no model 'lungs'. There are: mine."),
        (["mine", "--models", "OWN"], None, 1, "There is no file 'evaluation.json'"),
        (["mine", "--models", "OWN"], "{", 1, "'evaluation.json' cannot be read as JSON (JSONDecodeError)"),
        (["mine", "--models", "OWN"], "[]", 1, "'evaluation.json' holds no list of 'figures'"),
        (["mine", "--models", "OWN"], '{"figures": []}', 1, "holds no list of 'figures'"),
        (["mine", "--models", "OWN"], '{"figures": [{"name": 1}]}', 1, "must hold a 'name' and a finite 'value'"),
        (["mine", "--models", "OWN"], record("lungs"), 1, "judges lungs, but mine is a model for opacities"),
        (["mine", "--models", "OWN"], record("heart"), 1, "judges heart, but mine is a model for opacities"),
        (
            ["mine", "--models", "OWN"],
            '{"figures": [{"name": "a", "value": NaN}]}',
            1,
            "NaN or infinity in figures.0.value",
        ),
        (
            ["mine", "--models", "OWN"],
            changed(task=["lungs"]),
            1,
            "judges ['lungs'], but mine is a model for opacities",
        ),
        (["mine", "--models", "OWN"], changed(models=5), 1, "must hold a list as 'models', not 5. Give the"),
        (
            ["mine", "--models", "OWN"],
            changed(cases=True),
            1,
            "must hold a list as 'cases', not True. Give",
        ),
        (["mine", "--models", "OWN"], record("opacities"), 1, "judges other weights than those of mine (checksum abab"),
    ],
)
def test_evaluations_that_cannot_be_used_are_refused(own, tmp_path, capsys, arguments, content, code, message):
    evaluation = tmp_path / "evaluation.json"
    if content is not None:
        evaluation.write_text(content)
    words = [str(own) if word == "OWN" else word for word in arguments]
    assert main(["models", *words, "--add-validation", str(evaluation)]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert read_card(own / "mine").validation == {}


@pytest.mark.parametrize(("where", "folder"), [("mine", "."), (".", "."), ("mine/configs", ".."), (".", "link")])
def test_figures_are_added_from_within_the_folder_and_through_a_link(own, monkeypatch, capsys, where, folder):
    evaluation = own.parent / "evaluation.json"
    evaluation.write_text(json.dumps({"figures": [FIGURE]}))
    home = own / "home"
    home.mkdir()
    (own / "mine").rename(home / "mine")
    (home / "link").symlink_to("mine")
    if folder != "link":
        (home / "link").unlink()
    monkeypatch.chdir(home / where)
    line = ["models", "opacities", "--models", folder]
    assert main([*line, "--add-validation", str(evaluation)]) == 0
    assert capsys.readouterr().out == "1 figure is now in the card of mine.\n"
    # The folder that one works in is still there.
    assert main(line) == 0
    assert read_card(home / "mine").validation == {"evaluation": {"figures": [FIGURE]}}
    assert (home / "link").is_symlink() == (folder == "link")
    assert not [path for path in home.rglob("*") if path.name.startswith(".")]


def test_a_message_names_the_folder_that_one_works_in(own, monkeypatch, capsys):
    (own / "mine" / "configs" / "inference.json").unlink()
    monkeypatch.chdir(own / "mine")
    assert main(["models", "--models", "."]) == 1
    assert "There is no configs/inference.json in the bundle mine." in capsys.readouterr().err


def test_figures_that_cannot_be_written_change_nothing(own, tmp_path, monkeypatch, capsys):
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(json.dumps({"figures": [FIGURE]}))
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main(["models", "mine", "--models", str(own), "--add-validation", str(evaluation)]) == 1
    assert "The bundle mine cannot be written (No space left on device). Choose a" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before


def test_the_table_says_whose_figures_it_shows():
    figures = {"figures": [FIGURE]}
    assert validation_words({}) == "not validated"
    shown = "infection Dice 0.8123 (0.77 to 0.83)"
    crossed = {"auc": 0.5, "cross_validation": figures}
    assert validation_words(crossed) == f"Cross-validation of the same training:\n{shown}"
    own = "These weights on patients that they never saw:\n"
    assert validation_words({**crossed, "evaluation": figures}) == own + shown
    assert validation_words({"auc": 0.5}) == own + "auc 0.5"


def test_the_latest_figures_are_the_main_ones():
    assert main_figures({}) == []
    assert main_figures({"dice_volume": 0.91234, "score": 0.9, "specific_threshold": 0.4, "folds": 3}) == [
        "dice volume 0.9123"
    ]
    nested = {"auc": 0.5, "old": {"figures": [{"name": "a", "value": 1.0}]}, "new": {"figures": [FIGURE] * 5}}
    assert main_figures(nested) == ["infection Dice 0.8123 (0.77 to 0.83)"] * 4


def test_each_kind_of_data_is_among_the_main_figures_and_cases_come_last():
    names = ("Dice, volumes", "pooled Dice, volumes", "Dice, pictures", "pooled Dice, pictures", "share, normal")
    slices = {"figures": [{"name": name, "value": 0.5} for name in names]}
    cases = {"figures": [{"name": "sensitivity, volumes", "value": 1.0}]}
    both = {"cross_validation": slices, "cross_validation_of_cases": cases}
    shown = ["Dice, volumes 0.5", "Dice, pictures 0.5", "share, normal 0.5", "pooled Dice, volumes 0.5"]
    assert main_figures(both) == shown
    assert main_figures({"cross_validation_of_cases": cases}) == ["sensitivity, volumes 1"]


def test_listing_loads_no_torch():
    program = (
        "import sys; from CovidCTLib.cli.main import main; main(['models']); main(['models', '--json']);"
        "sys.stderr.write(','.join(n for n in ('torch', 'monai', 'SimpleITK') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("command", [["analyze", "ct.nii.gz"], ["demo"]])
def test_own_models_reach_the_analysis(seen, own, tmp_path, command):
    line = [*command, "-o", str(tmp_path / "out"), "--quiet", "--device", "cpu", "--models", str(own)]
    assert main([*line, "--no-report"] if command[0] == "analyze" else line) == 0
    assert seen["models"].card("opacities").name == "mine"


def test_without_own_models_the_analysis_chooses_for_itself(seen, tmp_path):
    assert main(["analyze", "ct.nii.gz", "-o", str(tmp_path / "out"), "--no-report", "--quiet"]) == 0
    assert seen["models"] is None


@pytest.mark.parametrize("command", [["analyze", "ct.nii.gz"], ["demo"]])
def test_a_wrong_model_is_refused_before_the_scan_is_read(seen, own, tmp_path, capsys, command):
    (own / "mine" / WEIGHTS).write_bytes(b"")
    assert main([*command, "-o", str(tmp_path / "out"), "--models", str(own)]) == 1
    error = capsys.readouterr().err
    assert "do not have the checksum of their card" in error
    assert error.count("\n") == 1
    assert "reading" not in seen
    assert not (tmp_path / "out").exists()
