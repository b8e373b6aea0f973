"""MONAI bundle folders: reading and checking a card, and writing a bundle so that it is there whole or not at all.

A bundle holds ``configs/metadata.json``, ``configs/inference.json``, ``models/model.pt``, ``docs/README.md`` and
``LICENSE``. Nothing here loads weights or torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import COVIDCT_TARGET, ModelCard
from CovidCTLib.models.card_check import check_figures, check_ranges, check_shipped_card, infinite_in, typed_fields
from CovidCTLib.models.foreign_card import check_foreign_card, check_network_def
from CovidCTLib.models.metadata import (
    SECTION,
    SECTION_FIELDS,
    inference_of,
    licence_text,
    metadata_of,
    rewritten,
)
from CovidCTLib.writing.files import replacing
from CovidCTLib.writing.folder import replaced_folder

METADATA = "configs/metadata.json"
INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.pt"
CARD = "docs/README.md"
LICENCE = "LICENSE"
"""Files of a bundle."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def named(folder: Path) -> Path:
    """A folder by a path that ends in its name, which ``.`` and ``..`` do not have."""
    return folder.resolve() if folder.name in ("", "..") else folder


def is_bundle(folder: Path) -> bool:
    """Whether a folder claims to be a MONAI bundle."""
    return (folder / METADATA).is_file()


def has_its_weights(folder: Path, card: ModelCard) -> bool:
    """Whether the weights of a bundle are there and have the checksum of their card."""
    path = folder / WEIGHTS
    return path.is_file() and file_sha256(path) == card.sha256


def read_card(folder: Path) -> ModelCard:
    """Read the card of a bundle.

    Parameters
    ----------
    folder
        Folder of the bundle.

    Raises
    ------
    ModelError
        If a file is missing or no JSON, lacks a field or has a wrong one, or asks for a network that could run code.
    """
    folder = named(folder)
    metadata = _read_json(folder / METADATA, folder.name)
    definition = check_network_def(_read_json(folder / INFERENCE, folder.name).get("network_def"), folder.name)
    section = metadata.get(SECTION)
    if not isinstance(section, Mapping):
        raise ModelError(
            f"The bundle {folder.name} has no section {SECTION!r} in {METADATA}, so nobody knows what it is for. "
            "Add it as docs/models.md shows."
        )
    foreign = definition["_target_"] != COVIDCT_TARGET
    try:
        fields = _foreign_fields(section, metadata) if foreign else {name: section[name] for name in SECTION_FIELDS}
        architecture = definition if foreign else definition["architecture"]
        if not_finite := infinite_in({"network_def": architecture}):
            raise ValueError(f"{not_finite} must be a finite number, not NaN or infinity")
        card = ModelCard(
            name=str(metadata["name"]),
            version=str(metadata["version"]),
            architecture=architecture,
            **typed_fields(fields),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"The model card of the bundle {folder.name} is incomplete or wrong ({error}). Compare {METADATA} with "
            "docs/models.md, or install CovidCT again if it is one of CovidCT's."
        ) from error
    check_ranges(card)
    if foreign:
        check_foreign_card(card)
    else:
        check_shipped_card(card)
    return card


def _read_json(path: Path, bundle: str) -> dict[str, Any]:
    """Read a JSON object of a bundle."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no {path.parent.name}/{path.name} in the bundle {bundle}. A bundle needs {METADATA}, "
            f"{INFERENCE} and {WEIGHTS}; install CovidCT again if it is one of CovidCT's."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path.parent.name}/{path.name} of the bundle {bundle} cannot be read as JSON ({type(error).__name__}). "
            "Compare it with docs/models.md, or install CovidCT again if it is one of CovidCT's."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path.parent.name}/{path.name} of the bundle {bundle} must hold a JSON object, not "
            f"{type(content).__name__}. Compare it with docs/models.md."
        )
    return content


def _foreign_fields(section: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a card from a user's bundle, which has to say less than one of ours."""
    optional = {
        name: section[name]
        for name in ("spacing_mm", "patch", "thresholds", "training", "validation", "limits")
        if name in section
    }
    volume = section.get("patch") is not None
    formats = metadata.get("network_data_format", {})
    image: Mapping[str, Any] = next(iter(formats.get("inputs", {}).values()), {})
    prediction: Mapping[str, Any] = next(iter(formats.get("outputs", {}).values()), {})
    channels = section["channels"]
    for what, given, expected in (
        ("input", image.get("num_channels", 1), 1),
        ("output", prediction.get("num_channels", len(channels)), len(channels)),
    ):
        if given != expected:
            raise ValueError(f"network_data_format says {given} {what} channels, but {expected} was expected")
    return {
        "role": section["role"],
        "size": 0 if volume else section["size"],
        "framing": "volume" if volume else section["framing"],
        "expects": section.get("expects", str(metadata.get("image_classes", "CT as its card says."))),
        "gives": section.get("gives", f"Logits of {', '.join(channels)}."),
        "sha256": section["sha256"],
        "window_hu": section["window_hu"],
        # MONAI's own word on what goes into the network; it writes an empty list where that is not known.
        "value_range": section.get("value_range") or image.get("value_range") or (0.0, 1.0),
        "orientation": section["orientation"],
        "channels": channels,
        "licence": section.get("licence", str(metadata.get("copyright", "not stated"))),
        **optional,
    }


def write_bundle(folder: Path, card: ModelCard, save_weights: Callable[[Path], None]) -> ModelCard:
    """Write the bundle of a network of CovidCT; an old one in its place stays until the new one is complete.

    Parameters
    ----------
    folder
        Folder of the bundle.
    card
        Its card; the checksum is filled in.
    save_weights
        Writes the weights to a path.

    Returns
    -------
    ModelCard
        The card with the checksum of the weights.
    """
    written = card

    def fill(part: Path) -> None:
        nonlocal written
        for name in (METADATA, WEIGHTS, CARD):
            (part / name).parent.mkdir(parents=True)
        save_weights(part / WEIGHTS)
        written = replace(card, sha256=file_sha256(part / WEIGHTS))
        _write_json(part / METADATA, metadata_of(written))
        _write_json(part / INFERENCE, inference_of(written))
        (part / CARD).write_text(written.to_markdown(), encoding="utf-8", newline="\n")
        (part / LICENCE).write_text(licence_text(written.licence), encoding="utf-8", newline="\n")

    _replace_folder(folder, fill)
    return written


def with_validation(folder: Path, validation: Mapping[str, Any]) -> ModelCard:
    """Give a bundle other validation figures; its weights stay byte for byte.

    What CovidCT itself says of a network of its own, in card and configuration, is written anew. Metadata, which is
    what CovidCT reads, comes last.

    Parameters
    ----------
    folder
        Folder of the bundle.
    validation
        As `ModelCard.validation`; takes the place of the old one.

    Returns
    -------
    ModelCard
        The new card.

    Raises
    ------
    ModelError
        If there is no readable bundle, a figure lacks its name or value, a number is not finite, or the bundle cannot
        be written.
    """
    check_figures(validation)
    folder = folder.resolve()
    card = replace(read_card(folder), validation=dict(validation))
    metadata = rewritten(_read_json(folder / METADATA, folder.name), card)
    try:
        texts = {METADATA: _json(metadata)}
        if not card.is_foreign:
            texts = {CARD: card.to_markdown(), INFERENCE: _json(inference_of(card)), **texts}
    except ValueError as error:
        raise ModelError(
            f"{METADATA} of the bundle {folder.name} would hold NaN or infinity, which JSON does not know. Write "
            "null in the place of such numbers."
        ) from error
    _replace_files(folder, texts)
    return card


def _json(content: Mapping[str, Any]) -> str:
    """JSON for people and programs; a ValueError where a number is not finite."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON."""
    path.write_text(_json(content), encoding="utf-8", newline="\n")


def _replace_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Replace text files of a bundle, each in one step once all are written.

    The folder itself stays the one that it was: somebody may be working in it.
    """
    # Behind a link lies the file that is meant.
    paths = [(folder / name).resolve() for name in texts]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(*paths) as parts:
            for part, text in zip(parts, texts.values(), strict=True):
                part.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> ModelError:
    """What is said where the disk is full or does not permit it."""
    return ModelError(
        f"The bundle {folder.name} cannot be written ({error.strerror or type(error).__name__}). Choose a folder that "
        "can be written, with enough free space."
    )


def _replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside another and put it in its place; the old one is kept until the new one stands."""
    # What a link leads to changes, not the link.
    folder = folder.resolve()
    if folder.exists() and not is_bundle(folder):
        raise ModelError(
            f"The folder {folder.name} is in the way of the bundle and is none itself. Move it, or write elsewhere."
        )
    try:
        with replaced_folder(folder) as part:
            fill(part)
    except OSError as error:
        raise _cannot_write(folder, error) from error
