# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Whatever way a CT lies in its file, the scene shows it where the library counted it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk
from CovidCTScene import addAnalysisToScene, analysisFromScene, rasOfSlice, scanFromVolumeNode
from CovidCTScene.scan import ijkToRasOfVolumeNode
from CovidCTScene.segment_voxels import SegmentReader
from scene_analysis import made_analysis
from scene_maker import SceneWithLogics, added_volume
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.analysis import AxialArrays, SliceFinding
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.measures import measure_regions, measure_slices

SPACING_MM = (1.5, 1.25, 4.0)
OBLIQUE_DEG = 7.0
STEEP_DEG = 25.0


def turned(degrees):
    """Nine numbers of a grid turned about the axis from right to left."""
    angle = np.radians(degrees)
    matrix = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    return tuple(float(v) for v in np.ravel(matrix))


def directions():
    """All 48 permutations of the axes with flips, and two oblique grids."""
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[order, range(3)] = signs
            name = "".join(["RL", "AP", "IS"][row][sign < 0] for row, sign in zip(order, signs, strict=True))
            yield pytest.param(tuple(float(v) for v in matrix.ravel()), id=name)
    yield pytest.param(turned(OBLIQUE_DEG), id="oblique")
    yield pytest.param(turned(STEEP_DEG), id="resampled")


@pytest.fixture(scope="module")
def shared_scene():
    """One scene for all grids, emptied after each."""
    logics = SceneWithLogics()
    yield logics.scene
    logics.close()


def counted(geometry):
    """An analysis whose measures and slices the library itself counted."""
    analysis = made_analysis(geometry, effusion=True)
    grid = CanonicalGrid(geometry)
    arrays = (grid.take(array, 0) for array in (analysis.scan.hu, analysis.lungs, analysis.opacities))
    axial = AxialArrays(*arrays, grid.take(analysis.localization, 0), grid.geometry)
    axial = replace(axial, lungs=np.rint(axial.lungs).astype(np.uint8))
    lung = axial.lungs.any(axis=(1, 2))
    findings = [SliceFinding(0.75 if there else None, bool(there)) for there in lung]
    return replace(
        analysis,
        axial=axial,
        measures=tuple(measure_regions(axial, analysis.options)),
        slices=tuple(measure_slices(axial, findings, analysis.options)),
    )


def ras_of_voxels(image):
    """RAS in mm, shape (n, 3), of the voxels of an oriented image that are not 0."""
    x, y, z = image.GetDimensions()
    low = image.GetExtent()[::2]
    where = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z, y, x) > 0)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_ras = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    ijk = where[:, ::-1] + np.asarray(low)
    return ijk @ to_ras[:3, :3].T + to_ras[:3, 3]


@pytest.mark.parametrize("direction", list(directions()))
def test_the_scene_agrees_with_the_librarys_numbers_in_every_orientation(shared_scene, direction):
    geometry = Geometry((9, 20, 24), SPACING_MM, (-12.0, 33.0, 140.5), direction)
    analysis = counted(geometry)
    resamples = CanonicalGrid(geometry).resamples
    volume = added_volume(shared_scene, analysis.scan.hu, geometry)
    try:
        nodes = addAnalysisToScene(shared_scene, volume, analysis)
        np.testing.assert_allclose(ijkToRasOfVolumeNode(nodes.localization), geometry.ijk_to_ras, atol=1e-6)
        np.testing.assert_allclose(
            scanFromVolumeNode(volume).geometry.ijk_to_lps, geometry.ijk_to_lps, rtol=0, atol=1e-9
        )
        reader = SegmentReader(nodes.segmentation, volume)
        for _share in reader.steps():
            continue
        np.testing.assert_array_equal(reader.lungs, analysis.lungs)
        np.testing.assert_array_equal(reader.opacities, analysis.opacities)
        lung_points = []
        for region, value in (("right_lung", 1), ("left_lung", 2)):
            image = slicer.vtkOrientedImageData()
            nodes.segmentation.GetBinaryLabelmapRepresentation(region, image)
            points = ras_of_voxels(image)
            lung_points.append(points)
            where = np.argwhere(analysis.lungs == value)[:, ::-1]
            expected = where @ geometry.ijk_to_ras[:3, :3].T + geometry.ijk_to_ras[:3, 3]
            np.testing.assert_allclose(points.mean(axis=0), expected.mean(axis=0), atol=1e-6)
            if not resamples:
                volume_ml = len(points) * geometry.voxel_volume_mm3 / 1000
                assert analysis.measure(region, "volume_ml").value == pytest.approx(volume_ml)
        table = nodes.slices.GetTable()
        assert table.GetNumberOfRows() == CanonicalGrid(geometry).geometry.shape_zyx[0]
        heights = np.concatenate(lung_points)
        axial = CanonicalGrid(geometry).geometry
        pixel_mm2 = axial.spacing_xyz_mm[0] * axial.spacing_xyz_mm[1]
        for row in range(table.GetNumberOfRows()):
            place = rasOfSlice(volume, row)
            middle = table.GetValueByName(row, "position_mm").ToDouble()
            assert place[2] == pytest.approx(middle, abs=1e-6)
            if np.allclose(np.abs(axial.direction_matrix), np.eye(3)) and not resamples:
                inside = np.abs(heights[:, 2] - place[2]) < axial.spacing_xyz_mm[2] / 2
                area = table.GetValueByName(row, "lung_area_mm2").ToDouble()
                assert inside.sum() * pixel_mm2 == pytest.approx(area)
        back = analysisFromScene(shared_scene, volume)
        if not resamples:
            np.testing.assert_array_equal(back.axial.lungs, analysis.axial.lungs)
        assert back.slices == analysis.slices
    finally:
        shared_scene.Clear(0)
