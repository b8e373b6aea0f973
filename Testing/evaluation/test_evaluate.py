"""Whole evaluations of stand-in networks on a small folder with every kind of case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins import figure, make_card, make_judge, value, write_clean_volume, write_judged_folder
from training_folder import write_training_folder, write_volume

from CovidCTLib.errors import CovidCTError, ModelError, TrainingDataError
from CovidCTLib.evaluation.decision_figures import case_figures
from CovidCTLib.evaluation.decisions import check_thresholds
from CovidCTLib.evaluation.evaluate import Evaluation, evaluate
from CovidCTLib.evaluation.figures import Row
from CovidCTLib.evaluation.predict import predict_lungs, predict_opacities
from CovidCTLib.labelled_data.labelled import patients_of, read_images
from CovidCTLib.labelled_data.layout import TrainingFolder, find_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TrainingFolder:
    return find_cases(write_judged_folder(tmp_path_factory.mktemp("evaluation") / "data"), [("case_0", "case_1")])


@pytest.fixture(scope="module")
def opacities(folder: TrainingFolder) -> Evaluation:
    return evaluate("opacities", folder, [make_judge("opacities")])


@pytest.fixture(scope="module")
def cases(folder: TrainingFolder) -> Evaluation:
    return evaluate("cases", folder, [make_judge("slices")])


def test_patients_are_known_without_reading_the_images(tmp_path: Path) -> None:
    for case in find_cases(write_training_folder(tmp_path / "data")).cases:
        assert patients_of(case) == tuple(sorted({image.patient for image in read_images(case)}))


def test_lungs_are_judged_on_volumes_and_pictures(folder: TrainingFolder) -> None:
    found = evaluate("lungs", folder, [make_judge("lungs")])
    assert [row.case for row in found.rows] == ["calibrated"] * 3 + ["cap_0", "case_0", "case_1", "normal_0"]
    assert value(found, "volumes", "lungs_dice") > 0.85
    assert value(found, "calibrated", "lungs_dice") > 0.8
    dice = figure(found, "volumes", "lungs_dice")
    assert (dice.count, dice.counted, dice.patients) == (4, "cases", 3)
    assert dice.of == "4 cases of 3 patients"
    assert dice.estimate.low is not None
    assert all(row.values.get("lungs_hausdorff_95_mm", 0) is not None for row in found.rows)


def test_the_mean_is_over_cases_and_the_pooled_dice_over_voxels(opacities: Evaluation) -> None:
    rows = [row for row in opacities.rows if row.group == "volumes"]
    assert [row.case for row in rows] == ["cap_0", "case_0", "case_1"]
    dice = [row.values["infection_dice"] for row in rows]
    assert value(opacities, "volumes", "infection_dice") == pytest.approx(np.mean(dice))
    found, true = (sum(row.values[f"infection_{kind}_ml"] for row in rows) for kind in ("found", "true"))
    both = sum(d * (row.values["infection_found_ml"] + row.values["infection_true_ml"]) / 2
               for d, row in zip(dice, rows, strict=True))  # fmt: skip
    assert value(opacities, "volumes", "infection_pooled_dice") == pytest.approx(2 * both / (found + true))


def test_volume_errors_follow_their_definitions(opacities: Evaluation, folder: TrainingFolder) -> None:
    row = next(row for row in opacities.rows if row.case == "case_0")
    error = row.values["infection_found_ml"] - row.values["infection_true_ml"]
    assert row.values["infection_true_ml"] == pytest.approx(2 * 10 * 9 * 80 / 1000)
    assert row.values["infection_volume_error_ml"] == pytest.approx(error)
    assert row.values["infection_volume_error_percent"] == pytest.approx(100 * error / row.values["infection_true_ml"])
    lungs_ml = 4 * 24 * 24 * 80 / 1000
    assert row.values["opacity_error_of_lungs_percent"] == pytest.approx(100 * error / lungs_ml)
    assert value(opacities, "volumes", "opacity_error_of_lungs_percent") >= 0


def test_classes_are_judged_where_they_are_known(opacities: Evaluation) -> None:
    names = {(f.group, f.name) for f in opacities.figures}
    assert ("photos", "ggo_dice") in names
    assert ("photos", "consolidation_pooled_dice") in names
    assert ("calibrated", "infection_dice") in names
    assert ("calibrated", "ggo_dice") not in names
    assert value(opacities, "volumes", "ggo_dice") > 0.6
    # In these pictures, which nobody calibrated, tissue is as dark as ground glass is in a CT.
    assert value(opacities, "photos", "infection_dice") < 0.6


def test_healthy_lungs_are_a_group_of_their_own(opacities: Evaluation) -> None:
    assert value(opacities, "normal control", "opacity_of_lungs_percent") < 20
    row = next(row for row in opacities.rows if row.case == "normal_0")
    assert row.values["infection_dice"] is None
    assert row.undefined["infection_dice"] == "the truth is empty"


def test_groups_that_count_as_patients_are_named(opacities: Evaluation, cases: Evaluation) -> None:
    sentence = (
        "Whose the photographs of photos are is not known: those whose names differ in the last character only count "
        "as one patient."
    )
    assert sentence in opacities.notices
    assert sentence not in cases.notices


def test_only_volumes_have_a_scale(opacities: Evaluation) -> None:
    scales = {group: {example.has_scale for example in examples} for group, examples in opacities.worst.items()}
    assert scales == {"volumes": {True}, "normal control": {True}, "calibrated": {False}, "photos": {False}}


def test_false_opacities_in_a_normal_ct_are_shown(opacities: Evaluation) -> None:
    (example,) = opacities.worst["normal control"]
    assert example.caption.endswith("voxels found of the whole case, none of them true")
    assert example.badness > 1
    assert example.contours.predicted is not None
    assert example.contours.predicted.any()


def test_opacities_in_volumes_and_calibrated_pictures_stay_in_the_lungs(folder: TrainingFolder) -> None:
    for name, kind in (("case_0", "volume"), ("calibrated", "calibrated pictures")):
        image = next(read_images(next(case for case in folder.cases if case.name == name)))
        found = predict_opacities(image, kind, make_judge("opacities").store)
        assert found.lungs is not None
        assert found.opacities.any()
        assert not found.opacities[found.lungs == 0].any()


def test_without_any_lung_a_picture_is_not_clipped_and_a_volume_shows_nothing(folder: TrainingFolder) -> None:
    store = make_judge("opacities", blind=True).store
    picture = next(read_images(next(case for case in folder.cases if case.name == "calibrated")))
    found = predict_opacities(picture, "calibrated pictures", store)
    assert found.lungs is not None
    assert not found.lungs.any()
    assert found.opacities.any()
    volume = next(read_images(next(case for case in folder.cases if case.name == "case_0")))
    nothing = predict_opacities(volume, "volume", store)
    assert nothing.lungs is not None
    assert not nothing.lungs.any()
    assert not nothing.opacities.any()


def test_classes_are_not_judged_where_the_network_does_not_tell_them(folder: TrainingFolder) -> None:
    judge = make_judge("opacities", channels=("none", "opacity"))
    assert not judge.card.tells_kinds
    found = evaluate("opacities", folder, [judge])
    assert {f.name.split("_")[0] for f in found.figures} == {"infection", "opacity"}
    assert any("does not tell ground-glass opacity from consolidation" in notice for notice in found.notices)


def test_wrong_calls_are_shown_at_the_models_threshold(folder: TrainingFolder) -> None:
    strict = make_judge("slices", thresholds={"slice": 1.0, "case": 0.2})
    found = evaluate("slices", folder, [strict])
    assert value(found, "volumes", "sensitivity") == 0
    examples = found.worst["volumes"]
    assert len(examples) == 4
    assert all("abnormal, not called: probability" in example.caption for example in examples)
    assert all(example.caption.endswith("threshold 1.00") for example in examples)
    # The worst is the one furthest from the threshold.
    distances = [example.badness for example in examples]
    assert distances == sorted(distances, reverse=True)


def test_a_network_of_volumes_cannot_judge_single_slices(folder: TrainingFolder) -> None:
    store = make_judge("lungs", patch=(16, 16, 16)).store
    picture = next(read_images(next(case for case in folder.cases if case.name == "calibrated")))
    with pytest.raises(ModelError, match="takes volumes and cannot judge single slices"):
        predict_lungs(picture, "calibrated pictures", store)


def test_slices_are_judged_where_they_are_known(folder: TrainingFolder) -> None:
    found = evaluate("slices", folder, [make_judge("slices")])
    assert {row.case for row in found.rows} == {"cap_0", "case_0", "case_1", "normal_0"}
    for name in ("auc", "auc_within_case", "sensitivity", "specificity", "accuracy"):
        assert value(found, "volumes", name) == 1.0
    # Another pneumonia is listed apart.
    assert figure(found, "volumes", "sensitivity").of == "4 slices of 1 patient"
    assert figure(found, "volumes", "specificity").count == 2 * 2 + 4
    apart = next(row for row in found.rows if row.case == "cap_0")
    assert (apart.status, apart.reason) == ("listed apart", "pneumonia that is not COVID-19")
    assert apart.values["auc"] == 1
    assert value(found, "normal control", "called_slices_percent") == 0
    # Eight normal slices in all: too few of others for a threshold of theirs.
    few = figure(found, "volumes", "transferred_specificity").estimate
    assert few.value is None
    assert few.reason == "some patient lacks 10 normal slices of 2 others, or abnormal ones of any"
    assert found.curves.roc is not None
    assert found.curves.calibration is not None
    assert 0 < value(found, "volumes", "brier") < 0.1
    assert found.worst == {}


def test_an_abnormal_slice_without_found_lung_is_missed(tmp_path: Path) -> None:
    write_volume(tmp_path, "case_0", 0)
    (tmp_path / "case_0_slices.csv").write_text("slice_index,abnormal\n0,1\n1,0\n2,1\n5,0\n")
    found = evaluate("slices", find_cases(tmp_path), [make_judge("slices")])
    assert found.rows[0].values["unjudged_abnormal_slices"] == 1
    assert value(found, "volumes", "sensitivity") == 0.5
    # The normal slice without lung is left out.
    assert figure(found, "volumes", "specificity").count == 1
    assert [example.title for example in found.worst["volumes"]] == ["case_0, slice 0"]


def test_cases_are_decided_and_other_pneumonia_is_none_of_covid(cases: Evaluation) -> None:
    by_name = {row.case: row for row in cases.rows}
    assert by_name["cap_0"].status == "judged"
    assert by_name["cap_0"].values["diseased"] is False
    assert by_name["case_0"].values["called_slices_percent"] == 50
    # The stand-in calls the other pneumonia as it calls COVID-19, and the normal CT not.
    assert (value(cases, "volumes", "sensitivity"), value(cases, "volumes", "specificity")) == (1, 0.5)
    assert [(case.name, case.share, case.covid) for case in cases.curves.cases] == [
        ("cap_0", 0.5, False),
        ("case_0", 0.5, True),
        ("case_1", 0.5, True),
        ("normal_0", 0.0, False),
    ]
    assert figure(cases, "volumes", "specificity").remark == "too few to rely on"
    assert figure(cases, "normal control", "called_slices_percent").remark == "too few to rely on"
    # Both cases of COVID-19 are of one patient.
    assert figure(cases, "volumes", "sensitivity").estimate.reason == "none: one patient only"
    specificity = figure(cases, "volumes", "specificity").estimate
    assert (specificity.low, specificity.high) == (pytest.approx(0.0126, abs=1e-4), pytest.approx(0.9874, abs=1e-4))
    auc = figure(cases, "volumes", "auc").estimate
    assert (auc.value, auc.low, auc.reason) == (0.75, None, "none: one patient only of a class")
    assert cases.notices[0] == (
        "Judged on 4 cases: 2 of 2 with COVID-19 and 1 of 2 without it were called like COVID-19. Among those without "
        "it, cap_0 is another pneumonia, which may look the same; it was called so, with 50.0 % of its lung slices. "
        "That is too few to set a threshold for practice: take it as a first hint."
    )


def test_without_healthy_cases_there_is_no_threshold(folder: TrainingFolder) -> None:
    sick = replace(folder, cases=tuple(case for case in folder.cases if not case.not_covid))
    found = evaluate("cases", sick, [make_judge("slices")])
    assert "No case without COVID-19 was judged (2 cases with it)" in found.notices[0]
    for name in ("specificity", "auc", "recommended_case_threshold"):
        estimate = figure(found, "volumes", name).estimate
        assert estimate.value is None
        assert estimate.reason


def test_seen_patients_are_listed_but_in_no_mean(folder: TrainingFolder) -> None:
    judge = make_judge("opacities", {"patients": ["case_0", "p1", "normal_0"], "cases": ["calibrated"]})
    found = evaluate("opacities", folder, [judge])
    status = {(row.case, row.image): row.status for row in found.rows}
    assert status["case_0", ""] == status["case_1", ""] == status["calibrated", "010"] == "seen in training"
    assert status["cap_0", ""] == status["calibrated", "000"] == "judged"
    assert figure(found, "volumes", "infection_dice").count == 1
    assert figure(found, "calibrated", "infection_pooled_dice").of == "2 slices of 2 patients"
    control = figure(found, "normal control", "opacity_of_lungs_percent").estimate
    assert (control.value, control.reason) == (None, "seen in training by every model")
    assert "Seen in training by every given model: 3 patients" in found.notices[0]
    # The lung network behind it carries the same card, so whoever is judged was not seen by it either.
    assert not any("lung network" in notice for notice in found.notices)


def test_each_patient_is_judged_by_the_fold_that_left_it_out(folder: TrainingFolder) -> None:
    judges = [
        make_judge("opacities", {"patients": ["case_0", "p0", "p1", "cap_0"]}, "fold_0"),
        make_judge("opacities", {"patients": ["normal_0", "p2", "photos-00", "photos-01"]}, "fold_1"),
    ]
    found = evaluate("opacities", folder, judges)
    assert {row.status for row in found.rows} == {"judged"}
    models = {(row.case, row.image): row.model for row in found.rows}
    assert models["case_0", ""] == models["calibrated", "010"] == "fold_1"
    assert models["normal_0", ""] == models["photos", "000"] == "fold_0"


def test_data_of_which_all_was_seen_is_refused_before_any_work(folder: TrainingFolder) -> None:
    names = ["case_0", "cap_0", "normal_0"]
    with pytest.raises(TrainingDataError, match="All 4 patients that could judge slices were seen in training by the"):
        evaluate("slices", folder, [make_judge("slices", {"patients": names})])


def test_data_that_cannot_serve_is_refused(folder: TrainingFolder) -> None:
    photos = replace(folder, cases=tuple(case for case in folder.cases if case.kind == "photographs"))
    with pytest.raises(
        TrainingDataError, match=r"None of the 1 case in the folder can be used to judge lungs. Expected"
    ):
        evaluate("lungs", photos, [make_judge("lungs")])


def test_a_broken_case_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    write_volume(tmp_path, "case_0", 0)
    write_volume(tmp_path, "case_1", 1)
    (tmp_path / "case_1_ct.nii.gz").write_bytes(b"no CT")
    lines: list[str] = []
    found = evaluate("lungs", find_cases(tmp_path), [make_judge("lungs")], lines.append)
    assert [row.status for row in found.rows] == ["judged", "failed"]
    assert found.rows[1].reason
    assert any("Failed: 1 row" in notice for notice in found.notices)
    assert lines[0] == "case_0: 1 row"
    assert lines[1].startswith("case_1: 1 row, 1 failed: case_1: ")


def test_where_every_case_fails_the_first_reason_is_told(tmp_path: Path) -> None:
    write_clean_volume(tmp_path, "normal_0", 0)
    with pytest.raises(TrainingDataError, match="None of the cases could be judged for cases"):
        evaluate("cases", find_cases(tmp_path), [make_judge("slices", blind=True)])


def test_a_classifier_without_operating_points_is_refused() -> None:
    with pytest.raises(ModelError, match="must name the thresholds 'slice' and 'case', but lacks case"):
        check_thresholds(make_card("slices", thresholds={"slice": 0.5}))


def test_readers_are_warned_of_what_flatters(tmp_path: Path) -> None:
    write_clean_volume(tmp_path, "normal_0", 0)
    judge = make_judge("slices", {"sources": "somewhere"}, validation={"chosen_by": "best score"})
    notices = " ".join(evaluate("slices", find_cases(tmp_path), [judge]).notices)
    assert "The cards of stand-in do not say what the models were trained on" in notices
    assert "chose its best step" in notices
    seen = make_judge("slices", {"cases": []})
    store = make_judge("lungs", {"cases": ["normal_0"]}).store
    seen = replace(seen, store=store)
    assert any("had seen 1 of the judged" in n for n in evaluate("slices", find_cases(tmp_path), [seen]).notices)


def test_a_training_that_judged_once_chose_nothing() -> None:
    chosen = {"validation": {"chosen_by": "best score"}}
    assert make_judge("slices", {"steps": 700, "judge_every": 100}, **chosen).chose_its_step
    assert make_judge("slices", {}, **chosen).chose_its_step
    assert not make_judge("slices", {"steps": 700, "judge_every": 700}, **chosen).chose_its_step
    assert not make_judge("slices", {"steps": 700, "judge_every": 100}).chose_its_step


def test_many_cases_of_one_kind_do_not_hide_that_the_other_is_rare() -> None:
    rows = [
        Row(f"case_{k}", "", "volumes", f"case_{k}", "judged", "m",
            values={"diseased": k > 0, "called_positive": k > 0, "called_slices_percent": 50.0 * (k > 0)})
        for k in range(13)
    ]  # fmt: skip
    remarks = {f.name: f.remark for f in case_figures(rows)[0]}
    few = "too few to rely on"
    assert remarks == {"sensitivity": "", "specificity": few, "accuracy": few, "auc": few,
                       "recommended_case_threshold": few}  # fmt: skip


def test_models_with_thresholds_of_their_own_are_named(folder: TrainingFolder) -> None:
    judges = [
        make_judge("slices", {"patients": ["normal_0"]}, "fold_0"),
        make_judge("slices", {"patients": ["case_0", "cap_0"]}, "fold_1", thresholds={"slice": 0.6, "case": 0.2}),
    ]
    found = evaluate("slices", folder, judges)
    assert "Each model called slices at its own threshold (0.5 to 0.6)." in found.notices


def test_errors_of_images_are_never_silent(monkeypatch: pytest.MonkeyPatch, folder: TrainingFolder) -> None:
    def fail(*_: object) -> None:
        raise CovidCTError("out of order")

    monkeypatch.setattr("CovidCTLib.evaluation.evaluate.call_slices", fail)
    with pytest.raises(TrainingDataError, match="The first one: out of order"):
        evaluate("slices", folder, [make_judge("slices")])
