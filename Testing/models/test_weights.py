"""Weights are loaded only if they are what their card says."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch

from CovidCTLib.errors import ModelError, OptionsError
from CovidCTLib.models.bundle import WEIGHTS, read_card
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.device import choose_device, usable_threads
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.store import LoadedNetwork, ModelStore
from CovidCTLib.models.weights import fit_state, load_network, load_state, save_network

TINY = {"kind": "unet", "channels": [4, 8], "outputs": 1}


@pytest.fixture
def card() -> ModelCard:
    return ModelCard("lungs", "1", TINY, 32, "body", "HU", "logits", "", limits=("none known",))


@pytest.fixture
def saved(tmp_path: Path, card: ModelCard) -> tuple[ModelCard, torch.nn.Module]:
    network = build_network(TINY).eval()
    return save_network(network, card, tmp_path), network


def test_saved_weights_come_back_in_half_precision(tmp_path: Path, saved: tuple[ModelCard, torch.nn.Module]) -> None:
    card, network = saved
    loaded = load_network(read_card(tmp_path / "lungs"), tmp_path / "lungs")
    assert read_card(tmp_path / "lungs") == card
    image = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), network(image), atol=2e-2, rtol=2e-2)
    state = torch.load(tmp_path / "lungs" / WEIGHTS, weights_only=True)
    assert {key for key, v in state.items() if v.dtype == torch.float32} == {
        key for key in state if key.endswith("running_var")
    }
    assert "none known" in (tmp_path / "lungs" / "docs" / "README.md").read_text()


def test_wrong_checksum_is_refused(tmp_path: Path, saved: tuple[ModelCard, torch.nn.Module]) -> None:
    path = tmp_path / "lungs" / WEIGHTS
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ModelError, match="do not have the checksum of their card"):
        load_network(saved[0], tmp_path / "lungs")


def test_missing_weights_are_refused(tmp_path: Path, card: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"There are no weights models/model\.pt in the bundle lungs"):
        load_network(card, tmp_path / "lungs")
    with pytest.raises(ModelError, match=r"There are no weights none\.pt in .*\. Correct the path to the file"):
        load_state(tmp_path / "none.pt")


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights at all",
        pickle.dumps(_Evil()),
        pickle.dumps([1, 2], protocol=4),
        b"\x80\x02.",
        b"\x80\x02\x85.",
        b"\x80\x02h\x05.",
    ],
    ids=["empty", "text", "pickle", "protocol 4", "nothing to pop", "nothing to pack", "nothing remembered"],
)
def test_files_that_are_no_state_dict_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    # The message is all that a reader gets to see.
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ModelError, match="damaged or hold more than tensors"):
            load_state(path)
    assert warned == []


def test_a_list_is_no_state_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "w.pt")
    with pytest.raises(ModelError, match="must hold a state dict of tensors, but holds list"):
        load_state(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"state_dict": {"a": torch.zeros(1)}}, "dict whose entry 'state_dict' is none"),
        ({0: torch.zeros(1)}, "entry '0'"),
        ({"a": torch.zeros(2), "b": torch.zeros(2).to_sparse()}, "entry 'b'"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "entry 'a'"),
    ],
)
def test_entries_that_are_no_named_tensors_are_named(tmp_path: Path, content: dict[object, object], found: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=f"must hold a state dict of tensors, but holds .*{found}"):
        load_state(tmp_path / "w.pt")


def test_weights_of_another_architecture_are_refused() -> None:
    other = build_network({"kind": "unet", "channels": [4, 8, 16], "outputs": 1})
    with pytest.raises(ModelError, match="belong to another architecture"):
        fit_state(build_network(TINY), other.state_dict(), "lungs")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(wrong: float) -> None:
    state = build_network(TINY).state_dict()
    last = next(key for key in reversed(state) if state[key].is_floating_point())
    state[last] = state[last].double()
    state[last].view(-1)[-1] = wrong
    with pytest.raises(
        ModelError, match=f"The weights of mine must be finite numbers, but {last} holds NaN or infinity"
    ):
        fit_state(build_network(TINY), state, "mine")


@pytest.mark.parametrize("wrong", [float("nan"), 65520.0])
def test_weights_beyond_half_precision_are_not_saved(tmp_path: Path, card: ModelCard, wrong: float) -> None:
    network = build_network(TINY)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = 65504.0
    save_network(network, card, tmp_path)
    before = (tmp_path / "lungs" / WEIGHTS).read_bytes()
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = wrong
    with pytest.raises(ModelError, match="The weights of lungs must be numbers of at most 65504, the highest in half"):
        save_network(network, card, tmp_path)
    assert (tmp_path / "lungs" / WEIGHTS).read_bytes() == before


def test_a_variance_beyond_half_precision_is_saved_as_it_is(tmp_path: Path, card: ModelCard) -> None:
    network = build_network(TINY)
    key = next(key for key in network.state_dict() if key.endswith("running_var"))
    network.state_dict()[key].fill_(3.0e6)
    loaded = load_network(save_network(network, card, tmp_path), tmp_path / "lungs")
    assert torch.equal(loaded.state_dict()[key], network.state_dict()[key])


def test_an_own_network_must_give_finite_numbers(tmp_path: Path, card: ModelCard) -> None:
    network = build_network(TINY)
    # Each weight is finite, but a normalization takes the root of a negative variance.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_var is not None
            module.running_var.fill_(-1.0)
    save_network(network, card, tmp_path)
    with pytest.raises(ModelError, match="The network of lungs must give finite numbers, but gives NaN or infinity"):
        ModelStore(tmp_path, device="cpu").lungs()


def test_what_comes_out_of_a_network_is_never_nan(card: ModelCard) -> None:
    network = LoadedNetwork(torch.nn.ReLU(), card, torch.device("cpu"), torch.float32)
    assert network.run(torch.ones(1, 1, 2, 2)).sum() == 4
    with pytest.raises(ModelError, match=r"The network of lungs gave NaN or infinity for a part of this scan"):
        network.run(torch.full((1, 1, 2, 2), torch.nan))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [({"kind": "transformer"}, "must be 'unet', "), ({"kind": "unet"}, "incomplete or wrong")],
)
def test_unknown_architectures_are_refused(architecture: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(architecture)


def test_own_models_take_the_place_of_shipped_ones(tmp_path: Path, saved: tuple[ModelCard, torch.nn.Module]) -> None:
    store = ModelStore(tmp_path, device="cpu")
    assert store.lungs().card == saved[0]
    assert store.lungs() is store.lungs()
    assert store.slices().card.name == "slices"


def test_unknown_devices_are_refused() -> None:
    for name in ("abacus", "meta"):
        with pytest.raises(OptionsError, match="cannot be used on this machine"):
            choose_device(name)
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}


def test_threads_follow_the_wish_or_the_machine() -> None:
    assert usable_threads(3) == 3
    assert usable_threads(None) >= 1
