"""The weights that ship: complete, small, checked, and honest about themselves."""

from __future__ import annotations

import pytest
import torch

from CovidCTLib.models.card import MODEL_NAMES, ModelName
from CovidCTLib.models.registry import SHIPPED
from CovidCTLib.models.store import ModelStore

MAX_BYTES = 25_000_000


@pytest.fixture(scope="module")
def store() -> ModelStore:
    return ModelStore(device="cpu")


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_each_model_loads_and_runs_on_its_own_grid(store: ModelStore, name: ModelName) -> None:
    network = store.network(name)
    output = network.run(torch.rand(2, 1, network.card.size, network.card.size))
    assert output.shape[0] == 2
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_each_card_says_how_it_was_made_and_judged(store: ModelStore, name: ModelName) -> None:
    card = store.card(name)
    assert card.training["command"].startswith(f"covidct train {name} DATA -o RUN")
    assert card.validation
    assert card.limits
    assert card.licence == "CC BY-NC-SA 4.0"
    text = (SHIPPED / name / "docs" / "README.md").read_text(encoding="utf-8")
    assert text == card.to_markdown()


def test_all_weights_together_stay_small() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.name == "model.pt" for path in files) == len(MODEL_NAMES)
    assert sum(path.stat().st_size for path in files) < MAX_BYTES


def test_no_volume_was_both_trained_and_validated_on(store: ModelStore) -> None:
    for card in store.cards():
        patients = {"case_03": "case_02"}
        trained = {patients.get(case, case) for case in card.training["cases"]}
        held_out = {patients.get(case, case) for case in card.validation.get("volumes", ())}
        assert not trained & held_out


def test_bfloat16_gives_the_labels_of_float32() -> None:
    image = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    fast, exact = (ModelStore(device="cpu", full_precision=full).lungs().run(image) for full in (False, True))
    assert ((fast > 0) != (exact > 0)).float().mean() < 0.01
