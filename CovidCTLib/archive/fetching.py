"""Studies of an archive: found by number or date, listed, and taken into a folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pydicom
from pydicom.dataset import Dataset

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.writing.folder import new_output_folder

MOST_LISTED = 500
"""Studies that a question may have for an answer; more are refused, as nobody reads them."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Question:
    """What is looked for.

    Parameters
    ----------
    accession, patient, study
        Accession number, patient's number, StudyInstanceUID.
    first, last
        Dates of the study as ``YYYY-MM-DD``, both inclusive.
    """

    accession: str | None = None
    patient: str | None = None
    study: str | None = None
    first: str | None = None
    last: str | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises
        ------
        OptionsError
            If nothing is asked for, a date is none, or a number holds a wild card.
        """
        if not any((self.accession, self.patient, self.study, self.first, self.last)):
            raise OptionsError(
                "Nothing was asked for. Give --accession, --patient, --study or --date, or the whole archive would be "
                "listed."
            )
        for day in (self.first, self.last):
            if day is not None and not _DATE.fullmatch(day):
                raise OptionsError(f"A date must be YYYY-MM-DD, not {day!r}. Correct --date.")
        for number in (self.accession, self.patient, self.study):
            if number is not None and re.search(r"[*?\\]", number):
                raise OptionsError("A number must be given as it is, without '*', '?' or a backslash. Correct it.")

    @property
    def date_range(self) -> str:
        """The dates as DICOM asks for them (PS3.4, C.2.2.2.5); empty where none is asked for."""
        if self.first is None and self.last is None:
            return ""
        low, high = ((day or "").replace("-", "") for day in (self.first, self.last))
        return low if low == high else f"{low}-{high}"


@dataclass(frozen=True)
class ArchivedStudy:
    """One study of an archive, with what tells it apart; the patient's name is not asked for.

    Parameters
    ----------
    uid
        StudyInstanceUID.
    date, description, modalities
        As the archive says them.
    images
        Number of its instances; None where the archive does not say.
    """

    uid: str
    date: str
    description: str
    modalities: tuple[str, ...]
    images: int | None


class ArchiveClient(Protocol):
    """What C-FIND with C-GET or C-MOVE, and DICOMweb, have in common."""

    def find(self, question: Question) -> list[ArchivedStudy]:
        """List the studies that fit."""

    def take(self, study: ArchivedStudy, folder: Path) -> Iterator[int]:
        """Take a study into a folder; yields how many images are there after each."""


def study_of_answer(answer: Dataset) -> ArchivedStudy:
    """Read one answer to a question for studies."""
    modalities = answer.get("ModalitiesInStudy") or ()
    modalities = (modalities,) if isinstance(modalities, str) else tuple(str(one) for one in modalities)
    count = answer.get("NumberOfStudyRelatedInstances")
    date = str(answer.get("StudyDate") or "")
    return ArchivedStudy(
        str(answer.get("StudyInstanceUID") or ""),
        f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else "",
        "".join(c for c in str(answer.get("StudyDescription") or "") if c.isprintable())[:64],
        modalities,
        int(count) if str(count or "").isdigit() else None,
    )


def question_dataset(question: Question) -> Dataset:
    """The question as an identifier of C-FIND at the level of studies (DICOM PS3.4, C.6.2.1.2)."""
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = question.study or ""
    asked.AccessionNumber = question.accession or ""
    asked.PatientID = question.patient or ""
    asked.StudyDate = question.date_range
    asked.StudyDescription, asked.ModalitiesInStudy, asked.NumberOfStudyRelatedInstances = "", "", ""
    return asked


def save(dataset: Any, folder: Path) -> None:
    """Write a taken image under a name that says nothing of the patient; copies of an image replace each other.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    name = hashlib.sha256(str(dataset.SOPInstanceUID).encode()).hexdigest()[:24]
    part = folder / f".{name}.part"
    pydicom.dcmwrite(part, dataset, enforce_file_format=True)
    part.rename(folder / f"{name}.dcm")


def choose(studies: list[ArchivedStudy], wanted: int | None) -> ArchivedStudy:
    """Choose a study of a list.

    Parameters
    ----------
    studies
        In the order of the list.
    wanted
        Its number, from 1; None where there is one alone.

    Raises
    ------
    InputError
        If nothing was found, or the number is not in the list.
    OptionsError
        If there are several and none was chosen.
    """
    if not studies:
        raise InputError("A study was expected, but the archive holds none that fits. Check number and date.")
    if wanted is None:
        if len(studies) > 1:
            raise OptionsError(f"One study was expected, but {len(studies)} fit. Choose one of the list by --take N.")
        return studies[0]
    if not 1 <= wanted <= len(studies):
        raise InputError(f"A number from 1 to {len(studies)} was expected for --take, not {wanted}. See the list.")
    return studies[wanted - 1]


def fetch(client: ArchiveClient, study: ArchivedStudy, folder: str | os.PathLike[str]) -> int:
    """Take a study into a new folder; it is there as a whole, or not at all.

    Parameters
    ----------
    client
        The archive.
    study
        Which.
    folder
        A path that does not exist yet, or an empty folder.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    InputError
        If the archive sends nothing, or fewer images than it holds.
    OutputError
        If the folder cannot be used.
    CovidCTError
        What the client raises.
    """
    with new_output_folder(folder) as temporary:
        for _ in client.take(study, temporary):
            pass
        count = sum(1 for _ in temporary.glob("*.dcm"))
        if count == 0:
            raise InputError(
                "The images of the study were expected, but the archive sent none. Check whether it knows CovidCT's "
                "title, and whether it may send these kinds of objects."
            )
        if study.images is not None and count < study.images:
            raise InputError(
                f"{study.images} images were expected, but the archive sent {count}. Nothing was kept; try again."
            )
    return count
