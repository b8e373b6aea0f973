"""Analyze a folder of CTs in 3D Slicer without its window.

Run it with

    Slicer --no-main-window --python-script slicer_batch.py INPUT OUTPUT

INPUT is a folder whose NIfTI, NRRD, MetaImage and ZIP files and DICOM subfolders are one CT each, in the order of their
names; OUTPUT gets a folder of results for each of them. One line a CT says how it went; one that fails does not stop
the rest. Slicer ends with exit code 0 if all went well, else 1.
"""

from __future__ import annotations

import sys

import slicer

from CovidCT import CovidCTLogic
from CovidCTLib.errors import CovidCTError

ARGUMENTS = 2
"""Input and output folder."""


def main(arguments: list[str]) -> int:
    """Analyze the folder, and give the exit code."""
    if len(arguments) != ARGUMENTS:
        sys.stderr.write("Usage: Slicer --no-main-window --python-script slicer_batch.py INPUT OUTPUT\n")
        return 1
    logic = CovidCTLogic()
    try:
        failures = logic.analyzeFolder(*arguments)
    except CovidCTError as error:
        # Packages are missing, say; a script does not install anything without being told to.
        sys.stderr.write(f"{error}\n")
        return 1
    return 1 if any(failures) else 0


slicer.util.exit(main(sys.argv[1:]))
