"""Files among others of the user's: at any moment each is the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from CovidCTLib.errors import OutputError
from CovidCTLib.writing.folder import (
    explained,
    is_left_behind,
    push_file_to_disk,
    push_to_disk,
    remove_stale_folders,
    temporary_name,
    writer_name,
)


def check_output_files(files: Sequence[Path], *, overwrite: bool) -> None:
    """Check, without creating anything, that files can be written.

    Parameters
    ----------
    files
        Files of one folder, which must exist.
    overwrite
        Whether they may be there already.

    Raises
    ------
    OutputError
        If the folder does not exist or is not writable, or a file is there that may not be replaced.
    """
    home = files[0].absolute().parent
    if not home.is_dir():
        raise OutputError(
            "The output must lie in a folder that exists, but there is none. Create it, or choose another."
        )
    if not os.access(home, os.W_OK | os.X_OK):
        raise OutputError(
            "The output's folder must be writable, but the system does not permit writing there. Choose another place."
        )
    for file in files:
        if file.is_dir():
            raise OutputError("The output must be a file, but a folder of that name is there. Choose another.")
        if os.path.lexists(file) and not overwrite:
            raise OutputError(
                f"A file {''.join(file.suffixes[-2:])} of the output's name is there already. Nothing "
                "was overwritten; choose another name.",
                hint="Or allow it with --overwrite.",
            )


@contextlib.contextmanager
def new_output_files(files: Sequence[Path], *, overwrite: bool, tidy: bool = True) -> Iterator[dict[Path, Path]]:
    """Lend temporary paths whose files take their places if all goes well.

    Parameters
    ----------
    files
        Files of one folder, which must exist; the last one takes its place last, so where it is, all are.
    overwrite
        Whether they may be there already.
    tidy
        Whether what killed runs left in the folder is removed first; it means to look at all names in the folder.

    Yields
    ------
    dict
        Temporary path of each file, on the same file system. After an exception, Ctrl-C included, nothing has changed.

    Raises
    ------
    OutputError
        As in `check_output_files`, and if writing inside the block fails (disk full, not permitted, ...).
    """
    check_output_files(files, overwrite=overwrite)
    home = files[0].absolute().parent
    temporary = home / temporary_name()
    try:
        if tidy:
            remove_stale_folders(home)
        temporary.mkdir()
        lent = {file: temporary / file.name for file in files}
        yield lent
        push_to_disk(temporary)
        for file, written in lent.items():
            written.replace(file)
    except OSError as error:
        raise explained(error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def replacing(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """Lend a temporary name beside each of some files; what is written there takes their places if all goes well.

    Parameters
    ----------
    targets
        Files that may be there already; their folders must exist. The last one takes its place last.

    Yields
    ------
    tuple of Path
        One name a file, with the same ending. What is not written there leaves its file as it was. After an exception,
        Ctrl-C included, nothing has changed.

    Raises
    ------
    OSError
        If the disk is full or does not permit it; the caller says what that means.

    Notes
    -----
    What killed processes of this computer left beside the files under such names is removed.
    """
    parts = tuple(target.with_name(f"{target.stem}.{writer_name()}.part{target.suffix}") for target in targets)
    try:
        for target in targets:
            _remove_left_parts(target)
        yield parts
        written = [(part, target) for part, target in zip(parts, targets, strict=True) if part.exists()]
        for part, _ in written:
            push_file_to_disk(part)
        for part, target in written:
            part.replace(target)
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _remove_left_parts(target: Path) -> None:
    """Remove parts of a file whose writers are gone."""
    start, end = f"{target.stem}.", f".part{target.suffix}"
    for candidate in target.parent.iterdir():
        name = candidate.name
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end):
            with contextlib.suppress(OSError):
                if is_left_behind(candidate, name[len(start) : -len(end)]):
                    candidate.unlink()
