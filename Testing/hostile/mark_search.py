"""Looks for marks in everything that CovidCT writes, says or calls a file."""

from __future__ import annotations

import base64
import io
import re
import sys
import types
import zlib
from pathlib import Path

from marked_files import BIRTH, MARK, NUMBER, STUDY, TYPED

from CovidCTLib.cli.main import main

WRITTEN_DATES = tuple(f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in (BIRTH, STUDY))

SECRETS = (MARK, NUMBER, BIRTH, STUDY, *WRITTEN_DATES)


def leaks(content, secrets=SECRETS):
    """Marks in bytes or text, whatever the case and the encoding."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    found = set()
    for secret in secrets:
        for code in ("utf-8", "utf-16-le", "utf-16-be"):
            if secret.encode(code).lower() in data.lower():
                found.add(secret)
    return found


def insides(content):
    """Bytes, and all that is compressed or encoded in them: gzip, Parquet, pictures in a page and their texts."""
    yield content
    if content.startswith(b"PAR1"):
        yield _of_parquet(content)
    for start in (match.start() for match in re.finditer(b"\x1f\x8b\x08", content)):
        try:
            yield zlib.decompressobj(wbits=31).decompress(content[start:])
        except zlib.error:
            continue
    for match in re.finditer(rb"base64,([A-Za-z0-9+/=]+)", content):
        yield base64.b64decode(match.group(1))


def _of_parquet(content):
    """Everything that a Parquet file says, its own metadata among it."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    return repr((file.schema_arrow, file.schema_arrow.metadata, file.read().to_pylist())).encode()


def assert_clean(folder, secrets=(*SECRETS, TYPED)):
    """Hold that no file under a folder, and no name, tells a mark."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert not leaks(path.relative_to(folder).as_posix(), secrets)
        for inside in insides(path.read_bytes()):
            assert not leaks(inside, secrets), path.name


class Watch:
    """Runs the program, keeps what it says and what it names files, and holds both against the marks.

    Parameters
    ----------
    folder
        Where the test's own folders lie; their names are not the program's.
    said, logged
        Give what was said since the last look (``out`` and ``err``), and the text of Python's log.
    """

    def __init__(self, folder, said, logged):
        self._folder, self._said, self._logged = str(folder), said, logged

    def __call__(self, *words, secrets=SECRETS):
        """Run it; gives the exit code, what was said, and the names."""
        global _names
        typed = [str(word) for word in words]
        _names = []
        try:
            code = main(typed)
        finally:
            names, _names = _names, None
        said = self._said()
        assert not leaks(said.out + said.err + self._logged(), secrets)
        for name in names:
            # The folder that the user named for the results may be called anything.
            assert not leaks(name.replace(self._folder, ""), secrets) or any(word in name for word in typed)
        return types.SimpleNamespace(code=code, out=said.out, err=said.err, names=names)


_names: list[str] | None = None


def _listen(event, arguments):
    """Keep the paths that the process creates, renames or opens for writing."""
    if _names is None:
        return
    if event == "open" and isinstance(arguments[0], (str, bytes)) and _writes(arguments):
        _names.append(str(arguments[0]))
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link", "tempfile.mkstemp", "tempfile.mkdtemp"):
        _names.extend(str(argument) for argument in arguments[:2] if isinstance(argument, (str, bytes, Path)))


def _writes(arguments):
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & 3)


# Such a hook cannot be taken away again, so it sleeps while the program does not run.
sys.addaudithook(_listen)
