"""Order, spacing, gaps, tilt and duplicates of DICOM slices."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_maker import chest_like, codes, edit, places, write_series
from pydicom.uid import generate_uid

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan
from CovidCTLib.reading.dicom_stack import plane_of


def test_slices_in_any_file_order_become_the_volume_that_was_written(tmp_path):
    write_series(tmp_path)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.hu.dtype == np.int16
    assert scan.geometry.spacing_xyz_mm == (0.7, 0.8, 2.5)
    assert scan.geometry.origin_lps_mm == (-10.0, -20.0, -300.0)
    assert scan.geometry.direction_lps == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert scan.notices == ()


def test_slices_are_ordered_along_the_normal_even_when_it_points_to_the_feet(tmp_path):
    # The patient lies the other way round: columns run to the right, rows to the back, so the normal points down.
    write_series(tmp_path, orientation=(-1, 0, 0, 0, 1, 0))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like()[::-1])
    assert scan.geometry.direction_lps == (-1, 0, 0, 0, 1, 0, 0, 0, -1)
    assert scan.geometry.origin_lps_mm[2] == -300 + 2.5 * 11


@pytest.mark.parametrize(
    ("orientation", "axis", "name"),
    [((0, 1, 0, 0, 0, -1), 0, "sagittal"), ((1, 0, 0, 0, 0, -1), 1, "coronal"), ((1, 0, 0, 0, 1, 0), 2, "axial")],
)
def test_a_series_of_any_plane_is_read_where_it_lies(tmp_path, orientation, axis, name):
    normal = np.cross(orientation[:3], orientation[3:])
    points = [tuple(3.0 * k * normal) for k in range(12)]
    write_series(tmp_path, positions=points, orientation=orientation)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    np.testing.assert_allclose(scan.geometry.direction_matrix[:, 2], normal, atol=1e-9)
    assert abs(scan.geometry.direction_matrix[axis, 2]) == 1
    assert list_series(tmp_path)[0].orientation == name


@pytest.mark.parametrize(("angle", "name"), [(0, "axial"), (29, "axial"), (31, "oblique"), (45, "oblique")])
def test_a_plane_is_named_up_to_thirty_degrees(angle, name):
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    assert plane_of((1, 0, 0, 0, cosine, sine)) == name


def test_a_plane_without_directions_is_oblique():
    assert plane_of((0, 0, 0, 0, 0, 0)) == "oblique"


def test_slice_distance_comes_from_positions_rounded_to_a_tenth(tmp_path):
    exact = 0.625 * np.arange(40)
    write_series(tmp_path, chest_like((40, 20, 24)), positions=places(np.round(exact, 1)))
    scan = read_scan(tmp_path)
    assert scan.geometry.spacing_xyz_mm[2] == pytest.approx(0.625, abs=0.001)
    assert scan.notices == ()


@pytest.mark.parametrize("missing", [[5], [5, 6], [3, 8]])
def test_one_or_two_missing_slices_are_filled_linearly_and_said(tmp_path, missing):
    hu = chest_like()
    kept = [k for k in range(12) if k not in missing]
    write_series(tmp_path, hu[kept], positions=places(2.5 * np.array(kept)))
    scan = read_scan(tmp_path)
    # The phantom is linear along z, so that linear filling gives it back but for rounding.
    assert np.abs(scan.hu.astype(int) - hu).max() <= 1
    np.testing.assert_array_equal(scan.hu[kept], hu[kept])
    (notice,) = scan.notices
    assert (notice.code, notice.severity, notice.value) == ("missing-slices", "warn", len(missing))
    assert scan.facts.slice_count == len(kept)


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ([0, 1, 2, 3, 7, 8, 9, 10], "At most 2 slices may be missing in a row, but 3 are"),
        ([0, 1, 3, 4, 6, 7, 9, 10], r"At most 25% of the slices may be missing, but 3 of 11 are"),
        (
            [0, 4.2, 8.4, 18.9, 29.4, 39.9],
            "evenly spaced or at most 10 mm apart, but their distances run from 4.20 to 10.50",
        ),
        ([0, 1, 2, 3, 5.4, 7.8, 10.2], r"At most 25% of the slices may be missing, but 4 of 11 are"),
        ([0, 25, 50], "Slices at most 20 mm apart were expected, but these are 25.0 mm apart"),
    ],
)
def test_larger_gaps_and_uneven_slices_are_refused(tmp_path, heights, message):
    write_series(tmp_path, chest_like((len(heights), 20, 24)), positions=places(heights))
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path)


@pytest.mark.parametrize("heights", [[0, 1, 2, 3, 4.5, 6, 7.5], [0, 2, 4, 6.5, 9, 11, 13], [0, 3, 5, 8, 11, 14]])
def test_uneven_slices_are_interpolated_to_even_ones_and_said(tmp_path, heights):
    exact = np.round(chest_like((1, 20, 24))[0] + 40.0 * np.array(heights)[:, None, None]).astype(np.int16)
    write_series(tmp_path, exact, positions=places(heights))
    scan = read_scan(tmp_path)
    distance = scan.geometry.spacing_xyz_mm[2]
    assert (scan.geometry.shape_zyx[0] - 1) * distance == pytest.approx(heights[-1])
    # Values are linear along z, so that interpolation gives each slice what its own height asks for.
    expected = exact[0] + 40.0 * distance * np.arange(len(scan.hu))[:, None, None]
    assert np.abs(scan.hu - expected).max() <= 1
    (notice,) = scan.notices
    assert (notice.code, notice.severity, notice.value) == ("uneven-slices", "warn", max(np.diff(heights)))
    assert scan.facts.slice_count == len(heights)


def test_slice_positions_may_be_uneven_by_a_tenth_of_their_distance(tmp_path):
    heights = 2.0 * np.arange(12)
    heights[5] += 0.15
    write_series(tmp_path, positions=places(heights))
    assert read_scan(tmp_path).notices == ()


def test_a_single_slice_is_refused(tmp_path):
    write_series(tmp_path, chest_like()[:1])
    with pytest.raises(InputError, match=r"at least 2 slices was expected, but there is 1"):
        read_scan(tmp_path)


def test_a_tilted_gantry_is_straightened_and_said(tmp_path):
    # A function of patient coordinates, sampled on slices that are tilted by 15 degrees and stacked along z.
    angle = np.radians(15)
    down = np.array([0, np.cos(angle), -np.sin(angle)])
    z, y, x = np.indices((10, 30, 24)).astype(float)
    corner = np.array([-10.0, -20.0, -300.0])

    def field(lps):
        return -900 + 6 * (lps[0] + 10) + 8 * (lps[1] + 20) + 2 * (lps[2] + 300)

    lps = [corner[i] + x * 0.7 * (i == 0) + y * 0.8 * down[i] + z * 4.0 * (i == 2) for i in range(3)]
    write_series(
        tmp_path,
        np.rint(field(lps)).astype(np.int16),
        positions=places(-300 + 4.0 * np.arange(10)),
        orientation=(1, 0, 0, *down),
    )
    scan = read_scan(tmp_path)
    assert codes(scan) == ["gantry-tilt"]
    assert scan.notices[0].value == pytest.approx(15, abs=0.05)
    assert scan.geometry.spacing_xyz_mm[2] == pytest.approx(4 * np.cos(angle), abs=1e-4)
    index = np.stack([a.ravel() for a in np.indices(scan.hu.shape)[::-1]] + [np.ones(scan.hu.size)])
    expected = field((scan.geometry.ijk_to_lps @ index)[:3]).reshape(scan.hu.shape)
    # Outside the tilted slices is air, and the outermost interpolated row is mixed with it.
    eroded = np.minimum.reduce([np.roll(scan.hu > -1000, s, axis=1) for s in (-1, 0, 1)])
    eroded[:, [0, -1]] = False
    assert eroded.mean() > 0.6
    assert np.abs(scan.hu - expected)[eroded].max() <= 1.5


@pytest.mark.parametrize("drift", [(0, 1), (1, 0), (0, -1), (-1, 0), (1, -1), (0.5, 0), (0, -0.25)])
def test_slices_that_drift_along_columns_or_rows_lie_where_they_were(tmp_path, drift):
    # A white block that stays in its pixels while each slice lies further on, by whole or part pixels of y and x.
    rows_px, columns_px = drift
    stored = np.full((6, 20, 24), -1000, np.int16)
    stored[:, 8:12, 10:16] = 100
    write_series(
        tmp_path,
        stored,
        positions=[(-10.0 + 0.7 * columns_px * k, -20.0 + 0.8 * rows_px * k, -300.0 + 2.5 * k) for k in range(6)],
        spacing_yx=(0.8, 0.7),
    )
    scan = read_scan(tmp_path)
    assert codes(scan) == ["gantry-tilt"]
    angle = np.degrees(np.arctan(np.hypot(0.8 * rows_px, 0.7 * columns_px) / 2.5))
    assert scan.notices[0].value == pytest.approx(angle, abs=0.01)
    grown = (6, 20 + int(np.ceil(5 * abs(rows_px))), 24 + int(np.ceil(5 * abs(columns_px))))
    assert scan.hu.shape == grown
    for k, plane in enumerate(scan.hu):
        weight = (plane.astype(float) + 1024).clip(0)
        weight[plane < -900] = 0
        y, x = (float((weight * index).sum() / weight.sum()) for index in np.indices(plane.shape))
        lps = scan.geometry.ijk_to_lps @ (x, y, k, 1)
        # Middle of the block: row 9.5 and column 12.5 of its own slice.
        expected = (-10 + 0.7 * (12.5 + columns_px * k), -20 + 0.8 * (9.5 + rows_px * k), -300 + 2.5 * k)
        np.testing.assert_allclose(lps[:3], expected, atol=0.05)


def test_a_drift_under_half_a_pixel_is_no_tilt(tmp_path):
    write_series(tmp_path, positions=[(-10.0, -20.0 + 0.03 * k, 2.5 * k) for k in range(12)])
    scan = read_scan(tmp_path)
    assert scan.notices == ()
    assert scan.hu.shape == chest_like().shape


def test_slices_shifted_irregularly_are_refused(tmp_path):
    write_series(tmp_path, positions=[(-10.0 + 9 * (k % 2), -20.0, 2.5 * k) for k in range(12)])
    with pytest.raises(InputError, match=r"must lie above one another, but some are shifted sideways by"):
        read_scan(tmp_path)


ODD = [
    ({"hu": chest_like((3, 20, 24)), "orientation": (1, 0, 0, 0, 0, -1)}, "orientation"),
    ({"hu": chest_like((3, 24, 24))}, "size"),
    ({"hu": chest_like((3, 20, 24)), "pixel_spacing": (0.9, 0.9)}, "spacing"),
]


@pytest.mark.parametrize(("keywords", "what"), ODD)
def test_a_few_images_of_another_kind_are_left_out_and_it_is_said(tmp_path, keywords, what):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, series=series, prefix="odd", **keywords)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    (notice,) = scan.notices
    assert (notice.code, notice.severity, notice.value) == ("odd-images", "warn", 3)
    assert what in notice.text


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"orientation": (1, 0, 0, 0, 0, -1)}, r"must be parallel, but (5|12) of 17 have another orientation"),
        ({"size": 24}, r"must have one size, but there are 20 x 24, 24 x 24"),
        ({"pixel_spacing": (0.9, 0.9)}, r"one pixel spacing, but it runs from 0.7 to 0.9 mm"),
    ],
)
def test_many_images_of_another_kind_are_refused(tmp_path, keywords, message):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, chest_like((5, keywords.pop("size", 20), 24)), series=series, prefix="c", **keywords)
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path)


def test_many_images_of_another_kind_are_told_apart_by_their_acquisition(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, chest_like((5, 24, 24)), series=series, prefix="c", AcquisitionNumber=2)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert "2 acquisitions (sizes, spacings or orientations)" in scan.notices[0].text


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        # Nothing else tells where the slices lie, so there is no way out to name.
        (("ImagePositionPatient",), r"must say where it lies .* but 12 of 12 slices do not\. [^-]*$"),
        (("ImageOrientationPatient",), r"must say where it lies .* but 12 of 12 slices do not.*taken for axial"),
        (("PixelSpacing",), r"how large its pixels are .* but 12 of 12 slices do not.*give the spacing"),
    ],
)
def test_slices_without_a_place_are_refused_with_the_way_out_that_works(tmp_path, lost, message):
    write_series(tmp_path, **dict.fromkeys(lost))
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path)


def test_slices_without_a_pixel_spacing_are_read_with_a_given_one(tmp_path):
    write_series(tmp_path, PixelSpacing=None)
    scan = read_scan(tmp_path, spacing_zyx_mm=(2.5, 0.8, 0.7))
    assert scan.geometry.spacing_zyx_mm == (2.5, 0.8, 0.7)
    assert [notice.code for notice in scan.notices] == ["given-spacing"]


def test_slices_at_one_place_are_refused_with_the_way_out(tmp_path):
    write_series(tmp_path)
    for k, path in enumerate(sorted(tmp_path.iterdir())):
        edit(path, ImagePositionPatient=[0, 0, 0], SliceLocation=2.5 * k)
    with pytest.raises(InputError, match=r"all 12 have the same ImagePositionPatient") as refused:
        read_scan(tmp_path)
    assert "--assume-axial" in refused.value.hint
    assert read_scan(tmp_path, assume_axial=True).hu.shape == (12, 20, 24)


def test_a_pixel_spacing_of_zero_is_refused(tmp_path):
    write_series(tmp_path, pixel_spacing=(0.0, 0.8))
    with pytest.raises(InputError, match=r"PixelSpacing must be two positive numbers"):
        read_scan(tmp_path)


def test_directions_that_are_not_perpendicular_are_refused(tmp_path):
    write_series(tmp_path, orientation=(1, 0, 0, 0.3, 0.95, 0))
    with pytest.raises(InputError, match=r"must hold two perpendicular unit vectors.*take it for axial"):
        read_scan(tmp_path)


def test_a_stack_too_large_for_memory_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("CovidCTLib.reading.plausibility.MAX_VOXELS", 1000)
    write_series(tmp_path)
    with pytest.raises(InputError, match=r"at most 1000 voxels was expected, but the header says 12 x 20 x 24"):
        read_scan(tmp_path)
