"""The cohort's table, one row a scan, and where everything lies in its output folder.

::

    OUT/
      run.json               how the scans are measured; a run with other settings is refused here
      patient.key            secret that turns patient numbers into pseudonyms; not for sharing
      rows/<id>.parquet      one file of one row a scan; where it is, the scan is finished
      rows/_gathered.parquet rows of many scans in one file, which the run gathers now and then
      scans/<id>/            results of one scan, there before its row is; none where it failed
        representative.png   the representative slice (both measures)
        analysis.json, measures.csv, slices.csv, report.html, ...   as ``covidct analyze`` writes them (measures "all")
      cohort.html, cohort.csv, cohort.parquet, *.png                the summary, made of the rows at any time

Names that begin with ``.covidct-partial-`` are being written; whoever reads the folder leaves them out. A row's file is
named by the scan's id, so that a scan that is done twice (by a worker that was thought dead) still has one row. Use
`read_rows`, which gives each scan once at any moment, also while rows are being gathered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from CovidCTLib.errors import CovidCTError, InputError
from CovidCTLib.writing.files import new_output_files
from CovidCTLib.writing.folder import explained

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["ok", "failed", "timeout", "memory", "killed"]
STATUSES: tuple[Status, ...] = ("ok", "failed", "timeout", "memory", "killed")
"""ok; failed: refused with a reason, such as no chest CT; timeout: took too long; memory: took too much memory; killed:
its process ended all of a sudden."""

RUN_FILE = "run.json"
PATIENT_KEY_FILE = "patient.key"
ROWS_FOLDER = "rows"
SCANS_FOLDER = "scans"
PICTURE_FILE = "representative.png"
SUMMARY_TABLE_CSV = "cohort.csv"
SUMMARY_TABLE_PARQUET = "cohort.parquet"
SUMMARY_PAGE = "cohort.html"
ROW_ENDING = ".parquet"
GATHERED_FILE = "_gathered.parquet"
"""No scan's id begins with an underscore."""


@dataclass(frozen=True)
class CohortRow:
    """One scan of a cohort; None where a value is undefined or the scan failed.

    Parameters
    ----------
    id
        The manifest's, or a pseudonym made of the path; letters, digits, ``.``, ``_`` and ``-``. It names files.
    key
        Stands for content, settings and networks together: 32 hexadecimal digits; empty where the content could not
        be read.
    stamp
        Stands for the source's place, size and time of change, to tell without reading it whether it is the same.
    content_sha256
        Of the file, or of all files of the DICOM folder with their names; empty where it could not be read.
    class_name
        The class that the source gives, empty where it gives none.
    patient
        Pseudonym of the manifest's patient, empty where there is none.
    study_date
        ``YYYY-MM-DD`` as the manifest gives it, empty where it gives none.
    status, reason
        Whether it was measured, and where not, why, in one sentence without patient data (empty where it was).
    measures
        ``"all"`` or ``"fast"``.
    lung_volume_ml, opacity_volume_ml, opacity_percent, corona_score_cm3, severity_0_24, pleural_effusion_volume_ml
        Measures of both lungs; None with measures ``"fast"``, but for ``lung_volume_ml`` where it is known.
    lobar_severity_0_25
        Severity of five lobes; None where no segmentation gives all of them.
    labels_from
        What was given or corrected by hand, as `CovidCTLib.analysis.Provenance.words`; empty where CovidCT found all.
    positive_fraction, case_positive
        The case decision.
    slice_index, slice_count
        The representative slice, counted from the feet from 0, and how many axial slices there are.
    lung_area_mm2, vessel_area_mm2, vessel_ratio_percent
        Of the representative slice.
    notices
        Codes of what a reader must know, refusals and warnings first.
    bytes
        Size of the source.
    seconds
        Wall time of the scan, from fetching to writing.
    peak_memory_gb
        Largest resident memory that its process had so far, in 10^9 bytes; None where the system does not tell.
    finished
        When, in UTC, ISO 8601.
    version
        Of CovidCT.
    models
        Networks used: ``role name version sha256`` with the first 12 digits each, joined by ``"; "``.
    """

    id: str
    key: str = ""
    stamp: str = ""
    content_sha256: str = ""
    class_name: str = ""
    patient: str = ""
    study_date: str = ""
    status: Status = "ok"
    reason: str = ""
    measures: str = "all"
    lung_volume_ml: float | None = None
    opacity_volume_ml: float | None = None
    opacity_percent: float | None = None
    corona_score_cm3: float | None = None
    severity_0_24: float | None = None
    pleural_effusion_volume_ml: float | None = None
    lobar_severity_0_25: float | None = None
    labels_from: str = ""
    positive_fraction: float | None = None
    case_positive: bool | None = None
    slice_index: int | None = None
    slice_count: int | None = None
    lung_area_mm2: float | None = None
    vessel_area_mm2: float | None = None
    vessel_ratio_percent: float | None = None
    notices: tuple[str, ...] = field(default=())
    bytes: int = 0
    seconds: float = 0.0
    peak_memory_gb: float | None = None
    finished: str = ""
    version: str = ""
    models: str = ""


COLUMNS = tuple(entry.name for entry in fields(CohortRow))


def require_pyarrow() -> Any:
    """Load pyarrow.

    Raises
    ------
    CovidCTError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CovidCTError(
            "A cohort's table needs the package pyarrow, which is not installed. Install it with "
            "'pip install \"covidct[cohort]\"'."
        ) from error
    return pyarrow


def row_schema() -> pa.Schema:
    """Types of the columns, in their order.

    Raises
    ------
    CovidCTError
        If pyarrow is not installed.
    """
    pa = require_pyarrow()
    kinds = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "tuple": pa.list_(pa.string())}
    typed = []
    for entry in fields(CohortRow):
        first = str(entry.type).split("[")[0].split(" ")[0]
        typed.append(pa.field(entry.name, kinds.get(first, pa.string()), nullable="None" in str(entry.type)))
    return pa.schema(typed)


def row_file(out: Path, scan_id: str) -> Path:
    """Where the row of a scan is."""
    return out / ROWS_FOLDER / f"{scan_id}{ROW_ENDING}"


def scan_folder(out: Path, scan_id: str) -> Path:
    """Where the results of a scan are."""
    return out / SCANS_FOLDER / scan_id


def write_row(out: Path, row: CohortRow) -> None:
    """Write a row's file, or replace it; at any moment the old or the new one is there, never a part.

    Raises
    ------
    OutputError
        If it cannot be written (disk full, not permitted, ...).
    CovidCTError
        If pyarrow is not installed.
    """
    _write(row_file(out, row.id), [row])


def read_row(out: Path, scan_id: str) -> CohortRow | None:
    """Read the row's file of a scan; None where there is none (its row may have been gathered).

    Raises
    ------
    InputError
        If the file is no row of a cohort.
    CovidCTError
        If pyarrow is not installed.
    """
    return next(iter(_read(row_file(out, scan_id))), None)


def read_rows(out: Path) -> tuple[CohortRow, ...]:
    """Read the rows that are there, one a scan, in the order of their ids; also while a run goes on.

    Raises
    ------
    InputError
        If a file is no row of a cohort.
    CovidCTError
        If pyarrow is not installed.
    """
    folder = out / ROWS_FOLDER
    files = list(folder.iterdir()) if folder.is_dir() else []
    single = [file for file in files if file.suffix == ROW_ENDING and not file.name.startswith((".", "_"))]
    newer = [row for file in single for row in _read(file)]
    # After the single files: one that was gathered meanwhile is found here.
    rows = {row.id: row for row in (*_read(folder / GATHERED_FILE), *newer)}
    return tuple(rows[name] for name in sorted(rows))


def gather_rows(out: Path, rows: Iterable[CohortRow], without: Collection[str] = ()) -> None:
    """Move rows from their own files into the gathered one, which keeps the folder small.

    Only one process may gather: the one that leads the run.

    Parameters
    ----------
    out
        The output folder.
    rows
        Rows as they are in their files.
    without
        Ids of scans whose rows are to be forgotten.

    Raises
    ------
    InputError
        If the gathered file is damaged.
    OutputError
        If it cannot be written; nothing is lost then.
    CovidCTError
        If pyarrow is not installed.
    """
    file = out / ROWS_FOLDER / GATHERED_FILE
    new = {row.id: row for row in rows}
    gathered = {row.id: row for row in _read(file)}
    gathered.update(new)
    for name in without:
        gathered.pop(name, None)
    _write(file, [gathered[name] for name in sorted(gathered)])
    try:
        for name in (*new, *without):
            row_file(out, name).unlink(missing_ok=True)
    except OSError as error:
        raise explained(error) from error


def _write(target: Path, rows: Sequence[CohortRow]) -> None:
    """Write rows into a file."""
    pa = require_pyarrow()
    entries = [{**asdict(row), "notices": list(row.notices)} for row in rows]
    table = pa.Table.from_pylist(entries, schema=row_schema())
    with new_output_files([target], overwrite=True, tidy=False) as lent:
        pa.parquet.write_table(table, lent[target])


def _read(file: Path) -> list[CohortRow]:
    """Read a file of rows; none where it is not there (any more)."""
    pa = require_pyarrow()
    try:
        # Small files: threads and the machinery of data sets would take longer than the reading.
        entries = pa.parquet.ParquetFile(file).read(use_threads=False).to_pylist()
        return [CohortRow(**{**entry, "notices": tuple(entry["notices"])}) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise InputError(
            f"The folder {ROWS_FOLDER!r} must hold rows of this version's cohorts, but a file in it cannot be read as "
            "such (another version of CovidCT, or a damaged disk). Use that version, or a new folder with -o."
        ) from error
