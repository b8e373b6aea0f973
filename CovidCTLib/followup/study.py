"""A study of a follow-up: its analysis, its date, and whether it is of the same patient as the others."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import OptionsError
from CovidCTLib.scan import Identifiers, Scan

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
"""``YYYY-MM-DD`` (ISO 8601) or DICOM's ``YYYYMMDD`` (PS3.5, value representation DA)."""


@dataclass(frozen=True)
class Study:
    """One analyzed CT of a follow-up.

    Parameters
    ----------
    analysis
        Its result.
    date
        When the patient was scanned.
    patient
        As `patient_key`; None where the patient is not known. It is compared, and never shown or written.
    number
        Number by which messages and tables call it; None takes its place among the studies given, from 1.
    """

    analysis: Analysis
    date: date
    patient: str | None = None
    number: int | None = None


def parse_date(text: str) -> date:
    """Read a date.

    Parameters
    ----------
    text
        ``YYYY-MM-DD`` or ``YYYYMMDD``.

    Raises
    ------
    OptionsError
        If it is no date of the calendar.
    """
    match = _DATE.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        return date(*(int(part) for part in match.groups()))
    except ValueError as error:
        raise OptionsError(
            "A date must be a day of the calendar as YYYY-MM-DD, but one that was given is not. Correct it."
        ) from error


def stated_date(scan: Scan) -> date | None:
    """Give the date that a scan states, in its facts or, if it carries them, its identifiers; None if it does not."""
    text = scan.facts.study_date or (scan.identifiers.study_date if scan.identifiers is not None else None)
    if text is None:
        return None
    try:
        return parse_date(text)
    except OptionsError:
        return None


def patient_key(identifiers: Identifiers | None, salt: bytes) -> str | None:
    """Hash a patient's number, so that studies can be compared without keeping it.

    Parameters
    ----------
    identifiers
        Who was scanned.
    salt
        Random bytes of this follow-up, the same for all of its studies; without them a hash of so short a number could
        be turned back by trying all numbers.

    Returns
    -------
    str or None
        SHA-256 (FIPS 180-4) as 64 hexadecimal digits; None where the number is not known. Case and spaces do not
        count.
    """
    if identifiers is None or not identifiers.patient_id:
        return None
    number = "".join(identifiers.patient_id.split()).casefold()
    return hashlib.sha256(salt + number.encode("utf-8")).hexdigest() if number else None
