"""Weights of eight bits give what those of half precision give, but for rounding, and load by themselves."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from monai.bundle import load

from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import WEIGHTS, read_card
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.eight_bit import LEAST_NUMBERS, plain_state, with_eight_bits, with_plain_weights
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.weights import load_network, load_state, save_network, write_packed, write_state
from CovidCTLib.training.initial import read_initial

SMALL = {"kind": "unet", "channels": [32, 64, 128], "outputs": 1}


def _card() -> ModelCard:
    return ModelCard("lungs", "1", SMALL, 32, "body", "HU", "logits", "", limits=("none known",))


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(SMALL).eval()


def test_each_weight_is_off_by_half_a_step_of_its_channel_at_most(network: torch.nn.Module) -> None:
    exact = {key: value.clone() for key, value in network.state_dict().items()}
    rounded = with_plain_weights(with_eight_bits(network)).state_dict()
    assert rounded.keys() == exact.keys()
    changed = 0
    for key, value in exact.items():
        if value.ndim < 2 or value.numel() < LEAST_NUMBERS:
            assert torch.equal(rounded[key], value)
            continue
        # Transposed convolutions have their output channels on the second axis.
        transposed = isinstance(network.get_submodule(key.rpartition(".")[0]), torch.nn.ConvTranspose2d)
        others = (0, 2, 3) if transposed else (1, 2, 3)
        step = value.abs().amax(others, keepdim=True) / 127
        assert bool(((rounded[key] - value).abs() <= step * 0.5001).all())
        changed += 1
    assert changed >= 5


def test_a_channel_of_zeros_stays_zero() -> None:
    layer = torch.nn.Conv2d(32, 64, 3)
    with torch.no_grad():
        layer.weight[3] = 0
    weight = with_plain_weights(with_eight_bits(torch.nn.Sequential(layer)))[0].weight
    assert torch.count_nonzero(weight[3]) == 0
    assert bool(torch.isfinite(weight).all())


def test_a_channel_that_decay_took_away_becomes_zero_and_one_above_it_stays() -> None:
    layer = torch.nn.Conv2d(32, 64, 3, bias=False)
    with torch.no_grad():
        layer.weight[3] = torch.linspace(-0.99e-8, 0.99e-8, 288).reshape(32, 3, 3)
        layer.weight[4] = torch.linspace(-1e-8, 1e-8, 288).reshape(32, 3, 3)
    packed = with_eight_bits(torch.nn.Sequential(layer))[0]
    assert torch.count_nonzero(packed.weight_whole[3]) == 0
    assert int(packed.weight_whole[4].max()) == 127


def test_packed_weights_are_smaller_and_always_the_same_file(network: torch.nn.Module, tmp_path: Path) -> None:
    state = with_eight_bits(network).state_dict()
    plain, packed, again = (tmp_path / name for name in ("plain.pt", "packed.pt", "again.pt"))
    write_state(plain, state)
    write_packed(packed, state)
    write_packed(again, state)
    assert packed.read_bytes() == again.read_bytes()
    assert packed.stat().st_size < 0.95 * plain.stat().st_size
    loaded = load_state(packed)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) and loaded[key].dtype == value.dtype for key, value in state.items())


def test_a_network_computes_alike_packed_and_plain(network: torch.nn.Module) -> None:
    image = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = network(image)
        packed = with_eight_bits(network)(image)
        plain = with_plain_weights(network)(image)
    assert torch.equal(packed, plain)
    assert 0 < float((plain - exact).abs().max()) < 0.05 * float(exact.abs().max())
    # Plain weights can be learned again.
    assert all(p.requires_grad for p in network.parameters())


def test_saved_in_eight_bits_it_takes_half_the_room_and_loads_as_any_other(
    tmp_path: Path, network: torch.nn.Module
) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    save_network(network, _card(), tmp_path / "16")
    card = save_network(network, _card(), tmp_path / "8", bits=8)
    sizes = {bits: (tmp_path / bits / "lungs" / WEIGHTS).stat().st_size for bits in ("16", "8")}
    assert sizes["8"] < 0.62 * sizes["16"]
    assert read_card(tmp_path / "8" / "lungs") == card
    loaded = load_network(card, tmp_path / "8" / "lungs")
    # The network that was saved is as it was.
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    expected = with_plain_weights(with_eight_bits(network)).state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, expected[key], atol=1e-3, rtol=1e-3)


def test_monai_loads_eight_bits_by_itself(tmp_path: Path, network: torch.nn.Module) -> None:
    card = save_network(network, _card(), tmp_path, bits=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = load("lungs", workflow_type="inference", bundle_dir=tmp_path, source="github", device="cpu").eval()
    ours = load_network(card, tmp_path / "lungs")
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assert torch.equal(theirs(image), ours(image))


def test_training_can_start_from_eight_bits(tmp_path: Path, network: torch.nn.Module) -> None:
    save_network(network, _card(), tmp_path, bits=8)
    state = read_initial(tmp_path / "lungs" / WEIGHTS)
    assert state.keys() == network.state_dict().keys()
    plain = plain_state(load_state(tmp_path / "lungs" / WEIGHTS))
    assert all(torch.equal(state[key], plain[key]) for key in state)


@pytest.mark.parametrize("bits", [4, "8", 0])
def test_other_numbers_of_bits_are_refused(bits: object) -> None:
    with pytest.raises(ModelError, match="weight_bits of an architecture must be 8 or left out"):
        build_network({**SMALL, "weight_bits": bits})
