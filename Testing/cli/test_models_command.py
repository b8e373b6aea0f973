"""``covidct models``, and ``--models`` of the commands that analyze."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from bundle_maker import VOLUME, VOLUME_SECTION, make_bundle

from CovidCTLib.cli.main import main
from CovidCTLib.cli.models import facts_of, main_figures, validation_words
from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import WEIGHTS, read_card
from CovidCTLib.models.evaluation_record import read_evaluation
from CovidCTLib.models.registry import shipped_entry

FIGURE = {"name": "infection Dice", "value": 0.8123, "low": 0.77, "high": 0.83, "n": "783 slices of 8 patients"}


def record(task, models=1):
    """What covidct evaluate wrote before its cases said who judged them, as far as a card needs it."""
    figure = {"group": "volumes", "name": "dice", "label": "infection: volume error", "unit": "ml", "value": 1.5}
    figure |= {"low": None, "high": None, "count": 9, "counted": "cases", "patients": 7}
    judges = [{"sha256": f"{0xAB + k:02x}" * 32} for k in range(models)]
    return json.dumps({"task": task, "models": judges, "figures": [figure]})


def changed(**entries):
    """An evaluation of one model with other entries."""
    return json.dumps({**json.loads(record("opacities")), **entries})


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


def test_the_record_of_an_evaluation_is_put_into_words(own, tmp_path):
    evaluation = tmp_path / "evaluation.json"
    shown = {"name": "infection: volume error (ml), volumes", "value": 1.5, "low": None, "high": None}
    shown["n"] = "9 cases of 7 patients"
    card = read_card(own / "mine")
    evaluation.write_text(record("opacities", models=3))
    assert read_evaluation(evaluation, card) == ("cross_validation", {"folds": 3, "figures": [shown]})
    with_lungs = json.loads(record("opacities", models=2))
    # Each of two models judged with the lungs of two lung networks.
    evaluation.write_text(json.dumps(with_lungs | {"models": 2 * with_lungs["models"]}))
    assert read_evaluation(evaluation, card)[1]["folds"] == 2
    evaluation.write_text(record("opacities").replace("ab" * 32, card.sha256))
    assert read_evaluation(evaluation, card) == ("evaluation", {"figures": [shown]})
    evaluation.write_text(record("cases", models=2))
    slices = shipped_entry("slices").card
    assert read_evaluation(evaluation, slices)[0] == "cross_validation_of_cases"


def judged_by(rows, *models):
    """An evaluation whose cases say who judged them, or did not; models are labels with a checksum."""
    judges = [{"label": label, "sha256": sha256} for label, sha256 in models]
    cases = [{"case": f"case_{k}", "model": label, "status": status} for k, (label, status) in enumerate(rows)]
    return changed(models=judges, cases=cases)


def test_the_cards_own_weights_among_others_are_no_cross_validation(own, tmp_path, capsys):
    evaluation = tmp_path / "evaluation.json"
    mine = read_card(own / "mine").sha256
    rows = [("mine", "judged"), ("fold_1", "judged")]
    for content in (judged_by(rows, ("mine", mine), ("fold_1", "ab" * 32)), changed(models=[{"sha256": mine}, {}])):
        evaluation.write_text(content)
        assert main(["models", "mine", "--models", str(own), "--add-validation", str(evaluation)]) == 1
        error = capsys.readouterr().err
        assert "'evaluation.json' judges the weights of mine together with others, so its figures" in error
        assert "on this model alone, or on the runs of the cross-validation alone.\n" in error
        assert error.count("\n") == 1
    assert read_card(own / "mine").validation == {}


def test_only_models_that_judged_a_case_are_folds(own, tmp_path):
    evaluation = tmp_path / "evaluation.json"
    card = read_card(own / "mine")
    folds = [(f"fold_{k}", f"{k}" * 64) for k in range(3)]
    rows = [
        ("fold_0", "judged"),
        ("fold_1", "judged"),
        ("fold_2", "failed"),
        ("fold_2", "seen in training"),
        ("", "failed"),
    ]
    evaluation.write_text(judged_by(rows, *folds))
    assert read_evaluation(evaluation, card)[1]["folds"] == 2
    by_two_lungs = [(f"{label}, lungs by {k}", sha256) for label, sha256 in folds for k in range(2)]
    rows = [(label, "judged") for label, _ in by_two_lungs[:5]]
    evaluation.write_text(judged_by(rows, *by_two_lungs))
    assert read_evaluation(evaluation, card)[1]["folds"] == 3
    twice = [("mine, lungs by a", card.sha256), ("mine, lungs by b", card.sha256)]
    evaluation.write_text(judged_by([("mine, lungs by a", "judged")], *twice))
    assert read_evaluation(evaluation, card)[0] == "evaluation"
    evaluation.write_text(judged_by([("fold_1", "judged"), ("fold_2", "failed")], *folds))
    with pytest.raises(ModelError, match=r"judges other weights than those of mine \(checksum 111111111111\.\.\., exp"):
        read_evaluation(evaluation, card)
    evaluation.write_text(judged_by([("mine", "seen in training"), ("", "failed")], ("mine", card.sha256)))
    with pytest.raises(ModelError, match=r"'evaluation\.json' holds no case that one of its models judged\. Give the"):
        read_evaluation(evaluation, card)


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


def test_intervals_remarks_and_notices_of_an_evaluation_go_along(own, tmp_path):
    content = json.loads(record("opacities", models=3))
    content["figures"][0] |= {"low": 1.0, "high": 2.0, "interval": "exact", "remark": "too few to rely on"}
    content["figures"][0] |= {"count": 1, "patients": 1}
    content |= {"interval": {"percent": 95.0, "method": "as named"}, "notices": ["Cases were listed apart."]}
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(json.dumps(content))
    key, facts = read_evaluation(evaluation, read_card(own / "mine"))
    assert facts["notices"] == ["Cases were listed apart."]
    assert facts["figures"][0] | {"name": ""} == {
        "name": "", "value": 1.5, "low": 1.0, "high": 2.0, "n": "1 case of 1 patient",
        "interval": "95 % interval, exact", "remark": "too few to rely on",
    }  # fmt: skip
    assert main_figures({key: facts})[0].endswith("volumes 1.5 (1 to 2; too few to rely on)")
    # An older evaluation had one kind of interval.
    del content["figures"][0]["interval"]
    evaluation.write_text(json.dumps(content))
    older = read_evaluation(evaluation, read_card(own / "mine"))[1]["figures"][0]
    assert older["interval"] == "95 % interval, as named"


def slice_record(called_at, **roc):
    """An evaluation of a classifier that called slices at a threshold."""
    content = json.loads(record("slices", models=2))
    figure = {**content["figures"][0], "unit": "", "counted": "slices"}
    content["figures"] = [{**figure, "name": name, "label": name} for name in ("auc", "sensitivity", "specificity")]
    content["cases"] = [
        {"status": "failed", "values": {}},
        {"status": "judged", "values": {"probability_threshold": called_at}},
    ]
    curve = {
        "threshold": [0.99, 0.9, 0.5, 0.1],
        "sensitivity": [0, 0.5, 0.75, 1],
        "false_positive_rate": [0, 0, 0.25, 1],
    }
    return {**content, "curves": {"roc": {**curve, **roc}}}


def test_figures_at_other_thresholds_than_the_cards_say_so_and_its_own_follow(tmp_path):
    evaluation = tmp_path / "evaluation.json"
    card = replace(shipped_entry("slices").card, thresholds={"slice": 0.5, "case": 0.1})
    evaluation.write_text(json.dumps(slice_record(0.5)))
    assert not any("remark" in figure for figure in read_evaluation(evaluation, card)[1]["figures"])
    evaluation.write_text(json.dumps(slice_record(0.3)))
    *judged, sensitivity, specificity = read_evaluation(evaluation, card)[1]["figures"]
    assert [figure.get("remark") for figure in judged] == [None, *["at other thresholds than those of the card"] * 2]
    assert sensitivity["name"] == "sensitivity at the card's slice threshold of 0.5"
    assert (sensitivity["value"], specificity["value"], sensitivity["n"]) == (0.75, 0.75, "9 slices of 7 patients")
    high = replace(card, thresholds={"slice": 0.995, "case": 0.1})
    assert [f["value"] for f in read_evaluation(evaluation, high)[1]["figures"][-2:]] == [0.0, 1.0]
    evaluation.write_text(json.dumps({**slice_record(0.3), "task": "cases"}))
    assert all("other thresholds" in f["remark"] for f in read_evaluation(evaluation, card)[1]["figures"])


@pytest.mark.parametrize("roc", [{"threshold": None}, {"sensitivity": ["a"] * 4}, {"false_positive_rate": [0.0]}])
def test_a_curve_that_is_none_gives_no_figures(tmp_path, roc):
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(json.dumps(slice_record(0.3, **roc)))
    assert len(read_evaluation(evaluation, shipped_entry("slices").card)[1]["figures"]) == 3


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
