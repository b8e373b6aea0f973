"""What a run rests on, as readable facts: a run is continued only where all of them are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from CovidCTLib.training.slices import SliceSet
from CovidCTLib.training.tasks import Task

_STRIDE = 4
"""Every so many rows and columns of the images count for the fingerprint: it is made in a second or two, and no other
image has the same ones."""

_LONGEST = 40
"""Characters of a fact that a refusal shows; longer ones are checksums and lists."""


def identity_of(
    task: Task,
    training: SliceSet,
    validation: SliceSet | None,
    options: Mapping[str, Any],
    initial: Mapping[str, torch.Tensor] | None,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather what decides on the weights of a run.

    Parameters
    ----------
    task
        What is trained.
    training, validation
        The two sides.
    options
        Options that change what is learned.
    initial
        Weights to start from.
    facts
        More of the kind, such as the number of the fold.

    Returns
    -------
    dict
        Numbers, texts and lists of texts by their names for people.
    """
    sides = {"training": training, "validation": validation}
    return {
        "what is trained": task.name,
        "the architecture": json.dumps(dict(task.architecture), sort_keys=True),
        **{f"--{name.replace('_', '-')}": value for name, value in options.items()},
        **facts,
        "the weights of --init": None if initial is None else checksum_of_tensors(initial),
        **{f"the {name} patients": _patients(side) for name, side in sides.items()},
        **{f"the {name} slices": None if side is None else fingerprint(side) for name, side in sides.items()},
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the facts that differ, with both values where they are short; never the names of patients."""
    differing = []
    for name in [*now, *(name for name in then if name not in now)]:
        old, new = then.get(name), now.get(name)
        if old == new:
            continue
        shown = [value for value in (old, new) if not isinstance(value, list) and len(str(value)) <= _LONGEST]
        differing.append(f"{name} ({_said(old)} then, {_said(new)} now)" if len(shown) == 2 else name)
    return differing


def _said(value: Any) -> str:
    """Write a fact for people."""
    return "none" if value is None else str(value)


def _patients(side: SliceSet | None) -> list[str]:
    """Sorted patients of a side."""
    return [] if side is None else sorted({str(patient) for patient in side.patient})


def fingerprint(slices: SliceSet) -> str:
    """Checksum of patients, cases, sources, verdicts, labels, and of a part of the pixels that stands for all."""
    digest = hashlib.sha256(str(slices.image.shape).encode())
    for texts in (slices.patient, slices.case, slices.source):
        digest.update("\n".join(map(str, texts.tolist())).encode() + b"\0")
    digest.update(slices.abnormal.tobytes())
    labels = (slices.lungs, slices.opacities, slices.effusion)
    for image, lungs, opacities, effusion in zip(slices.image, *labels, strict=True):
        digest.update(image[::_STRIDE, ::_STRIDE].tobytes())
        digest.update(lungs.tobytes())
        digest.update(opacities.tobytes())
        digest.update(effusion.tobytes())
    return digest.hexdigest()


def checksum_of_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """Checksum of named tensors, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
