"""The scans of a cohort before they are measured."""

from __future__ import annotations

from dataclasses import dataclass

from CovidCTLib.cohort.rows import CohortRow


@dataclass(frozen=True)
class CohortScan:
    """One scan of the source.

    Parameters
    ----------
    id
        As `CohortRow.id`.
    address
        Path or URL of the file or DICOM folder. It may hold a patient's name: it goes to the worker and nowhere else.
    bytes
        Size of all of its files.
    stamp
        As `CohortRow.stamp`.
    beside
        Names of files beside it that belong to it, such as the ``.raw`` of a ``.mhd``.
    class_name, patient, study_date
        As in `CohortRow`; ``patient`` is the manifest's own until the run makes it a pseudonym.
    """

    id: str
    address: str
    bytes: int = 0
    stamp: str = ""
    beside: tuple[str, ...] = ()
    class_name: str = ""
    patient: str = ""
    study_date: str = ""


@dataclass(frozen=True)
class Task:
    """A scan to be measured.

    Parameters
    ----------
    scan
        The scan, its patient a pseudonym.
    earlier
        Its row of an earlier run where its stamp has changed since; it holds again if the content is the same.
    """

    scan: CohortScan
    earlier: CohortRow | None = None
