"""Mutated files over every reader: anything but a scan, a list or a CovidCTError is a bug.

Usage: ``python Testing/benchmarks/fuzz_reading.py [--count 100000] [--seed 1] [--minutes 10] [--keep FOLDER]``; one
case again: ``--only KIND NUMBER --seed 1``. Small files of each kind (DICOM in each encoding, enhanced DICOM, DICOMDIR,
ZIP, NIfTI, NRRD, MetaImage) are mutated by a generator whose state is seed, kind and number of the case: bytes and
bits flipped, blocks overwritten, cut off, doubled, moved or filled, and numbers replaced by extreme ones. Cases run in
batches in child processes of their own. A case that takes over 10 s of processor time is a hang, a child that dies is
a crash, and a peak over 2 GiB is a waste of memory; the batch goes on behind it. Exit code 1 if anything was found.

``--table LOG`` puts the result of a finished run, from what it printed, into ``docs/fuzzing.md``.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import re
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reading"))

import dicom_maker
from dicom_maker import chest_like, compress_series, enhanced_dataset, save, write_directory, write_series

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fuzzing.md"
BEGIN, END = "<!-- result of the run -->\n", "<!-- end of the result -->\n"

SHAPE = (4, 32, 36)
"""OpenJPEG encodes nothing smaller."""

SECONDS = 10.0
"""Of processor time: on a machine that others load, time on the clock says nothing."""

WAITING_SECONDS = 300.0
"""On the clock, for a case that waits for something instead of computing."""

MEMORY_MIB = 2048
SPARE_MIB = 4096
"""The address space that a child may take beyond what it began with; more is refused by the system."""

BATCH = 200
KIB_IN_MEBIBYTE = 1024
SYNTAXES = {
    "plain": None,
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg": JPEGLosslessSV1,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
}
FILES = ("ct.nii", "ct.nii.gz", "ct.nrrd", "packed.nrrd", "ct.nhdr", "ct.mha", "packed.mha", "ct.mhd")
KINDS = (*SYNTAXES, "enhanced", "dicomdir", "zip", *FILES)
EXTREMES = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (b"nan", b"inf", b"-1", b"1e400", b"99999999999", b"0", b"", b"\\", b"../../x", b"\n", b"\0")


def make_seed(kind: str, folder: Path) -> None:
    """Write the whole files of a kind into a folder, byte by byte the same in every run."""
    numbers = itertools.count(1)
    dicom_maker.generate_uid = lambda: f"1.2.3.{next(numbers)}"
    hu = chest_like(SHAPE)
    if kind in SYNTAXES:
        write_series(folder, hu, series="1.2.3.4")
        compress_series(folder, SYNTAXES[kind])
    elif kind == "enhanced":
        save(enhanced_dataset(hu), folder / "all.dcm")
    elif kind == "dicomdir":
        write_series(folder, hu, series="1.2.3.4")
        write_directory(folder)
    elif kind == "zip":
        write_series(folder / "files", hu, series="1.2.3.4")
        with zipfile.ZipFile(folder / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((folder / "files").iterdir()):
                entry = zipfile.ZipInfo(f"study/{path.name}")
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
        shutil.rmtree(folder / "files")
    else:
        image = sitk.GetImageFromArray(hu)
        image.SetSpacing((0.7, 0.8, 2.5))
        folder.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(folder / kind), kind.startswith("packed"))


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a few places of a file."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        # Headers are where the damage is; most changes fall into the first bytes.
        limit = len(out) if rng.random() < 0.5 else min(len(out), 1600)
        at, size = int(rng.integers(limit)), int(rng.integers(1, 64))
        match int(rng.integers(9)):
            case 0:
                out[at] = int(rng.integers(256))
            case 1:
                out[at] ^= 1 << int(rng.integers(8))
            case 2:
                del out[at:]
            case 3:
                out[at : at + size] = out[at : at + size] * 2
            case 4:
                del out[at : at + size]
            case 5:
                out[at : at + size] = bytes([int(rng.integers(256))]) * size
            case 6:
                width = int(rng.choice([1, 2, 4]))
                value = EXTREMES[int(rng.integers(len(EXTREMES)))] & ((1 << 8 * width) - 1)
                out[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")
            case 7:
                word = WORDS[int(rng.integers(len(WORDS)))]
                out[at : at + (len(word) if rng.random() < 0.5 else size)] = word
            case _:
                source = int(rng.integers(len(out)))
                out[at : at + size] = out[source : source + size]
    return bytes(out)


def mutated(kind: str, number: int, seed: int, whole: Path, place: Path) -> None:
    """Put the files of a case into a folder: all whole but one, or in a fifth of the cases all changed alike."""
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    names = sorted(path.name for path in whole.iterdir())
    target = "DICOMDIR" if kind == "dicomdir" else names[int(rng.integers(len(names)))]
    together = len({(whole / name).stat().st_size for name in names}) == 1 and rng.random() < 0.2
    state = rng.bit_generator.state
    for name in names:
        data = (whole / name).read_bytes()
        if name == target or together:
            rng.bit_generator.state = state
            data = mutate(data, rng)
        (place / name).write_bytes(data)


def outcome(kind: str, place: Path) -> str:
    """Read a case by every entry point; ``read``, ``listed`` or ``refused``, or the trace of a bug."""
    from CovidCTLib.errors import CovidCTError
    from CovidCTLib.reading import list_series, read_scan

    path = place / kind if kind in FILES else place / "study.zip" if kind == "zip" else place
    result = "refused"
    calls: list[Any] = [lambda: read_scan(path), lambda: read_scan(path, assume_axial=True)]
    if kind not in FILES:
        calls.append(lambda: list_series(path))
    for call, success in zip(calls, ("read", "listed", "listed"), strict=False):
        try:
            call()
            result = success if result == "refused" else result
        except CovidCTError as error:
            if "\n" in str(error):
                return f"message of several lines: {error}"
        except BaseException:  # noqa: BLE001
            return traceback.format_exc(limit=-4)
    return result


def peak_mib() -> float:
    """Give the peak memory of this process, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / KIB_IN_MEBIBYTE if found else 0.0


def child(kind: str, first: int, count: int, seed: int, whole: Path, place: Path) -> None:
    """Run cases one after the other; write a line before and after each."""
    size = re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())
    limit = (int(size[1]) + SPARE_MIB * KIB_IN_MEBIBYTE) * KIB_IN_MEBIBYTE if size else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, first + count):
        mutated(kind, number, seed, whole, place)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        # Its default is to end the process, also out of code that is not Python.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        found = outcome(kind, place)
        peak = peak_mib()
        if peak > MEMORY_MIB:
            found = f"peak memory of {peak:.0f} MiB"
        sys.stdout.write(json.dumps([number, found]) + "\n")
        sys.stdout.flush()
        if peak > MEMORY_MIB:
            return


def batch(kind: str, first: int, count: int, seed: int, folder: Path) -> tuple[dict[int, str], int]:
    """Run cases in a child process; give what came out, and the number of the case to go on with."""
    place = folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command = [sys.executable, __file__, "--child", kind, str(first), str(count), "--seed", str(seed)]
    process = subprocess.Popen(
        [*command, "--folder", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    found: dict[int, str] = {}
    current, pending = first, b""
    with selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(WAITING_SECONDS):
                process.kill()
                process.wait()
                found[current] = f"hang of over {WAITING_SECONDS:g} s"
                return found, current + 1
            chunk = process.stdout.read(1 << 16)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                value = json.loads(line)
                if isinstance(value, int):
                    current = value
                else:
                    found[value[0]] = value[1]
    code = process.wait()
    if code == -signal.SIGPROF:
        found[current] = f"hang of over {SECONDS:g} s of processor time"
    elif code != 0:
        found[current] = f"crash, exit code {code}"
    return found, max(found, default=current) + 1


def result_in(log: str) -> str:
    """Give the last line of figures and the table that a finished run printed, as Markdown."""
    runs = list(re.finditer(r"^Seed \d+, \d+ cases in \d+ s, \d+ bugs\.\n\n(?:\|.*\|\n)+", log, re.MULTILINE))
    if not runs:
        raise SystemExit(
            "The log of a finished run was expected, but this one holds no table at its end. Let it finish."
        )
    bugs = re.findall(r"^BUG (\S+) (\d+): (.*)", log[: runs[-1].start()], re.MULTILINE)
    # One line a bug: its kind and case give it again by --only.
    told = "".join(f"- {kind}, case {number}: `{text[:100]}`\n" for kind, number, text in bugs)
    return runs[-1][0] + (f"\n{told}" if told else "")


def write_page(log: str, page: Path) -> None:
    """Put the result of a run between the marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"The page must hold the lines {BEGIN.strip()!r} and {END.strip()!r}, but it does not.")
    page.write_text(f"{before}{BEGIN}\n{result_in(log)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Run the cases and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--keep", type=Path, help="folder for the files of cases that are bugs")
    parser.add_argument("--child", nargs=3, metavar=("KIND", "FIRST", "COUNT"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument(
        "--table", type=Path, metavar="LOG", help="write docs/fuzzing.md from the log of a run, no more"
    )
    arguments = parser.parse_args()
    if arguments.table:
        write_page(arguments.table.read_text(encoding="utf-8"), PAGE)
        return 0
    if arguments.child:
        kind, first, count = arguments.child[0], int(arguments.child[1]), int(arguments.child[2])
        child(kind, first, count, arguments.seed, arguments.folder / "whole" / kind, arguments.folder / "case")
        return 0
    say = sys.stdout.write
    begun = time.monotonic()
    results: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in KINDS}
    bugs: list[tuple[str, int, str]] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        kinds = [arguments.only[0]] if arguments.only else arguments.kinds
        for kind in kinds:
            (folder / "whole" / kind).mkdir(parents=True)
            make_seed(kind, folder / "whole" / kind)
        if arguments.only:
            found, _ = batch(kinds[0], int(arguments.only[1]), 1, arguments.seed, folder)
            if arguments.keep:
                shutil.copytree(folder / "case", arguments.keep, dirs_exist_ok=True)
            say(f"{found}\n")
            return 0
        each = -(-arguments.count // len(kinds))
        at = dict.fromkeys(kinds, 0)
        while any(at[kind] < each for kind in kinds) and time.monotonic() - begun < 60 * arguments.minutes:
            for kind in kinds:
                size = min(BATCH, each - at[kind])
                if size <= 0 or time.monotonic() - begun > 60 * arguments.minutes:
                    continue
                found, at[kind] = batch(kind, at[kind], size, arguments.seed, folder)
                for number, result in found.items():
                    known = result in ("read", "listed", "refused")
                    results[kind][result if known else "bugs"] += 1
                    if not known:
                        bugs.append((kind, number, result))
                        say(f"BUG {kind} {number}: {result}\n")
                        sys.stdout.flush()
                        if arguments.keep:
                            target = arguments.keep / f"{kind}-{number}"
                            target.mkdir(parents=True, exist_ok=True)
                            mutated(kind, number, arguments.seed, folder / "whole" / kind, target)
    total = sum(sum(counter.values()) for counter in results.values())
    say(f"\nSeed {arguments.seed}, {total} cases in {time.monotonic() - begun:.0f} s, {len(bugs)} bugs.\n\n")
    say("| kind | cases | read | read as axial, or listed | refused | bugs |\n|---|---|---|---|---|---|\n")
    for kind in kinds:
        row = results[kind]
        say(f"| {kind} | {sum(row.values())} | {row['read']} | {row['listed']} | {row['refused']} | {row['bugs']} |\n")
    return 1 if bugs else 0


if __name__ == "__main__":
    sys.exit(main())
