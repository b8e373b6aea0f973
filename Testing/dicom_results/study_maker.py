"""A small CT as DICOM with an analysis of it: boxes as lungs and opacities, no network, no real data."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

for neighbour in ("results", "reading"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / neighbour))

from analysis_maker import SHAPE_ZYX, make_analysis  # noqa: E402
from dicom_maker import write_series  # noqa: E402

from CovidCTLib.reading import read_scan  # noqa: E402

FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.8.498.77"
NAME, NUMBER = "MÜLLER^ÄNNE", "4711-SECRET"


def write_ct(folder: Path, **keywords):
    """Write the CT of `make_analysis` as DICOM; keywords are DICOM keywords of every slice."""
    told = {
        "PatientName": NAME,
        "PatientID": NUMBER,
        "SpecificCharacterSet": "ISO_IR 100",
        "FrameOfReferenceUID": FRAME_OF_REFERENCE,
        "StudyTime": "101500",
        **keywords,
    }
    positions = [(-110.5, 12.25, -300 + 2.5 * k) for k in range(SHAPE_ZYX[0])]
    return write_series(
        folder, make_analysis().scan.hu, positions=positions, pixel_spacing=(0.8, 0.75), distance=2.5, **told
    )


def analyzed(folder: Path):
    """The analysis of the CT in a folder, its scan read with its source."""
    scan = read_scan(folder, with_source=True)
    analysis = make_analysis()
    assert scan.geometry.shape_zyx == analysis.scan.geometry.shape_zyx
    return replace(analysis, scan=scan)
