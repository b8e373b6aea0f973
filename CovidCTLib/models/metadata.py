"""What MONAI's bundle format wants to know of a network: ``metadata.json``, ``inference.json`` and the licence.

The keys are those of the MONAI bundle specification (https://docs.monai.io/en/stable/mb_specification.html); what only
CovidCT knows stands under the key ``covidct``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import CovidCTLib
from CovidCTLib.models.card import COVIDCT_TARGET, ModelCard

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""Where MONAI's ``verify_metadata`` finds the rules; CovidCT itself never downloads it."""

SECTION = "covidct"
"""Key of CovidCT's own facts."""

SECTION_FIELDS = (
    "role",
    "size",
    "framing",
    "expects",
    "gives",
    "sha256",
    "window_hu",
    "value_range",
    "orientation",
    "spacing_mm",
    "patch",
    "channels",
    "thresholds",
    "training",
    "validation",
    "limits",
    "licence",
)
"""Fields of a card in that section; the others have keys of their own in MONAI's format."""

CC_BY_NC_SA = "CC BY-NC-SA 4.0"

_CC_TEXT = """\
Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International (CC BY-NC-SA 4.0)
https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode

This licence holds for the weights in this folder. The text behind the link is the licence; in short, and without
taking its place, it says:

- You may copy, share and change the weights.
- Say where they come from, name this licence, and say what you changed.
- Do not use them mainly for commercial advantage or payment.
- Share what you make of them under the same licence.
- They come without any warranty.

They were trained on CTs that are open for non-commercial research only; docs/README.md names each source. They are for
research, not for diagnosis or treatment.
"""

_TASKS: Mapping[str, tuple[str, str, str]] = {
    "lungs": ("Segmentation of the lungs in chest CT", "1 lung, diseased lung included; 0 all else", "lung"),
    "opacities": (
        "Segmentation of ground-glass opacity and consolidation in chest CT",
        "1 ground-glass opacity, 2 consolidation, 0 all else",
        "none, ground-glass opacity, consolidation",
    ),
    "slices": (
        "Classification of axial chest CT slices as abnormal or normal",
        "1 abnormal, 0 not",
        "abnormal",
    ),
}
"""Task, meaning of the labels, and the output channels of each role."""

_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "lungs": ("Ronneberger et al. 2015, U-Net, doi:10.1007/978-3-319-24574-4_28",),
    "opacities": ("Ronneberger et al. 2015, U-Net, doi:10.1007/978-3-319-24574-4_28",),
    "slices": (
        "Gozes et al. 2020, RADLogics, arXiv:2003.05037",
        "Selvaraju et al. 2017, Grad-CAM, doi:10.1109/ICCV.2017.74",
    ),
}


_BACKBONES: Mapping[str, tuple[str, ...]] = {
    "efficientnet": ("Tan and Le 2019, EfficientNet, arXiv:1905.11946",),
    "efficientnet-unet": ("Tan and Le 2019, EfficientNet, arXiv:1905.11946",),
    "resnet": ("He et al. 2016, ResNet, doi:10.1109/CVPR.2016.90",),
}
"""Where the layers of each kind of architecture come from."""


def licence_text(licence: str) -> str:
    """Text of a bundle's LICENSE file."""
    return _CC_TEXT if licence == CC_BY_NC_SA else f"Licence of the weights in this folder: {licence}\n"


def inference_of(card: ModelCard) -> dict[str, Any]:
    """Content of ``configs/inference.json``; MONAI's ``ConfigParser`` builds the network from it."""
    definition: dict[str, Any] = {"_target_": COVIDCT_TARGET, "architecture": dict(card.architecture)}
    if card.role == "slices":
        definition["channel_axis"] = True
    return {
        "bundle_root": ".",
        "network_def": definition,
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    }


def metadata_of(card: ModelCard) -> dict[str, Any]:
    """Content of ``configs/metadata.json`` of a network that ``covidct train`` made."""
    task, labels, _ = _TASKS[card.role]
    if card.finds_effusion:
        task, labels = f"{task}, and of pleural effusion", f"{labels}, 2 pleural effusion"
    return {
        "schema": SCHEMA,
        "version": card.version,
        "changelog": {card.version: "Weights as the command under covidct.training gives them."},
        "monai_version": _installed("monai"),
        "pytorch_version": str(card.training.get("torch", _installed("torch"))),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"covidct": CovidCTLib.__version__},
        "name": card.name,
        "task": task,
        "description": f"{task}. Expects: {card.expects} Gives: {card.gives}",
        "authors": "Whoever ran the command of the training" if card.training.get("command") else "not stated",
        "copyright": f"Licence of the weights: {card.licence}",
        "data_source": str(card.training.get("sources", "not stated")),
        "data_type": ", ".join(card.training.get("kinds_of_data", ())) or "not stated",
        "image_classes": card.expects,
        "label_classes": labels,
        "pred_classes": card.gives,
        "eval_metrics": eval_metrics(card.validation),
        "intended_use": "Research on chest CT. Not a medical device; not for diagnosis or treatment.",
        "references": [*_REFERENCES[card.role], *_BACKBONES.get(str(card.architecture.get("kind")), ())],
        "network_data_format": _data_format(card),
        SECTION: section_of(card),
    }


def section_of(card: ModelCard) -> dict[str, Any]:
    """CovidCT's own facts of a card."""
    return {name: getattr(card, name) for name in SECTION_FIELDS}


_FROM_CARD = ("network_data_format", "references")
"""Entries that follow from a card alone."""


def rewritten(metadata: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    """Metadata of a bundle with its card's validation, and for own networks with what is said of tensors and sources.

    The versions stay those that it was made with.
    """
    described: dict[str, Any] = {} if card.is_foreign else metadata_of(card)
    fresh: dict[str, Any] = {key: described[key] for key in _FROM_CARD if key in described}
    section = {**metadata[SECTION], "validation": dict(card.validation)}
    return {**metadata, **fresh, "eval_metrics": eval_metrics(card.validation), SECTION: section}


def eval_metrics(validation: Mapping[str, Any]) -> dict[str, float]:
    """All numbers of a validation by their names; those of nested tables follow the name of their table.

    Tables may hold figures of one name, such as the sensitivity for slices and that for cases, so
    ``cross_validation_of_cases`` becomes ``"cross validation of cases: sensitivity, volumes"``; a name that comes twice
    in one table is numbered.
    """
    metrics: dict[str, float] = {}

    def put(name: str, value: float) -> None:
        free, number = name, 1
        while free in metrics:
            number += 1
            free = f"{name} ({number})"
        metrics[free] = value

    for key, value in validation.items():
        if key == "figures" and isinstance(value, (list, tuple)):
            for entry in value:
                if entry.get("value") is not None:
                    put(entry["name"], float(entry["value"]))
        elif isinstance(value, Mapping):
            for name, number in eval_metrics(value).items():
                put(f"{key.replace('_', ' ')}: {name}", number)
        elif isinstance(value, float):
            # Whole numbers are counts, such as that of the folds.
            put(key, value)
    return metrics


_ABOUT = {-1: " towards the feet", 0: "", 1: " towards the head"}
"""Where a slice lies that goes in beside the own one."""


def _data_format(card: ModelCard) -> dict[str, Any]:
    """Input and output tensors of a network on axial slices."""
    low, high = card.window_hu
    common = {"dtype": "float32", "is_patch_data": False}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "CT",
        "num_channels": card.slices_seen,
        "spatial_shape": [card.size, card.size],
        "value_range": list(card.value_range),
        "channel_def": {
            str(n): f"axial slice{_ABOUT[n - card.slices_seen // 2]}, {low:g} to {high:g} HU scaled"
            for n in range(card.slices_seen)
        },
        **common,
    }
    channels = _TASKS[card.role][2].split(", ")
    if card.finds_effusion:
        channels = ["neither", "lung", "pleural effusion"]
    kinds = {"lungs": ("image", "classes"), "opacities": ("image", "labels"), "slices": ("tuples", "logits")}
    prediction = {
        "type": kinds[card.role][0],
        "format": kinds[card.role][1],
        "modality": "n/a",
        "num_channels": len(channels),
        "spatial_shape": [card.size, card.size] if card.role != "slices" else [],
        "value_range": [],
        "channel_def": {str(number): f"logit of {name}" for number, name in enumerate(channels)},
        **common,
    }
    return {"inputs": {"image": image}, "outputs": {"pred": prediction}}


def _installed(package: str) -> str:
    """Version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not known"
