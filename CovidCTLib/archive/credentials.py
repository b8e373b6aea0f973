"""Name and password for DICOMweb, from the environment or from a file that its owner alone may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from CovidCTLib.errors import InputError, OptionsError

USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE = (
    "COVIDCT_ARCHIVE_USER",
    "COVIDCT_ARCHIVE_PASSWORD",
    "COVIDCT_ARCHIVE_TOKEN",
)
"""Environment variables; a token is sent as a bearer token (RFC 6750)."""

_KEYS = ("user", "password", "token")
_LARGEST_FILE = 1 << 16


@dataclass(frozen=True)
class Credentials:
    """What opens the archive; never shown."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def credentials_from(file: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Credentials:
    """Take the credentials from a file, or else from the environment.

    Parameters
    ----------
    file
        Lines ``user = ...``, ``password = ...`` or ``token = ...``; None takes the environment.
    environment
        Variables, ``os.environ``.

    Raises
    ------
    InputError
        If the file cannot be read, others than its owner may read it, or it holds other lines.
    OptionsError
        If there is a user without password, or the reverse.
    """
    if file is None:
        given = dict(zip(_KEYS, map(environment.get, (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE)), strict=True))
    else:
        given = _read(Path(file))
    if (given.get("user") is None) != (given.get("password") is None):
        raise OptionsError(
            "A user and a password are needed together, but only one of them is given. Give both, or neither."
        )
    return Credentials(given.get("user"), given.get("password"), given.get("token"))


def _read(path: Path) -> dict[str, str | None]:
    try:
        with path.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise InputError(
                    f"A file of credentials must be readable for its owner alone (mode 600), but has mode {mode:o}. "
                    "Run 'chmod 600' on it."
                )
            lines = opened.read(_LARGEST_FILE).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The file of credentials cannot be read ({type(error).__name__}). Check --credentials."
        ) from error
    values: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, sign, value = line.partition("=")
        if not sign or key.strip() not in _KEYS:
            raise InputError(
                f"Lines 'user = ...', 'password = ...' or 'token = ...' were expected in the file of credentials, but "
                f"line {number} is none. Correct it."
            )
        values[key.strip()] = value.strip()
    return values
