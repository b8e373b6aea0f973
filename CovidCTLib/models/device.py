"""Where and in which precision networks run."""

from __future__ import annotations

import os

import torch

from CovidCTLib.errors import OptionsError

DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Kinds of torch devices that networks can run on."""


def choose_device(name: str) -> torch.device:
    """Choose a torch device.

    Parameters
    ----------
    name
        ``"auto"``, or what torch calls it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises
    ------
    OptionsError
        If there is no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICES:
            raise RuntimeError(f"{device.type} does not compute")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionsError(
            f"The device {name!r} cannot be used on this machine. Use auto or cpu; cuda needs an NVIDIA GPU."
        ) from error
    return device


def choose_dtype(device: torch.device) -> torch.dtype:
    """Choose the fastest precision that gives the same labels: bfloat16 where the hardware computes in it."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and has_bfloat16_cpu():
        return torch.bfloat16
    return torch.float32


def has_bfloat16_cpu() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX-512 BF16 or AMX); emulation would be slower than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(check()) for check in (getattr(torch.cpu, name, None) for name in checks) if check is not None)


def usable_threads(asked: int | None) -> int:
    """Threads to compute with: what was asked for, or as many as this process may use."""
    if asked is not None:
        return asked
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
