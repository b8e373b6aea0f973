"""What a bundle must say so that its network can be used: its ``network_def`` and its section ``covidct``.

A bundle may come from anywhere, so nothing in it is evaluated: only plain values are taken, and a network is built by
CovidCT itself or is a class of ``monai.networks.nets``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import COVIDCT_TARGET, ModelCard

MONAI_NETWORK = re.compile(r"monai\.networks\.nets\.([A-Za-z]\w*)")
"""Classes that a bundle may build its network from."""

LUNG_CHANNELS = frozenset({"lung", "right lung", "left lung"})
KIND_CHANNELS = frozenset({"ggo", "consolidation"})
OPACITY_CHANNELS = frozenset({"opacity", *KIND_CHANNELS})
REST_CHANNELS = frozenset({"background", "other"})
CHANNELS = LUNG_CHANNELS | OPACITY_CHANNELS | REST_CHANNELS
"""Meanings that an output channel can have. Opacity lies in the lung, so a lung network may split the lung by it."""

WANTED: Mapping[str, frozenset[str]] = {"lungs": LUNG_CHANNELS | OPACITY_CHANNELS, "opacities": OPACITY_CHANNELS}
"""Channels that count as what the role looks for; all others count as the rest."""

FRAMINGS = ("body", "lungs")
_AXES_3D = (frozenset("SI"), frozenset("PA"), frozenset("LR"))
_FETCHING = re.compile("pretrained|checkpoint|url|path|weights", re.IGNORECASE)
"""Arguments by which networks of MONAI fetch other weights from the disk or the internet."""


def check_network_def(definition: Any, bundle: str) -> Mapping[str, Any]:
    """Check that a ``network_def`` builds a known network from plain values.

    Parameters
    ----------
    definition
        As it stands in ``configs/inference.json``.
    bundle
        Name of the bundle, for messages.

    Returns
    -------
    Mapping
        The definition, whose ``_target_`` is `COVIDCT_TARGET` or a name under ``monai.networks.nets``.

    Raises
    ------
    ModelError
        If it could run code or fetch other weights.
    """
    target = definition.get("_target_") if isinstance(definition, Mapping) else None
    if not isinstance(definition, Mapping) or not isinstance(target, str):
        raise ModelError(
            f"The bundle {bundle} has no network_def with a _target_ in configs/inference.json. Expected for example "
            '{"_target_": "monai.networks.nets.UNet", ...}.'
        )
    if target != COVIDCT_TARGET and not MONAI_NETWORK.fullmatch(target):
        raise ModelError(
            f"The bundle {bundle} builds its network by {target!r}, which could run any code. Use a network of "
            "monai.networks.nets, such as monai.networks.nets.UNet."
        )
    for key, value in definition.items():
        if key != "_target_":
            _check_plain(key, value, bundle)
            if target != COVIDCT_TARGET and _FETCHING.search(key) and value:
                raise ModelError(
                    f"The network_def of the bundle {bundle} asks for other weights by {key!r}. Leave it out: the "
                    "weights come from models/model.pt alone."
                )
    return definition


def _check_plain(key: Any, value: Any, bundle: str) -> None:
    """Refuse what MONAI would evaluate, look up or build."""
    if str(key).startswith("_"):
        raise ModelError(
            f"The network_def of the bundle {bundle} holds {key!r}, which could run any code. Use plain values only."
        )
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        raise ModelError(
            f"The network_def of the bundle {bundle} holds the expression {value[:40]!r} in {key!r}, which could run "
            "any code. Write the value itself."
        )
    if isinstance(value, Mapping):
        for inner, entry in value.items():
            _check_plain(inner, entry, bundle)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _check_plain(key, entry, bundle)


def check_foreign_card(card: ModelCard) -> None:
    """Check what the section ``covidct`` of a network of MONAI says.

    Raises
    ------
    ModelError
        If role, channels, framing, size, orientation, spacing or patch are missing or contradict each other.
    """
    if card.role not in WANTED:
        raise ModelError(
            f"The role of the bundle {card.name} must be lungs or opacities, not {card.role!r}. The slice classifier "
            "can be replaced by one that CovidCT trained only."
        )
    _check_channels(card)
    if card.patch is not None:
        _check_volume(card)
    elif card.framing not in FRAMINGS or (card.role == "lungs" and card.framing != "body"):
        raise ModelError(
            f"The framing of the bundle {card.name} must be 'body'{' or lungs' * (card.role != 'lungs')}, not "
            f"{card.framing!r}; a network of volumes needs 'patch' and 'spacing_mm' instead."
        )
    elif card.size < 1:
        raise ModelError(
            f"The size of the bundle {card.name} must be the side of its input in pixels, not {card.size}."
        )
    _check_orientation(card)


def _check_channels(card: ModelCard) -> None:
    """Each channel means something, and together they answer the role's question."""
    unknown = [channel for channel in card.channels if channel not in CHANNELS]
    if unknown or not card.channels:
        raise ModelError(
            f"The channels of the bundle {card.name} must each be one of {', '.join(sorted(CHANNELS))}, not "
            f"{unknown[0] if unknown else 'empty'!r}. Correct them in its card."
        )
    wanted = [channel for channel in card.channels if channel in WANTED[card.role]]
    if not wanted or (len(card.channels) > 1 and len(wanted) == len(card.channels)):
        raise ModelError(
            f"The channels of the bundle {card.name} ({', '.join(card.channels)}) do not tell {card.role} from the "
            "rest. Expected one channel of it, or several with one for the background."
        )
    if card.role == "opacities" and set(wanted) not in ({"opacity"}, KIND_CHANNELS):
        raise ModelError(
            f"The channels of the bundle {card.name} must hold either opacity, or ggo and consolidation, not "
            f"{', '.join(wanted)}."
        )


def _check_volume(card: ModelCard) -> None:
    """Patch and spacing of a network of volumes."""
    if card.spacing_mm is None or not all(mm > 0 for mm in card.spacing_mm):
        raise ModelError(
            f"spacing_mm of the bundle {card.name} must be three positive numbers in mm, as it has a patch."
        )
    if card.patch is None or not all(side > 0 for side in card.patch):
        raise ModelError(f"patch of the bundle {card.name} must be three positive numbers of voxels.")


def _check_orientation(card: ModelCard) -> None:
    """Each axis of the input leads somewhere, and no two along the same line."""
    axes = _AXES_3D if card.patch is not None else _AXES_3D[1:]
    fits = len(card.orientation) == len(axes) and all(
        sum(letter in axis for letter in card.orientation) == 1 for axis in axes
    )
    if not fits:
        example = "'RAS' or 'SPL'" if card.patch is not None else "'PL' or 'RA'"
        raise ModelError(
            f"The orientation of the bundle {card.name} must name where each axis leads, such as {example}, not "
            f"{card.orientation!r}."
        )
