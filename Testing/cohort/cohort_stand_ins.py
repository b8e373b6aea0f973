"""Stand-ins for what measures a scan: a scan is a small text file that says what is to happen to it."""

from __future__ import annotations

import os
import time

from CovidCTLib.cohort.analyzers import Measured, fast_analyzer
from CovidCTLib.errors import QualityError

STAND_IN = "cohort_stand_ins:stand_in_analyzer"

RESULT_FILE = "result.txt"

VOLATILE_COLUMNS = ("seconds", "peak_memory_gb", "finished")
"""Columns that differ from run to run of the same scans with the same settings; all others are the same."""


def stand_in_analyzer(settings):
    """Make a measure that does what the file's text asks for; a compressed file is a real scan."""

    def measure(path):
        if path.suffix == ".gz":
            return fast_analyzer(settings)(path)
        _, word, number = path.read_text(encoding="utf-8").split()
        if word == "refuse":
            raise QualityError("A chest CT was expected, but this is a knee. Give a chest CT.")
        if word == "mistake":
            raise KeyError("Jane Doe")
        if word == "die":
            os._exit(7)
        if word == "kill":
            os.kill(os.getpid(), 9)
        if word == "eat":
            eaten = bytearray(int(float(number) * 1e9))
            eaten[::4096] = b"x" * len(eaten[::4096])
            time.sleep(5)
        if word == "full":
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
        if word == "hang":
            time.sleep(600)
        if word == "wait":
            time.sleep(float(number))
        values = {
            "vessel_ratio_percent": float(number) / 3,
            "lung_area_mm2": float(number) * 0.1,
            "slice_index": 4,
            "slice_count": 9,
            "notices": ("thick-slices",),
            "case_positive": None,
        }

        def write(folder):
            (folder / RESULT_FILE).write_text(number, encoding="utf-8")

        return Measured(values, write)

    return measure


def make_source(folder, words, **sizes):
    """Write scans, one a word (``"measure"`` for nothing special); gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, word in enumerate(words):
        word, _, number = word.partition(" ")
        text = f"scan{index:04d} {word} {number or index + 1}"
        (folder / f"scan_{index:04d}.nii").write_text(text.ljust(100 + index), encoding="utf-8")
    return folder
