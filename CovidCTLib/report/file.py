"""A page or its PDF as a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from CovidCTLib.errors import OutputError
from CovidCTLib.writing.files import replacing


def write_file(content: bytes, target: Path) -> None:
    """Write a page or its PDF, whole or not at all.

    Parameters
    ----------
    content
        What the file is to hold.
    target
        Where the file is to be; one that is there is replaced. Its folder must exist.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with replacing(target) as (part,):
            part.write_bytes(content)
    except OSError as error:
        # The path may hold a patient's name, so the message leaves it out.
        raise OutputError(
            f"A file that can be written was expected for the report, but the system says: {error.strerror}. "
            "Choose an existing folder with space and the right to write."
        ) from error
