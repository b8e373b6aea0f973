"""Starting from given weights: what fits is taken, and what does not is said."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import torch
from monai.networks.nets import EfficientNet, UNet, resnet50

from CovidCTLib.errors import ModelError, OptionsError
from CovidCTLib.models.efficientnet import _BLOCKS
from CovidCTLib.models.networks import OPACITY_ARCHITECTURE, build_network
from CovidCTLib.training.architectures import ARCHITECTURES, EFFICIENTNET, RESNET50
from CovidCTLib.training.initial import read_initial, start_from

HEAD = ("spots_28", "spots_14", "out")
RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "widths": [4, 8, 16, 32]}


@pytest.fixture(scope="module")
def photograph_weights() -> dict[str, torch.Tensor]:
    """Weights of a colour EfficientNet, named as in the file of the Lite0 weights: blocks by number, without stages."""
    network = EfficientNet(list(_BLOCKS), spatial_dims=2, in_channels=3, num_classes=10, image_size=224)
    named = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        named[".".join([parts[0], *parts[2:]]) if parts[0] == "_blocks" else name] = torch.rand_like(tensor.float())
    return named


@pytest.mark.parametrize(
    ("architecture", "left_out"),
    [(OPACITY_ARCHITECTURE, "_conv_head.weight"), (EFFICIENTNET, "_blocks.11._expand_conv.weight")],
)
def test_an_encoder_takes_every_tensor_of_weights_from_photographs(
    architecture: dict[str, object], left_out: str, photograph_weights: dict[str, torch.Tensor]
) -> None:
    network = build_network(architecture)
    sentence = start_from(network, photograph_weights)
    encoder = network.encoder if hasattr(network, "encoder") else network.backbone
    fitting = sum("surroundings" not in name for name in encoder.state_dict())
    assert f"{fitting} of {len(network.state_dict())} tensors taken" in sentence
    assert left_out in sentence
    assert torch.equal(encoder.stem[1].weight, photograph_weights["_conv_stem.weight"])
    last = encoder.stages[4][0]._project_conv.weight
    assert torch.equal(last, photograph_weights["_blocks.8._project_conv.weight"])


def test_prefixes_of_other_programs_do_not_matter() -> None:
    network, other = build_network(RESNET), build_network(RESNET)
    foreign = {f"module.{name}": tensor for name, tensor in other.state_dict().items()}
    assert "none start at random" in start_from(network, foreign)
    assert torch.equal(network.spots_14.weight, other.spots_14.weight)


def test_tensors_of_another_shape_are_named() -> None:
    network = build_network(RESNET)
    wider = build_network({**RESNET, "widths": [4, 8, 17, 32]})
    sentence = start_from(network, wider.state_dict())
    assert "22 (backbone.layer3.0.conv1.weight, backbone.layer3.0.bn1.weight, " in sentence
    assert "have another shape and none have no place here" in sentence


def test_weights_without_a_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"None of the 1 given tensors fits .*first given: strange; first expected"):
        start_from(build_network(RESNET), {"strange": torch.zeros(2)})


def test_a_first_layer_for_colour_is_summed_to_grey() -> None:
    network = build_network(RESNET)
    colour = torch.rand(4, 3, 7, 7)
    grey = network.backbone.conv1.weight
    start_from(network, {"backbone.conv1.weight": colour})
    assert torch.allclose(grey, colour.sum(dim=1, keepdim=True))


def torchvision_resnet50() -> dict[str, torch.Tensor]:
    """Weights with the names and shapes of torchvision's resnet50: 320 tensors, three colours, 1000 classes."""
    state = {"conv1.weight": torch.rand(64, 3, 7, 7)}

    def normalize(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{part}"] = torch.rand(width)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    normalize("bn1", 64)
    channels = 64
    for layer, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            home = f"layer{layer}.{block}"
            sides = ((width, channels, 1), (width, width, 3), (width * 4, width, 1))
            for number, (out, given, side) in enumerate(sides, start=1):
                state[f"{home}.conv{number}.weight"] = torch.rand(out, given, side, side)
                normalize(f"{home}.bn{number}", out)
            if block == 0:
                state[f"{home}.downsample.0.weight"] = torch.rand(width * 4, channels, 1, 1)
                normalize(f"{home}.downsample.1", width * 4)
            channels = width * 4
    state["fc.weight"], state["fc.bias"] = torch.rand(1000, 2048), torch.rand(1000)
    return state


def test_a_resnet_50_of_torchvision_gives_its_first_three_stages() -> None:
    given = torchvision_resnet50()
    assert len(given) == 320
    network = build_network(RESNET50)
    sentence = start_from(network, given)
    stages = {f"backbone.{name}" for name in given if not name.startswith(("layer4.", "fc."))}
    own = network.state_dict()
    # MONAI's own shortcuts have a bias that torchvision's lack; the normalization after them takes it away.
    biases = {f"backbone.layer{k}.0.downsample.0.bias" for k in (1, 2, 3)}
    assert set(own) - stages - biases == {f"{name}.{part}" for name in HEAD for part in ("weight", "bias")}
    assert f"{len(stages)} of {len(own)} tensors taken" in sentence
    assert "none have another shape" in sentence
    assert torch.equal(own["backbone.layer3.5.conv2.weight"], given["layer3.5.conv2.weight"])
    assert torch.allclose(own["backbone.conv1.weight"], given["conv1.weight"].sum(dim=1, keepdim=True))


def test_a_resnet_50_of_monai_gives_its_first_three_stages() -> None:
    given = resnet50(spatial_dims=2, n_input_channels=1, num_classes=2).state_dict()
    network = build_network(RESNET50)
    sentence = start_from(network, {f"module.{name}": value for name, value in given.items()})
    assert "6 (spots_28.weight, spots_28.bias, spots_14.weight, ...) start at random" in sentence
    assert torch.equal(network.backbone.layer2[3].conv1.weight, given["layer2.3.conv1.weight"])


@pytest.mark.parametrize("task", ["lungs", "opacities"])
def test_a_unet_of_monai_gives_all_tensors(task: str) -> None:
    architecture = ARCHITECTURES[task]["unet"]
    channels = (16, 32, 64, 128, 256)
    other = UNet(2, 1, architecture["outputs"], channels, (2, 2, 2, 2), num_res_units=2, norm="batch")
    network = build_network(architecture)
    assert "none start at random" in start_from(network, other.state_dict())


@pytest.mark.parametrize("task", ["lungs", "opacities"])
def test_a_unet_of_another_width_is_refused_though_its_scalars_fit(task: str) -> None:
    architecture = ARCHITECTURES[task]["unet"]
    other = UNet(2, 1, architecture["outputs"], (12, 24, 48, 96, 192), (2, 2, 2, 2), num_res_units=2, norm="batch")
    message = r"convolutions at least 1% must fit, but the \d+ of 148 given tensors that fit this network hold \d+ of"
    with pytest.raises(ModelError, match=message) as refused:
        start_from(build_network(architecture), other.state_dict())
    assert re.search(r"fitting: \d+ \(model\.\S+, .*\); of another shape: \d+ \(", str(refused.value))


def test_weights_of_another_kind_of_network_are_refused_though_a_line_fits() -> None:
    with pytest.raises(ModelError, match=r"or choose theirs with --architecture\."):
        start_from(build_network(EFFICIENTNET), {"out.weight": torch.zeros(1, 2), "out.bias": torch.zeros(1)})


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}, "optimizer": {"lr": 1}},
        lambda state: {"epoch": 3, "state_dict": {"model": {f"_orig_mod.net.{n}": v for n, v in state.items()}}},
    ],
    ids=["alone", "lightning", "model", "twice"],
)
def test_files_of_training_programs_are_unwrapped(tmp_path: Path, wrapped: object) -> None:
    given = build_network(RESNET).state_dict()
    torch.save(wrapped(given), tmp_path / "w.ckpt")
    network = build_network(RESNET)
    assert "none start at random" in start_from(network, read_initial(tmp_path / "w.ckpt"))
    assert torch.equal(network.state_dict()["backbone.conv1.weight"], given["backbone.conv1.weight"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "tensors by their names, but 'w.pt' holds a list. In the program"),
        ({}, "holds a mapping of 0 entries. In the program"),
        ({0: torch.zeros(2)}, r"holds a mapping of 1 entries \(0\)\. "),
        ({"epoch": 3, "state_dict": {"a": 1}}, r"holds a mapping of 2 entries \('epoch', 'state_dict'\)\. "),
        ({"state_dict": [1]}, "holds a mapping of 1 entries"),
    ],
)
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=message):
        read_initial(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"a": 1}), pickle.dumps(Path("a"))])
def test_files_that_are_not_of_pytorch_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"'w\.pt' is damaged, of another kind, or holds objects that could run code"):
        read_initial(tmp_path / "w.pt")


def test_files_of_old_pytorch_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(40, 3)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for left in range(0, len(content), 7):
        path.write_bytes(content[:left])
        with pytest.raises(ModelError, match=r"--init must name a "):
            read_initial(path)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_given_weights_that_are_not_finite_are_refused(tmp_path: Path, wrong: float) -> None:
    torch.save({"fine": torch.zeros(2), "broken": torch.tensor([0.0, wrong])}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"finite numbers, but broken of 'w\.pt' holds NaN or infinity"):
        read_initial(tmp_path / "w.pt")


@pytest.mark.parametrize("packed", [torch.eye(3).to_sparse(), torch.zeros(2, dtype=torch.complex64)])
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path, packed: torch.Tensor) -> None:
    torch.save({"a": packed}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="must name a state dict, that is tensors by their names"):
        read_initial(tmp_path / "w.pt")


def test_only_what_was_given_is_frozen() -> None:
    given = build_network(EFFICIENTNET).state_dict()
    network = build_network(EFFICIENTNET)
    start_from(network, given, 2)
    frozen = {name.split(".")[1] + name.split(".")[2] for name, p in network.named_parameters() if not p.requires_grad}
    assert {name for name in frozen if name.startswith("stages")} == {"stages0", "stages1"}
    without = {name: tensor for name, tensor in given.items() if ".stages.1." not in name}
    with pytest.raises(ModelError, match=r"frozen must come from the given weights, but \d+ \(backbone\.stages\.1"):
        start_from(build_network(EFFICIENTNET), without, 2)
    start_from(build_network(EFFICIENTNET), without, 1)
    with pytest.raises(OptionsError, match=r"--freeze must be at most 5, the number of stages, but is 6\."):
        start_from(build_network(EFFICIENTNET), given, 6)


def test_a_missing_file_and_a_folder_are_no_weights(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "none.pt", "nothing"), (tmp_path, "a folder")):
        with pytest.raises(ModelError, match=rf"must name a file of weights, but {found} is at .* Correct the path"):
            read_initial(path)
