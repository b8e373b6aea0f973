"""ZIP archives of a study, unpacked into a private temporary folder that is removed whatever happens."""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from CovidCTLib.errors import InputError
from CovidCTLib.reading.dicom_files import DIRECTORY_NAME, FIRST_BYTES, looks_like_dicom
from CovidCTLib.writing.locks import HeldError, locked

MAX_ENTRIES = 100_000
"""Largest number of entries of an archive; a study with all its series has some thousands."""

MAX_UNPACKED_BYTES = 16 << 30
"""Largest unpacked size of an archive, in bytes: 32,000 slices of 512 x 512."""

MAX_RATIO = 100
"""Largest factor by which a whole archive is compressed, where it unpacks to more than `FREE_BYTES`; CT has 2 to 4."""

FREE_BYTES = 64 << 20
"""Up to this unpacked size, in bytes, the factor does not matter."""

MAX_INDEX_BYTES = 64 << 20
"""Largest list of entries at the end of an archive, in bytes; it is read into memory as a whole."""

_PREFIX = "covidct-zip-"
_LOCK, _CONTENT = "lock", "content"
"""A lock file, which tells other processes that the content is in use, and the folder of the content beside it."""

_ABANDONED_SECONDS = 60
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_CHUNK = 1 << 20
_END, _END_BYTES = b"PK\5\6", 22
_END_64_LOCATOR, _END_64_LOCATOR_BYTES = b"PK\6\7", 20
_COMMENT_BYTES = 1 << 16


def is_archive(path: Path) -> bool:
    """Tell by its first bytes whether a regular file is a ZIP archive."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\3\4", _END)
    except OSError:
        return False


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack the DICOM files of a ZIP archive for as long as the context lasts.

    Parameters
    ----------
    path
        The archive. Archives in it are not unpacked.

    Yields
    ------
    Path
        A private temporary folder. Files and folders have numbers for names, as the archive's may hold a patient's.

    Raises
    ------
    InputError
        If the archive is damaged, encrypted or compressed in an unusual way, holds links or names that lead out of
        it, has too many entries or unpacks to too much, or the temporary folder has no room for it. All but the
        damage of single entries is found before anything is written.
    """
    _remove_abandoned()
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with locked(home / _LOCK):
            folder = home / _CONTENT
            folder.mkdir()
            try:
                _check_index(path)
                with zipfile.ZipFile(path) as archive:
                    entries = _checked(archive, path.stat().st_size, folder)
                    _unpack(archive, entries, folder)
            except (
                zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError,
                OverflowError, struct.error,
            ):  # fmt: skip
                # Not chained: the messages quote the names of entries.
                raise InputError(
                    "A whole ZIP archive was expected, but this one is damaged or cannot be unpacked into the "
                    "temporary folder. Copy it again, or unpack it and give the folder."
                ) from None
            yield folder
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _check_index(path: Path) -> None:
    """Refuse an archive whose list of entries is too large to be held, before zipfile reads it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES - _COMMENT_BYTES))
        end = file.read()
        at = end.rfind(_END)
        if at < 0 or at + _END_BYTES > len(end):
            raise zipfile.BadZipFile
        entries, length = struct.unpack_from("<HI", end, at + 10)
        locator = at - _END_64_LOCATOR_BYTES
        if locator >= 0 and end[locator : locator + 4] == _END_64_LOCATOR:
            file.seek(struct.unpack_from("<Q", end, locator + 8)[0])
            entries, length = struct.unpack_from("<QQ", file.read(56), 32)
    if entries > MAX_ENTRIES or length > MAX_INDEX_BYTES:
        raise _too_many(entries)


def _too_many(entries: int) -> InputError:
    return InputError(
        f"A ZIP archive of at most {MAX_ENTRIES} entries was expected, but this one has {entries}, or a list of them "
        f"of more than {MAX_INDEX_BYTES >> 20} MiB. Unpack the CT's part of it and give the folder."
    )


def _checked(archive: zipfile.ZipFile, size: int, folder: Path) -> list[zipfile.ZipInfo]:
    """Refuse an archive that must not be unpacked; give its files."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _too_many(len(entries))
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(
                "A ZIP archive of files and folders was expected, but this one holds a link or another special file. "
                "Pack the files themselves."
            )
        parts = re.split(r"[/\\\\]", entry.orig_filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in entry.orig_filename:
            raise InputError(
                "A ZIP archive whose entries stay in their folder was expected, but this one holds a path that leads "
                "out of it. Do not unpack it; get the archive again from a source that you trust."
            )
        if entry.flag_bits & _ENCRYPTED:
            raise InputError(
                "A ZIP archive without password was expected, but this one is encrypted. Unpack it and give the folder."
            )
        if entry.compress_type not in _METHODS:
            raise InputError(
                "A ZIP archive of stored or deflated files was expected, but this one is compressed in another way. "
                "Unpack it and give the folder."
            )
    _check_room(entries, size, folder)
    return [entry for entry in entries if not entry.is_dir()]


def _check_room(entries: list[zipfile.ZipInfo], size: int, folder: Path) -> None:
    needed = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if needed > MAX_UNPACKED_BYTES or packed > size or needed > max(FREE_BYTES, MAX_RATIO * size):
        raise InputError(
            f"A ZIP archive that unpacks to at most {MAX_UNPACKED_BYTES >> 30} GiB and {MAX_RATIO} times its own size "
            f"was expected, but this one of {size} bytes claims {needed}. Do not unpack it unless you trust its source."
        )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"Room for {needed >> 20} MiB was expected in the temporary folder, but {free >> 20} MiB are free. Make "
            "room, or point the environment variable TMPDIR to another disk."
        )


def _unpack(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    """Write the entries that look like DICOM, in folders as they lay in."""
    folders: dict[str, Path] = {}
    for number, entry in enumerate(entries):
        parent, _, name = entry.filename.rpartition("/")
        if name.startswith("."):
            continue
        with archive.open(entry) as source:
            start = source.read(FIRST_BYTES)
            if not looks_like_dicom(name, start):
                continue
            target_folder = folders.setdefault(parent, folder / str(len(folders)))
            target_folder.mkdir(exist_ok=True)
            new_name = DIRECTORY_NAME if name.upper() == DIRECTORY_NAME else f"{number:06d}.dcm"
            with (target_folder / new_name).open("wb") as target:
                target.write(start)
                shutil.copyfileobj(source, target, _CHUNK)


def _remove_abandoned() -> None:
    """Remove what earlier processes left that were killed."""
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, HeldError):
            status = home.lstat()
            old = time.time() - status.st_mtime > _ABANDONED_SECONDS
            by_this_user = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if not (old and by_this_user and stat.S_ISDIR(status.st_mode)):
                continue
            with locked(home / _LOCK):
                shutil.rmtree(home / _CONTENT, ignore_errors=True)
            # Windows removes no file that is open, so the lock's own goes last.
            shutil.rmtree(home, ignore_errors=True)
