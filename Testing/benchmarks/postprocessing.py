"""Dice, opaque share and seconds with each step after the networks switched on and off.

Usage: ``python Testing/benchmarks/postprocessing.py [--cases case_01 normal_001] [--models FOLDER ...] [--flip]``. The
networks run once a case; their answers are kept in a temporary folder by the checksum of the weights, so that the
table is quick from then on. Seconds are those of the processor, which other programs disturb least. Means are over
the cases that the model's card does not name as training data; the others stand in brackets.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from benchmark_cases import Case, add_arguments, dice, open_store, percent, read_case, was_seen
from numpy.typing import NDArray

from CovidCTLib.framing import Body, Frame, find_body
from CovidCTLib.lungs.network import LungCleanup, clean_lungs, find_chest
from CovidCTLib.lungs.sides import find_body_midline, split_sides
from CovidCTLib.models.store import ModelStore
from CovidCTLib.opacities.cleanup import OpacityCleanup
from CovidCTLib.opacities.network import OpacityLogits, find_opacity_logits, label_opacities

CACHE = Path(tempfile.gettempdir()) / "covidct-postprocessing"

LUNG_DEFAULT = LungCleanup()
LUNG_STEPS: dict[str, LungCleanup] = {
    "as shipped": LUNG_DEFAULT,
    "nothing": LungCleanup(large_parts=False, no_gas=False, holes=False),
    "without large parts": replace(LUNG_DEFAULT, large_parts=False),
    "without no gas": replace(LUNG_DEFAULT, no_gas=False),
    "without holes": replace(LUNG_DEFAULT, holes=False),
    "with cavities": replace(LUNG_DEFAULT, cavities=True),
    "with flip": replace(LUNG_DEFAULT, flip=True),
}

OPACITY_DEFAULT = OpacityCleanup()
OPACITY_STEPS: dict[str, OpacityCleanup] = {
    "as shipped": OPACITY_DEFAULT,
    "nothing": OpacityCleanup(core_logit=None, min_volume_mm3=0, beyond_lungs_mm=None),
    "clip to lungs alone": OpacityCleanup(core_logit=None, min_volume_mm3=0, beyond_lungs_mm=0),
    "anywhere": replace(OPACITY_DEFAULT, beyond_lungs_mm=None),
    **{f"beyond lungs {v:g} mm": replace(OPACITY_DEFAULT, beyond_lungs_mm=v) for v in (0, 6, 10, 20)},
    "without core": replace(OPACITY_DEFAULT, core_logit=None),
    **{f"core {v:g}": replace(OPACITY_DEFAULT, core_logit=v) for v in (1.5, 2, 3, 4)},
    "without min volume": replace(OPACITY_DEFAULT, min_volume_mm3=0),
    **{f"min volume {v:g} mm3": replace(OPACITY_DEFAULT, min_volume_mm3=v) for v in (300, 1000)},
    **{f"smoothing {v:g} mm": replace(OPACITY_DEFAULT, smoothing_mm=v) for v in (1, 2, 3, 4)},
    **{f"offset {v:g}": replace(OPACITY_DEFAULT, logit_offset=v) for v in (-1, -0.5, 0.5)},
    "with flip": replace(OPACITY_DEFAULT, flip=True),
}


@dataclass
class Answers:
    """What the networks say of a case, with and without mirrored slices, and the seconds that they took."""

    case: Case
    store: ModelStore

    def __post_init__(self) -> None:
        self.body: Body = find_body(self.case.hu, self.case.geometry.spacing_zyx_mm)

    def _kept(self, role: str, flip: bool, make: Callable[[], dict[str, NDArray]]) -> dict[str, NDArray]:
        """Load arrays from the cache, or make them."""
        names = [self.store.card("lungs").sha256[:16], self.store.card("opacities").sha256[:16]]
        sums = "-".join(names[: 1 if role == "lungs" else 2])
        path = CACHE / f"{self.case.name}-{role}-{sums}{'-flip' if flip else ''}.npz"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            begun = time.process_time()
            made = make()
            np.savez(path, seconds=time.process_time() - begun, **made)
        with np.load(path) as kept:
            return {name: kept[name] for name in kept.files}

    def lungs(self, cleanup: LungCleanup) -> tuple[NDArray[np.bool_], float]:
        """Lungs after a clean-up, and the seconds of the clean-up (flip: also those that the network takes more)."""
        hu, spacing = self.case.hu, self.case.geometry.spacing_zyx_mm
        raw = {}
        for flip in {False, cleanup.flip}:
            raw[flip] = self._kept(
                "lungs",
                flip,
                lambda flip=flip: {
                    "mask": np.packbits(find_chest(hu, self.body, spacing, self.store.lungs(), flip=flip).lungs)
                },
            )
        mask = np.unpackbits(raw[cleanup.flip]["mask"], count=hu.size).reshape(hu.shape).astype(bool)
        begun = time.process_time()
        clean_lungs(mask, hu, self.body, spacing, cleanup)
        more = float(raw[cleanup.flip]["seconds"] - raw[False]["seconds"])
        return mask, time.process_time() - begun + more

    def opacities(self, lungs: NDArray[np.uint8], cleanup: OpacityCleanup) -> tuple[NDArray[np.uint8], float]:
        """Opacities after a clean-up, and its seconds as above."""
        hu, spacing = self.case.hu, self.case.geometry.spacing_zyx_mm

        def make(flip: bool) -> dict[str, NDArray]:
            found = find_opacity_logits(hu, lungs, spacing, self.store.opacities(), flip=flip)
            frame = found.frame
            return {
                "frame": np.array([frame.top, frame.left, frame.rows, frame.columns]),
                "slices": found.slices,
                "infection": found.infection,
                "kind": found.kind,
            }

        raw = {flip: self._kept("opacities", flip, lambda flip=flip: make(flip)) for flip in {False, cleanup.flip}}
        own = raw[cleanup.flip]
        logits = OpacityLogits(Frame(*map(int, own["frame"])), own["slices"], own["infection"], own["kind"])
        begun = time.process_time()
        labels = label_opacities(logits, lungs, spacing, cleanup)
        more = float(own["seconds"] - raw[False]["seconds"])
        return labels, time.process_time() - begun + more


def table(title: str, cases: Sequence[str], rows: Sequence[tuple[str, list[str], list[float], list[float]]]) -> str:
    """Write a Markdown table: step, a cell a case, mean Dice over unseen cases, seconds a case."""
    lines = [f"## {title}", "", f"| step | {' | '.join(cases)} | mean Dice, unseen | CPU s a case |"]
    lines.append(f"|---|{'---|' * (len(cases) + 2)}")
    for name, cells, unseen, seconds in rows:
        mean = f"{np.mean(unseen):.4f}" if unseen else "–"
        lines.append(f"| {name} | {' | '.join(cells)} | {mean} | {np.mean(seconds):.2f} |")
    return "\n".join(lines) + "\n"


def lung_rows(answers: Sequence[Answers], steps: dict[str, LungCleanup]) -> list:
    """Judge each clean-up of the lungs on the cases with masks."""
    rows = []
    for name, cleanup in steps.items():
        cells, unseen, seconds = [], [], []
        for answer in answers:
            mask, took = answer.lungs(cleanup)
            seconds.append(took)
            if answer.case.lungs is None:
                cells.append("–")
                continue
            value = dice(mask, answer.case.lungs)
            seen = was_seen(answer.store.card("lungs"), answer.case.name)
            cells.append(f"({value:.4f})" if seen else f"{value:.4f}")
            unseen += [] if seen else [value]
        rows.append((name, cells, unseen, seconds))
    return rows


def opacity_rows(answers: Sequence[Answers], steps: dict[str, OpacityCleanup]) -> list:
    """Judge each clean-up of the opacities: Dice where there is disease, and the opaque share of the lungs."""
    rows = []
    lungs = [answer.lungs(LUNG_DEFAULT)[0].astype(np.uint8) for answer in answers]
    for name, cleanup in steps.items():
        cells, unseen, seconds = [], [], []
        for answer, mask in zip(answers, lungs, strict=True):
            labels, took = answer.opacities(mask, cleanup)
            seconds.append(took)
            cell = f"{percent(labels, mask):.2f} %"
            seen = was_seen(answer.store.card("opacities"), answer.case.name)
            if answer.case.diseased and answer.case.opacities is not None:
                value = dice(labels, answer.case.opacities)
                cell = f"{value:.4f}, {cell}"
                unseen += [] if seen else [value]
            cells.append(f"({cell})" if seen else cell)
        rows.append((name, cells, unseen, seconds))
    return rows


def side_rows(answers: Sequence[Answers]) -> list:
    """Tell right from left, and show the right lung's share; the shared masks do not tell the sides apart."""
    cells, seconds = [], []
    for answer in answers:
        mask, _ = answer.lungs(LUNG_DEFAULT)
        spacing = answer.case.geometry.spacing_zyx_mm
        begun = time.process_time()
        sides = split_sides(mask, spacing, body_midline_x=find_body_midline(answer.case.hu, spacing[2]))
        seconds.append(time.process_time() - begun)
        cells.append(f"right {percent(sides == 1, sides):.1f} %")
    return [("left and right", cells, [], seconds)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, ["case_01", "case_02", "case_04", "case_06", "case_09", "normal_001", "cap_001"])
    parser.add_argument("--steps", nargs="+", default=None, metavar="STEP", help="only these rows, by their names")
    parser.add_argument("--flip", action="store_true", help="judge the mirrored slices too; doubles the first run")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = open_store(arguments)
    answers = [Answers(read_case(name, arguments.data), store) for name in arguments.cases]

    def chosen(steps: dict) -> dict:
        wanted = steps if arguments.steps is None else [name for name in steps if name in arguments.steps]
        return {name: steps[name] for name in wanted if arguments.flip or not steps[name].flip}

    say = sys.stdout.write
    say(table("Lungs", arguments.cases, lung_rows(answers, chosen(LUNG_STEPS))) + "\n")
    say(table("Sides", arguments.cases, side_rows(answers)) + "\n")
    say(table("Opacities", arguments.cases, opacity_rows(answers, chosen(OPACITY_STEPS))) + "\n")
    true = [
        f"{percent(a.case.opacities, a.case.lungs):.2f} %" if a.case.opacities is not None else "–" for a in answers
    ]
    say(f"Labelled share of the lungs: {', '.join(true)}. In brackets: cases that the model was trained on.\n")


if __name__ == "__main__":
    main()
