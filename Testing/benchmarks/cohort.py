"""How a cohort grows: seconds and memory for 10 to 10,000 scans, and what a second process gives.

Usage::

    python Testing/benchmarks/cohort.py growth [--sizes 10 100 1000 10000] [--engine local|spark]
    python Testing/benchmarks/cohort.py processes [--scans 8] [--measures all|fast]

``growth`` takes stubs: files of 100 bytes whose "analysis" is a pause of `STUB_S` and a result file of a few bytes, so
that what is left is the run's own cost. The memory is that of the process that leads the run, the only one that sees
all scans. ``processes`` takes real analyses of a small CT (a real one from ../shared, else the phantom) and compares
two processes with one, in the same run, with one thread each. Read ratios: the machines are shared, and the load is
told.
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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "cohort")]

from CovidCTLib.cli.progress import say  # noqa: E402
from CovidCTLib.cohort.analyzers import Measured  # noqa: E402
from CovidCTLib.cohort.run import EngineChoice, run_cohort  # noqa: E402
from CovidCTLib.cohort.settings import CohortSettings  # noqa: E402
from CovidCTLib.cohort.sources import find_scans  # noqa: E402

STUB_S = 0.02
"""Seconds that the analysis of a stub takes."""

SHARED_CT = HERE.parents[2] / "shared" / "data" / "volumes" / "case_09_ct.nii.gz"
SIZE_XYZ = (192, 192, 48)
KIB_IN_MIB = 1024


def stub_analyzer(settings):
    """Make an analysis of fixed cost."""

    def measure(path):
        time.sleep(STUB_S)

        def write(folder):
            (folder / "result.txt").write_text("done", encoding="utf-8")

        return Measured({"vessel_ratio_percent": 1.0}, write)

    return measure


def one_size(count, engine, master):
    """Run stubs and print what it took as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "source").mkdir()
        for index in range(count):
            (home / "source" / f"{index:06d}.nii").write_text(f"{index}".ljust(100), encoding="ascii")
        begun = time.monotonic()
        scans = find_scans(str(home / "source"))
        listed = time.monotonic()
        settings = CohortSettings("fast", analyzer="cohort:stub_analyzer")
        choice = (
            EngineChoice(engine, processes=2, master=master)
            if engine == "local"
            else EngineChoice(
                engine, master=master, spark_settings={"spark.ui.enabled": "false", "spark.executor.memory": "512m"}
            )
        )
        outcome = run_cohort(scans, home / "out", settings, engine=choice)
        ended = time.monotonic()
        again = run_cohort(scans, home / "out", settings, engine=choice)
        told = {
            "scans": count,
            "listing_s": round(listed - begun, 2),
            "run_s": round(ended - listed, 2),
            "again_s": round(time.monotonic() - ended, 2),
            "failed": sum(number for *_, number in outcome.failures),
            "kept": again.kept,
            "leader_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_IN_MIB,
        }
    say(json.dumps(told))


def growth(sizes, engine):
    """Run each size in a process of its own, and print the table."""
    cluster = None
    if engine == "spark":
        from spark_cluster import Cluster, environment

        os.environ.update(environment())
        cluster = Cluster(Path(tempfile.mkdtemp()), workers=2)
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment_of_run = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    say(f"{os.cpu_count()} cores, 2 processes, load {os.getloadavg()[0]:.1f}, stub {STUB_S} s, engine {engine}")
    say("| scans | listing, s | run, s | own cost a scan, ms | continuing a finished run, s | leader, MiB |")
    say("|---|---|---|---|---|---|")
    try:
        for count in sizes:
            words = [sys.executable, __file__, "one", str(count), engine, cluster.master if cluster else ""]
            done = subprocess.run(words, env=environment_of_run, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            cost = 1000 * (2 * told["run_s"] / count - STUB_S)
            cells = (count, told["listing_s"], told["run_s"], f"{cost:.0f}", told["again_s"], told["leader_mib"])
            say(f"| {' | '.join(str(cell) for cell in cells)} |")
    finally:
        if cluster is not None:
            cluster.stop()


def make_small_cts(folder, count):
    """Write small CTs that differ by their noise."""
    import numpy as np
    import SimpleITK as sitk

    if SHARED_CT.exists():
        source = sitk.ReadImage(str(SHARED_CT), sitk.sitkInt16)
    else:
        from CovidCTLib.phantom import make_chest_phantom

        scan = make_chest_phantom().scan
        source = scan.geometry.to_image(scan.hu)
    spacing = [source.GetSize()[a] * source.GetSpacing()[a] / SIZE_XYZ[a] for a in range(3)]
    small = sitk.Resample(
        source, SIZE_XYZ, sitk.Transform(), sitk.sitkLinear, source.GetOrigin(), spacing, source.GetDirection(), -1024
    )
    hu = sitk.GetArrayFromImage(small)
    for index in range(count):
        noise = np.random.default_rng(index).integers(-5, 6, hu.shape)
        image = sitk.GetImageFromArray((hu + noise).astype(np.int16))
        image.CopyInformation(small)
        sitk.WriteImage(image, str(folder / f"{index}.nii"))


def processes(count, measures):
    """Compare two processes with one on the same CTs."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "source").mkdir()
        make_small_cts(home / "source", count)
        scans = find_scans(str(home / "source"))
        say(f"{count} CTs of {SIZE_XYZ}, measures {measures}, load {os.getloadavg()[0]:.1f}")
        for number in (1, 2):
            begun = time.monotonic()
            outcome = run_cohort(
                scans, home / str(number), CohortSettings(measures), engine=EngineChoice(processes=number)
            )
            seconds[number] = time.monotonic() - begun
            failed = sum(entry[-1] for entry in outcome.failures)
            say(f"{number} process(es): {seconds[number]:.1f} s, {failed} failed")
    say(f"ratio {seconds[1] / seconds[2]:.2f}")


def main():
    """Run what the words ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    grow = parts.add_parser("growth")
    grow.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10000])
    grow.add_argument("--engine", choices=("local", "spark"), default="local")
    one = parts.add_parser("one")
    one.add_argument("count", type=int)
    one.add_argument("engine")
    one.add_argument("master")
    both = parts.add_parser("processes")
    both.add_argument("--scans", type=int, default=8)
    both.add_argument("--measures", choices=("all", "fast"), default="all")
    args = parser.parse_args()
    if args.part == "growth":
        growth(args.sizes, args.engine)
    elif args.part == "one":
        one_size(args.count, args.engine, args.master or None)
    else:
        processes(args.scans, args.measures)


if __name__ == "__main__":
    main()
