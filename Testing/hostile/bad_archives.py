"""Bad arguments of the commands that speak with an archive, and DICOM results of what did not come as DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import broken_files as broken
from bad_commands import words
from bad_inputs import BadInput

NOWHERE = "PACS@127.0.0.1:9"
"""The port of the discard service, on which nothing listens."""

SERVER = "https://127.0.0.1:9/dicom-web"


def fetch(name: str, what: str, *arguments: str) -> BadInput:
    """Wrong words of ``covidct fetch``, with an archive and a question that could be asked."""
    return words(f"fetch-{name}", "fetch", what, "--archive", NOWHERE, "--accession", "12", *arguments)


def with_credentials(name: str, what: str, text: str, mode: int = 0o600) -> BadInput:
    """A file of credentials that cannot be used."""

    def given(folder: Path) -> list[str]:
        file = folder / "secret.txt"
        file.write_text(text)
        file.chmod(mode)
        return ["--web", SERVER, "--accession", "12", "--credentials", str(file)]

    return BadInput(f"fetch-credentials-{name}", "covidct fetch", what, given)


def made(name: str, command: str, what: str, make: Callable[[Path], list[str]]) -> BadInput:
    """Words that name a file or folder that is made first."""
    return BadInput(f"{command}-{name}", f"covidct {command}", what, make)


def _filled(folder: Path) -> list[str]:
    (folder / "study").mkdir()
    (folder / "study" / "precious.txt").write_text("mine")
    return ["--archive", NOWHERE, "--accession", "12", "-o", "study"]


def _no_pem(folder: Path) -> list[str]:
    (folder / "trusted.pem").write_text("no certificate")
    return ["--archive", NOWHERE, "--accession", "12", "--archive-tls", "--tls-trust", str(folder / "trusted.pem")]


FETCH = (
    words("fetch-nothing", "fetch", "no archive"),
    words("fetch-two-archives", "fetch", "two archives", "--archive", NOWHERE, "--web", SERVER),
    words("fetch-no-question", "fetch", "nothing that is asked for", "--archive", NOWHERE),
    words("fetch-address", "fetch", "an address without a title", "--archive", "127.0.0.1:4242", "--accession", "12"),
    words("fetch-port-0", "fetch", "port 0 of the archive", "--archive", "PACS@127.0.0.1:0", "--accession", "12"),
    words("fetch-wildcard", "fetch", "a number with a wildcard", "--archive", NOWHERE, "--patient", "47*"),
    words("fetch-date-in-words", "fetch", "a date in words", "--archive", NOWHERE, "--date", "yesterday"),
    words(
        "fetch-three-dates", "fetch", "three dates",
        "--archive", NOWHERE, "--date", "2020-03-01", "2020-03-02", "2020-03-03",
    ),
    fetch("take-without-folder", "--take without a folder", "--take", "1"),
    fetch("take-in-words", "--take in words", "--take", "first"),
    fetch("title", "a title of 17 characters", "--title", "A" * 17),
    fetch("own-port", "an own port above 65535", "--port", "70000"),
    fetch("credentials-of-dicom", "credentials for an archive that speaks DICOM", "--credentials", "secret.txt"),
    fetch("way", "an unknown way", "--way", "push"),
    fetch("away", "an archive that is away"),
    words("fetch-ftp", "fetch", "a server that is no web server", "--web", "ftp://pacs.example", "--accession", "12"),
    words("fetch-web-away", "fetch", "a DICOMweb server that is away", "--web", SERVER, "--accession", "12"),
    with_credentials("mode", "a file of credentials that others may read", "user = a\npassword = b\n", 0o644),
    with_credentials("line", "a file of credentials with a line that says nothing", "user = a\nsecret\n"),
    with_credentials("half", "a file of credentials without the password", "user = a\n"),
    words(
        "fetch-credentials-missing", "fetch", "a file of credentials that is not there",
        "--web", SERVER, "--accession", "12", "--credentials", "nowhere.txt",
    ),
    words(
        "fetch-credentials-plain", "fetch", "a password in the address",
        "--web", "https://me:secret@pacs.example", "--accession", "12",
    ),
    made("into-content", "fetch", "a folder that holds something", _filled),
    made("tls", "fetch", "a certificate that is none", _no_pem),
)  # fmt: skip


def listen(name: str, what: str, *arguments: str) -> BadInput:
    """Wrong words of ``covidct listen``, with an archive that could be spoken with."""
    return words(f"listen-{name}", "listen", what, "spool", "--archive", NOWHERE, *arguments)


def _file_as_spool(folder: Path) -> list[str]:
    (folder / "spool").write_text("a file")
    return ["spool", "--archive", NOWHERE]


LISTEN = (
    words("listen-nothing", "listen", "no words"),
    words("listen-no-archive", "listen", "no archive", "spool"),
    words("listen-address", "listen", "an address without a port", "spool", "--archive", "PACS@127.0.0.1"),
    listen("title", "an empty title", "--title", ""),
    listen("caller", "a caller's title of 17 characters", "--caller", "A" * 17),
    listen("port", "port 0", "--port", "0"),
    listen("port-in-words", "a port in words", "--port", "dicom"),
    listen("rest", "a negative time of rest", "--rest", "-1"),
    listen("retry", "an infinite time between trials", "--retry", "inf"),
    listen("max-images", "no image of a study", "--max-images", "0"),
    listen("max-slices", "no slice of a study", "--max-slices", "0"),
    listen("min-free", "free space that is no number", "--min-free", "nan"),
    listen("tls", "a certificate without its key", "--tls-cert", "own.pem"),
    listen("models", "a folder without networks", "--models", "nowhere"),
    made("spool-is-a-file", "listen", "a queue that is a file", _file_as_spool),
)


def _nifti(folder: Path) -> list[str]:
    return [str(broken.volume(folder / "ct.nii.gz")), "-o", "out", "--dicom"]


ROWS = (*FETCH, *LISTEN, made("dicom-of-nifti", "analyze", "--dicom of a NIfTI file", _nifti))
