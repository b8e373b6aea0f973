"""Cards name what each case taught."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_slices import TINY_TASKS, made_slices

from CovidCTLib.training.run_card import card_of
from CovidCTLib.training.slices import INFECTION, UNKNOWN, SliceSet
from CovidCTLib.training.taught import what_cases_taught


@pytest.fixture
def slices() -> SliceSet:
    """Two slices of each of four cases: told kinds, untold kind, another disease with effusion, no effusion."""
    made = made_slices(4)
    opacities, effusion, lungs = made.opacities.copy(), made.effusion.copy(), made.lungs.copy()
    opacities[2:4] = np.where(opacities[2:4] > 0, INFECTION, 0)
    opacities[4:6] = 0
    effusion[4:6] = 0
    effusion[5, :5, :5] = 1
    effusion[6:8] = 0
    lungs[6:8] = UNKNOWN
    case = np.asarray(["told"] * 2 + ["untold"] * 2 + ["cancer_1"] * 2 + ["dry"] * 2)
    abnormal = np.asarray([0, 1, 0, 1, 0, 0, 0, 1], np.int8)
    return dataclasses.replace(made, opacities=opacities, effusion=effusion, lungs=lungs, case=case, abnormal=abnormal)


def test_the_lung_network_was_taught_lungs_and_effusion_by_those_that_label_them(slices: SliceSet) -> None:
    assert what_cases_taught("lungs", slices) == {
        "lungs": ["cancer_1", "told", "untold"],
        "pleural effusion": ["cancer_1"],
        "that there is no pleural effusion": ["dry"],
    }


def test_the_opacity_network_was_taught_kinds_by_those_that_tell_them(slices: SliceSet) -> None:
    assert what_cases_taught("opacities", slices) == {
        "ground glass and consolidation": ["dry", "told"],
        "opacity of untold kind": ["untold"],
        "slices without opacity": ["dry", "told", "untold"],
        "that other diseases are no opacity like that of COVID-19": ["cancer_1"],
    }


def test_the_classifier_was_taught_other_diseases_apart(slices: SliceSet) -> None:
    assert what_cases_taught("slices", slices) == {
        "slices like COVID-19": ["dry", "told", "untold"],
        "slices without disease": ["dry", "told", "untold"],
        "slices of other diseases": ["cancer_1"],
    }


def test_the_card_has_it_in_words(slices: SliceSet) -> None:
    task = next(task for task in TINY_TASKS if task.name == "opacities")
    card = card_of(task, slices, None, {}, {"steps": 1, "judge_every": 1}, "none", {})
    assert card.training["taught_by"]["opacity of untold kind"] == ["untold"]
    assert "that other diseases are no opacity like that of COVID-19" in card.to_markdown()
