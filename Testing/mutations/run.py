"""Changes a few hundred small things in the code that makes numbers and pictures, and asks whether a test notices.

    nice -n 15 python Testing/mutations/run.py --count 400 --work /tmp/mutations
    nice -n 15 python Testing/mutations/run.py --survivors --work /tmp/mutations
    python Testing/mutations/run.py --page-only

The tree is copied, so that the one that is worked in stays as it is. Each mutant is judged by the tests that run its
line, out of the test files that are nearest to its file (`NEAREST`). The result is ``results.json``; README.md shows
the share that was noticed and each survivor, with the reason from ``reasons.json``. It takes tens of minutes, so it is
no part of the checks that every change has to pass.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from mutants import Mutant, mutants_of, sample
from trial import Coverage, import_large_libraries, in_child, judge, watch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LIBRARY = "CovidCTLib"

_PLANES = tuple(
    f"Testing/report/{name}.py"
    for name in ("test_report_planes", "test_sides_in_pictures", "test_sides_in_3d", "test_worst_slices")
)
_STACKS = tuple(
    f"Testing/reading/{name}.py"
    for name in ("test_dicom_stack", "test_acquisitions_in_a_series", "test_limits_of_stacks", "test_dicom_series")
)

NEAREST: dict[str, tuple[str, ...]] = {
    "geometry.py": ("Testing/test_geometry.py", "Testing/test_scan.py"),
    "hu.py": (
        "Testing/test_hu.py",
        "Testing/measures/test_region_table.py",
        "Testing/checks/test_limits_of_intensities.py",
        "Testing/checks/test_spoiled_phantoms.py",
    ),
    "measures": ("Testing/measures",),
    "measures/areas.py": ("Testing/measures/test_areas_and_lobes.py",),
    "measures/described.py": ("Testing/measures/test_areas_and_lobes.py",),
    "measures/lobes.py": ("Testing/measures/test_areas_and_lobes.py",),
    "slices": ("Testing/slices",),
    "checks": tuple(
        f"Testing/checks/{name}.py"
        for name in (
            "test_agreement",
            "test_lungs_and_agreement",
            "test_spoiled_phantoms",
            "test_limits_of_checks",
            "test_limits_of_intensities",
            "test_limits_of_lungs",
            "test_slices_and_surroundings",
            "test_surroundings_by_hand",
            "test_body",
            "test_samples_and_stacks_by_hand",
        )
    ),
    "checks/chest.py": (
        "Testing/checks/test_limits_of_lungs.py",
        "Testing/checks/test_lungs_and_agreement.py",
        "Testing/checks/test_limits_of_checks.py",
        "Testing/checks/test_lung_shape.py",
        "Testing/checks/test_pleura.py",
        "Testing/checks/test_spoiled_phantoms.py",
        "Testing/checks/test_turned.py",
    ),
    "checks/turned.py": ("Testing/checks/test_turned.py", "Testing/checks/test_heart_side_by_hand.py"),
    "checks/lung_shape.py": (
        "Testing/checks/test_lung_shape.py",
        "Testing/checks/test_heart_side_by_hand.py",
        "Testing/checks/test_limits_of_checks.py",
    ),
    "checks/pleura.py": ("Testing/checks/test_pleura.py", "Testing/checks/test_limits_of_checks.py"),
    "pure_air.py": (
        "Testing/lungs/test_pure_air.py",
        "Testing/lungs/test_bowel_gas.py",
        "Testing/checks/test_pleura.py",
    ),
    "lungs/bowel_gas.py": ("Testing/lungs/test_bowel_gas.py",),
    "lungs/effusion.py": ("Testing/lungs/test_effusion.py",),
    "lungs/slices_with_lung.py": ("Testing/lungs/test_pure_air.py", "Testing/lungs/test_effusion.py"),
    "followup/difference.py": ("Testing/followup/test_difference.py", "Testing/followup/test_follow_up.py"),
    "report/planes.py": _PLANES,
    "report/pictures.py": (
        *_PLANES,
        "Testing/report/test_report_content.py",
        "Testing/report/test_report_unknown_spacing.py",
    ),
    "reading/dicom_stack.py": _STACKS,
    "reading/dicom_pixels.py": (
        "Testing/reading/test_dicom_pixels.py",
        "Testing/reading/test_damaged_dicom_files.py",
        *_STACKS,
    ),
}
"""Files and packages that are mutated, and the test files that are nearest to them."""

BASE_LIMIT_S = 60.0
"""Shortest time, in seconds, after which the tests of a mutant count as caught in an endless loop."""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def mutated_files() -> dict[str, tuple[str, ...]]:
    """Files that are mutated, relative to the root, with their nearest tests."""
    found = {}
    for name, tests in NEAREST.items():
        path = ROOT / LIBRARY / name
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            found[str(file.relative_to(ROOT))] = tests
    return found


def draw(count: int, seed: int) -> list[Mutant]:
    """Draw the mutants of a run.

    Parameters
    ----------
    count
        How many of all files together.
    seed
        Of the drawing.
    """
    every = [
        mutant for file in mutated_files() for mutant in mutants_of(file, (ROOT / file).read_text(encoding="utf-8"))
    ]
    return sample(every, count, seed)


def copy_tree(work: Path) -> Path:
    """Copy what tests need; the shared CTs, where there are some, are linked beside it."""
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    leave = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "build", "runs", "out")
    shutil.copytree(ROOT, tree, ignore=leave)
    shared, link = ROOT.parent / "shared", work / "shared"
    if shared.is_dir() and not link.exists():
        link.symlink_to(shared, target_is_directory=True)
    return tree


def covered(
    tree: Path, work: Path, groups: dict[tuple[str, ...], list[str]], again: bool
) -> dict[tuple[str, ...], Coverage]:
    """Run the nearest tests without any change, each group in a child; ``again`` takes what was found last time."""
    found = {}
    for tests, files in groups.items():
        there = [test for test in tests if (tree / test).exists()]
        name = hashlib.sha256(" ".join(tests).encode()).hexdigest()[:16]
        place = work / f"coverage_{name}.pickle"
        if again and place.exists():
            found[tests] = pickle.loads(place.read_bytes())
            continue
        place.unlink(missing_ok=True)

        def child(place: Path = place, there: list[str] = there, files: list[str] = files) -> int:
            coverage = watch(tree, files, there)
            place.write_bytes(pickle.dumps(Coverage(dict(coverage.tests_of_line), coverage.seconds, coverage.failing)))
            return 0

        code = in_child(child, 3600)
        if code != 0:
            raise SystemExit(f"The tests {' '.join(there)} could not be run without any change (code {code}).")
        found[tests] = pickle.loads(place.read_bytes())
        _say(f"{len(found[tests].seconds)} tests for {', '.join(files)}")
        for test in sorted(found[tests].failing):
            _say(f"  fails without any change, and is left out: {test}")
    return found


def try_mutants(mutants: list[Mutant], work: Path, results: dict[str, str], again: bool) -> None:
    """Judge mutants one after another; writes the results as they come."""
    tree, files = copy_tree(work), mutated_files()
    sys.path.insert(0, str(tree))
    import_large_libraries()
    groups: dict[tuple[str, ...], list[str]] = {}
    for file in {mutant.path: None for mutant in mutants}:
        groups.setdefault(files[file], []).append(file)
    coverage = covered(tree, work, groups, again)
    sys.dont_write_bytecode = True
    for number, mutant in enumerate(mutants, start=1):
        path, tests = tree / mutant.path, files[mutant.path]
        source = path.read_text(encoding="utf-8")
        there = [test for test in tests if (tree / test).exists()]
        for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            stale.unlink()
        path.write_text(mutant.text, encoding="utf-8")
        known = coverage[tests]
        limit_s = max(BASE_LIMIT_S, 5 * sum(known.seconds.values()))
        begun = time.monotonic()
        outcome = judge(tree, mutant.path, (mutant.line, mutant.last_line), there, known, limit_s)
        path.write_text(source, encoding="utf-8")
        results[mutant.key] = outcome
        _say(f"{number}/{len(mutants)} {outcome} {time.monotonic() - begun:.1f} s {mutant.line} {mutant.key}")
        write_results(results)


def write_results(results: dict[str, str]) -> None:
    """Keep what became of each mutant."""
    text = json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    partial = HERE / "results.json.part"
    partial.write_text(text, encoding="utf-8")
    partial.replace(HERE / "results.json")


def read_json(name: str) -> dict[str, str]:
    """Read a file of this folder; empty where there is none."""
    path = HERE / name
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def page(results: dict[str, str], reasons: dict[str, str]) -> str:
    """Write the table of files and the list of survivors."""
    by_file: dict[str, Counter[str]] = {}
    for key, outcome in results.items():
        by_file.setdefault(key.partition(":")[0], Counter())[outcome] += 1
    rows = ["| file | mutants | noticed | live | share |", "|---|---|---|---|---|"]
    total = Counter[str]()
    for file, counts in sorted(by_file.items()):
        total += counts
        rows.append(_row(file.removeprefix(f"{LIBRARY}/"), counts))
    rows.append(_row("**all**", total))
    lives = sorted(key for key, outcome in results.items() if outcome in ("lives", "not run"))
    listed = [f"- `{key}`: {reasons.get(key, '**no reason yet**')}" for key in lives]
    return "\n".join([*rows, "", f"### The {len(lives)} that live", "", *listed, ""])


def _row(name: str, counts: Counter[str]) -> str:
    noticed = counts["killed"] + counts["too slow"]
    whole = sum(counts.values())
    return f"| {name} | {whole} | {noticed} | {whole - noticed} | {100 * noticed / whole:.0f} % |"


_MARK = "<!-- Below this line the page is written by run.py. -->"


def write_page() -> None:
    """Write the results into README.md, below its mark."""
    readme = HERE / "README.md"
    head = readme.read_text(encoding="utf-8").partition(_MARK)[0]
    readme.write_text(
        f"{head}{_MARK}\n\n{page(read_json('results.json'), read_json('reasons.json'))}", encoding="utf-8"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--work", type=Path, default=Path("/tmp/covidct-mutations"), help="folder for the copy")
    parser.add_argument("--survivors", action="store_true", help="judge only those again that lived")
    parser.add_argument("--new", action="store_true", help="judge only those that were not judged yet")
    parser.add_argument("--only", default="", help="judge only mutants of paths that hold this text")
    parser.add_argument("--page-only", action="store_true", help="only write the page anew")
    given = parser.parse_args()
    if not given.page_only:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        given.work.mkdir(parents=True, exist_ok=True)
        drawn, before = draw(given.count, given.seed), read_json("results.json")
        keys = {mutant.key for mutant in drawn}
        results = {key: outcome for key, outcome in before.items() if key in keys}
        wanted = [
            mutant
            for mutant in drawn
            if given.only in mutant.path
            and (not given.survivors or results.get(mutant.key) not in ("killed", "too slow"))
            and not (given.new and mutant.key in results)
        ]
        try_mutants(wanted, given.work, results, given.new)
    write_page()


if __name__ == "__main__":
    main()
