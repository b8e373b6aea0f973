"""What stands in a training folder, looks like a part of a case, and would silently be left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.tables import one_form

COMPRESSED = ".nii.gz"
PARTS = ("ct", "lungs", "opacities", "infection", "effusion")
"""Last words of the names of volumes and their masks."""

_VOLUMES = (".nii", COMPRESSED, ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img")
_TABLES = (".csv", ".tsv", ".txt", ".xls", ".xlsx", ".ods")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_PICTURE_FOLDERS = {"image", "images", "label", "labels"}
_PAIR = ("images", "labels")


def visible(root: Path, pattern: str) -> list[Path]:
    """List what matches below a folder, without hidden files and folders, in the order of the paths.

    Links to folders are followed. What several ways lead to is listed once, in the folder itself rather than behind a
    link, so links in a circle come to an end.
    """
    return sorted(path for path in _entries(root) if path.match(pattern))


def _entries(root: Path) -> Iterator[Path]:
    """Walk below a folder, then behind the links to folders in it."""
    walked: set[str] = set()
    waiting = [root]
    for top in waiting:
        for parent, folders, files in os.walk(top):
            folders[:] = sorted(name for name in folders if _is_shown(name))
            real = os.path.realpath(parent)
            if real in walked:
                folders.clear()
                continue
            walked.add(real)
            entries = [Path(parent, name) for name in (*folders, *(name for name in files if _is_shown(name)))]
            # os.walk itself stops at links to folders.
            waiting += [path for path in entries[: len(folders)] if path.is_symlink()]
            yield from entries


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def refuse_broken_links(root: Path) -> None:
    """Refuse links whose target is gone, as what was there would silently be left out.

    Raises
    ------
    TrainingDataError
        If there is one below the folder.
    """
    for path in visible(root, "*"):
        if not path.exists():
            raise TrainingDataError(
                f"A file or folder was expected at {path.relative_to(root)}, but it is a link that leads nowhere. "
                "Bring back what it leads to (is its disk there?), or take the link out."
            )


def refuse_near_misses(root: Path, used: Collection[Path], names: Collection[tuple[Path, str]]) -> None:
    """Refuse files and folders that are named almost as parts of a case.

    Parameters
    ----------
    root
        The training folder.
    used
        Files and DICOM folders that belong to its cases.
    names
        Folder and name of each NIfTI volume.

    Raises
    ------
    TrainingDataError
        If there is one: NIfTI files of another name or not compressed, masks and tables without their CT, tables that
        are no CSV, folders of pictures or labels without the other, or pictures in them that are no PNG.
    """
    misses = list(_misses(root, frozenset(used), frozenset(names)))
    if misses:
        more = f" {len(misses) - 1} more are not understood either." if len(misses) > 1 else ""
        raise TrainingDataError(misses[0] + more)


def _misses(root: Path, used: frozenset[Path], names: frozenset[tuple[Path, str]]) -> Iterator[str]:
    """Say of each near miss what was expected."""
    for path in visible(root, "*"):
        if path in used or not used.isdisjoint(path.parents):
            continue
        shown = str(path.relative_to(root))
        said = _of_folder(path, shown) if path.is_dir() else _of_file(path, shown, names)
        if said:
            yield said


def _of_folder(path: Path, shown: str) -> str:
    """Say what is wrong with a folder of pictures or labels; nothing if it is none."""
    if path.name in _PAIR:
        return _of_pair(path, shown)
    if path.name.lower() in _PICTURE_FOLDERS and any(_is_picture(file) for file in path.iterdir()):
        return f"{shown} holds pictures, but folders images/ and labels/ were expected. Rename it, or take it out."
    return ""


def _of_pair(path: Path, shown: str) -> str:
    """Say what is wrong with a folder images/ or labels/; nothing if it holds other things, such as CTs."""
    pair = [path.with_name(name) for name in _PAIR if path.with_name(name).is_dir()]
    below = [file for folder in pair for file in visible(folder, "*")]
    if below and not any(_is_picture(file) for file in below):
        return ""
    if path.name == "labels":
        lone = len(pair) == 1
        return f"{shown} has no folder 'images' beside it. Add the pictures, or take the labels out." if lone else ""
    if len(pair) == 1:
        return f"{shown} has no folder 'labels' beside it. Add the labels, or take the pictures out."
    if not holds_pictures(path.parent):
        return f"{shown} and labels/ beside it must hold PNG files, but hold none. Add them, or take both out."
    return ""


def holds_pictures(folder: Path) -> bool:
    """Whether ``images/`` or ``labels/`` in a folder hold pictures of any kind, not below them."""
    return any(_is_picture(file) for name in _PAIR if (folder / name).is_dir() for file in (folder / name).iterdir())


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(_PICTURES) and not path.name.startswith(".")


def _of_file(path: Path, shown: str, names: frozenset[tuple[Path, str]]) -> str:
    """Say what is wrong with a file that belongs to no case; nothing if it may stay."""
    name = one_form(path.name).lower()
    ending = next((end for end in (COMPRESSED, *_VOLUMES, *_TABLES, ".npz") if name.endswith(end)), path.suffix.lower())
    stem = name.removesuffix(ending)
    of_a_case = any(path.parent == folder and stem.startswith(f"{case.lower()}_") for folder, case in names)
    last = stem.rpartition("_")[2] if "_" in stem else ""
    if path.parent.name in _PAIR and _is_picture(path):
        wrong = path.suffix != ".png"
        return f"{shown} must be a PNG whose name ends in .png, but ends in {path.suffix}. Save it so." if wrong else ""
    if ending in _VOLUMES:
        return _of_volume(path, shown, ending, last, of_a_case)
    if ending == ".npz" and path.suffix != ".npz":
        return f"{shown} must end in .npz in small letters to be read. Rename it, or take it out."
    if ending not in _TABLES:
        return ""
    if stem == "slices" and path.parent.name in _PAIR and holds_pictures(path.parent.parent):
        return f"{shown} must stand beside images/ and labels/, not in them. Move it, or take it out."
    if stem == "slices" and not holds_pictures(path.parent):
        return f"{shown} has no folder 'images' with pictures beside it. Add the pictures, or take the table out."
    if stem == "slices" and path.name != "slices.csv":
        return f"{shown} must be a CSV table that is named slices.csv. Save it so, or take it out."
    if path.name.endswith("_slices.csv"):
        return (
            f"{shown} has no CT beside it. Expected {path.stem.removesuffix('_slices')}_ct.nii.gz or a DICOM folder "
            f"{path.stem.removesuffix('_slices')} in the same folder, or take the table out."
        )
    if last == "slices" or (of_a_case and ending != ".txt"):
        return (
            f"{shown} is not understood: the table of a CT is a CSV file NAME_slices.csv. Save it so, or take it out."
        )
    return ""


def _of_volume(path: Path, shown: str, ending: str, last: str, of_a_case: bool) -> str:
    """Say what is wrong with a volume or mask that belongs to no case; nothing if it may stay."""
    if last in PARTS[1:] and path.name.endswith(f"_{last}{COMPRESSED}"):
        expected = f"{path.name.removesuffix(f'_{last}{COMPRESSED}')}_ct{COMPRESSED}"
        return f"The mask {shown} has no CT beside it. Expected {expected} in the same folder."
    if ending.startswith(".nii") or last in PARTS or of_a_case:
        return (
            f"{shown} is not understood: expected NAME_ct.nii.gz, NAME_lungs.nii.gz, NAME_opacities.nii.gz, "
            "NAME_infection.nii.gz and NAME_effusion.nii.gz. Rename it (compress what is not .nii.gz), or take it out."
        )
    return ""
