"""Bad inputs of the commands that look closer at finished or new analyses: explain, compare, followup and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import broken_files as broken
import numpy as np
from bad_commands import words
from bad_inputs import BadInput

from CovidCTLib.results import write_results


def results(folder: Path, date: str | None = "2020-03-01", *, scan: bool = False) -> Path:
    """Write a result folder of a small analysis."""
    from analysis_maker import make_analysis

    made = make_analysis()
    facts = replace(made.scan.facts, study_date=date)
    write_results(replace(made, scan=replace(made.scan, facts=facts)), folder, report=False, scan=scan)
    return folder


def changed(folder: Path, *place: str, value: Any) -> Path:
    """Write a result folder and put another value into its record."""
    record = json.loads((results(folder, scan=True) / "analysis.json").read_text(encoding="utf-8"))
    inner = record
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (folder / "analysis.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def spoiled(folder: Path, name: str, content: bytes) -> Path:
    """Write a result folder and put other bytes into a file of it."""
    (results(folder, scan=True) / name).write_bytes(content)
    return folder


def _nothing(folder: Path) -> None:
    pass


def explain(
    name: str, what: str, *options: str, make: Callable[[Path], object] = _nothing, ct: str = "ct.nii.gz"
) -> BadInput:
    """A bad input of ``covidct explain``; the CT is good unless another is named."""

    def given(folder: Path) -> list[str]:
        broken.volume(folder / "ct.nii.gz")
        make(folder)
        return [ct, "-o", "out", "--lungs", "contour", "--device", "cpu", *options]

    return BadInput(name, "covidct explain", what, given)


def _old_results(folder: Path) -> list[str]:
    return [str(results(folder / "old")), "-o", "out"]


EXPLAIN = (
    BadInput("analyze-results", "covidct analyze", "a folder of results in place of the CT", _old_results),
    words("explain-nothing", "explain", "no words"),
    words("explain-no-output", "explain", "no output folder", "ct.nii.gz"),
    words("explain-leading-dash", "explain", "a CT whose name begins with a dash", "-ct.nii.gz", "-o", "out"),
    explain("explain-no-ct", "a CT that is not there", ct="none.nii.gz"),
    explain("explain-name-of-lines", "a CT with a line break in its name, not there", ct="a\nb.nii.gz"),
    explain("explain-empty-dicom", "a DICOM file of 0 bytes", ct="a.dcm", make=lambda f: (f / "a.dcm").touch()),
    explain("explain-results", "a folder of results in place of the CT", ct="old", make=lambda f: results(f / "old")),
    explain("explain-slice-outside", "--slices outside the scan", "--slices", "3", "12", "99"),
    explain("explain-slice-negative", "--slices -1", "--slices", "-1"),
    explain("explain-slice-huge", "--slices of 30 digits", "--slices", "9" * 30),
    explain("explain-slice-words", "--slices in words", "--slices", "worst"),
    explain("explain-slice-fraction", "--slices 4.5", "--slices", "4.5"),
    explain("explain-two-ways", "--slices with --worst", "--slices", "4", "--worst", "2"),
    explain("explain-worst-0", "--worst 0", "--worst", "0"),
    explain("explain-samples-0", "--samples 0", "--samples", "0"),
    explain("explain-samples-huge", "--samples of a billion", "--samples", "1000000000"),
    explain("explain-samples-words", "--samples 1e3", "--samples", "1e3"),
    explain("explain-seed-negative", "--seed -1", "--seed", "-1"),
    explain("explain-seed-huge", "--seed of 30 digits", "--seed", "9" * 30),
    explain("explain-threads-0", "--threads 0", "--threads", "0"),
    explain("explain-into-content", "an output folder with content", make=broken.filled_output),
    explain("explain-no-models", "models that are not there", "--models", "none"),
    explain(
        "explain-no-lungs",
        "a scan without lungs",
        ct="water.nii.gz",
        make=lambda f: broken.volume(f / "water.nii.gz", _body_without_lungs()),
    ),
)


def _body_without_lungs() -> np.ndarray:
    """Air around a block of soft tissue with some noise, and a layer of fat."""
    hu = np.full((40, 64, 64), -1000, np.int16)
    hu[:, 12:52, 8:56] = np.random.default_rng(0).normal(40, 15, (40, 40, 48))
    hu[:, 12:14, 8:56] -= 140
    return hu


def compare(
    name: str,
    what: str,
    *options: str,
    make: Callable[[Path], object] = _nothing,
    scans: tuple[str, str] = ("ct.nii.gz", "ct.nii.gz"),
) -> BadInput:
    """A bad input of ``covidct compare``; both scans are the same good one unless others are named."""

    def given(folder: Path) -> list[str]:
        broken.volume(folder / "ct.nii.gz")
        make(folder)
        return [*scans, "-o", "out", "--lungs", "contour", "--device", "cpu", *options]

    return BadInput(name, "covidct compare", what, given)


def _flat(folder: Path) -> None:
    """Write a CT with a slice that shows one value."""
    hu = broken.chest_like()
    hu[5] = -1000
    broken.volume(folder / "flat.nii.gz", hu)


SECOND = ("ct.nii.gz", "old")
COMPARE = (
    words("compare-nothing", "compare", "no words"),
    words("compare-one", "compare", "one scan alone", "ct.nii.gz", "-o", "out"),
    words("compare-three", "compare", "three scans", "a.nii.gz", "b.nii.gz", "c.nii.gz", "-o", "out"),
    compare("compare-no-second", "a second scan that is not there", scans=("ct.nii.gz", "none.nii.gz")),
    compare("compare-slice-outside", "--slices outside the second scan", "--slices", "5", "12"),
    compare("compare-slice-negative", "--slices -1 5", "--slices", "-1", "5"),
    compare("compare-slice-huge", "--slices of 30 digits", "--slices", "5", "9" * 30),
    compare("compare-one-slice", "--slices with one number", "--slices", "5"),
    compare("compare-flat", "a slice of air", "--slices", "5", "5", scans=("ct.nii.gz", "flat.nii.gz"), make=_flat),
    compare("compare-into-content", "an output folder with content", make=broken.filled_output),
    compare("compare-without-ct", "results without their CT", scans=SECOND, make=lambda f: results(f / "old")),
    compare(
        "compare-broken-record",
        "results with a broken analysis.json",
        scans=SECOND,
        make=lambda f: spoiled(f / "old", "analysis.json", b'{"made_by": "CovidCT 0'),
    ),
    compare(
        "compare-cut-ct",
        "results with a CT that is cut off",
        scans=SECOND,
        make=lambda f: broken.cut(results(f / "old", scan=True) / "ct.nii.gz", 300),
    ),
)


def followup(
    name: str,
    what: str,
    *options: str,
    make: Callable[[Path], object] = _nothing,
    studies: tuple[str, ...] = ("first", "second"),
) -> BadInput:
    """A bad input of ``covidct followup``; of its studies the first is a good folder of results."""

    def given(folder: Path) -> list[str]:
        results(folder / "first")
        make(folder)
        return [*studies, "-o", "out", "--no-registration", "--device", "cpu", *options]

    return BadInput(name, "covidct followup", what, given)


def second(name: str, what: str, make: Callable[[Path], object]) -> BadInput:
    """A second study that cannot be used, so that only one is left."""
    return followup(name, what, make=lambda folder: make(folder / "second"))


def _unreadable(folder: Path) -> None:
    """Put a folder where the record is expected."""
    (results(folder) / "analysis.json").unlink()
    (folder / "analysis.json").mkdir()


def _ring(folder: Path) -> None:
    folder.symlink_to(folder)


FOLLOWUP = (
    words("followup-nothing", "followup", "no words"),
    followup("followup-alone", "one study alone", studies=("first",)),
    followup("followup-none", "no study that can be used", studies=("none", "neither")),
    followup("followup-same-study", "one study twice", studies=("first", "./first")),
    followup("followup-same-by-link", "one study by a link to it", make=lambda f: (f / "second").symlink_to("first")),
    followup("followup-too-many-dates", "more dates than studies", "--dates", "2020-01-01", "-", "-"),
    followup("followup-bad-date", "a date that no calendar has", "--dates", "2020-02-30", "-"),
    followup("followup-excel-date", "a date as Excel shows it", "--dates", "01.02.2020", "-"),
    followup("followup-empty-date", "an empty date", "--dates", "", "-"),
    followup("followup-into-content", "an output folder with content", make=broken.filled_output),
    followup("followup-engine", "an unknown way to find lungs", "--lungs", "magic"),
    second("followup-no-study", "a study that is not there", _nothing),
    second("followup-no-date", "a study without a date", lambda f: results(f, None)),
    second("followup-odd-date", "a stored date that is none", lambda f: changed(f, "scan", "study_date", value="soon")),
    second("followup-broken-record", "a broken analysis.json", lambda f: spoiled(f, "analysis.json", b"{")),
    second("followup-empty-record", "an empty analysis.json", lambda f: spoiled(f, "analysis.json", b"")),
    second("followup-record-is-list", "an analysis.json that is a list", lambda f: spoiled(f, "analysis.json", b"[]")),
    second(
        "followup-deep-record",
        "an analysis.json of 100,000 brackets",
        lambda f: spoiled(f, "analysis.json", b"[" * 100_000),
    ),
    second("followup-other-program", "a record of another program", lambda f: changed(f, "made_by", value="Other 1")),
    second("followup-newer", "results of a newer version", lambda f: changed(f, "schema_version", value=99)),
    second("followup-version-words", "a version in words", lambda f: changed(f, "schema_version", value="1")),
    second("followup-record-is-folder", "a folder named analysis.json", _unreadable),
    second("followup-no-slices", "a record without slices", lambda f: changed(f, "slices", value=None)),
    second(
        "followup-huge-grid",
        "a grid of 10^9 voxels a side",
        lambda f: changed(f, "geometry", "shape_zyx", value=[10**9] * 3),
    ),
    second(
        "followup-odd-spacing",
        "a spacing that is NaN",
        lambda f: changed(f, "geometry", "spacing_xyz_mm", value=[float("nan"), 1, 1]),
    ),
    second("followup-odd-measure", "a measure in words", lambda f: changed(f, "measures", value=[{"value": "much"}])),
    second("followup-no-segmentation", "no segmentation", lambda f: (results(f) / "segmentation.seg.nrrd").unlink()),
    second(
        "followup-cut-segmentation",
        "a segmentation that is cut off",
        lambda f: broken.cut(results(f) / "segmentation.seg.nrrd", 2000),
    ),
    second(
        "followup-empty-localization", "a localization of 0 bytes", lambda f: spoiled(f, "localization.nii.gz", b"")
    ),
    second("followup-empty-folder", "an empty folder", lambda f: f.mkdir()),
    second("followup-ring", "a link to itself", _ring),
    second("followup-empty-dicom", "a folder with a DICOM file of 0 bytes", lambda f: _empty_dicom(f)),
)


def _empty_dicom(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.dcm").touch()


def report(name: str, what: str, make: Callable[[Path], object], *options: str) -> BadInput:
    """A bad input of ``covidct report old``."""

    def given(folder: Path) -> list[str]:
        make(folder / "old")
        return ["old", *options]

    return BadInput(name, "covidct report", what, given)


def _with_other_ct(folder: Path) -> None:
    results(folder)
    broken.volume(folder.parent / "ct.nii.gz")


REPORT = (
    words("report-nothing", "report", "no words"),
    report("report-no-folder", "a folder that is not there", _nothing),
    report("report-of-file", "a file", lambda f: f.write_text("mine")),
    report("report-of-empty", "an empty folder", lambda f: f.mkdir()),
    report("report-broken-record", "a broken analysis.json", lambda f: spoiled(f, "analysis.json", b"{")),
    report("report-newer", "results of a newer version", lambda f: changed(f, "schema_version", value=99)),
    report("report-no-ct", "a CT that is not there", results, "--ct", "none.nii.gz"),
    report("report-other-ct", "the CT of other results", _with_other_ct, "--ct", "ct.nii.gz"),
)

ROWS = (*EXPLAIN, *COMPARE, *FOLLOWUP, *REPORT)
