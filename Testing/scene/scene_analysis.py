"""An analysis of a small volume, built by hand, so that every count in it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from CovidCTLib.analysis import (
    Analysis,
    AxialArrays,
    CaseDecision,
    Measurement,
    ModelUsed,
    SliceMeasures,
)
from CovidCTLib.errors import Notice
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan, ScanFacts

NO_LUNG = "There is no lung."


def made_analysis(geometry: Geometry, *, effusion: bool = False, empty: bool = False) -> Analysis:
    """Make an analysis on a grid of at least 9 x 20 x 24 voxels."""
    shape = geometry.shape_zyx
    hu = np.full(shape, -1000, np.int16)
    hu[1:8, 3:17, 2:22] = 40
    lungs = np.zeros(shape, np.uint8)
    opacities = np.zeros(shape, np.uint8)
    localization = np.zeros(shape, np.float32)
    if not empty:
        lungs[2:7, 5:15, 4:10] = 1
        lungs[2:7, 5:15, 13:20] = 2
        opacities[3:5, 6:10, 5:8] = 1
        opacities[4, 10:12, 14:16] = 2
        localization[3, 6:10, 5:8] = 0.75
        if effusion:
            opacities[2, 15:17, 13:20] = 3
    hu[lungs > 0] = -850
    hu[opacities == 1] = -600
    hu[opacities == 2] = 20
    grid = CanonicalGrid(geometry)
    axial = AxialArrays(
        grid.take(hu, -1024), grid.take(lungs, 0), grid.take(opacities, 0), grid.take(localization, 0), grid.geometry
    )
    return Analysis(
        scan=Scan.from_array(hu, geometry, ScanFacts("made by hand", slice_count=shape[0])),
        lungs=lungs,
        opacities=opacities,
        localization=localization,
        axial=axial,
        measures=_measures(lungs, geometry.voxel_volume_mm3),
        slices=tuple(_slice(index) for index in range(3)),
        case=CaseDecision(True, 0.6, 3, 5, 0.5, 0.2),
        notices=(Notice("thick-slices", "Slices are 4 mm apart.", "warn", 4.0, 3.0, "mm"),),
        options=Options(),
        models=(ModelUsed("slices", "1", "0" * 64),),
        seconds={"lungs": 0.5},
        versions={"CovidCT": "0.1.0"},
    )


def large_analysis(geometry: Geometry) -> Analysis:
    """Make an analysis with lungs and opacities of about real sizes on a grid of any size, for benchmarks."""
    analysis = made_analysis(geometry)
    z, y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in geometry.shape_zyx)
    height, depth = (z[:, None, None] / 0.9) ** 2, (y[:, None] / 0.7) ** 2
    for label, side in ((1, -0.45), (2, 0.45)):
        reach = height + depth + ((x - side) / 0.35) ** 2
        analysis.lungs[reach < 1] = label
        analysis.opacities[reach < 0.2] = label
        analysis.localization[reach < 0.25] = 0.5
    analysis.scan.hu[analysis.lungs > 0] = -850
    grid = CanonicalGrid(geometry)
    axial = replace(
        analysis.axial,
        hu=grid.take(analysis.scan.hu, -1024),
        lungs=grid.take(analysis.lungs, 0),
        opacities=grid.take(analysis.opacities, 0),
        localization=grid.take(analysis.localization, 0),
    )
    slices = geometry.shape_zyx[0]
    rows = tuple(
        replace(analysis.slices[1], index=index, position_mm=float(index), representative=index == slices // 2)
        for index in range(slices)
    )
    return replace(analysis, axial=axial, slices=rows)


def _measures(lungs: np.ndarray, voxel_mm3: float) -> tuple[Measurement, ...]:
    volume_ml = float((lungs > 0).sum() * voxel_mm3 / 1000)
    return (
        Measurement("both_lungs", "volume_ml", volume_ml, "ml"),
        Measurement("both_lungs", "corona_score_cm3", 0.0675, "cm3"),
        Measurement("both_lungs", "opacity_volume_ml", 0.5, "ml"),
        Measurement("both_lungs", "opacity_percent", None, "%", NO_LUNG),
        Measurement("left_upper", "opacity_percent", None, "%", NO_LUNG),
    )


def _slice(index: int) -> SliceMeasures:
    shows_lung = index > 0
    return SliceMeasures(
        index=index,
        position_mm=100.5 + 4 * index,
        lung_area_mm2=243.75 if shows_lung else 0.0,
        openness="open" if shows_lung else "no lung",
        representative=index == 1,
        vessel_area_mm2=12.5,
        vessel_ratio_percent=5.128 if shows_lung else None,
        ggo_area_mm2=22.5,
        consolidation_area_mm2=7.5,
        opacity_percent=12.3 if shows_lung else None,
        probability=0.875 if shows_lung else None,
        positive=shows_lung,
        localization_area_mm2=22.5,
    )


def phantom_analysis(shape_zyx=(60, 96, 96), spacing_zyx_mm=(5.0, 3.8, 3.8)) -> Analysis:
    """Make an analysis of the synthetic chest from its own truth, with a localization over its opacities."""
    from scipy.ndimage import gaussian_filter

    from CovidCTLib.analysis import SliceFinding
    from CovidCTLib.measures import measure_regions, measure_slices
    from CovidCTLib.phantom import make_chest_phantom

    phantom = make_chest_phantom(shape_zyx, spacing_zyx_mm)
    geometry = phantom.scan.geometry
    blurred = gaussian_filter((phantom.opacities > 0).astype(np.float32), 1.5)
    localization = np.where(phantom.lungs > 0, blurred / blurred.max(), np.float32(0)).astype(np.float32)
    axial = AxialArrays(phantom.scan.hu, phantom.lungs, phantom.opacities, localization, geometry)
    shares = [float((layer > 0).mean()) for layer in phantom.opacities]
    lungs = [bool(layer.any()) for layer in phantom.lungs]
    probabilities = [share / (share + 0.002) if lung else None for share, lung in zip(shares, lungs, strict=True)]
    findings = [SliceFinding(p, p is not None and p >= 0.5) for p in probabilities]
    options = Options()
    positive = sum(finding.positive for finding in findings)
    return Analysis(
        scan=phantom.scan,
        lungs=phantom.lungs,
        opacities=phantom.opacities,
        localization=localization,
        axial=axial,
        measures=tuple(measure_regions(axial, options)),
        slices=tuple(measure_slices(axial, findings, options)),
        case=CaseDecision(True, positive / sum(lungs), positive, sum(lungs), 0.5, 0.2),
        notices=(),
        options=options,
        models=(ModelUsed("slices", "1", "0" * 64),),
        seconds={"lungs": 0.5},
        versions={"CovidCT": "0.1.0"},
    )
