"""Pleural effusion in the measures: of each side, 0 where none was found, absent where nobody looked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from CovidCTLib.analysis import AxialArrays, SliceFinding
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import LEFT, OPACITY_EFFUSION, OPACITY_GGO, RIGHT
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.measures.effusion import effusion_voxels_by_side
from CovidCTLib.measures.region_table import EFFUSION_REASON
from CovidCTLib.options import Options

SHAPE = (6, 20, 40)
VOXEL_ML = 2 * 3 * 5 / 1000
NAME = "pleural_effusion_volume_ml"


@pytest.fixture
def chest() -> AxialArrays:
    """Two lungs whose midline is column 19.5, 30 voxels of effusion on the right and 12 on the left."""
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[:, 4:12, 4:16], lungs[:, 4:12, 24:36] = RIGHT, LEFT
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[1:4, 12, 5:15] = OPACITY_EFFUSION
    opacities[2, 12, 24:36] = OPACITY_EFFUSION
    opacities[3, 5, 5:9] = OPACITY_GGO
    return AxialArrays(
        np.full(SHAPE, -800, np.int16), lungs, opacities, np.zeros(SHAPE, np.float32),
        Geometry(SHAPE, (2.0, 3.0, 5.0)), effusion_known=True,
    )  # fmt: skip


def values(axial: AxialArrays) -> dict[str, tuple[float | None, str | None]]:
    return {m.region: (m.value, m.reason) for m in measure_regions(axial, Options()) if m.name == NAME}


def test_each_side_has_its_effusion_and_both_together_all_of_it(chest: AxialArrays) -> None:
    found = values(chest)
    assert list(found) == ["both_lungs", "right_lung", "left_lung"]
    assert [value for value, _ in found.values()] == pytest.approx([42 * VOXEL_ML, 30 * VOXEL_ML, 12 * VOXEL_ML])


def test_effusion_counts_in_no_lung_volume_and_in_no_share_of_opacity(chest: AxialArrays) -> None:
    dry = dataclasses.replace(chest, opacities=np.where(chest.opacities == OPACITY_EFFUSION, 0, chest.opacities))
    for one, other in zip(measure_regions(chest, Options()), measure_regions(dry, Options()), strict=True):
        assert one == other or one.name == NAME


def test_none_found_is_0_ml_and_not_looked_for_is_absent(chest: AxialArrays) -> None:
    dry = dataclasses.replace(chest, opacities=np.zeros(SHAPE, np.uint8))
    assert set(values(dry).values()) == {(0.0, None)}
    unknown = dataclasses.replace(dry, effusion_known=False)
    assert set(values(unknown).values()) == {(None, EFFUSION_REASON)}


def test_the_side_of_effusion_is_that_of_the_picture_where_one_lung_was_found(chest: AxialArrays) -> None:
    right_only = np.where(chest.lungs == LEFT, 0, chest.lungs)
    assert effusion_voxels_by_side(chest.opacities, right_only) == (30, 12)
    assert effusion_voxels_by_side(np.zeros(SHAPE, np.uint8), chest.lungs) == (0, 0)


def test_the_table_of_slices_has_the_area_of_effusion(chest: AxialArrays) -> None:
    findings = [SliceFinding(0.1, False)] * SHAPE[0]
    rows = measure_slices(chest, findings, Options())
    assert [row.effusion_area_mm2 for row in rows] == [0, 60, 132, 60, 0, 0]
    unknown = dataclasses.replace(chest, opacities=np.zeros(SHAPE, np.uint8), effusion_known=False)
    assert {row.effusion_area_mm2 for row in measure_slices(unknown, findings, Options())} == {None}
