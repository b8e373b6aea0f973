"""A phantom of known volumes, measured from hand-made masks."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_maker import make_analysis

from CovidCTLib.analysis import Analysis, AxialArrays
from CovidCTLib.geometry import Geometry
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.pipeline import measure
from CovidCTLib.scan import Scan

MOST_DIFFERENCE = 0.001


def before_of(scan: Scan) -> Analysis:
    """An analysis that says nothing, so that no network runs."""
    from dataclasses import replace

    empty = np.zeros(scan.geometry.shape_zyx, np.uint8)
    heat = np.zeros(scan.geometry.shape_zyx, np.float32)
    made = make_analysis()
    rows = tuple(replace(made.slices[0], index=k) for k in range(len(scan.hu)))
    axial = AxialArrays(scan.hu, empty, empty, heat, scan.geometry)
    return replace(
        made, scan=scan, lungs=empty, opacities=empty, localization=heat, axial=axial, slices=rows, notices=()
    )


@pytest.fixture(scope="module")
def sphere_scan():
    """Two lungs as boxes with balls of opacity in them, in voxels of 0.5 x 0.5 x 1 mm."""
    geometry = Geometry((120, 300, 360), (0.5, 0.5, 1.0), (-90.0, -75.0, 0.0))
    z, y, x = (np.arange(size) * step for size, step in zip(geometry.shape_zyx, geometry.spacing_zyx_mm, strict=True))

    def ball(cz, cy, cx, radius):
        return (z[:, None, None] - cz) ** 2 + (y[:, None] - cy) ** 2 + (x - cx) ** 2 <= radius**2

    def box(x0, x1):
        mask = np.zeros(geometry.shape_zyx, bool)
        mask[10:110, 40:260, int(x0 / 0.5) : int(x1 / 0.5)] = True
        return mask

    named = {
        "right_lung": box(10, 80),
        "left_lung": box(100, 170),
        "ggo": ball(60.1, 75.2, 45.3, 25.0),
        "consolidation": ball(60.3, 75.1, 135.2, 20.0),
    }
    hu = np.full(geometry.shape_zyx, 40, np.int16)
    hu[named["right_lung"] | named["left_lung"]] = -850
    hu[named["ggo"]], hu[named["consolidation"]] = -600, 30
    hu[:2] = -1000
    return Scan.from_array(hu, geometry), named


def test_boxes_and_balls_have_the_volumes_of_their_formulas(sphere_scan):
    scan, named = sphere_scan
    measured = measure(scan, named, before=before_of(scan))
    expected = {
        ("right_lung", "volume_ml"): 100 * 110 * 70 / 1000,
        ("left_lung", "volume_ml"): 100 * 110 * 70 / 1000,
        ("both_lungs", "ggo_volume_ml"): 4 / 3 * np.pi * 25**3 / 1000,
        ("both_lungs", "consolidation_volume_ml"): 4 / 3 * np.pi * 20**3 / 1000,
    }
    for (region, name), value in expected.items():
        assert measured.measure(region, name).value == pytest.approx(value, rel=MOST_DIFFERENCE), (region, name)
    opacity = expected["both_lungs", "ggo_volume_ml"] + expected["both_lungs", "consolidation_volume_ml"]
    lungs = 2 * expected["right_lung", "volume_ml"]
    share = measured.measure("both_lungs", "opacity_percent").value
    assert share == pytest.approx(100 * opacity / lungs, rel=MOST_DIFFERENCE)


def test_lungs_and_ground_glass_of_the_chest_phantom_have_their_exact_volumes():
    phantom = make_chest_phantom((120, 256, 256), (2.5, 1.4, 1.4))
    named = {
        "right_lung": phantom.lungs == 1,
        "left_lung": phantom.lungs == 2,
        "ggo": phantom.opacities == 1,
        "consolidation": phantom.opacities == 2,
    }
    measured = measure(phantom.scan, named, before=before_of(phantom.scan))
    for side in ("right_lung", "left_lung"):
        exact = phantom.volumes_ml[side]
        assert measured.measure(side, "volume_ml").value == pytest.approx(exact, rel=MOST_DIFFERENCE)
    assert measured.provenance.lungs == "corrected", "the analysis before had none"
