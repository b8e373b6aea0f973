"""How far Dice, Corona Score and the opaque share move when the same CT is turned, thinned, noisy, shifted or cut.

Usage: ``python Testing/benchmarks/robustness.py [--cases case_01 ...] [--models FOLDER ...] [--json FILE]``. Each
change is done to the untouched scan, to its masks, and to what was found in it, so that everything is compared on the
same grid. A change breaks a case if the opaque share moves by more than 5 points or Dice of the lungs drops by 0.05
or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmark_cases import Case, add_arguments, dice, open_store, percent, read_case
from changes import CHANGES, Sample

from CovidCTLib import Options, analyze
from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import QualityError
from CovidCTLib.models.store import ModelStore
from CovidCTLib.scan import Scan, ScanFacts

MOST_POINTS = 5.0
"""Move of the opaque share that breaks a case, in points of percent, exclusive."""

MOST_DROP = 0.05
"""Drop of Dice of the lungs that breaks a case, inclusive."""

UNRELATED = {"clipped-hu", "readings-disagree", "readings-differ-in-thirds"}
"""Warnings that say nothing of the changes of this benchmark: the shared volumes are clipped as they are."""


@dataclass(frozen=True)
class Row:
    """One change of one case. ``expected`` is what was found in the untouched scan, changed equally."""

    case: str
    change: str
    verdict: str
    lungs_dice: float | None = None
    lungs_dice_move: float | None = None
    opacity_dice: float | None = None
    opacity_dice_move: float | None = None
    opacity_percent: float | None = None
    opacity_percent_expected: float | None = None
    corona_score_cm3: float | None = None
    corona_score_expected_cm3: float | None = None
    notices: tuple[str, ...] = ()
    seconds: float = 0.0


def run(sample: Sample, store: ModelStore, threads: int) -> Analysis:
    """Analyze a sample's CT."""
    scan = Scan.from_array(sample.hu, sample.geometry, ScanFacts(source_format="benchmark"))
    return analyze(scan, Options(device="cpu", threads=threads), models=store)


def start(case: Case, store: ModelStore, threads: int) -> tuple[Sample, Analysis]:
    """Analyze the untouched scan, and put masks and findings beside it."""
    bare = Sample(case.hu, case.geometry, {}, {})
    found = run(bare, store, threads)
    labels = {"lungs": found.lungs, "opacities": found.opacities}
    if case.lungs is not None and case.opacities is not None:
        labels["true lungs"] = case.lungs.astype(np.uint8)
        labels["true opacities"] = case.opacities.astype(np.uint8)
    return Sample(case.hu, case.geometry, labels, {"localization": found.localization}), found


def judge(case: Case, name: str, changed: Sample, untouched: Sample, before: Analysis, found: Analysis) -> Row:
    """Compare what is found in the changed scan with what was found before, changed equally."""
    labels = changed.labels
    # Without masks, the untouched findings are the truth.
    lungs, opacities = labels.get("true lungs", labels["lungs"]), labels.get("true opacities", labels["opacities"])
    lungs_dice, lungs_before = dice(found.lungs, lungs), dice(labels["lungs"], lungs)
    opacity_dice = opacity_before = None
    if case.diseased:
        opacity_dice, opacity_before = dice(found.opacities, opacities), dice(labels["opacities"], opacities)
    share, expected = percent(found.opacities, found.lungs), percent(labels["opacities"], labels["lungs"])
    voxel_cm3 = changed.geometry.voxel_volume_mm3 / 1000
    broken = abs(share - expected) > MOST_POINTS or lungs_before - lungs_dice >= MOST_DROP
    known = {notice.code for notice in before.notices}
    warnings = {notice.code for notice in found.notices if notice.severity == "warn"}
    news = tuple(sorted(warnings - known))
    verdict = ("breaks, warned" if warnings - UNRELATED else "BREAKS") if broken else "holds"
    return Row(
        case.name,
        name,
        verdict,
        lungs_dice,
        lungs_dice - lungs_before,
        opacity_dice,
        None if opacity_dice is None or opacity_before is None else opacity_dice - opacity_before,
        share,
        expected,
        found.measure("both_lungs", "corona_score_cm3").value,
        float(changed.maps["localization"].sum(dtype=np.float64) * voxel_cm3),
        news,
        sum(found.seconds.values()),
    )


def rows_of(case: Case, changes: list[str], store: ModelStore, threads: int) -> Iterator[Row]:
    """Do and judge all changes of a case, one after the other."""
    untouched, before = start(case, store, threads)
    yield judge(case, "untouched", untouched, untouched, before, before)
    for name in changes:
        changed = CHANGES[name](untouched)
        begun = time.monotonic()
        try:
            row = judge(case, name, changed, untouched, before, run(changed, store, threads))
        except QualityError as error:
            row = Row(case.name, name, "refused", notices=(str(error),), seconds=time.monotonic() - begun)
        yield row


def _number(value: float | None, move: float | None = None, digits: int = 3) -> str:
    """Write a figure and its move."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}" + (f" ({move:+.{digits}f})" if move is not None else "")


HEAD = """\
| case | change | lungs, Dice | opacities, Dice | opaque, % | Corona Score, cm3 | verdict | new warnings |
|---|---|---|---|---|---|---|---|
"""


def markdown(row: Row) -> str:
    """Write a line of the table: figures, and in brackets how far they moved."""
    share, score = row.opacity_percent, row.corona_score_cm3
    moved = None if share is None else share - (row.opacity_percent_expected or 0.0)
    more = None if score is None else score - (row.corona_score_expected_cm3 or 0.0)
    cells = (
        row.case,
        row.change,
        _number(row.lungs_dice, row.lungs_dice_move),
        _number(row.opacity_dice, row.opacity_dice_move),
        _number(share, moved, 2),
        _number(score, more, 0),
        row.verdict,
        ", ".join(row.notices),
    )
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Print the Markdown table, and write the JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, ["case_01", "case_04", "case_09", "normal_001"])
    parser.add_argument("--changes", nargs="+", default=list(CHANGES), choices=list(CHANGES), metavar="CHANGE")
    parser.add_argument("--every", type=int, default=1, help="keep every so many slices, to save time")
    parser.add_argument("--json", type=Path, default=None, help="file for the same as JSON")
    arguments = parser.parse_args()
    store = open_store(arguments)
    rows: list[Row] = []
    sys.stdout.write(HEAD)
    for name in arguments.cases:
        case = thinned(read_case(name, arguments.data), arguments.every)
        for row in rows_of(case, arguments.changes, store, arguments.threads):
            rows.append(row)
            sys.stdout.write(markdown(row))
            sys.stdout.flush()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


def thinned(case: Case, every: int) -> Case:
    """Keep every so many slices of a case."""
    if every == 1:
        return case
    hu = case.hu[::every]
    x, y, z = case.geometry.spacing_xyz_mm
    geometry = type(case.geometry)(
        hu.shape, (x, y, z * every), case.geometry.origin_lps_mm, case.geometry.direction_lps
    )
    masks = [None if mask is None else mask[::every] for mask in (case.lungs, case.opacities)]
    return Case(case.name, hu, geometry, masks[0], masks[1])


if __name__ == "__main__":
    main()
