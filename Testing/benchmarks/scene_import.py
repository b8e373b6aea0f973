"""How long the results of a large CT take on their way into Slicer's scene, the one moment when Slicer stands still.

Run it with ``python Testing/benchmarks/scene_import.py``; it needs slicer-core and about 2 GB of memory.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CovidCT"), str(ROOT / "Testing" / "scene")]

from CovidCTScene import addAnalysisToScene, show3D  # noqa: E402
from scene_analysis import large_analysis  # noqa: E402
from scene_maker import SceneWithLogics, added_volume  # noqa: E402

from CovidCTLib.geometry import Geometry  # noqa: E402

LIMIT_S = 3.0
"""Longest import of 512 x 512 x 300 voxels on a quiet computer of two cores."""

SPACING_MM = (0.7, 0.7, 1.0)


def main() -> None:
    """Print the time of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--surfaces", action="store_true", help="time the closed surfaces too")
    args = parser.parse_args()
    geometry = Geometry((args.slices, 512, 512), SPACING_MM)
    analysis = large_analysis(geometry)
    logics = SceneWithLogics()
    volume = added_volume(logics.scene, analysis.scan.hu, geometry)
    for run in range(args.runs):
        wall, processor = time.perf_counter(), time.process_time()
        nodes = addAnalysisToScene(logics.scene, volume, analysis)
        _tell(f"import {run + 1}", wall, processor)
    if args.surfaces:
        wall, processor = time.perf_counter(), time.process_time()
        show3D(logics.scene, nodes)
        _tell("surfaces", wall, processor)
    logics.close()


def _tell(what: str, wall: float, processor: float) -> None:
    sys.stdout.write(
        f"{what:<10} {time.perf_counter() - wall:6.2f} s, {time.process_time() - processor:.2f} s of the processor\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
