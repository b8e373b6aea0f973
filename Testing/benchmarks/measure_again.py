"""How long it takes to measure the segments of a large CT again, and how long Slicer's main thread stands still for it.

Run it with ``python Testing/benchmarks/measure_again.py``; it needs slicer-core and about 3 GB of memory.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CovidCT"), str(ROOT / "Testing" / "scene")]

from CovidCTScene import addAnalysisToScene  # noqa: E402
from CovidCTScene.remeasure import Remeasure  # noqa: E402
from scene_analysis import large_analysis  # noqa: E402
from scene_maker import SceneWithLogics, added_volume  # noqa: E402

from CovidCTLib.geometry import Geometry  # noqa: E402

LIMIT_S = 3.0
"""Longest time from the click to the numbers for 512 x 512 x 300 voxels on a quiet computer of two cores."""

SPACING_MM = (0.7, 0.7, 1.0)


def main() -> None:
    """Print the time of each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    geometry = Geometry((args.slices, 512, 512), SPACING_MM)
    analysis = large_analysis(geometry)
    logics = SceneWithLogics()
    volume = added_volume(logics.scene, analysis.scan.hu, geometry)
    addAnalysisToScene(logics.scene, volume, analysis)
    for run in range(args.runs):
        begun, processor = time.perf_counter(), time.process_time()
        work, longest = Remeasure(logics.scene, volume), 0.0
        _tell(f"prepare {run + 1}", begun, processor)
        wall, own = time.perf_counter(), time.process_time()
        steps = work.steps()
        while True:
            step = time.process_time()
            if next(steps, None) is None:
                break
            longest = max(longest, time.process_time() - step)
        _tell(f"read {run + 1}", wall, own)
        sys.stdout.write(f"  the longest step took {1000 * longest:.0f} ms of the processor\n")
        wall, own = time.perf_counter(), time.process_time()
        work.make()
        _tell(f"measure {run + 1}", wall, own)
        wall, own = time.perf_counter(), time.process_time()
        work.put()
        _tell(f"put {run + 1}", wall, own)
        _tell(f"all {run + 1}", begun, processor)
    logics.close()


def _tell(what: str, wall: float, processor: float) -> None:
    sys.stdout.write(
        f"{what:<10} {time.perf_counter() - wall:6.2f} s, {time.process_time() - processor:.2f} s of the processor\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
