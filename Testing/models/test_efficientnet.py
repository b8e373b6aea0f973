"""The encoder that starts from photographs, and what is built on it."""

from __future__ import annotations

import torch

from CovidCTLib.models.efficientnet import CHANNELS, LAST_STAGE_OF_MAPS, DepthwiseConv, EfficientEncoder
from CovidCTLib.models.networks import OPACITY_ARCHITECTURE, SliceClassifier, build_network
from CovidCTLib.training.architectures import EFFICIENTNET


def test_the_encoder_halves_the_grid_five_times() -> None:
    sizes = EfficientEncoder().eval()(torch.rand(1, 1, 64, 96))
    assert [tuple(s.shape) for s in sizes] == [
        (1, channels, 64 // 2**k, 96 // 2**k) for k, channels in enumerate(CHANNELS, start=1)
    ]


def test_stages_in_steps_give_what_the_whole_gives() -> None:
    encoder = EfficientEncoder().eval()
    images = torch.rand(1, 1, 224, 224)
    with torch.no_grad():
        at_28 = encoder.to_28(images)
        at_14 = encoder.to_14(at_28)
        whole = encoder(images)
        assert at_28.shape[2:] == (28, 28)
        assert at_14.shape[2:] == (14, 14)
        assert torch.equal(whole[2], at_28)
        assert torch.equal(whole[3], at_14)


def test_an_encoder_for_coarse_maps_ends_at_a_sixteenth_of_the_side() -> None:
    sizes = EfficientEncoder(LAST_STAGE_OF_MAPS).eval()(torch.rand(1, 1, 64, 64))
    assert [tuple(s.shape) for s in sizes] == [(1, c, 64 // 2**k, 64 // 2**k) for k, c in enumerate(CHANNELS[:4], 1)]


def test_networks_on_the_encoder_give_logits_of_the_input_size() -> None:
    opacities = build_network(OPACITY_ARCHITECTURE).eval()
    slices = build_network(EFFICIENTNET).eval()
    with torch.no_grad():
        assert opacities(torch.rand(2, 1, 64, 64)).shape == (2, 3, 64, 64)
        assert slices(torch.rand(2, 1, 224, 224)).shape == (2,)


def test_frozen_stages_learn_nothing_and_the_others_do() -> None:
    network = build_network(EFFICIENTNET)
    assert isinstance(network, SliceClassifier)
    encoder = network.backbone
    assert isinstance(encoder, EfficientEncoder)
    encoder.freeze(2)
    network(torch.rand(2, 1, 64, 64)).sum().backward()
    frozen = [*encoder.stem.parameters(), *encoder.stages[:2].parameters()]
    assert all(p.grad is None for p in frozen)
    assert all(p.grad is not None for p in encoder.stages[2:].parameters())


def test_depthwise_convolutions_learn_in_float32_and_judge_as_any_other() -> None:
    plain = torch.nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False)
    own = DepthwiseConv.like(plain)
    assert list(own.state_dict()) == ["weight"]
    images = torch.randn(2, 8, 16, 16)
    torch.testing.assert_close(own.eval()(images), plain(images), rtol=0, atol=0)
    exact = plain(images.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        learning = own.train()(images.bfloat16())
        judging = own.eval()(images.bfloat16())
        expected = plain(images.bfloat16())
    assert learning.dtype == torch.bfloat16
    torch.testing.assert_close(learning, exact.bfloat16(), rtol=0, atol=0)
    torch.testing.assert_close(judging, expected, rtol=0, atol=0)
