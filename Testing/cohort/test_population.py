from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder

from CovidCTLib.cohort.population import SEARCH_STEP_MM, fast_measures, population_measures
from CovidCTLib.cohort.representative import (
    ARRAYS_FILE,
    PICTURE_PX,
    RepresentativeSlice,
    read_representative,
    representative_picture,
    write_representative,
)
from CovidCTLib.cohort.rows import COLUMNS, PICTURE_FILE
from CovidCTLib.errors import CancelledError, InputError, QualityError
from CovidCTLib.geometry import Geometry
from CovidCTLib.options import Options
from CovidCTLib.reading import read_scan
from CovidCTLib.scan import Scan, ScanFacts

ROOT = Path(__file__).parents[2]
SIDE, SLICES = 128, 24
PIXEL_MM = 2.5
WIDEST = 15


@pytest.fixture
def an_analysis(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "results"))
    from analysis_maker import make_analysis

    return make_analysis()


def disc(centre_y: float, centre_x: float, radius_y: float, radius_x: float) -> np.ndarray:
    y, x = np.ogrid[:SIDE, :SIDE]
    return ((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2 <= 1


def a_chest(slice_mm: float = 5.0, slices: int = SLICES, widest: int = WIDEST) -> tuple[Scan, np.ndarray, np.ndarray]:
    """A body with two lungs, largest in one slice, each with a square vessel of 6 x 6 pixels; lungs and vessels."""
    random = np.random.default_rng(0)
    shape = (slices, SIDE, SIDE)
    hu, lungs, vessels = np.full(shape, -1000, np.int16), np.zeros(shape, bool), np.zeros(shape, bool)
    for k in range(1, slices - 1):
        size = 1 - (abs(k - widest) / slices) ** 2
        lungs[k] = disc(64, 38, 28 * size, 17 * size) | disc(64, 90, 28 * size, 17 * size)
    vessels[1:-1, 60:66, 35:41] = vessels[1:-1, 60:66, 87:93] = True
    hu[:, disc(64, 64, 45, 58)] = 40
    hu[lungs], hu[vessels] = -850, 40
    hu[:, disc(98, 64, 8, 6)] = 500
    hu = (hu + random.integers(-12, 12, hu.shape)).astype(np.int16)
    return Scan.from_array(hu, Geometry(shape, (PIXEL_MM, PIXEL_MM, slice_mm))), lungs, vessels


def test_areas_and_ratio_are_those_of_the_phantom():
    scan, lungs, vessels = a_chest()
    found = fast_measures(scan)
    lung_px, vessel_px = np.count_nonzero(lungs[WIDEST]), np.count_nonzero(vessels[WIDEST])
    assert found.representative.index == WIDEST
    np.testing.assert_array_equal(found.representative.lungs > 0, lungs[WIDEST])
    np.testing.assert_array_equal(found.representative.vessels, vessels[WIDEST])
    assert found.lung_area_mm2 == pytest.approx(lung_px * PIXEL_MM**2)
    assert found.vessel_area_mm2 == pytest.approx(vessel_px * PIXEL_MM**2)
    assert found.vessel_ratio_percent == pytest.approx(100 * vessel_px / lung_px)
    assert found.representative_position_mm == pytest.approx(5.0 * WIDEST)


def test_the_right_lung_lies_at_small_columns():
    scan, _, _ = a_chest()
    sides = fast_measures(scan).representative.lungs
    assert set(np.unique(sides[:, :64])) == {0, 1}
    assert set(np.unique(sides[:, 64:])) == {0, 2}


def test_values_are_columns_that_a_row_may_fill():
    values = fast_measures(a_chest()[0]).values()
    assert set(values) <= set(COLUMNS)
    assert values["slice_index"] == WIDEST
    assert values["slice_count"] == SLICES
    assert all(isinstance(code, str) for code in values["notices"])


def test_flipped_and_turned_scans_give_the_same_areas():
    scan, _, _ = a_chest()
    turned = Scan.from_array(
        np.ascontiguousarray(scan.hu[::-1, ::-1, ::-1]),
        Geometry(
            scan.hu.shape,
            (PIXEL_MM, PIXEL_MM, 5.0),
            (PIXEL_MM * (SIDE - 1), PIXEL_MM * (SIDE - 1), 5.0 * (SLICES - 1)),
            (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0),
        ),
    )
    assert fast_measures(turned).values() == fast_measures(scan).values()


def test_thin_slices_are_searched_by_steps_with_the_same_result():
    scan, _, _ = a_chest(slice_mm=1.25, slices=96, widest=61)
    found = fast_measures(scan)
    assert found.searched_slices == 96 / int(SEARCH_STEP_MM / 1.25)
    assert found.representative.index == 61
    assert found.representative_position_mm == pytest.approx(1.25 * 61)


def test_vessels_can_leave_the_lung_contour_out():
    scan, lungs, _ = a_chest()
    scan.hu[WIDEST][(np.roll(lungs[WIDEST], 1, axis=1) != lungs[WIDEST]) & lungs[WIDEST]] = -400
    with_contour, without = (fast_measures(scan, without_contour=flag).vessel_area_mm2 for flag in (False, True))
    assert with_contour is not None
    assert without is not None
    assert without < with_contour


def test_the_vessel_limit_is_an_option():
    scan, _, _ = a_chest()
    assert fast_measures(scan, Options(vessel_hu=200)).vessel_ratio_percent == 0


def test_areas_are_absent_where_the_spacing_is_not_known():
    scan, _, _ = a_chest()
    unknown = Scan(scan.hu, scan.geometry, ScanFacts(spacing_known=False))
    found = fast_measures(unknown)
    assert found.lung_area_mm2 is found.vessel_area_mm2 is found.representative_position_mm is None
    assert found.vessel_ratio_percent == fast_measures(scan).vessel_ratio_percent


def test_no_lungs_is_a_refusal():
    scan, lungs, _ = a_chest()
    scan.hu[lungs] = 40
    with pytest.raises(QualityError, match="Two lungs were expected"):
        fast_measures(scan)


def test_values_that_are_no_hu_are_refused():
    hu = np.random.default_rng(0).integers(0, 255, (20, 64, 64)).astype(np.int16)
    with pytest.raises((InputError, QualityError), match="HU"):
        fast_measures(Scan.from_array(hu))


def test_the_measuring_stops_when_asked_to():
    with pytest.raises(CancelledError, match="was stopped"):
        fast_measures(a_chest()[0], cancelled=lambda: True)


def test_neither_torch_nor_matplotlib_is_loaded_for_the_measures():
    program = (
        "import sys, CovidCTLib.cohort.population; sys.exit(bool({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_a_picture_shows_lungs_and_vessels_without_exceeding_its_size():
    found = fast_measures(a_chest()[0])
    picture = representative_picture(found.representative)
    assert picture.width <= PICTURE_PX[0]
    assert picture.height <= PICTURE_PX[1]
    colours = np.asarray(picture).astype(int)
    assert np.count_nonzero((colours[..., 0] - colours[..., 2]) > 100) > 500, "orange vessels"


def test_the_picture_has_its_sides_and_scale_and_the_vessels_where_they_are(monkeypatch):
    recorder = DrawingRecorder(monkeypatch)
    lungs = np.zeros((60, 80), np.uint8)
    lungs[10:50, 10:30], lungs[5:55, 45:75] = 1, 2
    vessels = np.zeros(lungs.shape, bool)
    vessels[12:18, 14:18] = True
    hu = np.full(lungs.shape, -1350, np.int16)
    shown = RepresentativeSlice(3, hu, lungs, None, vessels, (2.0, 1.5))
    colours = np.asarray(representative_picture(shown)).astype(int)
    (drawn,) = recorder.pictures
    assert drawn.sides() == ("R", "L")
    length_mm, length_px = drawn.scale_bar()
    px_per_mm = length_px / length_mm
    y, x = np.nonzero(colours[..., 0] - colours[..., 2] > 100)
    # The picture begins 12 mm beside the lungs, which is at the first row, and 8 columns before the tenth.
    assert y.mean() == pytest.approx(15 * 2.0 * px_per_mm, abs=2)
    assert x.mean() == pytest.approx((16 - 2) * 1.5 * px_per_mm, abs=2)


def test_a_slice_comes_back_from_its_folder_as_it_was(tmp_path):
    shown = fast_measures(a_chest()[0]).representative
    write_representative(shown, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [ARRAYS_FILE, PICTURE_FILE]
    back = read_representative(tmp_path)
    assert (back.index, back.pixel_mm) == (WIDEST, (PIXEL_MM, PIXEL_MM))
    assert np.count_nonzero(back.lungs) == np.count_nonzero(shown.lungs)
    np.testing.assert_array_equal(back.hu[back.lungs > 0], shown.hu[shown.lungs > 0])


def test_a_slice_without_lung_is_painted_whole():
    nothing = np.zeros((40, 50), np.uint8)
    shown = RepresentativeSlice(0, nothing.astype(np.int16), nothing, nothing, nothing > 0, (1.0, 1.0), False)
    assert representative_picture(shown).width == PICTURE_PX[0]


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 broken"])
def test_a_missing_or_damaged_slice_says_so(tmp_path, content):
    if content is not None:
        (tmp_path / ARRAYS_FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"representative\.npz of a scan was expected .* missing or damaged"):
        read_representative(tmp_path)


def test_arrays_of_other_types_are_refused(tmp_path):
    np.savez(tmp_path / ARRAYS_FILE, hu=np.zeros((3, 3)), lungs=np.ones((3, 3)), pixel_mm=[1.0, 1.0], index=0)
    with pytest.raises(InputError, match="int16 HU with lungs of the same shape was expected"):
        read_representative(tmp_path)


def test_an_analysis_gives_the_same_columns(an_analysis):
    found = population_measures(an_analysis)
    best = next(entry for entry in an_analysis.slices if entry.representative)
    assert found.values()["slice_index"] == best.index
    assert found.lung_area_mm2 == best.lung_area_mm2
    assert found.vessel_ratio_percent == pytest.approx(best.vessel_ratio_percent)
    assert set(found.values()) == set(fast_measures(a_chest()[0]).values())


def test_an_analysis_without_lung_has_no_representative_slice(an_analysis):
    from dataclasses import replace

    bare = replace(an_analysis, slices=tuple(replace(entry, representative=False) for entry in an_analysis.slices))
    with pytest.raises(QualityError, match="A slice with lung was expected"):
        population_measures(bare)


def test_a_real_scan_gives_the_slice_with_the_largest_lung_area(shared_data):
    found = fast_measures(read_scan(shared_data / "controls" / "normal_001_ct.nii.gz"))
    # Every slice by itself: the largest area is in slice 72.
    assert found.representative.index == 72
    assert found.vessel_ratio_percent == pytest.approx(9.11, abs=0.01)
