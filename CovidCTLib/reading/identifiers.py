"""Patient data: who was scanned, read only where the user asks for it, and free texts that may hold it kept out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pydicom
from pydicom.tag import Tag

from CovidCTLib.errors import Notice
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.dicom_headers import date_of, text_of
from CovidCTLib.reading.quiet import quiet_pydicom
from CovidCTLib.scan import Identifiers, Scan

_KEYWORDS = ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "StudyDescription", "StudyDate")

PATIENT_DATA = Notice(
    "patient-data",
    "These results hold patient data because that was asked for (--with-identifiers): keep them where patient data may "
    "be kept, and do not pass them on.",
)

NO_PATIENT_DATA = Notice(
    "no-patient-data",
    "Patient data were asked for (--with-identifiers), but the file holds none that CovidCT reads: only DICOM does.",
    "note",
)

OTHER = "other"
"""Shown in place of a text that CovidCT does not know: a free text may hold a patient's name."""

_KERNEL = re.compile(
    r"[A-Z]{1,2}[a-z]?\d{1,2}[a-z]{0,2}(-?[A-Z]{1,2})?|[A-Z]|Y[A-E]|EC|\d|"
    r"STANDARD|STND|LUNG|BONE|BONEPLUS|SOFT|DETAIL|EDGE|CHEST|CHST|ULTRA|SHARP|SMOOTH|YLUNG|AIDR|ASIR"
)
"""How makers call their kernels: letters with two digits (Siemens B60f, Br40d; Toshiba and Canon FC08-H), one letter or
Y with one (Philips), or a word (GE). No name of a person is among them."""

_MAKERS = (
    "SIEMENS", "GE", "PHILIPS", "TOSHIBA", "CANON", "HITACHI", "FUJIFILM", "SHIMADZU", "SAMSUNG", "NEUSOFT", "UIH",
    "UNITED IMAGING", "PICKER", "MARCONI", "ELSCINT", "IMATRON", "ANKE", "MINFOUND", "NEUROLOGICA",
)  # fmt: skip
"""Makers of CT scanners, as their files call them; longer texts that begin with one are called by it."""


def known_kernel(text: str | None) -> str | None:
    """Give the name of a reconstruction kernel, `OTHER` where it is none that is known, None where there is none.

    Several values, joined by DICOM's backslash, must all be known.
    """
    if text is None:
        return None
    return text if all(_KERNEL.fullmatch(part) for part in text.split("\\")) else OTHER


def known_maker(text: str | None) -> str | None:
    """Give the maker of a scanner in capital letters, `OTHER` where it is not known, None where there is none."""
    if text is None:
        return None
    words = re.sub(r"[^A-Z]+", " ", text.upper()).strip()
    return next((maker for maker in _MAKERS if f"{words} ".startswith(f"{maker} ")), OTHER)


def read_identifiers(path: Path) -> Identifiers:
    """Read from a DICOM file who was scanned.

    Parameters
    ----------
    path
        A DICOM file.

    Returns
    -------
    Identifiers
        Texts are one line of at most 64 printable characters; what cannot be read is None.
    """
    tags = [Tag(keyword) for keyword in _KEYWORDS]
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags), force=True)
            name = dataset.get("PatientName")
            return Identifiers(
                patient_name=None if name is None else text_of(str(name)),
                patient_id=text_of(dataset.get("PatientID")),
                birth_date=date_of(dataset.get("PatientBirthDate")),
                study_description=text_of(dataset.get("StudyDescription")),
                study_date=date_of(dataset.get("StudyDate")),
            )
    except READ_FAILURES:
        return Identifiers()


def with_identifiers(scan: Scan, identifiers: Identifiers) -> Scan:
    """Give a scan that says who was scanned, and that it does."""
    notice = NO_PATIENT_DATA if identifiers == Identifiers() else PATIENT_DATA
    return replace(scan, identifiers=identifiers, notices=(notice, *scan.notices))
