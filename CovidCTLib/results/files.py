"""A few result files among others of the user's: at any moment each is the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from CovidCTLib.errors import OutputError
from CovidCTLib.results.folder import explained, push_to_disk, remove_stale_folders, temporary_name


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
