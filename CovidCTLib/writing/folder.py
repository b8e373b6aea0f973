"""The output folder: all of the results appear in it at once, or none does.

Results are written to a hidden temporary folder on the same file system, pushed to the disk, and renamed into place.
A run that is killed outright can leave only such a hidden folder behind; the next run into the same parent removes
it once the process that made it is gone (same computer), or after a day (another computer).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from CovidCTLib.errors import OutputError
from CovidCTLib.writing.exchange_folders import exchange

TEMPORARY_PREFIX = ".covidct-partial-"
"""Start of the name of a temporary folder; computer, process and a random part follow."""

STALE_AFTER_S = 24 * 3600.0
"""Seconds after which the temporary folder of a process on another computer counts as left behind. Such a folder
lives only while results are written, which takes seconds."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_A_FOLDER = {errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}


def check_output_folder(folder: str | os.PathLike[str]) -> Path:
    """Check, without creating anything, that results can go into a folder.

    Parameters
    ----------
    folder
        A path that does not exist yet, or an empty folder. Temporary folders that an earlier run left behind do not
        count.

    Returns
    -------
    Path
        The folder as an absolute path.

    Raises
    ------
    OutputError
        If the path is a file, a folder with content, lies under a file, or may not be written to.
    """
    try:
        out = Path(folder).resolve()
        if out.is_dir():
            _require_empty(out)
            _require_writable(out)
        elif os.path.lexists(out):
            raise OutputError("The output must be a folder, but a file of that name is there. Choose another folder.")
        else:
            _require_writable(_nearest_existing(out.parent))
    except OSError as error:
        raise explained(error) from error
    except ValueError as error:
        raise OutputError(
            "The output folder must be a valid path, but this one holds a zero character. Correct it."
        ) from error
    return out


@contextlib.contextmanager
def new_output_folder(folder: str | os.PathLike[str], *, tidy: bool = True) -> Iterator[Path]:
    """Lend a temporary folder whose content becomes the output folder if all goes well.

    Parameters
    ----------
    folder
        As in `check_output_folder`; missing parents are created.
    tidy
        Whether what killed runs left beside the folder is removed first; it means to look at all names there.

    Yields
    ------
    Path
        An empty temporary folder on the same file system. On leaving without an exception its content is at
        ``folder``; after any exception, Ctrl-C included, it is gone, and so are parents that were created.

    Raises
    ------
    OutputError
        As in `check_output_folder`, and if writing inside the block fails (disk full, not permitted, ...).
    """
    out = check_output_folder(folder)
    created: list[Path] = []
    temporary: Path | None = None
    try:
        created = _create_parents(out.parent)
        home = out if _must_stay(out) else out.parent
        if tidy:
            remove_stale_folders(home)
        temporary = home / temporary_name()
        temporary.mkdir()
        yield temporary
        push_to_disk(temporary)
        _put_in_place(temporary, out)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in reversed(created):
            # Only what this run created, and only while nobody else has put anything there.
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise explained(error) from error
        raise


def remove_stale_folders(home: Path) -> None:
    """Remove the temporary folders in ``home`` that killed runs of the same user left behind.

    Parameters
    ----------
    home
        Folder in which results were being written. What cannot be removed is left alone.

    Notes
    -----
    A folder is left behind if its process on this computer no longer runs, or if it was made on another computer and
    has not changed for `STALE_AFTER_S`.
    """
    for candidate in home.glob(TEMPORARY_PREFIX + "*"):
        with contextlib.suppress(OSError):
            if candidate.is_symlink() or not candidate.is_dir() or not _is_stale(candidate):
                continue
            shutil.rmtree(candidate, ignore_errors=True)


def _is_stale(candidate: Path) -> bool:
    """Whether nobody writes to this temporary folder any more."""
    writer, _, chance = candidate.name[len(TEMPORARY_PREFIX) :].rpartition("-")
    return bool(chance) and is_left_behind(candidate, writer)


def is_left_behind(candidate: Path, writer: str) -> bool:
    """Tell whether a temporary file or folder of this user has lost the process that was writing it.

    Parameters
    ----------
    candidate
        The file or folder.
    writer
        As `writer_name` gave it to the process; other text is nobody's name, and its file is left alone.

    Raises
    ------
    OSError
        If the system refuses to look at it.
    """
    status = candidate.stat()
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    computer, _, process = writer.partition("-")
    if not computer or not process.isdigit():
        return False
    if computer == _this_computer() and os.name == "posix":
        return not _runs(int(process))
    return time.time() - status.st_mtime > STALE_AFTER_S


def _runs(process: int) -> bool:
    """Whether a process of this number exists on this computer."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _this_computer() -> str:
    """Eight characters that stand for this computer without telling its name."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def writer_name() -> str:
    """Name of this process among those of all computers, which tells no computer's name."""
    return f"{_this_computer()}-{os.getpid()}"


def temporary_name() -> str:
    """Name that no other run takes."""
    return f"{TEMPORARY_PREFIX}{writer_name()}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Lend an empty folder that takes the place of another one if all goes well; the old one stays until then.

    Parameters
    ----------
    folder
        The folder that is made or replaced; missing parents are created.

    Yields
    ------
    Path
        An empty folder beside it.

    Raises
    ------
    OSError
        If the disk is full or does not permit it; the caller says what that means.
    """
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    try:
        part.mkdir(parents=True)
        yield part
        if not folder.exists():
            part.rename(folder)
        elif not exchange(part, folder):
            # Two steps, where one is not to be had: killed between them, the old one lies beside, under its other name.
            folder.rename(old)
            part.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _require_empty(out: Path) -> None:
    """Refuse a folder with content."""
    count = sum(not entry.name.startswith(TEMPORARY_PREFIX) for entry in out.iterdir())
    if count:
        raise OutputError(
            f"The output folder must be empty or not exist yet, but it holds {count} "
            f"{'entry' if count == 1 else 'entries'}. Nothing was overwritten; choose another folder."
        )


def _nearest_existing(path: Path) -> Path:
    """Go up to the first path that exists."""
    while not os.path.lexists(path):
        path = path.parent
    return path


def _require_writable(home: Path) -> None:
    """Refuse a place in which nothing can be created."""
    if not home.is_dir():
        raise OutputError(
            "The output folder must lie in a folder, but part of its path is a file. Choose another folder."
        )
    if not os.access(home, os.W_OK | os.X_OK):
        raise explained(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _create_parents(parent: Path) -> list[Path]:
    """Create the missing folders of a path and say which, outermost first."""
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    missing.reverse()
    for folder in missing:
        folder.mkdir(exist_ok=True)
    return missing


def _must_stay(out: Path) -> bool:
    """Whether an existing folder cannot be replaced by a rename, so that files must be moved into it.

    That is so for a mount point, the current folder (the user's shell would stand in a deleted one), and a
    folder whose parent is not the user's to change.
    """
    if not out.is_dir():
        return False
    return os.path.ismount(out) or out == Path.cwd() or not os.access(out.parent, os.W_OK | os.X_OK)


def _put_in_place(temporary: Path, out: Path) -> None:
    """Make the content of the temporary folder that of the output folder."""
    if temporary.parent == out:
        _move_files(temporary, out)
        temporary.rmdir()
        push_folder_to_disk(out)
        return
    if out.is_dir():
        shutil.copymode(out, temporary)
        if os.name != "posix":
            # Only POSIX lets a rename replace an empty folder.
            out.rmdir()
    temporary.rename(out)
    push_folder_to_disk(out.parent)


def _move_files(temporary: Path, out: Path) -> None:
    """Move files into an existing folder; if one move fails, take all of them back.

    They go in the reverse order of their names, so that ``analysis.json`` comes last: where it is, all is.
    """
    moved: list[Path] = []
    try:
        for file in sorted(temporary.iterdir(), reverse=True):
            target = out / file.name
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            moved.append(target)
            file.rename(target)
    except BaseException:
        for target in moved:
            if target.is_dir():
                shutil.rmtree(target, ignore_errors=True)
            else:
                target.unlink(missing_ok=True)
        raise


def push_to_disk(folder: Path) -> None:
    """Make sure that the files are on the disk before anyone sees them under their final name."""
    for file in folder.iterdir():
        if file.is_dir():
            push_to_disk(file)
            continue
        push_file_to_disk(file)
    push_folder_to_disk(folder)


def push_file_to_disk(file: Path) -> None:
    """Make sure that what was written to a file is on the disk."""
    # Windows flushes only handles that may write.
    with file.open("r+b") as handle:
        os.fsync(handle.fileno())


def push_folder_to_disk(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot; the files themselves are safe already.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explained(error: OSError) -> OutputError:
    """Say in plain words why the operating system refused, without the path."""
    if error.errno in _FULL:
        return OutputError(
            "The results need more space than the disk (or the quota) has left. Nothing was written; free some space "
            "or choose a folder on another disk."
        )
    if error.errno in _FORBIDDEN:
        return OutputError(
            "The output folder must be writable, but the system does not permit writing there. Nothing was written; "
            "choose another folder."
        )
    if error.errno in _NOT_A_FOLDER:
        return OutputError(
            "The output folder must be empty or not exist yet, but something else appeared in its place. Nothing was "
            "overwritten; choose another folder."
        )
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return OutputError(
        f"The results could not be written ({reason}). Nothing was written; check the disk or choose another folder."
    )
