"""Analyses of phantoms with opacities of known size, for the tests of follow-up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from CovidCTLib.analysis import Analysis, AxialArrays, CaseDecision, ModelUsed, SliceFinding
from CovidCTLib.geometry import Geometry
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.options import Options
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.scan import Scan, ScanFacts

SHAPE_ZYX = (40, 64, 64)
SPACING_ZYX_MM = (6.5, 4.6, 4.6)

BALL_MM = {"right": (140.0, 10.0, -75.0), "left": (120.0, 10.0, 80.0)}
"""Centres of balls well inside each lung of the phantom: z, y, x in mm."""


def healthy_phantom():
    """The phantom without disease."""
    return make_chest_phantom(SHAPE_ZYX, SPACING_ZYX_MM, diseased=False, noise_hu=10.0)


def with_balls(phantom, radii_mm, value=1, hu=-600):
    """Arrays of HU and opacities with a ball of a radius in each lung; its volume is 4/3 pi r^3."""
    geometry = phantom.scan.geometry
    z, y, x = (
        origin + np.arange(size) * step
        for origin, size, step in zip(
            geometry.origin_lps_mm[::-1], geometry.shape_zyx, geometry.spacing_zyx_mm, strict=True
        )
    )
    opacities = np.zeros(geometry.shape_zyx, np.uint8)
    for side, radius in radii_mm.items():
        centre = BALL_MM[side]
        away = (z[:, None, None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2 + (x - centre[2]) ** 2
        opacities[(away <= radius**2) & (phantom.lungs > 0)] = value
    painted = np.where(opacities > 0, np.int16(hu), phantom.scan.hu)
    return painted, opacities


def ball_ml(radius_mm):
    """Volume of a ball in ml."""
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def analysis_of(hu, lungs, opacities, geometry: Geometry, *, date=None, version="1") -> Analysis:
    """An analysis with the true measures of arrays in the canonical orientation."""
    options = Options()
    localization = (opacities > 0).astype(np.float32)
    facts = ScanFacts("phantom", geometry.shape_zyx[0], study_date=date)
    axial = AxialArrays(hu, lungs, opacities, localization, geometry)
    shows = lungs.any(axis=(1, 2))
    findings = [SliceFinding(0.1 if here else None, False) for here in shows]
    return Analysis(
        scan=Scan(hu, geometry, facts),
        lungs=lungs,
        opacities=opacities,
        localization=localization,
        axial=axial,
        measures=measure_regions(axial, options),
        slices=measure_slices(axial, findings, options),
        case=CaseDecision(False, 0.0, 0, int(shows.sum()), 0.5, 0.2),
        notices=(),
        options=options,
        models=(ModelUsed("lungs", version, "ab" * 32 if version == "1" else "cd" * 32, "lungs"),),
    )


def with_date(analysis: Analysis, date: str | None) -> Analysis:
    """The same analysis of a scan that states a date."""
    return replace(analysis, scan=replace(analysis.scan, facts=replace(analysis.scan.facts, study_date=date)))


def smooth_field(geometry: Geometry, amplitude_mm: float) -> sitk.Transform:
    """A smooth displacement field of known amplitude on a grid, with no fold."""
    steps = [np.linspace(0, 1, size) for size in geometry.shape_zyx]
    z, y, x = np.meshgrid(*steps, indexing="ij")
    parts = (
        np.sin(2 * np.pi * y) * np.cos(np.pi * x),
        np.cos(np.pi * z) * np.sin(np.pi * x),
        1.5 * np.sin(np.pi * z),
    )
    image = sitk.GetImageFromArray(amplitude_mm * np.stack(parts, axis=-1), isVector=True)
    image.SetSpacing(geometry.spacing_xyz_mm)
    image.SetOrigin(geometry.origin_lps_mm)
    image.SetDirection(geometry.direction_lps)
    return sitk.DisplacementFieldTransform(image)
