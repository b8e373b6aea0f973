"""Questions and retrieval by DICOMweb: QIDO-RS and WADO-RS (DICOM PS3.18)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from CovidCTLib.archive.credentials import Credentials
from CovidCTLib.archive.fetching import MOST_LISTED, ArchivedStudy, Question, save, study_of_answer
from CovidCTLib.archive.sending import ArchiveAwayError
from CovidCTLib.errors import CovidCTError, InputError, OptionsError

TIMEOUT_S = 60
"""Seconds that the server may take to answer."""

_ADDRESS = re.compile(r"https?://[^\s@]+")
_LOCAL = re.compile(r"http://(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True)
class WebClient:
    """An archive that is asked by DICOMweb.

    Parameters
    ----------
    address
        Of the service, such as ``https://pacs.example/dicom-web``.
    credentials
        Sent with each question; over plain HTTP only to this machine itself.

    Raises
    ------
    OptionsError
        If the address is none, holds a name or password, or credentials would go out unencrypted.
    """

    address: str
    credentials: Credentials

    def __post_init__(self) -> None:
        """Check the address."""
        if not _ADDRESS.fullmatch(self.address):
            raise OptionsError(
                "The address of DICOMweb must begin with https:// or http:// and hold no name and password. Correct "
                "--web; give credentials by the environment or --credentials."
            )
        secret = self.credentials.password or self.credentials.token
        if secret and self.address.startswith("http://") and not _LOCAL.match(self.address):
            raise OptionsError(
                "Credentials are only sent over https://, but --web is http://. Use the encrypted address."
            )

    def find(self, question: Question) -> list[ArchivedStudy]:
        """List the studies that fit (QIDO-RS).

        Raises
        ------
        ArchiveAwayError
            If the server cannot be reached.
        InputError
            If it refuses, or more than `MOST_LISTED` studies fit.
        """
        filters = {
            "StudyInstanceUID": question.study,
            "AccessionNumber": question.accession,
            "PatientID": question.patient,
            "StudyDate": question.date_range,
        }
        asked = {name: value for name, value in filters.items() if value}
        fields = ["StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"]
        try:
            answers = self._client().search_for_studies(search_filters=asked, fields=fields, limit=MOST_LISTED + 1)
        except Exception as error:
            raise _explained(error) from error
        if len(answers) > MOST_LISTED:
            raise InputError(f"At most {MOST_LISTED} studies can be listed, but more fit. Ask for a number.")
        studies = [study_of_answer(Dataset.from_json(answer)) for answer in answers]
        return sorted(studies, key=lambda study: (study.date, study.uid))

    def take(self, study: ArchivedStudy, folder: Path) -> Iterator[int]:
        """Take a study into a folder (WADO-RS), in the encoding that the server keeps.

        Yields
        ------
        int
            How many images are there.

        Raises
        ------
        ArchiveAwayError
            If the server cannot be reached.
        InputError
            If it refuses.
        """
        count = 0
        try:
            images = self._client().iter_study(study.uid, media_types=(("application/dicom", "*"),))
            for image in images:
                save(image, folder)
                count += 1
                yield count
        except CovidCTError:
            raise
        except Exception as error:
            raise _explained(error) from error

    def _client(self) -> Any:
        from dicomweb_client.api import DICOMwebClient
        from dicomweb_client.session_utils import create_session, create_session_from_user_pass

        credentials = self.credentials
        if credentials.user is not None and credentials.password is not None:
            session = create_session_from_user_pass(credentials.user, credentials.password)
        else:
            session = create_session()
        # What the environment names (proxies apart) must not open the archive: .netrc is not asked.
        session.auth = session.auth or (lambda request: request)
        headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else None
        client = DICOMwebClient(self.address, session=session, headers=headers)
        client.set_http_retry_params(retry=False)
        return client


def check_web_possible() -> None:
    """Check, before any work, that the package for DICOMweb is there.

    Raises
    ------
    CovidCTError
        If it is missing.
    """
    try:
        import dicomweb_client  # noqa: F401
    except ImportError as error:
        raise CovidCTError(
            "DICOMweb needs the package dicomweb-client, which is not there or does not load on this computer. Install "
            "it with 'pip install \"covidct[archive]\"'."
        ) from error


def _explained(error: Exception) -> CovidCTError | OSError:
    """Say in plain words what a server answered, without its text, which may hold patient data."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    if code in (401, 403):
        return InputError(
            f"The archive wants other credentials (HTTP {code}). Set COVIDCT_ARCHIVE_USER and "
            "COVIDCT_ARCHIVE_PASSWORD, COVIDCT_ARCHIVE_TOKEN, or --credentials."
        )
    if code is not None:
        return InputError(f"The archive refused (HTTP {code}). Check the address of DICOMweb in --web.")
    if isinstance(error, ValueError):
        return InputError(f"The archive's answer is no DICOMweb ({type(error).__name__}). Check the address in --web.")
    if type(error).__module__.split(".")[0] in ("requests", "urllib3"):
        return ArchiveAwayError(
            f"The DICOMweb server cannot be reached ({type(error).__name__}). Check --web, and that it runs."
        )
    if isinstance(error, OSError):
        return error
    return InputError(f"The archive's answer is no DICOMweb ({type(error).__name__}). Check the address in --web.")
