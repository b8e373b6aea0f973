"""What a model card takes from the record of an evaluation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bundle_maker import VOLUME, VOLUME_SECTION, make_bundle
from evaluation_maker import changed, record

from CovidCTLib.cli.main import main
from CovidCTLib.cli.models import main_figures
from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import read_card
from CovidCTLib.models.evaluation_record import read_evaluation
from CovidCTLib.models.registry import shipped_entry


@pytest.fixture
def own(tmp_path):
    """Folder with a bundle of a user's own."""
    section = {**VOLUME_SECTION, "limits": ["Weights are random."], "training": {"slices_and_patients": "2 patients"}}
    return make_bundle(tmp_path / "mine", VOLUME, section).parent


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
        assert "Evaluate this model alone, or the runs of the cross-validation alone.\n" in error
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
