"""Seconds and memory of SEG and SR beyond the analysis, and the listener beside dcmtk's storescp in the same run.

Usage: ``python Testing/benchmarks/archive.py [--slices 300] [--repeats 3]``. It writes a made-up chest of 512 x 512 as
a series into a temporary folder, with boxes of ground glass and consolidation in its lungs, an analysis without
networks. SEG and SR are made and written in a process of its own, whose peak memory is compared with that before; the
listener and storescp take turns at receiving the series from dcmtk's storescu, and the fastest of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from CovidCTLib.analysis import Analysis, AxialArrays, CaseDecision, ModelUsed, SliceFinding
from CovidCTLib.dicom_results.segmentation import make_segmentations
from CovidCTLib.dicom_results.structured_report import make_report
from CovidCTLib.dicom_results.study import study_of
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.options import Options
from CovidCTLib.reading import read_scan
from CovidCTLib.scan import Scan

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing" / "reading"))

KIB_IN_MEBIBYTE = 1024
SIDE = 512
LUNG_RADII_ZYX = (0.45, 0.3, 0.17)
"""Half axes of a lung, as shares of the volume's edges."""


def write_ct(folder: Path, slices: int) -> None:
    """Write two ellipsoids of lung in a body as a DICOM series."""
    from dicom_maker import write_series
    from pydicom.uid import generate_uid

    z, y, x = np.ogrid[:slices, :SIDE, :SIDE]
    hu = np.full((slices, SIDE, SIDE), 40, np.int16)
    for side in (0.28, 0.72):
        centre = (slices / 2, SIDE / 2, SIDE * side)
        axes = [share * size for share, size in zip(LUNG_RADII_ZYX, hu.shape, strict=True)]
        inside = sum(((at - c) / a) ** 2 for at, c, a in zip((z, y, x), centre, axes, strict=True)) < 1
        hu[inside] = -850
    noise = np.random.default_rng(0).normal(0, 20, hu.shape[1:])
    hu += noise.astype(np.int16)
    write_series(folder, hu, distance=1.0, FrameOfReferenceUID=generate_uid())


def made_up(scan: Scan) -> Analysis:
    """Make an analysis by thresholds: a tenth of the lungs is ground glass, some of it consolidation."""
    lungs = np.where(scan.hu < -600, np.where(np.arange(SIDE) < SIDE // 2, 1, 2), 0).astype(np.uint8)
    opacities = np.zeros_like(lungs)
    opacities[:, 200:260][lungs[:, 200:260] > 0] = 1
    opacities[:, 230:245][lungs[:, 230:245] > 0] = 2
    localization = (opacities > 0).astype(np.float32)
    grid = CanonicalGrid(scan.geometry)
    arrays = (grid.take(one, 0) for one in (scan.hu, lungs, opacities, localization))
    axial = AxialArrays(*arrays, grid.geometry)
    options = Options()
    count = axial.geometry.shape_zyx[0]
    slices = measure_slices(axial, [SliceFinding(0.5, True)] * count, options)
    return Analysis(
        scan, lungs, opacities, localization, axial, measure_regions(axial, options), slices,
        CaseDecision(True, 1.0, count, count, 0.5, 0.15), (), options, (ModelUsed("lungs", "1", "ab" * 32, "lungs"),),
    )  # fmt: skip


def memory_mib(name: str) -> float:
    """Memory of this process in MiB: ``VmRSS`` at the moment, ``VmHWM`` at most since `forget_peak` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / KIB_IN_MEBIBYTE


def forget_peak() -> None:
    """Let the peak memory begin at that of the moment (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def make_objects(folder: Path, out: Path) -> dict[str, float]:
    """Time SEG and SR of the series in a folder."""
    analysis = made_up(read_scan(folder, with_source=True))
    import highdicom  # noqa: F401 - its import is none of the analysis' work, and is told apart

    forget_peak()
    before, busy, started = memory_mib("VmRSS"), time.process_time(), time.perf_counter()
    study = study_of(replace(analysis, seconds={}))
    segmentations = make_segmentations(study)
    segmentations[0][0].save_as(out / "segmentation.dcm", enforce_file_format=True)
    between = time.perf_counter()
    make_report(study, segmentations).save_as(out / "measurements.dcm", enforce_file_format=True)
    ended = time.perf_counter()
    return {
        "SEG, s": between - started,
        "SR, s": ended - between,
        "both, s": ended - started,
        "both, s of processor": time.process_time() - busy,
        "memory beyond, MiB": memory_mib("VmHWM") - before,
        "frames": float(segmentations[0][0].NumberOfFrames),
    }


def receiving(folder: Path, work: Path, repeats: int) -> dict[str, float]:
    """Time storescu to storescp and to the listener, in turns."""
    ports = {}
    for name in ("storescp", "listener"):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            ports[name] = one.getsockname()[1]
    (work / "scp").mkdir()
    listener = [sys.executable, str(ROOT / "Testing" / "archive" / "standin_listener.py"), str(work / "spool"),
                "X@127.0.0.1:9", str(ports["listener"]), "0", "100000"]  # fmt: skip
    commands = {"storescp": ["storescp", "-od", str(work / "scp"), str(ports["storescp"])], "listener": listener}
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands.values()]
    best: dict[str, float] = {}
    try:
        for name, port in ports.items():
            while subprocess.run(
                ["echoscu", "-aec", "COVIDCT", "127.0.0.1", str(port)], capture_output=True
            ).returncode:
                time.sleep(0.2)
            best[name] = float("inf")
        for _ in range(repeats):
            for name, port in ports.items():
                for home in (work / "scp", work / "spool" / "incoming"):
                    for path in list(home.iterdir()):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                started = time.perf_counter()
                subprocess.run(["storescu", "-aec", "COVIDCT", "127.0.0.1", str(port), "+sd", str(folder)], check=True)
                best[name] = min(best[name], time.perf_counter() - started)
    finally:
        for process in processes:
            process.terminate()
    return {f"{name}, s": seconds for name, seconds in best.items()}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--objects", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.objects is not None:
        sys.stdout.write(json.dumps(make_objects(args.objects / "ct", args.objects)) + "\n")
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_ct(work / "ct", args.slices)
        runs = []
        for _ in range(args.repeats):
            done = subprocess.run(
                [sys.executable, __file__, "--objects", str(work)], check=True, capture_output=True, text=True
            )
            runs.append(json.loads(done.stdout))
        told = min(runs, key=lambda run: run["both, s"])
        if shutil.which("storescp"):
            told |= receiving(work / "ct", work, args.repeats)
        sys.stdout.write(json.dumps({key: round(value, 2) for key, value in told.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
