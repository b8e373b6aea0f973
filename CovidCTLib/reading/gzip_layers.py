"""Files that are compressed with gzip, twice, or not at all, whatever their names say."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a NIfTI file by what it holds, whatever its name says: compressed with gzip, even twice, or not."""
    with path.open("rb") as plain:
        layers: list[IO[bytes]] = [plain]
        # Two layers come from a careless export; nobody adds a third by mistake.
        while len(layers) < 3 and _is_gzip(layers[-1]):
            layers.append(gzip.GzipFile(fileobj=layers[-1], mode="rb"))  # type: ignore[arg-type]
        yield layers[-1]


def count_gzip_layers(path: Path) -> int:
    """Count how many times a file is compressed with gzip, 0 to 2."""
    with path.open("rb") as plain:
        if not _is_gzip(plain):
            return 0
        with gzip.GzipFile(fileobj=plain, mode="rb") as once:
            return 2 if _is_gzip(once) else 1


def _is_gzip(file: IO[bytes] | gzip.GzipFile) -> bool:
    try:
        start = file.read(len(_GZIP))
    finally:
        file.seek(0)
    return start == _GZIP
