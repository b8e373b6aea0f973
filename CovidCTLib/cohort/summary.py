"""The summary of a cohort (C6): ``cohort.html``, its pictures as PNG, ``cohort.csv`` and ``cohort.parquet``.

Made of the rows that are there, at any time, also while a run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.cohort.rows import (
    RUN_FILE,
    SUMMARY_PAGE,
    SUMMARY_TABLE_CSV,
    SUMMARY_TABLE_PARQUET,
    read_rows,
)
from CovidCTLib.cohort.summary_numbers import Outlier, find_outliers
from CovidCTLib.cohort.summary_table import write_csv, write_parquet
from CovidCTLib.errors import InputError
from CovidCTLib.hu import VESSEL_HU
from CovidCTLib.report.page import pdf_beside, write_page
from CovidCTLib.writing.files import new_output_files


@dataclass(frozen=True)
class Summary:
    """What a summary was made of and where it is.

    Parameters
    ----------
    scans, measured
        Rows that were there, and those of them whose status is ok.
    outliers
        Scans with at least one outlier.
    files
        What was written; the page comes last.
    """

    scans: int
    measured: int
    outliers: int
    files: tuple[Path, ...]


def write_summary(out: Path, *, pdf: bool = False) -> Summary:
    """Make the summary of a cohort anew, from the rows that are there.

    Parameters
    ----------
    out
        Output folder of ``covidct cohort``. A run may go on in it.
    pdf
        Whether the page is laid out for paper, too, as ``cohort.pdf``.

    Returns
    -------
    Summary
        Its files, in the same folder; each is the old or the new one at any moment.

    Raises
    ------
    InputError
        If the folder holds no rows, or a row cannot be read.
    OutputError
        If the files cannot be written.
    CovidCTError
        If pyarrow is not installed, or a PDF is asked for and cannot be made on this computer.
    """
    rows = list(read_rows(out)) if out.is_dir() else []
    if not rows:
        raise InputError(
            "The output folder of a cohort with at least one finished scan was expected, but there is none. Run "
            "'covidct cohort SOURCE -o OUT' first, or give its OUT."
        )
    from CovidCTLib.cohort.summary_page import draw_pictures, render_summary

    outliers = find_outliers(rows)
    drawings = draw_pictures(rows)
    page = render_summary(out, rows, outliers, drawings, _vessel_hu(out))
    files = [out / drawing.file for drawing in drawings]
    tables = (out / SUMMARY_TABLE_CSV, out / SUMMARY_TABLE_PARQUET)
    html = out / SUMMARY_PAGE
    files += [*tables, *([pdf_beside(html)] if pdf else []), html]
    named = _names_of(outliers)
    with new_output_files(files, overwrite=True) as lent:
        for drawing in drawings:
            drawing.write(lent[out / drawing.file])
        write_csv(lent[tables[0]], rows, named)
        write_parquet(lent[tables[1]], rows, named)
        # The PDF appears beside it, where it is lent.
        write_page(page, lent[html], pdf=pdf)
    return Summary(len(rows), sum(row.status == "ok" for row in rows), len(named), tuple(files))


def _names_of(outliers: Sequence[Outlier]) -> dict[str, list[str]]:
    """Measures in which each scan is an outlier, by its id."""
    named: dict[str, list[str]] = {}
    for outlier in outliers:
        named.setdefault(outlier.row.id, []).append(outlier.measure)
    return {scan: sorted(measures) for scan, measures in named.items()}


def _vessel_hu(out: Path) -> float:
    """The run's limit of vessels, in HU; the default where the run's record does not say."""
    try:
        record = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
        return float(record["options"]["vessel_hu"])
    except (OSError, ValueError, KeyError, TypeError):
        return VESSEL_HU
