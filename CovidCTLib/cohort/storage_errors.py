"""What storage systems and disks say, in plain words that hold no address, no name and no secret."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from CovidCTLib.errors import CovidCTError, InputError, OutputError
from CovidCTLib.writing.folder import explained

_DENIED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"}
_UNREACHED = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ClientConnectorError"}


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn whatever a storage system raises into a message without its text, which may hold addresses and secrets.

    Raises
    ------
    InputError
        If something is missing, not permitted, cannot be reached, or fails otherwise.
    CovidCTError
        If the package that reads from that system is not installed.
    """
    try:
        yield
    except CovidCTError:
        raise
    except ImportError:
        raise CovidCTError(
            "Reading from a storage system needs fsspec and the package for that system (s3fs for s3://), which are "
            "not installed. Install them with 'pip install \"covidct[cloud]\"'."
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            "A file or folder was expected at the source's address, but there is none. Check the address, and for "
            "s3:// the bucket's name."
        ) from None
    except Exception as error:  # noqa: BLE001  (each system has its own errors; all become one of ours)
        raise InputError(_why(error)) from None


@contextmanager
def plain_local_errors() -> Iterator[None]:
    """Say that the temporary folder cannot hold a scan.

    Raises
    ------
    OutputError
        If the disk is full or may not be written to.
    """
    try:
        yield
    except OSError as error:
        reason = str(explained(error)).partition(". ")[0]
        raise OutputError(
            f"A scan is fetched into the temporary folder first, but that failed. {reason}. Set TMPDIR to a folder on "
            "another disk."
        ) from None


def _why(error: BaseException) -> str:
    """Say what went wrong by the kind of the error alone."""
    kinds: set[str] = set()
    cause: BaseException | None = error
    while cause is not None:
        kinds.update(kind.__name__ for kind in type(cause).__mro__)
        cause = cause.__cause__
    if kinds & _DENIED or isinstance(error, PermissionError):
        return (
            "Reading from the source must be permitted, but the storage system refused or no credentials were found. "
            "Set them in the environment (for s3://: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    if kinds & _UNREACHED or isinstance(error, (ConnectionError, TimeoutError)):
        return (
            "The storage system was expected to answer, but it could not be reached. Check the network and the server "
            "(for s3:// servers other than Amazon's: AWS_ENDPOINT_URL)."
        )
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "A path that the system can name was expected, but this one is too long. Shorten its names."
    if isinstance(error, ValueError):
        return (
            "A path or an address such as s3://bucket/folder was expected, but its beginning stands for no storage "
            "system that is known here. Correct it."
        )
    return (
        f"The source was expected to be readable, but the storage system failed ({type(error).__name__}). Check that "
        "it works and run again; finished scans are kept."
    )
