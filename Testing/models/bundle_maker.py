"""Small bundles of a user's own networks of MONAI, with random weights."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import UNet

VOLUME = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
}
VOLUME_SECTION = {
    "role": "opacities",
    "channels": ["background", "opacity"],
    "window_hu": [-1000, 400],
    "orientation": "RAS",
    "patch": [32, 32, 16],
    "spacing_mm": [4.0, 4.0, 5.0],
}
SLICE = {**VOLUME, "spatial_dims": 2, "out_channels": 3}
SLICE_SECTION = {
    "role": "opacities",
    "channels": ["background", "ggo", "consolidation"],
    "window_hu": [-1000, 200],
    "orientation": "PL",
    "size": 64,
    "framing": "lungs",
}


def make_bundle(folder: Path, definition: Any, section: dict[str, Any] | None, **metadata: Any) -> Path:
    """Write a bundle; its section's checksum is right unless it says another."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    weights = folder / "models" / "model.pt"
    plain = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}
    if isinstance(definition, dict) and definition.get("_target_") == VOLUME["_target_"]:
        plain = {key: definition[key] for key in plain if key in definition}
    torch.manual_seed(0)
    torch.save(UNet(**plain).state_dict(), weights)
    facts = {"name": folder.name, "version": "1.0", **metadata}
    if section is not None:
        section = {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest(), **copy.deepcopy(section)}
        facts["covidct"] = {key: value for key, value in section.items() if value is not ...}
    (folder / "configs" / "metadata.json").write_text(json.dumps(facts))
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    return folder
