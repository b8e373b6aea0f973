"""A synthetic analysis for the tests of the report: two ellipsoid lungs, a ball of opacity, a blurred localization."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from CovidCTLib.analysis import Analysis, AxialArrays, CaseDecision, ModelUsed, SliceFinding
from CovidCTLib.errors import Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan, ScanFacts

SHAPE = (40, 96, 96)
SPACING_XYZ_MM = (2.0, 2.0, 4.0)

NOTICES = (
    Notice("some-note", "The first note.", "note"),
    Notice("thick-slices", "The slices are thick.", "warn", 6.0, 5.0, "mm"),
    Notice("no-numbers", "Nothing can be trusted.", "refuse"),
)


def make_arrays(
    shape: tuple[int, int, int] = SHAPE,
    spacing_xyz_mm: tuple[float, float, float] = SPACING_XYZ_MM,
    lungs: tuple[int, ...] = (1, 2),
    opacity: bool = True,
    localization: bool = True,
) -> AxialArrays:
    """Two ellipsoids, each a third of the width wide, with a ball of consolidation in ground glass in the right one."""
    z, y, x = np.meshgrid(*[(np.arange(size) + 0.5) / size for size in shape], indexing="ij")
    labels = np.zeros(shape, dtype=np.uint8)
    for value, centre in ((1, 0.28), (2, 0.72)):
        if value in lungs:
            labels[((x - centre) / 0.17) ** 2 + ((y - 0.5) / 0.3) ** 2 + ((z - 0.5) / 0.42) ** 2 < 1] = value
    hu = np.where(((x - 0.5) / 0.48) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1, 40, -1000).astype(np.int16)
    hu[labels > 0] = -850
    opacities = np.zeros(shape, dtype=np.uint8)
    if opacity:
        distance = ((x - 0.26) / 0.1) ** 2 + ((y - 0.6) / 0.14) ** 2 + ((z - 0.4) / 0.16) ** 2
        opacities[(distance < 1) & (labels > 0)] = 1
        opacities[(distance < 0.3) & (labels > 0)] = 2
        hu[opacities == 1] = -500
        hu[opacities == 2] = 0
    heat = np.zeros(shape, dtype=np.float32)
    if localization:
        heat[(((x - 0.26) / 0.1) ** 2 + ((y - 0.6) / 0.14) ** 2 + ((z - 0.4) / 0.16) ** 2) < 1] = 1
        heat = np.clip(ndimage.gaussian_filter(heat, 2), 0, 1).astype(np.float32) * (labels > 0)
    return AxialArrays(hu, labels, opacities, heat, Geometry(shape, spacing_xyz_mm, (-96.0, -96.0, -80.0)))


def make_analysis(axial: AxialArrays | None = None, **changes: Any) -> Analysis:
    """An analysis of such arrays; ``changes`` replace whole fields of it."""
    axial = make_arrays() if axial is None else axial
    options = changes.pop("options", Options(slice_threshold=0.6))
    has_lung = (axial.lungs > 0).any(axis=(1, 2))
    looked = (axial.localization > 0.2).any(axis=(1, 2))
    probability = np.where(looked, 0.9, 0.1)
    findings = [
        SliceFinding(float(value) if lung else None, bool(lung and value >= 0.6))
        for value, lung in zip(probability, has_lung, strict=True)
    ]
    positive, lung_slices = sum(finding.positive for finding in findings), int(has_lung.sum())
    share = positive / lung_slices if lung_slices else None
    case = CaseDecision(
        None if share is None else share > 0.1, share, positive, lung_slices, 0.6, 0.1,
        None if lung_slices else "no slice shows lung",
    )  # fmt: skip
    entries: dict[str, Any] = {
        "scan": Scan(axial.hu, axial.geometry, ScanFacts("NIfTI", axial.hu.shape[0], "B70f", "Maker", 5.0, 120.0)),
        "lungs": axial.lungs,
        "opacities": axial.opacities,
        "localization": axial.localization,
        "axial": axial,
        "measures": measure_regions(axial, options),
        "slices": measure_slices(axial, findings, options),
        "case": case,
        "notices": NOTICES,
        "options": options,
        "models": (ModelUsed("lungs-unet", "1.2", "ab" * 32),),
        "seconds": {"reading": 0.5, "lungs": 3.25},
        "versions": {"covidct": "0.1.0"},
    }
    return Analysis(**{**entries, **changes})
