"""The same patient stored in another way gives the same result, and the benchmark's changes do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_cases import Case, read_case
from changes import CHANGES, HARMLESS, Sample, clipped, photographed, shifted, turned, with_slices_of, without_third
from robustness import MOST_POINTS, judge, markdown, run

from CovidCTLib.analysis import Analysis
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.models.store import ModelStore


@pytest.fixture(scope="module")
def store() -> ModelStore:
    return ModelStore(device="cpu")


@pytest.fixture(scope="module")
def case(shared_data: Path) -> Case:
    """Every fourth slice and second pixel of a real scan, to save time."""
    whole = read_case("case_04", shared_data)
    x, y, z = whole.geometry.spacing_xyz_mm
    hu = np.ascontiguousarray(whole.hu[::4, ::2, ::2])
    return Case("case_04", hu, Geometry(hu.shape, (2 * x, 2 * y, 4 * z)))


@pytest.fixture(scope="module")
def sample(case: Case) -> Sample:
    return Sample(case.hu, case.geometry, {}, {})


@pytest.fixture(scope="module")
def before(sample: Sample, store: ModelStore) -> Analysis:
    return run(sample, store, 2)


@pytest.mark.parametrize("name", HARMLESS)
def test_another_stored_orientation_changes_no_voxel_and_no_measure(
    name: str, sample: Sample, before: Analysis, store: ModelStore
) -> None:
    changed = CHANGES[name](sample)
    found = run(changed, store, 2)
    grid = CanonicalGrid(changed.geometry)
    np.testing.assert_array_equal(grid.take(found.lungs, 0), before.lungs)
    np.testing.assert_array_equal(grid.take(found.opacities, 0), before.opacities)
    np.testing.assert_array_equal(grid.take(found.localization, 0), before.localization)
    assert found.measures == before.measures
    assert found.case == before.case


def test_a_change_is_judged_against_the_equally_changed_findings(case: Case, sample: Sample, before: Analysis) -> None:
    untouched = replace(
        sample,
        labels={"lungs": before.lungs, "opacities": before.opacities},
        maps={"localization": before.localization},
    )
    row = judge(case, "untouched", untouched, untouched, before, before)
    assert (row.verdict, row.lungs_dice, row.lungs_dice_move) == ("holds", 1.0, 0.0)
    assert row.opacity_percent == row.opacity_percent_expected
    assert row.corona_score_cm3 == pytest.approx(row.corona_score_expected_cm3, rel=1e-3, abs=0.01)
    filled = replace(before, opacities=np.where(before.lungs > 0, 1, 0).astype(np.uint8))
    worse = judge(case, "filled", untouched, untouched, before, filled)
    assert worse.opacity_percent == 100
    assert worse.opacity_percent - (worse.opacity_percent_expected or 0) > MOST_POINTS
    # The fixture's slices are 24 mm apart, which is warned of.
    assert worse.verdict == "breaks, warned"
    assert judge(case, "filled", untouched, untouched, before, replace(filled, notices=())).verdict == "BREAKS"
    assert "| case_04 | filled | 1.000 (+0.000) |" in markdown(worse)


BALL = (
    sum((np.ogrid[:20, :40, :40][a] - c) ** 2 * s**2 for a, c, s in ((0, 9.5, 5), (1, 19.5, 2), (2, 15, 2)))
) < 24**2


@pytest.fixture
def ball() -> Sample:
    """A ball of -500 HU in the right half of a grid of 5 x 2 x 2 mm."""
    geometry = Geometry((20, 40, 40), (2.0, 2.0, 5.0), (3.0, 4.0, 5.0))
    hu = np.where(BALL, -500, -1000).astype(np.int16)
    return Sample(hu, geometry, {"lungs": BALL.astype(np.uint8)}, {"map": BALL.astype(np.float32)})


def centre_mm(sample: Sample) -> np.ndarray:
    place = np.argwhere(sample.labels["lungs"]).mean(axis=0)[::-1]
    return (sample.geometry.ijk_to_lps @ [*place, 1])[:3]


@pytest.mark.parametrize("name", [*HARMLESS, "slices of 1 mm", "slices of 10 mm"])
def test_what_keeps_the_patient_keeps_places_and_volumes(name: str, ball: Sample) -> None:
    changed = CHANGES[name](ball)
    np.testing.assert_allclose(centre_mm(changed), centre_mm(ball), atol=0.8)
    volume = changed.labels["lungs"].sum() * changed.geometry.voxel_volume_mm3
    assert volume == pytest.approx(BALL.sum() * 20, rel=0.08)
    assert changed.maps["map"].shape == changed.hu.shape == changed.geometry.shape_zyx


def test_a_turn_goes_about_the_middle_and_a_mirror_changes_the_side(ball: Sample) -> None:
    x_before, y_before, _ = centre_mm(ball)
    middle = (ball.geometry.ijk_to_lps @ [19.5, 19.5, 9.5, 1])[:3]
    x, y, _ = centre_mm(turned(ball, 90))
    assert x == pytest.approx(middle[0], abs=0.5)
    assert abs(y - middle[1]) == pytest.approx(abs(x_before - middle[0]), abs=0.5)
    x, y, _ = centre_mm(CHANGES["mirrored left to right"](ball))
    assert x - middle[0] == pytest.approx(middle[0] - x_before, abs=1e-6)
    assert y == pytest.approx(y_before, abs=1e-6)


def test_intensities_change_as_told(ball: Sample) -> None:
    assert np.unique(shifted(ball, 30).hu).tolist() == [-970, -470]
    assert np.unique(shifted(ball, -30).hu).tolist() == [-1024, -530]
    assert np.unique(clipped(ball, -600).hu).tolist() == [-1000, -600]
    assert len(np.unique(photographed(CHANGES["noise of 50 HU"](ball), -1350, 150, 32).hu)) <= 32
    noise = CHANGES["noise of 25 HU"](ball).hu[BALL].astype(float) + 500
    assert noise.std() == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize(("end", "first"), [("base", 8), ("apex", 0)])
def test_a_cut_takes_a_third_of_the_lungs_and_moves_the_origin(end: str, first: int, ball: Sample) -> None:
    where = np.flatnonzero(BALL.any(axis=(1, 2)))
    assert (where[0], where[-1]) == (5, 14)
    cut = without_third(ball, end)
    np.testing.assert_array_equal(cut.hu, ball.hu[8:] if end == "base" else ball.hu[:12])
    assert cut.geometry.origin_lps_mm[2] == 5 + 5 * first


def test_thin_slices_are_made_between_thick_ones(ball: Sample) -> None:
    assert with_slices_of(ball, 1).hu.shape == (100, 40, 40)
    assert with_slices_of(ball, 10).hu.shape == (10, 40, 40)
