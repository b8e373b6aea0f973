"""Nobody is judged by a model that saw them."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import StandInStore, make_card, make_judge

from CovidCTLib.errors import ModelError, OptionsError
from CovidCTLib.evaluation import judges as module
from CovidCTLib.evaluation.judges import choose_judge, has_seen, load_judges
from CovidCTLib.labelled_data.layout import Kind, TrainingCase, TrainingFolder


def a_case(name: str, kind: Kind = "volume", patient: str = "") -> TrainingCase:
    return TrainingCase(name, kind, Path(name), patient or name)


@pytest.fixture
def folder() -> TrainingFolder:
    cases = (a_case("case_02"), a_case("case_03", patient="case_02"), a_case("pictures", "calibrated pictures"))
    return TrainingFolder(Path(), cases)


def test_a_card_with_patients_has_seen_these_alone(folder: TrainingFolder) -> None:
    card = make_card("lungs", {"patients": ["case_02", "p1"], "cases": ["case_02", "pictures"]})
    assert has_seen(card, folder.cases[0], "case_02", folder)
    assert has_seen(card, folder.cases[2], "p1", folder)
    assert not has_seen(card, folder.cases[2], "p2", folder)
    assert not has_seen(card, a_case("case_09"), "case_09", folder)


def test_a_card_without_patients_has_seen_all_of_its_cases(folder: TrainingFolder) -> None:
    card = make_card("lungs", {"cases": ["pictures"]})
    assert has_seen(card, folder.cases[2], "p2", folder)
    assert not has_seen(card, folder.cases[0], "case_02", folder)


@pytest.mark.parametrize("training", [{"patients": ["case_03"], "cases": []}, {"cases": ["case_03"]}])
def test_a_patient_is_seen_by_either_of_its_scans(folder: TrainingFolder, training: dict[str, list[str]]) -> None:
    assert has_seen(make_card("lungs", training), folder.cases[0], "case_02", folder)


def test_a_forgotten_pair_of_scans_does_not_make_a_seen_scan_unseen() -> None:
    # Trained with case_02 and case_03 as one patient; judged without saying so.
    card = make_card("lungs", {"patients": ["case_02"], "cases": ["case_02", "case_03"]})
    other = a_case("case_03")
    assert has_seen(card, other, "case_03", TrainingFolder(Path(), (other,)))


def test_a_slice_that_was_trained_on_is_seen_under_any_name(folder: TrainingFolder) -> None:
    judges = [
        make_judge("lungs", {"patients": ["p1"], "slice_checksums": ["aa", "bb"]}, "first"),
        make_judge("lungs", {"patients": ["p1"], "slice_checksums": ["cc", ""]}, "second"),
    ]
    case, patient = folder.cases[2], "p2"
    assert has_seen(judges[0].card, case, patient, folder, ["xx", "bb"])
    # Blank slices are the same in all CTs.
    assert not has_seen(judges[1].card, case, patient, folder, ["xx", ""])
    assert choose_judge(judges, case, patient, folder, ["bb"]) == (judges[1], False)
    assert choose_judge(judges[:1], case, patient, folder, ["bb"]) == (judges[0], True)
    assert judges[0].knows_slices
    assert not make_judge("lungs", {"patients": ["p1"]}).knows_slices


def test_the_first_model_that_never_saw_the_patient_judges(folder: TrainingFolder) -> None:
    judges = [
        make_judge("lungs", {"patients": ["case_02", "p1"]}, "first"),
        make_judge("lungs", {"patients": ["p2", "p1"]}, "second"),
    ]
    pictures = folder.cases[2]
    assert choose_judge(judges, folder.cases[1], "case_02", folder) == (judges[1], False)
    assert choose_judge(judges, pictures, "p2", folder) == (judges[0], False)
    assert choose_judge(judges, pictures, "p1", folder) == (judges[0], True)


def test_folders_are_labelled_by_their_names_and_never_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "ModelStore", StandInStore)
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    assert [judge.label for judge in load_judges(folders, "lungs", "cpu")] == ["run", "run (2)"]
    assert [judge.label for judge in load_judges([], "lungs", "cpu")] == ["shipped"]


def test_a_folder_without_the_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "ModelStore", lambda folder, device: StandInStore(folder, own=("lungs",)))
    with pytest.raises(ModelError, match="'run' has no model for opacities, so there is nothing of it to judge"):
        load_judges([tmp_path / "run"], "opacities", "cpu")


def test_lungs_are_found_by_a_network_that_never_saw_the_patient(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: TrainingFolder
) -> None:
    seen = {"run_0": ["case_02"], "run_1": ["p1"], "lungs_0": ["case_02", "p1"], "lungs_1": ["p2", "p1"]}
    monkeypatch.setattr(
        module, "ModelStore", lambda path, device: StandInStore(path, device, {"patients": seen[path.name]})
    )
    runs, finders = [tmp_path / "run_0", tmp_path / "run_1"], [tmp_path / "lungs_0", tmp_path / "lungs_1"]
    judges = load_judges(runs, "opacities", "cpu", finders)
    assert [judge.label for judge in judges] == [
        "run_0, lungs by lungs_0",
        "run_0, lungs by lungs_1",
        "run_1, lungs by lungs_0",
        "run_1, lungs by lungs_1",
    ]
    assert judges[1].store.card("lungs").training["patients"] == ["p2", "p1"]
    assert judges[1].store.opacities().card.training["patients"] == ["case_02"]
    pictures = folder.cases[2]
    # Neither run_1 nor lungs_1 saw case 2; all lung networks saw p1, so the first one takes part.
    assert choose_judge(judges, folder.cases[1], "case_02", folder) == (judges[3], False)
    assert choose_judge(judges, pictures, "p1", folder) == (judges[0], False)
    assert choose_judge(judges, pictures, "p2", folder) == (judges[0], False)


def test_lung_networks_cannot_find_the_lungs_for_lung_networks(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"lung networks are judged here\. Give them by --models"):
        load_judges([], "lungs", "cpu", [tmp_path])


def test_a_folder_of_lungs_without_a_lung_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "ModelStore", lambda folder, device: StandInStore(folder, own=("opacities",)))
    with pytest.raises(ModelError, match="'finder' has no model for lungs"):
        load_judges([tmp_path / "run"], "opacities", "cpu", [tmp_path / "finder"])


def test_a_card_that_is_silent_is_known_as_such() -> None:
    assert make_judge("lungs", {"cases": []}).knows_training
    assert not make_judge("lungs", {"sources": "somewhere"}).knows_training
