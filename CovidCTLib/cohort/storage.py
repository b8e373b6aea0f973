"""Scans where they live: local disks, and ``s3://`` and the like through fsspec.

Credentials come from the environment alone (for ``s3://``: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, a
profile, or the machine's role; another server by ``AWS_ENDPOINT_URL``). An address that holds any is refused, and no
message repeats an address or what a storage system says: both may hold secrets or a patient's name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CovidCTLib.cohort.storage_errors import plain_errors, plain_local_errors
from CovidCTLib.errors import InputError
from CovidCTLib.writing.folder import remove_stale_folders, temporary_name

CHUNK_BYTES = 4 << 20
"""Bytes that are read at once; a file of any size takes no more memory than this."""

DOWNLOADS = 8
"""Files of one DICOM folder that are fetched at the same time; each takes `CHUNK_BYTES` of memory."""

_LOCAL_PROTOCOLS = ("file", "local")
_TAGS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created")
_QUERY_PROTOCOLS = ("http", "https", "abfs", "abfss", "az", "adl")


@dataclass(frozen=True)
class StoredFile:
    """A file of a scan.

    Parameters
    ----------
    name
        Relative to the folder that was listed, with ``/``.
    size_bytes
        Its size.
    version
        Changes when the file does: time of change (local), or the storage system's tag. Not comparable between systems.
    """

    name: str
    size_bytes: int
    version: str


@dataclass(frozen=True)
class LocalCopy:
    """A scan on the local disk.

    Parameters
    ----------
    path
        File or folder for `CovidCTLib.reading.read_scan`.
    sha256
        As `content_hash` gives it, where it came for nothing with the download; None for what was local already.
    """

    path: Path
    sha256: str | None


def is_remote(address: str) -> bool:
    """Tell whether an address is a URL of a storage system, and not a path of this machine."""
    protocol, rest = _split(address)
    return bool(rest) and protocol not in _LOCAL_PROTOCOLS


def check_address(address: str) -> None:
    """Check, without any connection, that an address can be used and holds no secret.

    Parameters
    ----------
    address
        A path of this machine, or a URL such as ``s3://bucket/folder``.

    Raises
    ------
    InputError
        If it holds a user's name with a password or a signed query, chains systems, or names an unknown one.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    if not is_remote(address):
        return
    protocol, rest = _split(address)
    if "::" in address:
        raise InputError("An address in one storage system was expected, but this one chains several. Give the folder.")
    authority = rest.split("/", 1)[0]
    if ":" in authority.rpartition("@")[0] or (protocol in _QUERY_PROTOCOLS and "?" in rest):
        raise InputError(
            "An address without credentials was expected, but this one holds a password or a signature. Leave them "
            "out and set them in the environment (for s3://: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    _system(address)


def list_files(folder: str) -> tuple[StoredFile, ...]:
    """List the files under a folder or a prefix, with their sizes, in the order of their names.

    Parameters
    ----------
    folder
        A path of this machine or a URL; a single file gives one entry. Links and hidden files are left out.

    Raises
    ------
    InputError
        If there is nothing, it cannot be reached, or the credentials do not permit it.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    check_address(folder)
    if not is_remote(folder):
        return _list_local(_local(folder))
    system, root = _system(folder)
    with plain_errors():
        system.invalidate_cache()
        entries = system.find(root, detail=True)
        if not entries:
            raise FileNotFoundError
        files = [_stored(root, name, info) for name, info in entries.items() if info.get("type") == "file"]
    return tuple(sorted((f for f in files if _is_visible(f.name)), key=lambda f: f.name))


def count_links(folder: str) -> int:
    """Count the links in a folder on this machine, which `list_files` leaves out; 0 elsewhere."""
    if is_remote(folder):
        return 0
    walked = os.walk(_local(folder))
    return sum(
        Path(folder_of_names, name).is_symlink()
        for folder_of_names, folders, names in walked
        for name in (*folders, *names)
    )


def join(folder: str, name: str) -> str:
    """Give the address of a file that `list_files` found in a folder."""
    if is_remote(folder):
        return f"{folder.rstrip('/')}/{name}"
    root = _local(folder)
    return str(root if root.is_file() else root / name)


def read_start(address: str, count: int) -> bytes:
    """Read the first bytes of a file.

    Raises
    ------
    InputError
        If it is missing, cannot be reached, or the credentials do not permit it.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    check_address(address)
    with _opened(address) as file:
        return file.read(count)


def content_hash(address: str) -> str:
    """Hash the content of a scan, piece by piece.

    Parameters
    ----------
    address
        A file, or a folder with a scan's files.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits. Of a folder: that of its files' names, sizes and hashes, so that it is the same
        wherever the folder lies.

    Raises
    ------
    InputError
        If it is missing, cannot be reached, or the credentials do not permit it.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    files = list_files(address)
    if _is_single(files):
        return _digest(address)
    return _hash_of_folder(files, [_digest(join(address, file.name)) for file in files])


@contextmanager
def local_copy(address: str, *, beside: tuple[str, ...] = (), home: Path | None = None) -> Iterator[LocalCopy]:
    """Lend a scan as a local path.

    Parameters
    ----------
    address
        A file or folder. What is local already is lent as it is.
    beside
        Names of files in the same folder that belong to it, such as the ``.raw`` of a ``.mhd``.
    home
        Where the temporary folder is made; None takes the system's (``TMPDIR``).

    Yields
    ------
    LocalCopy
        The path, in a private folder (mode 0700) where it had to be fetched. The folder is gone after the context,
        whatever happened in it; one that a killed process left is removed by the next call.

    Raises
    ------
    InputError
        If it is missing, cannot be reached, its size is not what was announced, or the credentials do not permit it.
    OutputError
        If the temporary folder's disk is full or cannot be written to.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    check_address(address)
    if not is_remote(address):
        yield LocalCopy(_local(address), None)
        return
    files = list_files(address)
    parent = Path(tempfile.gettempdir()) if home is None else home
    remove_stale_folders(parent)
    temporary = parent / temporary_name()
    try:
        with plain_local_errors():
            temporary.mkdir(mode=0o700)
        if _is_single(files):
            path = temporary / address.rstrip("/").rpartition("/")[2]
            sha256 = _fetch(address, path, files[0].size_bytes)
            for name in beside:
                _fetch(f"{address.rpartition('/')[0]}/{name}", temporary / name, None)
            yield LocalCopy(path, sha256)
        else:
            yield LocalCopy(temporary, _fetch_all(address, files, temporary))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fetch_all(address: str, files: tuple[StoredFile, ...], folder: Path) -> str:
    """Fetch a folder's files into another and hash them on the way."""
    for file in files:
        if "\\" in file.name or not (folder / file.name).resolve().is_relative_to(folder.resolve()):
            raise InputError("Files inside one folder were expected, but a name leads out of it. Rename the files.")
        with plain_local_errors():
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="covidct-fetching") as pool:
        digests = pool.map(lambda f: _fetch(f"{address.rstrip('/')}/{f.name}", folder / f.name, f.size_bytes), files)
        return _hash_of_folder(files, list(digests))


def _fetch(address: str, target: Path, expected_bytes: int | None) -> str:
    """Copy a remote file to a local one; gives the SHA-256."""
    digest, count = hashlib.sha256(), 0
    with plain_local_errors(), target.open("wb") as file, _opened(address) as source:
        for piece in _pieces(source):
            digest.update(piece)
            count += len(piece)
            file.write(piece)
    if expected_bytes is not None and count != expected_bytes:
        raise InputError(
            f"A file of {expected_bytes} bytes was expected, but {count} came. It changed or the connection broke: "
            "run again."
        )
    return digest.hexdigest()


def _digest(address: str) -> str:
    """SHA-256 of one file."""
    digest = hashlib.sha256()
    with _opened(address) as file:
        for piece in _pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def _hash_of_folder(files: tuple[StoredFile, ...], digests: list[str]) -> str:
    """SHA-256 of names, sizes and hashes, in the order of the names."""
    lines = (f"{file.name}\0{file.size_bytes}\0{digest}\n" for file, digest in zip(files, digests, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class _PlainFile:
    """A file whose every reading gives plain errors."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        """Read at most so many bytes; empty at the end."""
        with plain_errors():
            return bytes(self._file.read(count))


@contextmanager
def _opened(address: str) -> Iterator[_PlainFile]:
    """Open a file of either kind for reading from start to end."""
    with plain_errors():
        if is_remote(address):
            system, path = _system(address)
            # Nothing is read twice or out of order, so a cache would only take memory.
            file = system.open(path, "rb", cache_type="none")
        else:
            file = _local(address).open("rb")
    try:
        yield _PlainFile(file)
    finally:
        file.close()


def _pieces(file: _PlainFile) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while piece := file.read(CHUNK_BYTES):
        yield piece


def _system(address: str) -> tuple[Any, str]:
    """Give fsspec's file system of a URL, and the path in it."""
    with plain_errors():
        import fsspec

        system, path = fsspec.core.url_to_fs(address)
        return system, str(path)


def _split(address: str) -> tuple[str, str]:
    """Split a URL into protocol and rest; a path has neither."""
    protocol, mark, rest = address.partition("://")
    # A drive letter of Windows is no protocol.
    return (protocol.lower(), rest) if mark and len(protocol) > 1 and "/" not in protocol else ("", "")


def _local(address: str) -> Path:
    """The path behind a local address."""
    protocol, rest = _split(address)
    return Path(rest if protocol in _LOCAL_PROTOCOLS else address)


def _is_single(files: tuple[StoredFile, ...]) -> bool:
    """Whether a listing is that of one file by its own address."""
    return len(files) == 1 and files[0].name == ""


def _is_visible(name: str) -> bool:
    return not any(part.startswith(".") for part in name.split("/"))


def _stored(root: str, name: str, info: dict[str, Any]) -> StoredFile:
    """One entry of a remote listing."""
    tag = next(
        (info[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created") if key in info), ""
    )
    relative = "" if name == root.rstrip("/") else name[len(root.rstrip("/")) + 1 :]
    return StoredFile(relative, int(info.get("size") or 0), str(tag).strip('"'))


def _list_local(root: Path) -> tuple[StoredFile, ...]:
    """List what is on this machine."""
    with plain_errors():
        if root.is_file():
            return (_described("", root.stat()),)
        if not root.is_dir():
            raise FileNotFoundError
        files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if _is_visible(f))
            for name in names:
                file = Path(folder) / name
                if _is_visible(name) and file.is_file() and not file.is_symlink():
                    files.append(_described(file.relative_to(root).as_posix(), file.stat()))
    return tuple(sorted(files, key=lambda f: f.name))


def _described(name: str, status: os.stat_result) -> StoredFile:
    return StoredFile(name, status.st_size, str(status.st_mtime_ns))
