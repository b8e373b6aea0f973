"""How far the HU of pictures are off when air and fat are found automatically: ``covidct photos --auto``.

Usage: ``python Testing/benchmarks/photo_references.py [--half report] [--step 4] [--choose]``. Needs the shared CTs.
Patients fall into two halves: limits and typical HU in ``CovidCTLib/photos`` were chosen on ``tune``; ``report`` was
held out, but looked at while rules were added. ``--choose`` gives a clean figure: the typical HU of air, lung and
brighter tissue are moved to what is best on some patients, and judged on others that had no say, by halves and
patient by patient; pictures whose window holds air only.

Pictures: the 8-bit slices of coronacases with their own calibration, and true CTs that are windowed to 8-bit JPEG
pictures here, with random windows, sizes and qualities: one window a CT, as a viewer exports them, or one a slice. In
``clipped`` windows air is black, and the method must say that it is unsure. Errors are those of the resulting HU where
the true ones are -1000 (air), -850 (lung) and -100 (fat).
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import AIR_HU, FAT_HU
from CovidCTLib.photos.anchors import AIRWAY, LUNG, OUTSIDE, Evidence
from CovidCTLib.photos.automatic import evidence_of, find_references, references_from
from CovidCTLib.photos.references import References
from CovidCTLib.reading import read_scan

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CORONACASES = {"tune": ("01", "04", "06", "08"), "report": ("03", "05", "07", "09")}
VOLUMES = {
    "tune": ("volumes/case_01", "volumes/case_04", "volumes/case_09", "controls/normal_001"),
    "report": ("volumes/case_02", "volumes/case_03", "volumes/case_06", "controls/cap_001", "dicom/covid_P001"),
}
SOFT_HU = 45.0
LUNG_HU = -850.0
GOOD_HU = 30.0
LONG_SIDE = 512
LEAST_LUNG_SHARE = 0.015
WINDOW_TOP = {"volumes": (100, 150)}
"""The sources of volumes/ had been clipped at 150 HU, so no window may reach above."""

OTHER_TOP = (60, 1200)
LOWS = {"open": (-1400, -1010), "clipped": (-975, -880)}


SHIFTS_HU = tuple(itertools.product((-18, -12, -6, 0, 6), (-12, -6, 0, 6), (-6, 0, 6)))
"""What is tried by ``--choose``: by how much the typical HU of air, of lung and of fat and soft tissue are moved."""

SAME_PATIENT = {"case_03": "case_02"}

Shift = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """One picture with its true calibration ``hu = slope * value + intercept``."""

    grey: np.ndarray
    slope: float
    intercept: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--step", type=int, default=4, help="take every n-th slice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--choose", action="store_true", help="choose typical HU on some patients, judge on others")
    arguments = parser.parse_args()
    say = sys.stdout.write
    if arguments.choose:
        say(chosen_elsewhere(arguments.step, arguments.seed))
        return
    say(
        f"| {arguments.half} | slices | within {GOOD_HU:g} HU | air | lung | fat | left out | unsure | "
        "within, if sure |\n"
    )
    say("|---|---|---|---|---|---|---|---|---|\n")
    rows: dict[str, list[np.ndarray]] = {}
    for kind, name, cases in stacks(arguments.half, arguments.step, np.random.default_rng(arguments.seed)):
        errors = judge(cases)
        rows.setdefault(kind, []).append(errors)
        say(line(f"{kind}, {name}", errors))
        sys.stdout.flush()
    for kind, parts in rows.items():
        say(line(f"**{kind}, all**", np.concatenate(parts)))


def stacks(half: str, step: int, random: np.random.Generator) -> Iterator[tuple[str, str, list[Case]]]:
    """Kind, name and pictures of each folder."""
    with (SHARED / "coronacases" / "slices.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    for patient in CORONACASES[half]:
        rows = [row for row in table if row["patient"].endswith(patient)][::step]
        yield "8-bit as found", f"coronacases {patient}", [coronacase(row) for row in rows]
    for path in VOLUMES[half]:
        folder, name = path.split("/")
        slices = chest_slices(SHARED / (path if folder == "dicom" else f"{path}_ct.nii.gz"), step)
        top = WINDOW_TOP.get(folder, OTHER_TOP)
        for kind, low, shared in (
            ("one window a CT", "open", True),
            ("one window a slice", "open", False),
            ("clipped", "clipped", False),
        ):
            window = (random.uniform(*LOWS[low]), random.uniform(*top))
            windows = [window if shared else (random.uniform(*LOWS[low]), random.uniform(*top)) for _ in slices]
            yield kind, name, [windowed(hu, *pair, random) for hu, pair in zip(slices, windows, strict=True)]


def coronacase(row: dict[str, str]) -> Case:
    """A slice with its own calibration."""
    grey = np.asarray(Image.open(SHARED / "coronacases" / "images" / f"{row['slice']}.png"), np.float32)
    air, soft = float(row["air_value"]), float(row["soft_tissue_value"])
    slope = (SOFT_HU - AIR_HU) / (soft - air)
    return Case(as_in_stack(grey), slope, AIR_HU - slope * air)


def chest_slices(path: Path, step: int) -> list[np.ndarray]:
    """Every n-th of the slices that show lung."""
    scan = read_scan(path)
    hu = CanonicalGrid(scan.geometry).take(scan.hu, -1024)
    return [plane for plane in hu[::step] if np.mean((plane > -950) & (plane < -700)) > LEAST_LUNG_SHARE]


def windowed(hu: np.ndarray, low: float, high: float, random: np.random.Generator) -> Case:
    """Make a JPEG picture of HU by a window, a size and a quality."""
    grey = np.rint(np.clip((hu.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    side = int(random.integers(400, 901))
    image = Image.fromarray(grey).resize((side, round(side * hu.shape[0] / hu.shape[1])), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(random.integers(75, 96)))
    return Case(as_in_stack(np.asarray(Image.open(buffer), np.float32)), (high - low) / 255, low)


def as_in_stack(grey: np.ndarray) -> np.ndarray:
    """Resize as the stack does."""
    scale = LONG_SIDE / max(grey.shape)
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR), np.float32)


def judge(cases: list[Case]) -> np.ndarray:
    """Errors in HU at air, lung and fat, and whether it was said to be doubtful; NaN where left out."""
    return errors_by(cases, find_references([case.grey for case in cases]))


def errors_by(cases: list[Case], found: list[References | str]) -> np.ndarray:
    """As `judge`, of references that were found already."""
    return np.array([errors_of(case, one) for case, one in zip(cases, found, strict=True)])


def errors_of(case: Case, found: References | str) -> tuple[float, float, float, float]:
    """As `judge`, for one slice."""
    if isinstance(found, str):
        return np.nan, np.nan, np.nan, 1.0
    slope = (FAT_HU - AIR_HU) / (found.fat - found.air)
    true = np.array([AIR_HU, LUNG_HU, FAT_HU])
    values = (true - case.intercept) / case.slope
    errors = (values - found.air) * slope + AIR_HU - true
    return float(errors[0]), float(errors[1]), float(errors[2]), float(bool(found.doubts))


def chosen_elsewhere(step: int, seed: int) -> str:
    """Table of the share within the limit when no patient has a say in the typical HU that judge it."""
    halves: dict[str, str] = {}
    counts: dict[Shift, dict[str, np.ndarray]] = {shift: {} for shift in SHIFTS_HU}
    for half in CORONACASES:
        for kind, name, cases in stacks(half, step, np.random.default_rng(seed)):
            if kind == "clipped":
                continue
            patient = SAME_PATIENT.get(name, name)
            halves[patient] = half
            evidence = [evidence_of(case.grey) for case in cases]
            for shift in SHIFTS_HU:
                errors = errors_by(cases, references_from([shifted(one, shift) for one in evidence]))
                kept = errors[~np.isnan(errors[:, 0]), :3]
                good = np.array([np.count_nonzero(np.abs(kept).max(axis=1) < GOOD_HU), len(kept)])
                counts[shift][patient] = counts[shift].get(patient, 0) + good

    def judged(patients: list[str], others: list[str]) -> np.ndarray:
        best = max(SHIFTS_HU, key=lambda shift: share_of(sum(counts[shift][one] for one in others)))
        return sum(counts[best][one] for one in patients)

    everyone = list(halves)
    parts = {half: [one for one in everyone if halves[one] == half] for half in CORONACASES}
    both = [judged(parts["tune"], parts["report"]), judged(parts["report"], parts["tune"])]
    each = [judged([one], [other for other in everyone if other != one]) for one in everyone]
    rows = {
        "as shipped, all patients": sum(counts[(0, 0, 0)].values()),
        "chosen and judged on all (no clean figure)": judged(everyone, everyone),
        "chosen on report, judged on tune": both[0],
        "chosen on tune, judged on report": both[1],
        "both ways": sum(both),
        "each patient by what is best on the others": sum(each),
    }
    head = f"| typical HU | slices | within {GOOD_HU:g} HU |\n|---|---|---|\n"
    return head + "".join(f"| {name} | {row[1]} | {100 * share_of(row):.0f} % |\n" for name, row in rows.items())


def shifted(evidence: Evidence, shift: Shift) -> Evidence:
    """Move the typical HU of anchors."""
    by_name = {OUTSIDE: shift[0], AIRWAY: shift[0], LUNG: shift[1]}
    moved = (replace(one, hu=one.hu + by_name.get(one.name, shift[2])) for one in evidence.anchors)
    return replace(evidence, anchors=tuple(moved))


def share_of(good_and_all: np.ndarray) -> float:
    """The first number by the second."""
    return float(good_and_all[0] / good_and_all[1])


def line(name: str, errors: np.ndarray) -> str:
    """One row of the table; errors are medians of their absolute values."""
    out = np.isnan(errors[:, 0])
    kept = errors[~out]
    good = np.abs(kept[:, :3]).max(axis=1) < GOOD_HU
    sure = kept[:, 3] == 0
    medians = (
        " | ".join(f"{value:.0f}" for value in np.median(np.abs(kept[:, :3]), axis=0)) if len(kept) else "- | - | -"
    )
    return (
        f"| {name} | {len(errors)} | {share(good)} | {medians} | {out.sum()} | {np.count_nonzero(~sure)} | "
        f"{share(good[sure])} |\n"
    )


def share(mask: np.ndarray) -> str:
    """A share in percent."""
    return f"{100 * mask.mean():.0f} %" if mask.size else "-"


if __name__ == "__main__":
    main()
