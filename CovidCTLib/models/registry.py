"""Which models there are: the shipped ones, and a user's own in their place. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import ModelError
from CovidCTLib.models.bundle import METADATA, is_bundle, named, read_card
from CovidCTLib.models.card import MODEL_NAMES, ModelCard

SHIPPED = Path(__file__).parent / "files"
"""Folder of the bundles that come with CovidCT."""


@dataclass(frozen=True)
class Entry:
    """A model at hand.

    Parameters
    ----------
    folder
        Its bundle.
    card
        Its card.
    own
        Whether it is a user's, not one that ships with CovidCT.
    """

    folder: Path
    card: ModelCard
    own: bool


def shipped_entry(role: str) -> Entry:
    """Find a shipped model.

    Raises
    ------
    ModelError
        If its card is missing or damaged.
    """
    folder = SHIPPED / role
    return Entry(folder, read_card(folder), False)


def find_own(folders: Sequence[Path]) -> dict[str, Entry]:
    """Find a user's models by their roles.

    Parameters
    ----------
    folders
        Each is a bundle, or holds bundles as its direct subfolders, such as the output of ``covidct train``. Where two
        folders have a model of one role, the first counts.

    Raises
    ------
    ModelError
        If a folder holds no bundle, a bundle cannot be read, or one folder has two models of one role.
    """
    entries: dict[str, Entry] = {}
    for folder in map(named, folders):
        here: dict[str, Entry] = {}
        for bundle in _bundles_in(folder):
            card = read_card(bundle)
            if card.role not in MODEL_NAMES:
                raise ModelError(
                    f"The role of the bundle {bundle.name} must be one of {', '.join(MODEL_NAMES)}, not {card.role!r}."
                )
            if card.role in here:
                raise ModelError(
                    f"{folder.name} holds two models for {card.role}: {here[card.role].folder.name} and {bundle.name}. "
                    "Give the folder of the one to use."
                )
            here[card.role] = Entry(bundle, card, bundle.parent.resolve() != SHIPPED.resolve())
        entries = {**here, **entries}
    return entries


def _bundles_in(folder: Path) -> list[Path]:
    """The folder itself if it is a bundle, else those right in it."""
    if is_bundle(folder):
        return [folder]
    inside = sorted(path for path in folder.iterdir() if is_bundle(path)) if folder.is_dir() else []
    # A bundle that is being written has a name of its own.
    inside = [path for path in inside if not path.name.startswith(".")]
    if not inside:
        raise ModelError(
            f"There is no model in {folder.name!r}. Expected a bundle with {METADATA}, or a folder of bundles, such as "
            "the output of CovidCT's training."
        )
    return inside


def all_entries(folders: Sequence[Path] = ()) -> tuple[Entry, ...]:
    """List the model of each role: a user's where there is one, else the shipped one.

    Raises
    ------
    ModelError
        As `find_own` and `shipped_entry`.
    """
    own = find_own(folders)
    return tuple(own[role] if role in own else shipped_entry(role) for role in MODEL_NAMES)
