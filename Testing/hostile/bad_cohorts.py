"""Bad inputs of ``covidct cohort``: sources, manifests, options, output folders of other runs, Spark."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken_files as broken
from bad_commands import words
from bad_inputs import BadInput

COHORT = "covidct cohort"
FAST = ("-o", "out", "--measures", "fast", "--processes", "1", "--quiet")


def cohort(name: str, what: str, make: Callable[[Path], object], *options: str, source: str = "source") -> BadInput:
    """A bad input of a run; ``make`` fills the current folder."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return [source, *(options if "-o" in options else (*FAST, *options))]

    return BadInput(name, COHORT, what, given)


def _source(folder: Path, *names: str) -> Path:
    """Write a folder with a scan, which nobody reads before the run begins."""
    home = folder / "source"
    home.mkdir()
    for name in names or ("ct.nii.gz",):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        broken.volume(home / name)
    return home


def _loop(folder: Path) -> None:
    (folder / "source" / "deep").mkdir(parents=True)
    (folder / "source" / "deep" / "up").symlink_to(folder / "source", target_is_directory=True)


SOURCES = (
    words("cohort-nothing", "cohort", "no words"),
    words("cohort-no-output", "cohort", "no output folder", "source"),
    words("cohort-output-without-o", "cohort", "an output folder without -o", "source", "out"),
    words("cohort-leading-dash", "cohort", "a source whose name begins with a dash", "-scans", "-o", "out"),
    cohort("cohort-no-source", "a source that is not there", lambda f: None),
    cohort("cohort-name-of-lines", "a source with a line break in its name", lambda f: None, source="a\nb"),
    cohort("cohort-zero-in-source", "a source with a zero character", lambda f: None, source="a\0b"),
    cohort("cohort-long-source", "a source of 5,000 characters", lambda f: None, source="x" * 5000),
    cohort("cohort-empty-source", "an empty folder", lambda f: (f / "source").mkdir()),
    cohort("cohort-no-scans", "a folder of texts", lambda f: _text(f / "source" / "a.txt")),
    cohort("cohort-loop", "a directory loop without a scan", _loop),
    cohort("cohort-pipe", "a pipe", lambda f: os.mkfifo(f / "source")),
    cohort("cohort-no-match", "--include that nothing matches", _source, "--include", "*.nrrd"),
    cohort("cohort-unknown-class", "a class that is unknown", _source, "--class", "CT-9"),
    cohort("cohort-unknown-system", "an unknown storage system", lambda f: None, source="gopher://host/scans"),
    cohort("cohort-password", "a password in the address", lambda f: None, source="s3://key:secret@bucket/scans"),
)


def _text(path: Path, text: str = "no scan") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def manifest(name: str, what: str, content: str | bytes, *options: str) -> BadInput:
    """A bad manifest beside two good scans; ``content`` is its text."""

    def make(folder: Path) -> None:
        _source(folder, "a.nii.gz", "b.nii.gz")
        data = content if isinstance(content, bytes) else content.encode("utf-8")
        (folder / "list.csv").write_bytes(data)

    return cohort(name, what, make, *options, source="list.csv")


def parquet(name: str, what: str, columns: dict[str, list[Any]] | bytes) -> BadInput:
    """A bad Parquet manifest beside two good scans."""

    def make(folder: Path) -> None:
        _source(folder, "a.nii.gz", "b.nii.gz")
        target = folder / "list.parquet"
        if isinstance(columns, bytes):
            target.write_bytes(columns)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns), target)

    return cohort(name, what, make, source="list.parquet")


A, B = "source/a.nii.gz", "source/b.nii.gz"
NAN = float("nan")
MANIFESTS = (
    cohort("manifest-not-there", "a manifest that is not there", lambda f: None, source="list.csv"),
    manifest("manifest-empty", "an empty CSV", ""),
    manifest("manifest-only-mark", "a CSV of a byte order mark alone", b"\xef\xbb\xbf"),
    manifest("manifest-no-rows", "a CSV without rows", "path,id\n"),
    manifest("manifest-no-path", "a CSV without the column path", f"file;id\n{A};x\n"),
    manifest("manifest-utf-16", "Excel's Unicode text", f"path\tid\n{A}\tx\n".encode("utf-16")),
    manifest("manifest-long-field", "a first line of 200,000 characters", "x" * 200_000),
    manifest("manifest-open-quote", "a quotation mark that never ends", f'path,id\n"{A},x\n{B},y\n'),
    manifest("manifest-path-empty", "a row without a path", f"path,id\n{A},x\n,y\n"),
    manifest("manifest-ids-twice", "doubled ids", f"\ufeffpath;id\r\n{A};x\r\n{B};X\r\n"),
    manifest("manifest-paths-twice", "doubled paths", f"path,id\n{A},x\n{A},y\n"),
    manifest("manifest-same-scan", "one scan by two spellings of its path", f"path,id\n{A},x\n./{A},y\n"),
    manifest("manifest-climbing-id", "an id that climbs out of the folder", f"path,id\n{A},../../x\n"),
    manifest("manifest-absolute-id", "an id that is a path", f"path,id\n{A},/etc/x\n"),
    manifest("manifest-dash-id", "an id that begins with a dash", f"path,id\n{A},-rf\n"),
    manifest("manifest-id-of-lines", "an id of two lines", f'path,id\n{A},"x\ny"\n'),
    manifest("manifest-long-id", "an id of 65 characters", f"path,id\n{A},{'x' * 65}\n"),
    manifest("manifest-excel-date", "a date as Excel shows it", f"path;date\n{A};31.12.2020\n"),
    manifest("manifest-serial-date", "a date as Excel counts it", f"path,date\n{A},43831\n"),
    manifest("manifest-short-date", "a date of seven digits", f"path,date\n{A},2020111\n"),
    manifest("manifest-us-date", "a date with slashes", f"path,date\n{A},12/31/2020\n"),
    manifest("manifest-class-of-lines", "a class of two lines", f'path,class\n{A},"CT-1\nCT-2"\n'),
    manifest("manifest-no-class", "--class without a column class", f"path\n{A}\n", "--class", "CT-1"),
    manifest("manifest-include", "--include with a manifest", f"path\n{A}\n", "--include", "*"),
    manifest("manifest-missing-scans", "paths that are missing", f"path\n{A}\nnone.nii.gz\nalso none.nii.gz\n"),
    manifest("manifest-itself", "a path that is the manifest's own folder", "path\n..\n./source/../source/none\n"),
    parquet("parquet-is-none", "text named .parquet", f"path\n{A}\n".encode()),
    parquet("parquet-empty", "a Parquet of 0 bytes", b""),
    parquet("parquet-no-path", "a Parquet without the column path", {"file": [A]}),
    parquet("parquet-no-rows", "a Parquet without rows", {"path": []}),
    parquet("parquet-nan-path", "a path that is NaN", {"path": [NAN, 1.0]}),
    parquet("parquet-same-numbers", "ids that are numbers, doubled", {"path": [A, B], "id": [7.0, 7.0]}),
    parquet("parquet-nested-id", "ids that are lists", {"path": [A, B], "id": [[1], [2]]}),
)


def option(name: str, what: str, *options: str) -> BadInput:
    """A wrong option of a run, with a good source."""
    return cohort(name, what, _source, *options)


SETTINGS = (
    option("cohort-processes-0", "--processes 0", "--processes", "0"),
    option("cohort-processes-negative", "--processes -2", "--processes", "-2"),
    option("cohort-processes-huge", "--processes in scientific form", "--processes", "1e99"),
    option("cohort-timeout-0", "--timeout 0", "--timeout", "0"),
    option("cohort-timeout-nan", "--timeout nan", "--timeout", "nan"),
    option("cohort-timeout-infinite", "--timeout inf", "--timeout", "inf"),
    option("cohort-timeout-huge", "--timeout 1e400", "--timeout", "1e400"),
    option("cohort-memory-negative", "--memory-per-process -1", "--memory-per-process", "-1"),
    option("cohort-measures", "unknown measures", "--measures", "most"),
    option("cohort-engine", "an unknown engine", "--engine", "cloud"),
    option("cohort-spark-setting", "a setting that is not Spark's", "--spark", "cores=3"),
    option("cohort-master-alone", "--master without --engine spark", "--master", "spark://127.0.0.1:7077"),
    option("cohort-spark-alone", "--spark without --engine spark", "--spark", "spark.cores.max=2"),
    option("cohort-device", "a device that is not there", "--device", "toaster"),
    option("cohort-no-models", "models that are not there", "-o", "out", "--models", "none"),
    option("cohort-threads-0", "--threads 0", "--threads", "0"),
)


def _run_folder(folder: Path, **changes: Any) -> Path:
    """Write the folder of a run that has begun, with other settings."""
    from CovidCTLib.cohort.settings import CohortSettings, run_record

    out = folder / "out"
    out.mkdir()
    record = {**run_record(CohortSettings(measures="fast")), **changes}
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return out


def _run_of(content: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _source(folder)
        (_run_folder(folder) / "run.json").write_text(content, encoding="utf-8")

    return make


def _other_settings(folder: Path) -> None:
    _source(folder)
    _run_folder(folder, measures="all", images=False)


def _newer_run(folder: Path) -> None:
    _source(folder)
    _run_folder(folder, covidct="99.0")


def _filled(folder: Path) -> None:
    _source(folder)
    _text(folder / "out" / "precious.txt", "mine")


def _file_as_output(folder: Path) -> None:
    _source(folder)
    _text(folder / "out", "mine")


OUTPUTS = (
    cohort("cohort-into-content", "an output folder with content", _filled),
    cohort("cohort-into-file", "an output that is a file", _file_as_output),
    cohort("cohort-into-source", "the source as output", _source, "-o", "source", "--measures", "fast"),
    cohort("cohort-inside-source", "an output inside the source", _source, "-o", "source/out", "--measures", "fast"),
    cohort("cohort-long-output", "an output of 300 characters", _source, "-o", "x" * 300, "--measures", "fast"),
    cohort("cohort-zero-in-output", "an output with a zero character", _source, "-o", "a\0b", "--measures", "fast"),
    cohort("cohort-other-run", "the output folder of a run with other options", _other_settings),
    cohort("cohort-broken-run", "an output folder with a broken run.json", _run_of("{")),
    cohort("cohort-newer-run", "the output folder of a newer version", _newer_run),
    cohort("cohort-run-is-list", "a run.json that is a list", _run_of("[1]")),
    cohort("cohort-deep-run", "a run.json of 100,000 brackets", _run_of("[" * 100_000)),
)


def part(name: str, what: str, word: str, make: Callable[[Path], object]) -> BadInput:
    """A bad folder of ``covidct cohort summary`` or ``classifier``."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return [word, "out"]

    return BadInput(name, COHORT, what, given)


def _rows(folder: Path, content: bytes) -> None:
    rows = _run_folder(folder) / "rows"
    rows.mkdir()
    (rows / "part.parquet").write_bytes(content)


def _unclassified(folder: Path, status: str = "ok") -> None:
    from CovidCTLib.cohort.rows import CohortRow, write_row

    out = _run_folder(folder)
    (out / "rows").mkdir()
    write_row(out, CohortRow(id="a", stamp="", status=status))


PARTS = (
    words("summary-of-nothing", "cohort", "summary without a folder", "summary"),
    words("classifier-of-nothing", "cohort", "classifier without a folder", "classifier"),
    words("summary-of-two", "cohort", "summary of two folders", "summary", "out", "other"),
    part("summary-no-folder", "summary of a folder that is not there", "summary", lambda f: None),
    part("summary-of-file", "summary of a file", "summary", lambda f: _text(f / "out")),
    part("summary-no-rows", "summary of a run without a row", "summary", _run_folder),
    part("summary-broken-row", "summary of rows that are cut off", "summary", lambda f: _rows(f, b"PAR1cut")),
    part("summary-empty-row", "summary of rows of 0 bytes", "summary", lambda f: _rows(f, b"")),
    part("classifier-no-folder", "classifier of a folder that is not there", "classifier", lambda f: None),
    part("classifier-no-class", "classifier of scans without classes", "classifier", _unclassified),
)

ROWS = (*SOURCES, *MANIFESTS, *SETTINGS, *OUTPUTS, *PARTS)
