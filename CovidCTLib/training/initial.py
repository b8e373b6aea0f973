"""Weights to start from: this project's own, or those of other programs, as far as they fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from CovidCTLib.errors import ModelError, OptionsError
from CovidCTLib.models.efficientnet import EfficientEncoder
from CovidCTLib.models.eight_bit import plain_state
from CovidCTLib.models.networks import ResNetStages
from CovidCTLib.models.weights import is_plain, not_finite

_PREFIXES = ("_orig_mod.", "module.", "model.", "network.", "net.", "encoder.", "backbone.", "features.")
"""What other programs put before the names of layers."""

_WRAPPINGS = ("state_dict", "model_state_dict", "model", "network", "net")
"""Under which of these names training programs keep the weights beside other things, in the order of looking."""

_CONVOLUTION = 3
"""Dimensions from which a tensor is the kernel of a convolution."""

LEAST_SHARE = 0.01
"""Share of the numbers in a network's convolutions that given weights must fill. Scalars, lines and the last kernel fit
networks of many kinds: 20 tensors of a U-Net of any width, among them one kernel of nine numbers."""

_SHOWN = 3
"""Names of tensors that the report gives as examples."""

_GIVE = "Give weights of the same architecture, or choose theirs with --architecture."

_LONGEST_NAME = 40
"""Characters of a name in a file that are shown."""


def read_initial(path: Path) -> dict[str, torch.Tensor]:
    """Read weights to start from: a state dict, alone or within the file of a training program.

    Parameters
    ----------
    path
        A file of PyTorch.

    Returns
    -------
    dict
        Tensors by name.

    Raises
    ------
    ModelError
        If there is no such file, it cannot be read as tensors alone, holds no state dict, or numbers that are not
        finite.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing"
        raise ModelError(
            f"--init must name a file of weights, but {what} is at {path.name!r}. Correct the path; the weights of a "
            "bundle are its models/model.pt."
        )
    try:
        with warnings.catch_warnings():
            # Remarks on the protocol of a file that is refused anyhow.
            warnings.simplefilter("ignore")
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A file that is cut off or no pickle can bring its reader to raise nearly anything.
        raise ModelError(
            f"--init must name a file of PyTorch that holds tensors, but {path.name!r} is damaged, of another kind, or "
            "holds objects that could run code. In the program that made it, write the tensors alone: "
            "torch.save(network.state_dict(), FILE)."
        ) from error
    state = _unwrapped(content)
    if not state or not all(isinstance(k, str) and is_plain(v) for k, v in state.items()):
        raise ModelError(
            f"--init must name a state dict, that is tensors by their names, but {path.name!r} holds "
            f"{_contents(content)}. In the program that made it, write torch.save(network.state_dict(), FILE)."
        )
    if name := not_finite(state):
        raise ModelError(
            f"--init must hold finite numbers, but {name[:_LONGEST_NAME]} of {path.name!r} holds NaN or infinity: its "
            "training failed, or the file is damaged. Give other weights."
        )
    return plain_state(state)


def _unwrapped(content: Any) -> dict[str, torch.Tensor]:
    """Take the state dict out of what a training program keeps beside it; empty where there is none."""
    while isinstance(content, Mapping):
        inner = next((content[name] for name in _WRAPPINGS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            return dict(content)
        content = inner
    return {}


def _contents(content: Any) -> str:
    """Say in a few words what a file holds."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = ", ".join(repr(name)[:_LONGEST_NAME] for name in list(content)[:_SHOWN])
    return f"a mapping of {len(content)} entries" + (f" ({names})" if names else "")


def start_from(network: torch.nn.Module, state: Mapping[str, torch.Tensor], freeze: int = 0) -> str:
    """Take the tensors that fit, and freeze the first stages of an EfficientNet or ResNet.

    Parameters
    ----------
    network
        The network to start.
    state
        Weights of this or another program. Tensors are matched by name, by name without such prefixes as ``module.``
        or ``encoder.``, and for an EfficientNet by the number of the block. A first layer for colour is summed to grey.
    freeze
        How many stages.

    Returns
    -------
    str
        What fitted and what did not, as a sentence.

    Raises
    ------
    ModelError
        If nothing fits, less than `LEAST_SHARE` of the convolutions, or not all that is to be frozen.
    OptionsError
        If the network is neither, and stages are to be frozen.
    """
    encoder = next((m for m in network.modules() if isinstance(m, EfficientEncoder | ResNetStages)), None)
    if freeze and encoder is None:
        raise OptionsError("Only EfficientNet and ResNet have stages to freeze: leave --freeze out for this network.")
    if encoder is not None and freeze > len(encoder.stages):
        raise OptionsError(f"--freeze must be at most {len(encoder.stages)}, the number of stages, but is {freeze}.")
    said, filled = _fill(network, state)
    if isinstance(encoder, EfficientEncoder) or freeze:
        _freeze(network, encoder, freeze, filled)
    return said


def _freeze(network: torch.nn.Module, encoder: Any, stages: int, filled: set[str]) -> None:
    """Freeze what was given, and refuse to freeze what starts at random: it would never learn."""
    before = {name for name, p in network.named_parameters() if p.requires_grad}
    encoder.freeze(stages)
    frozen = [name for name, p in network.named_parameters() if name in before and not p.requires_grad]
    lacking = [name for name in frozen if name not in filled]
    if lacking:
        raise ModelError(
            f"What is frozen must come from the given weights, but {_some(lacking)} of the stem and the first "
            f"{stages} stages are not in them. Give weights that hold them, or lower --freeze."
        )


def _fill(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> tuple[str, set[str]]:
    """Take the tensors that fit; give the sentence on them, and the names of those that were filled."""
    expected = network.state_dict()
    fitting, strange, misshapen = _fitting(expected, state)
    if not fitting:
        raise ModelError(
            f"None of the {len(state)} given tensors fits this network by name and shape (first given: "
            f"{next(iter(state), 'none')}; first expected: {next(iter(expected))}). {_GIVE}"
        )
    taken, all_numbers = _in_convolutions(fitting), _in_convolutions(expected)
    if taken < LEAST_SHARE * all_numbers:
        raise ModelError(
            f"Of the convolutions at least {LEAST_SHARE:.0%} must fit, but the {len(fitting)} of {len(state)} given "
            f"tensors that fit this network hold {taken} of their {all_numbers} numbers (fitting: "
            f"{_some(list(fitting))}; of another shape: {_some(misshapen)}). {_GIVE}"
        )
    network.load_state_dict(fitting, strict=False)
    missing = [name for name in expected if name not in fitting]
    said = (
        f"{len(fitting)} of {len(expected)} tensors taken from the given weights; {_some(missing)} start at random; "
        f"of the given ones {_some(misshapen)} have another shape and {_some(strange)} have no place here."
    )
    return said, set(fitting)


def _fitting(
    expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str], list[str]]:
    """Find the given tensors that fit, by the names of this network; and those of no place, and of another shape."""
    by_core = {_core(name): name for name in expected}
    fitting: dict[str, torch.Tensor] = {}
    strange, misshapen = [], []
    for name, tensor in state.items():
        home = name if name in expected else by_core.get(_core(name))
        if home is None:
            strange.append(name)
            continue
        value = _as_grey(tensor, expected[home])
        if value.shape == expected[home].shape:
            fitting[home] = value.to(expected[home].dtype)
        else:
            misshapen.append(name)
    return fitting, strange, misshapen


def _in_convolutions(state: Mapping[str, torch.Tensor]) -> int:
    """Count the numbers in kernels of convolutions."""
    return sum(tensor.numel() for tensor in state.values() if tensor.ndim >= _CONVOLUTION)


def _some(names: list[str]) -> str:
    """Count names and give the first few."""
    if not names:
        return "none"
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"


def _core(name: str) -> str:
    """Name of a tensor without what only says in which program it lives."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    # EfficientNet: stem and blocks by number, whether or not they are grouped into stages.
    name = re.sub(r"^stem\.1\.", "_conv_stem.", name)
    name = re.sub(r"^stem\.2\.", "_bn0.", name)
    name = re.sub(r"^(?:stages|_blocks)\.(?:\d+\.)?(\d+)\.(?=_)", r"_blocks.\1.", name)
    # MONAI wraps some convolutions of a ResNet once more.
    return name.replace(".conv.conv.", ".conv.")


def _as_grey(tensor: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Sum a first layer for colour over its channels, where this network takes grey: the same for a grey picture."""
    colour = tensor.ndim == expected.ndim == 4 and expected.shape[1] == 1 and tensor.shape[1] == 3
    return tensor.sum(dim=1, keepdim=True) if colour and tensor.shape[0] == expected.shape[0] else tensor
