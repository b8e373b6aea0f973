"""The 3D view: silhouettes of known size, the patient's sides where they belong, nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from report_maker import make_arrays

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.geometry import Geometry
from CovidCTLib.report.view3d import BACKGROUND, Surface, build_model, render_view, view_scale


def make_ball(radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0), size: int = 81) -> Surface:
    axis = np.arange(size) - (size - 1) / 2
    z, y, x = np.meshgrid(axis - centre[0], axis - centre[1], axis - centre[2], indexing="ij")
    field = np.clip(radius + 0.5 - np.sqrt(x**2 + y**2 + z**2), 0, 1).astype(np.float32)
    return Surface(field, (1.0, 0.0, 0.0), False)


def shown(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels.astype(int) - np.array(BACKGROUND)).max(axis=2) > 12


@pytest.mark.parametrize("turn", [0.0, 40.0, -40.0, 180.0])
def test_a_ball_has_a_disk_as_silhouette(turn: float) -> None:
    pixels = np.asarray(render_view((make_ball(30),), turn, 400, 400))
    scale = min(400 / (2 * 30 + 8), 400 / (81 - 4))
    assert shown(pixels).sum() == pytest.approx(np.pi * (30 * scale) ** 2, rel=0.04)


def test_light_falls_from_above() -> None:
    pixels = np.asarray(render_view((make_ball(30),), 0.0, 200, 200)).astype(int).sum(axis=2)
    assert pixels[60, 95] > pixels[140, 95] + 60


def test_up_is_the_head_and_left_is_the_patients_right() -> None:
    ball = make_ball(8, centre=(25.0, 0.0, -25.0))
    rows, columns = np.nonzero(shown(np.asarray(render_view((ball,), 0.0, 300, 300))))
    assert rows.mean() < 110
    assert columns.mean() < 110


def test_a_positive_turn_looks_from_the_patients_left() -> None:
    # What lies in front moves towards the right side of the patient as the viewer goes to the left.
    front, back = make_ball(8, centre=(0.0, -25.0, 0.0)), make_ball(8, centre=(0.0, 25.0, 0.0))
    columns = [np.nonzero(shown(np.asarray(render_view((ball,), 40.0, 300, 300))))[1].mean() for ball in (front, back)]
    assert columns[0] < 140
    assert columns[1] > 160


def test_the_nearer_solid_hides_the_farther_one() -> None:
    near = make_ball(15, centre=(0.0, -20.0, 0.0))
    far = Surface(make_ball(15, centre=(0.0, 20.0, 0.0)).field, (0.0, 0.0, 1.0), False)
    for order in ((near, far), (far, near)):
        red, _, blue = np.asarray(render_view(order, 0.0, 200, 200))[100, 100].astype(int)
        assert red > blue + 50


def test_glass_lets_a_solid_shine_through() -> None:
    solid = make_ball(12)
    glass = Surface(make_ball(35).field, (0.3, 0.6, 1.0), True)
    pixels = np.asarray(render_view((glass, solid), 0.0, 300, 300)).astype(int)
    assert pixels[150, 150, 0] > pixels[150, 150, 2] + 60
    assert shown(pixels).sum() > 2 * shown(np.asarray(render_view((solid,), 0.0, 300, 300))).sum()


def test_the_model_has_both_lungs_both_opacities_and_the_localization() -> None:
    model = build_model(make_arrays())
    assert (len(model.lungs), len(model.opacities), len(model.localization)) == (2, 2, 1)
    assert all(surface.glass for surface in model.lungs)
    assert not any(surface.glass for surface in model.opacities)


def test_the_model_keeps_the_volume_of_the_lungs() -> None:
    axial = make_arrays()
    expected_mm3 = np.count_nonzero(axial.lungs == 1) * axial.geometry.voxel_volume_mm3
    found_mm3 = np.count_nonzero(build_model(axial).lungs[0].field >= 0.5) * 2.0**3
    assert found_mm3 == pytest.approx(expected_mm3, rel=0.05)


def test_a_single_voxel_of_opacity_stays_in_view() -> None:
    axial = make_arrays(opacity=False)
    axial.opacities[20, 48, 26] = 2
    model = build_model(axial)
    assert (model.opacities[0].field >= 0.5).any()


def test_a_long_scan_is_sampled_more_coarsely() -> None:
    shape = (200, 40, 40)
    axial = AxialArrays(
        np.zeros(shape, dtype=np.int16), np.ones(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8),
        np.zeros(shape, dtype=np.float32), Geometry(shape, (5.0, 5.0, 10.0)),
    )  # fmt: skip
    assert max(build_model(axial).lungs[0].field.shape) < 220


def test_without_lungs_there_is_no_model() -> None:
    model = build_model(make_arrays(lungs=(), opacity=False))
    assert (model.lungs, model.opacities, model.localization) == ((), (), ())


def test_the_scale_of_a_view_is_that_of_its_scale_bar() -> None:
    axial = make_arrays(opacity=False, localization=False)
    model = build_model(axial)
    drawn = np.flatnonzero(shown(np.asarray(render_view(model.lungs, 0, 520, 440))).any(axis=0))
    across = np.flatnonzero((axial.lungs > 0).any(axis=(0, 1)))
    width_mm = (across[-1] - across[0] + 1) * axial.geometry.spacing_xyz_mm[0]
    px_per_mm = view_scale(model.lungs, 0, 520, 440) / model.grid_mm
    # Smoothing takes up to a sample on each side.
    assert (drawn[-1] - drawn[0] + 1) / px_per_mm == pytest.approx(width_mm, abs=2 * model.grid_mm)
