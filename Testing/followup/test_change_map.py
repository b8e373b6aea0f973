"""What changed, on the later study's own grid: against balls of known place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from follow_up_phantoms import analysis_of, ball_ml, healthy_phantom, with_balls

from CovidCTLib.errors import CancelledError, InputError
from CovidCTLib.followup import change_map as change_file
from CovidCTLib.followup import course
from CovidCTLib.followup.change_map import change_map
from CovidCTLib.followup.result import CHANGE_LABELS
from CovidCTLib.geometry import CanonicalGrid, Geometry

RADIUS_MM = 30.0


def study(phantom, radii_mm):
    """A study with balls of opacity."""
    hu, opacities = with_balls(phantom, radii_mm)
    return analysis_of(hu, phantom.lungs, opacities, phantom.scan.geometry)


@pytest.fixture(scope="module")
def phantom():
    """The chest without disease."""
    return healthy_phantom()


@pytest.fixture(scope="module")
def studies(phantom):
    """A ball in the right lung goes, one in the left lung comes, so that each voxel of them has changed."""
    return study(phantom, {"right": RADIUS_MM}), study(phantom, {"left": RADIUS_MM})


def volume_ml(labels, name, geometry):
    """Volume of a change."""
    return np.count_nonzero(labels == CHANGE_LABELS[name].value) * geometry.voxel_volume_mm3 / 1000


@pytest.fixture(scope="module")
def found(studies):
    """What changed from the first to the second."""
    return change_map(*studies)


def test_new_and_resolved_opacity_lie_where_the_balls_are(studies, found):
    first, later = studies
    assert found.labels.dtype == np.uint8
    new = found.labels == CHANGE_LABELS["new"].value
    resolved = found.labels == CHANGE_LABELS["resolved"].value
    # New opacity is the later study's own, voxel by voxel; the resolved one was moved by the registration.
    np.testing.assert_array_equal(new, later.opacities > 0)
    overlap = 2 * (resolved & (first.opacities > 0)).sum() / (resolved.sum() + (first.opacities > 0).sum())
    assert overlap > 0.9
    assert volume_ml(found.labels, "resolved", first.scan.geometry) == pytest.approx(ball_ml(RADIUS_MM), rel=0.1)
    assert volume_ml(found.labels, "persistent", first.scan.geometry) == 0
    assert found.registration.dice > 0.97


def test_the_map_has_the_grid_of_the_later_scan_also_where_that_is_turned(studies):
    first, later = studies
    own = later.scan.geometry
    turned = Geometry(
        own.shape_zyx,
        own.spacing_xyz_mm,
        (*own.origin_lps_mm[:2], own.origin_lps_mm[2] + (own.shape_zyx[0] - 1) * own.spacing_xyz_mm[2]),
        (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    )
    grid = CanonicalGrid(turned)
    flipped = replace(
        later,
        scan=replace(later.scan, hu=np.ascontiguousarray(later.scan.hu[::-1]), geometry=turned),
        axial=replace(later.axial, geometry=grid.geometry),
    )
    found = change_map(first, flipped).labels
    np.testing.assert_array_equal(found == CHANGE_LABELS["new"].value, later.opacities[::-1] > 0)


def test_studies_that_cannot_be_laid_on_each_other_are_refused_with_the_reason(studies, monkeypatch):
    first, later = studies
    monkeypatch.setattr(course, "LEAST_DICE", 1.01)
    with pytest.raises(InputError, match=r"must lie on each other to show what changed, but .*Dice.* side by side"):
        change_map(first, later)


def test_a_study_without_lungs_is_refused(studies):
    first, later = studies
    empty = replace(later, axial=replace(later.axial, lungs=np.zeros_like(later.axial.lungs)))
    with pytest.raises(InputError, match="one shows none"):
        change_map(first, empty)


def test_a_cancel_ends_it(studies):
    with pytest.raises(CancelledError):
        change_map(*studies, cancelled=lambda: True)


def test_the_labels_of_the_map_have_names_colours_and_terms_of_their_own():
    labels = list(CHANGE_LABELS.values())
    assert [label.value for label in labels] == [1, 2, 3]
    assert len({label.colour for label in labels}) == len({label.segment_id for label in labels}) == 3
    assert all(len(label.type.value) <= 16 and len(label.modifier.value) <= 16 for label in labels), "PS3.5, SH"
    assert change_file.CHANGE_LABELS is CHANGE_LABELS
