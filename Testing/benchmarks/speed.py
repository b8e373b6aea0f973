"""Seconds a stage and peak memory of an analysis, beside lungmask's R231 network shape in the same run.

Usage: ``python Testing/benchmarks/speed.py [--slices 300] [--threads 2]``. Needs the extra ``benchmark``. The CT is a
real one from ../shared resampled to 512 x 512 (the phantom where it is absent). Each analysis runs in a process of
its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHARED_CT = Path(__file__).resolve().parents[3] / "shared" / "data" / "volumes" / "case_09_ct.nii.gz"
CHEST_HEIGHT_MM = 300.0
MEBIBYTE_IN_KIB = 1024
R231_SLICES = 4


def make_ct(slices: int) -> sitk.Image:
    """Resample a real CT (or the phantom) to 512 x 512 x slices over 300 mm."""
    if SHARED_CT.exists():
        source = sitk.ReadImage(str(SHARED_CT), sitk.sitkInt16)
    else:
        from CovidCTLib.phantom import make_chest_phantom

        scan = make_chest_phantom().scan
        source = scan.geometry.to_image(scan.hu)
    size = (512, 512, slices)
    spacing = [source.GetSize()[a] * source.GetSpacing()[a] / size[a] for a in range(3)]
    return sitk.Resample(
        source, size, sitk.Transform(), sitk.sitkLinear, source.GetOrigin(), spacing, source.GetDirection(), -1024
    )


def child(path: str, threads: int, full_precision: bool, labels: str) -> None:
    """Read, analyze and write one CT; print seconds and peak memory as JSON."""
    begun = time.monotonic()
    from CovidCTLib import Options, analyze, read_scan, write_results
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.report import render_report

    imported = time.monotonic()
    scan = read_scan(path)
    read = time.monotonic()
    analysis = analyze(scan, Options(threads=threads), models=ModelStore(device="cpu", full_precision=full_precision))
    analyzed = time.monotonic()
    if labels:
        np.save(labels, analysis.labelmap)
    seconds = {"import": imported - begun, "reading": read - imported, **analysis.seconds}
    analysis_end = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_results(analysis, Path(folder) / "out")
        seconds["writing and report"] = time.monotonic() - analysis_end
        seconds["all"] = seconds["writing and report"] + analyzed - begun
        # Once more alone: while the results are written, files are compressed beside it.
        again = time.monotonic()
        page = render_report(analysis)
    seconds["report alone"] = time.monotonic() - again
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE_IN_KIB
    megabytes = len(page.encode()) / 1e6
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mib": peak, "report_mb": megabytes}) + "\n")


def run(path: Path, threads: int, full_precision: bool = False, labels: str = "") -> dict[str, dict[str, float]]:
    """Run one analysis in a process of its own."""
    command = [sys.executable, __file__, "--child", str(path), "--threads", str(threads), "--labels", labels]
    command += ["--full-precision"] if full_precision else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def r231_seconds_a_slice(threads: int) -> float:
    """Seconds a slice of lungmask's R231 network shape, random weights, 256 x 256, float32."""
    import torch
    from lungmask.resunet import UNet

    torch.set_num_threads(threads)
    network = UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False).eval()
    images = torch.randn(R231_SLICES, 1, 256, 256)
    with torch.inference_mode():
        network(images)
        begun = time.monotonic()
        network(images)
    return (time.monotonic() - begun) / R231_SLICES


def main() -> None:
    """Run the benchmark and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", default="")
    parser.add_argument("--labels", default="")
    parser.add_argument("--full-precision", action="store_true")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.threads, arguments.full_precision, arguments.labels)
        return
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        rows, labels = {}, {}
        counts = sorted({max(arguments.slices // 3, 2), max(arguments.slices * 2 // 3, 2), arguments.slices})
        for count in counts:
            path = Path(folder) / f"ct{count}.nii"
            sitk.WriteImage(make_ct(count), str(path))
            file = str(Path(folder) / f"labels{count}.npy") if count == arguments.slices else ""
            rows[str(count)] = run(path, arguments.threads, labels=file)
            if file:
                labels["fast"] = np.load(file)
                rows[f"{count}, float32"] = run(path, arguments.threads, True, file)
                labels["float32"] = np.load(file)
        stages = list(next(iter(rows.values()))["seconds"])
        say(f"| slices | {' | '.join(f'{stage}, s' for stage in stages)} | report, MB | peak, MiB |\n")
        say(f"|---|{'---|' * (len(stages) + 2)}\n")
        for name, row in rows.items():
            cells = " | ".join(f"{row['seconds'][stage]:.2f}" for stage in stages)
            say(f"| {name} | {cells} | {row['report_mb']:.1f} | {row['peak_mib']:.0f} |\n")
        changed = np.count_nonzero(labels["fast"] != labels["float32"]) / np.count_nonzero(labels["float32"])
        say(f"\nLabels that differ from float32: {100 * changed:.3f} % of the labelled voxels.\n")
        lungs = rows[str(arguments.slices)]["seconds"]["lungs"] / arguments.slices
        r231 = r231_seconds_a_slice(arguments.threads)
        say(f"\nLung stage {1000 * lungs:.1f} ms a slice; R231's network {1000 * r231:.0f} ms: ")
        say(f"{r231 / lungs:.0f} times.\n")


if __name__ == "__main__":
    main()
