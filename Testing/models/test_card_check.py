"""A card that says what cannot be is refused when it is read, by one sentence that names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import METADATA, read_card, with_validation
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.card_check import infinite_in
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.weights import save_network

TINY = {"kind": "unet", "channels": [4, 8], "outputs": 1}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of CovidCT's own."""
    training = {"patients": ["a", "b"], "cases": [1], "kinds_of_data": ["volume"], "steps": 10, "judge_every": 5}
    card = ModelCard("lungs", "1", TINY, 32, "body", "HU", "logits", "", {"slice": 1.0, "case": 0}, training)
    save_network(build_network(TINY), card, tmp_path)
    return tmp_path / "lungs"


def change(bundle: Path, section: dict[str, Any], **metadata: Any) -> None:
    """Change the section of CovidCT, and other entries."""
    facts = json.loads((bundle / METADATA).read_text(encoding="utf-8"))
    facts |= metadata
    facts["covidct"] |= section
    (bundle / METADATA).write_text(json.dumps(facts), encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"thresholds": {"slice": "abc"}}, "(the threshold slice must be a number, not abc)"),
        ({"thresholds": {"case": None}}, "(the threshold case must be a number, not None)"),
        ({"thresholds": {"other": True}}, "(the threshold other must be a number, not True)"),
        ({"thresholds": {"slice": 5}}, "(the threshold slice must lie from 0 to 1, not at 5)"),
        ({"thresholds": {"case": -0.1}}, "(the threshold case must lie from 0 to 1, not at -0.1)"),
        ({"thresholds": {"slice": float("nan")}}, "(thresholds.slice must be a finite number, not NaN or infinity)"),
        ({"training": {"patients": 5}}, "(training.patients must be a list of names, not 5)"),
        ({"training": {"cases": None}}, "(training.cases must be a list of names, not None)"),
        ({"training": {"cases": "case_01"}}, "(training.cases must be a list of names, not case_01)"),
        ({"training": {"kinds_of_data": [3]}}, "(training.kinds_of_data must be a list of names, not [3])"),
        ({"training": {"steps": "9", "judge_every": 3}}, "(training.steps must be a number, not 9)"),
        ({"training": {"steps": 9, "judge_every": None}}, "(training.judge_every must be a number, not None)"),
        (
            {"validation": {"old": [{"x": float("nan")}]}},
            "(validation.old.0.x must be a finite number or null, not NaN or",
        ),
        ({"validation": {"x": float("-inf")}}, "(validation.x must be a finite number or null, not NaN"),
        ({"validation": {"figures": 5}}, "(a figure in validation must hold a name and a finite value, not 5)"),
        (
            {"validation": {"a": {"figures": [{"name": "x"}]}}},
            "must hold a name and a finite value, not {'name': 'x'})",
        ),
        ({"limits": None}, "(limits must be a list of texts)"),
        ({"size": True}, "(size must be a whole number)"),
        ({"size": 0}, "The size of the bundle lungs must be the side of its input in pixels, not 0. Use the card"),
        ({"framing": "banana"}, "The framing of the bundle lungs must be 'body', not 'banana'. Use the card"),
        ({"framing": "lungs"}, "The framing of the bundle lungs must be 'body', not 'lungs'. Use the card"),
        ({"framing": "volume", "role": "slices"}, "lungs must be 'body' or 'lungs', not 'volume'. Use the card"),
        (
            {"thresholds": {"case": 0}, "role": "slices"},
            "must name the thresholds 'slice' and 'case', but lacks slice.",
        ),
        ({"window_hu": [150, -1024]}, "window_hu of the bundle lungs must be [low, high] in HU, not [150, -1024]."),
        ({"value_range": [1, 1]}, "value_range of the bundle lungs must be [low, high], what its window becomes for"),
        (
            {"value_range": [-1, 1]},
            "value_range of the bundle lungs must be [0, 1], which networks of CovidCT's training",
        ),
        ({"value_range": [0, float("inf")]}, "(value_range.1 must be a finite number, not NaN or"),
    ],
)
def test_a_card_that_cannot_be_is_refused(bundle: Path, section: dict[str, Any], message: str) -> None:
    change(bundle, section)
    with pytest.raises(ModelError) as caught:
        read_card(bundle)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_at_the_ends_and_facts_of_other_kinds_stay_allowed(bundle: Path) -> None:
    assert read_card(bundle).thresholds == {"slice": 1.0, "case": 0}
    change(bundle, {"training": {"steps": "many", "note": None}, "validation": {"figures": [], "what": None}})
    assert read_card(bundle).training == {"steps": "many", "note": None}


def test_an_architecture_without_finite_numbers_is_refused(bundle: Path) -> None:
    path = bundle / "configs" / "inference.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"outputs": 1', '"outputs": 1e999'), encoding="utf-8")
    with pytest.raises(ModelError, match=r"\(network_def\.outputs must be a finite number, not NaN or infinity\)"):
        read_card(bundle)


def test_metadata_that_json_cannot_hold_are_not_written(bundle: Path) -> None:
    change(bundle, {}, mine=float("nan"))
    before = (bundle / METADATA).read_bytes()
    with pytest.raises(ModelError, match=r"metadata\.json of the bundle lungs would hold NaN or infinity, which JSON"):
        with_validation(bundle, {"score": 0.5})
    assert (bundle / METADATA).read_bytes() == before


def test_the_first_number_that_is_not_finite_is_found() -> None:
    assert infinite_in({"a": 1, "b": ["x", None, {"c": float("inf")}], "d": float("nan")}) == "b.2.c"
    assert infinite_in([1.5, True, 10**400]) == ""
    assert infinite_in(float("nan")) == "the content"
