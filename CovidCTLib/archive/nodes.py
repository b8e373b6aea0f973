"""Addresses of DICOM programs, and the encryption of the way to them."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import CovidCTError, InputError, OptionsError

LONGEST_TITLE = 16
"""Characters of an application entity's title at most (DICOM PS3.5, 6.2)."""

_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_NODE = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[0-9A-Fa-f:]+\]|[^:@\[\]\s]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Node:
    """A DICOM program that can be called: its title, host and port, and the TLS context where the way is encrypted."""

    title: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the certificate of this program, its key, and the certificates of those that it trusts."""

    certificate: Path | None = None
    key: Path | None = None
    trusted: Path | None = None


def check_title(title: str) -> str:
    """Check the title of an application entity.

    Raises
    ------
    OptionsError
        If it is not 1 to 16 printable ASCII characters without a backslash.
    """
    if not _TITLE.fullmatch(title) or not title.strip():
        raise OptionsError(
            f"A DICOM title must have 1 to {LONGEST_TITLE} plain characters, but this has {len(title)} or others. "
            "Correct it."
        )
    return title.strip()


def check_port(port: int) -> int:
    """Check a port's number.

    Raises
    ------
    OptionsError
        If it does not lie within 1 and 65535.
    """
    if not 1 <= port <= 65535:
        raise OptionsError(f"A port must lie within 1 and 65535, not {port}. Correct it.")
    return port


def parse_node(text: str, tls: ssl.SSLContext | None = None) -> Node:
    """Read an address, ``TITLE@HOST:PORT``.

    Raises
    ------
    OptionsError
        If it is none.
    """
    match = _NODE.fullmatch(text.strip())
    if match is None:
        raise OptionsError(
            f"The archive's address must be TITLE@HOST:PORT, for example ORTHANC@127.0.0.1:4242, not {text!r}. Correct "
            "it."
        )
    return Node(check_title(match["title"]), match["host"].strip("[]"), check_port(int(match["port"])), tls)


def tls_context(files: TlsFiles, *, server: bool) -> ssl.SSLContext:
    """Make the TLS context of a listener or a sender (DICOM PS3.15, B.9: BCP 195, TLS 1.2 and newer).

    Parameters
    ----------
    files
        A listener needs certificate and key; with ``trusted`` it asks callers for a certificate, too. A sender needs
        ``trusted`` where the archive's certificate is not signed by an authority of the system.
    server
        Whether it is a listener's.

    Raises
    ------
    OptionsError
        If a listener is given no certificate or no key.
    InputError
        If a file cannot be read or is no PEM.
    """
    if server and (files.certificate is None or files.key is None):
        raise OptionsError("TLS of the listener needs --tls-cert and --tls-key, but one is missing. Give both.")
    try:
        purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
        context = ssl.create_default_context(purpose, cafile=None if files.trusted is None else str(files.trusted))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if server and files.trusted is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        if files.certificate is not None:
            context.load_cert_chain(str(files.certificate), None if files.key is None else str(files.key))
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"Certificate, key and trusted certificates must be PEM files that can be read, but one is not "
            f"({type(error).__name__}). Check --tls-cert, --tls-key and --tls-trust."
        ) from error
    return context


def check_archive_possible() -> None:
    """Check, before any work, that the packages for archives are there.

    Raises
    ------
    CovidCTError
        If pynetdicom is missing or cannot be loaded.
    """
    try:
        import pynetdicom  # noqa: F401
    except ImportError as error:
        raise CovidCTError(
            "Speaking with an archive needs the package pynetdicom, which is not there or does not load on this "
            "computer. Install it with 'pip install \"covidct[archive]\"'."
        ) from error
