from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import ndimage

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.phantom import Phantom, make_chest_phantom
from CovidCTLib.phantom_anatomy import lens_volume

SMALL = ((48, 72, 72), (5.0, 4.0, 4.0))


def counted_ml(phantom: Phantom) -> dict[str, float]:
    voxel_ml = phantom.scan.geometry.voxel_volume_mm3 / 1000
    right, left = (np.count_nonzero(phantom.lungs == side) * voxel_ml for side in (1, 2))
    ggo, consolidation = (np.count_nonzero(phantom.opacities == kind) * voxel_ml for kind in (1, 2))
    return {
        "right_lung": right,
        "left_lung": left,
        "lungs": right + left,
        "ggo": ggo,
        "consolidation": consolidation,
        "opacities": ggo + consolidation,
    }


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_chest_phantom()


@pytest.fixture(scope="module")
def small_phantom() -> Phantom:
    return make_chest_phantom(*SMALL)


def test_the_volumes_of_the_default_phantom_agree_with_their_closed_forms_within_half_a_percent(phantom):
    counted = counted_ml(phantom)
    assert counted.keys() == phantom.volumes_ml.keys()
    for name, exact in phantom.volumes_ml.items():
        assert counted[name] == pytest.approx(exact, rel=0.005), name


def test_the_volumes_of_an_anisotropic_phantom_agree_within_two_percent():
    coarse = make_chest_phantom((50, 150, 150), (5.0, 2.0, 2.0), noise_hu=0)
    for name, exact in coarse.volumes_ml.items():
        assert counted_ml(coarse)[name] == pytest.approx(exact, rel=0.02), name


def test_volumes_by_partial_volume_agree_with_the_closed_form():
    # Weighing the lung's edge voxels by their HU must give the same volume as counting.
    healthy = make_chest_phantom((84, 128, 128), (3.0, 2.4, 2.4), diseased=False, noise_hu=0)
    ring = ndimage.binary_dilation(healthy.lungs > 0, iterations=2)
    fill = np.clip((30.0 - healthy.scan.hu) / (30.0 + 865.0), 0, 1)
    weighed = fill[ring].sum() * healthy.scan.geometry.voxel_volume_mm3 / 1000
    # Vessels fill 2 to 6 % of the lungs with soft tissue.
    assert 0.92 < weighed / healthy.volumes_ml["lungs"] < 1.0


@pytest.mark.parametrize(
    ("radius", "distance", "expected"),
    [
        (0.5, 2.0, 0.0),
        (0.25, 0.5, 4 / 3 * np.pi * 0.25**3),
        (3.0, 0.5, 4 / 3 * np.pi),
        (1.0, 1.0, 5 * np.pi / 12),
        (1.0, 0.0, 4 / 3 * np.pi),
    ],
)
def test_the_volume_of_a_lens_has_its_known_values(radius, distance, expected):
    assert lens_volume(radius, distance) == pytest.approx(expected)


def test_opacities_lie_inside_the_lungs_and_in_both(phantom):
    assert not np.any((phantom.opacities > 0) & (phantom.lungs == 0))
    for side, kind in product((1, 2), (1, 2)):
        assert np.any((phantom.lungs == side) & (phantom.opacities == kind))


def test_a_consolidation_reaches_the_pleura(phantom):
    edge = (phantom.lungs > 0) & ~ndimage.binary_erosion(phantom.lungs > 0)
    assert np.count_nonzero(edge & (phantom.opacities == 2)) > 50


def test_the_right_lung_lies_at_small_x_and_the_base_below_the_apex(phantom):
    right, left = (np.argwhere(phantom.lungs == side) for side in (1, 2))
    assert right[:, 2].max() < left[:, 2].min()
    area = np.count_nonzero(phantom.lungs, axis=(1, 2))
    middle = len(area) // 2
    assert area[:middle].sum() > area[middle:].sum()
    assert phantom.volumes_ml["right_lung"] > phantom.volumes_ml["left_lung"]


def test_tissues_have_their_usual_hu(phantom):
    hu, lungs, opacities = phantom.scan.hu, phantom.lungs, phantom.opacities
    inside = ndimage.binary_erosion(lungs > 0, iterations=3)
    assert -900 < np.median(hu[inside & (opacities == 0)]) < -820
    # As in the shared masks: ground glass of -422 to -579 HU on average, consolidation of -101 to -233 HU, both ragged.
    assert -600 < np.mean(hu[opacities == 1]) < -550
    assert 100 < np.std(hu[opacities == 1]) < 145
    assert -235 < np.mean(hu[opacities == 2]) < -150
    assert 100 < np.std(hu[opacities == 2]) < 165
    assert np.percentile(hu, 99.9) > 200  # bone
    assert hu.min() >= -1024
    vessels = inside & (opacities == 0) & (hu >= -500)
    assert 0.01 < np.count_nonzero(vessels) / np.count_nonzero(inside) < 0.12


def test_vessels_go_on_through_ground_glass_and_airways_stay_open_in_consolidation(phantom):
    hu, opacities = phantom.scan.hu, phantom.opacities
    ground_glass = ndimage.binary_erosion(opacities == 1, iterations=2)
    assert 0.005 < np.mean(hu[ground_glass] > -250) < 0.1
    cores = ndimage.binary_erosion(opacities == 2, iterations=2)
    # Air of the bronchi, drawn with 2.8 mm at most in pixels of 1.4 mm, and nothing else is that thin.
    assert 0.002 < np.mean(hu[cores] < -550) < 0.05


def test_an_opacity_fades_and_its_half_height_lies_on_its_true_surface(small_phantom):
    quiet = make_chest_phantom((120, 192, 192), (2.5, 1.9, 1.9), noise_hu=0)
    inside = ndimage.binary_erosion(quiet.lungs > 0, iterations=4)
    depth = ndimage.distance_transform_edt(quiet.opacities > 0, sampling=(2.5, 1.9, 1.9))
    away = ndimage.distance_transform_edt(quiet.opacities == 0, sampling=(2.5, 1.9, 1.9))
    hu = quiet.scan.hu.astype(float)
    vessels = hu > -300
    rings = [inside & ~vessels & ring for ring in ((depth > 0) & (depth <= 2), (away > 0) & (away <= 2), away > 8)]
    just_in, just_out, lung = (float(np.median(hu[ring])) for ring in rings)
    assert lung + 60 < just_out < just_in - 40
    assert just_in < -560


def test_the_trachea_is_air_outside_the_lungs(phantom):
    geometry = phantom.scan.geometry
    x, y, z = (np.array([0.0, 13.0, 215.0]) - geometry.origin_lps_mm) / geometry.spacing_xyz_mm
    index = round(z), round(y), round(x)
    assert phantom.scan.hu[index] < -900
    assert phantom.lungs[index] == 0


def test_a_healthy_phantom_has_no_opacities_and_the_same_lungs(small_phantom):
    healthy = make_chest_phantom(*SMALL, diseased=False)
    assert not healthy.opacities.any()
    assert healthy.volumes_ml["opacities"] == 0
    np.testing.assert_array_equal(healthy.lungs, small_phantom.lungs)


def test_a_seed_gives_the_same_phantom_and_another_seed_another(small_phantom):
    np.testing.assert_array_equal(make_chest_phantom(*SMALL).scan.hu, small_phantom.scan.hu)
    other = make_chest_phantom(*SMALL, seed=1)
    assert np.any(other.scan.hu != small_phantom.scan.hu)
    np.testing.assert_array_equal(other.lungs, small_phantom.lungs)


def test_the_noise_has_the_standard_deviation_that_was_asked_for():
    quiet, noisy = (make_chest_phantom(*SMALL, noise_hu=n).scan.hu.astype(float) for n in (0, 30))
    above_lowest = noisy > -1000
    assert np.std((noisy - quiet)[above_lowest & (quiet > -900)]) == pytest.approx(30, rel=0.05)


def test_every_axis_order_and_flip_leads_back_to_the_same_scan():
    shape, spacing = (31, 34, 48), (7.8, 6.0, 6.0)
    plain = make_chest_phantom(shape, spacing)
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[order, range(3)] = signs
            turned = make_chest_phantom(shape, spacing, direction_lps=tuple(matrix.ravel()))
            grid = CanonicalGrid(turned.scan.geometry)
            assert turned.scan.geometry.direction_lps == tuple(matrix.ravel())
            assert grid.geometry.shape_zyx == plain.scan.geometry.shape_zyx
            np.testing.assert_allclose(grid.geometry.origin_lps_mm, plain.scan.geometry.origin_lps_mm)
            np.testing.assert_array_equal(grid.take(turned.scan.hu, -1000), plain.scan.hu)
            np.testing.assert_array_equal(grid.take(turned.lungs, 0), plain.lungs)
            np.testing.assert_array_equal(grid.take(turned.opacities, 0), plain.opacities)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing_zyx_mm": (9.0, 4.0, 4.0)}, "over 0 and at most 8 mm along each axis, not \\(9.0, 4.0, 4.0\\)"),
        ({"spacing_zyx_mm": (0.0, 4.0, 4.0)}, "over 0 and at most 8 mm"),
        ({"shape_zyx": (10, 72, 72)}, "at least \\(240.0, 200.0, 280.0\\) mm .* give \\(50.0, 288.0, 288.0\\) mm"),
        ({"noise_hu": -1.0}, "noise must lie within 0 and 200 HU, not -1.0"),
        ({"direction_lps": (1.0, 0.0)}, "must be a permutation of the patient's axes"),
        ({"direction_lps": (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0)}, "must be a permutation"),
        ({"direction_lps": (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)}, "must be a permutation"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(arguments, message):
    with pytest.raises(InputError, match=message):
        make_chest_phantom(**{"shape_zyx": SMALL[0], "spacing_zyx_mm": SMALL[1], **arguments})
