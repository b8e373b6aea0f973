"""What stands in a training folder, looks like a part of a case, and would silently be left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from CovidCTLib.errors import TrainingDataError

COMPRESSED = ".nii.gz"
PARTS = ("ct", "lungs", "opacities")
"""Last words of the names of volumes and their masks."""

_VOLUMES = (".nii", COMPRESSED, ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img")
_TABLES = (".csv", ".tsv", ".txt", ".xls", ".xlsx", ".ods")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_PICTURE_FOLDERS = {"image", "images", "label", "labels"}


def visible(root: Path, pattern: str) -> list[Path]:
    """List what matches below a folder, without hidden files and folders, in the order of the paths."""
    return sorted(
        path
        for path in root.rglob(pattern)
        if not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)
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
    if path.name.lower() not in _PICTURE_FOLDERS:
        return ""
    if path.name == "labels":
        lone = not (path.parent / "images").is_dir()
        return f"{shown} has no folder 'images' beside it. Add the pictures, or take the labels out." if lone else ""
    if path.name == "images":
        labels = path.parent / "labels"
        if not labels.is_dir():
            return f"{shown} has no folder 'labels' beside it. Add the labels, or take the pictures out."
        if not any(_is_picture(file) for folder in (path, labels) for file in folder.iterdir()):
            return f"{shown} and labels/ beside it must hold PNG files, but hold none. Add them, or take both out."
        return ""
    if any(_is_picture(file) for file in path.iterdir()):
        return f"{shown} holds pictures, but folders images/ and labels/ were expected. Rename it, or take it out."
    return ""


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(_PICTURES) and not path.name.startswith(".")


def _of_file(path: Path, shown: str, names: frozenset[tuple[Path, str]]) -> str:
    """Say what is wrong with a file that belongs to no case; nothing if it may stay."""
    name = path.name.lower()
    ending = next((end for end in (COMPRESSED, *_VOLUMES, *_TABLES, ".npz") if name.endswith(end)), path.suffix.lower())
    stem = name.removesuffix(ending)
    of_a_case = any(path.parent == folder and stem.startswith(f"{case.lower()}_") for folder, case in names)
    last = stem.rpartition("_")[2] if "_" in stem else ""
    if path.parent.name in ("images", "labels"):
        wrong = _is_picture(path) and path.suffix != ".png"
        return f"{shown} must be a PNG whose name ends in .png, but ends in {path.suffix}. Save it so." if wrong else ""
    if ending in _VOLUMES:
        return _of_volume(path, shown, ending, last, of_a_case)
    if ending == ".npz" and path.suffix != ".npz":
        return f"{shown} must end in .npz in small letters to be read. Rename it, or take it out."
    if ending not in _TABLES:
        return ""
    if stem == "slices" and not (path.parent / "images").is_dir():
        return f"{shown} has no folder 'images' beside it. Add the pictures, or take the table out."
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
            f"{shown} is not understood: expected NAME_ct.nii.gz, NAME_lungs.nii.gz and NAME_opacities.nii.gz. Rename "
            "it (compress what is not .nii.gz), or take it out."
        )
    return ""
