"""Fixtures of the tests of follow-up: studies with known growth and shrinkage."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "results")]


@pytest.fixture(scope="session")
def phantom():
    """The phantom without disease."""
    from follow_up_phantoms import healthy_phantom

    return healthy_phantom()


@pytest.fixture(scope="session")
def grown_and_gone(phantom):
    """Two studies: the right ball grows from 20 to 30 mm, the left one of 14 mm goes, after breathing differently."""
    from follow_up_phantoms import analysis_of, smooth_field, with_balls

    from CovidCTLib.followup import Study
    from CovidCTLib.followup.registration import moved_hu, moved_labels

    geometry = phantom.scan.geometry
    hu, opacities = with_balls(phantom, {"right": 20.0, "left": 14.0})
    first = analysis_of(hu, phantom.lungs, opacities, geometry)
    hu, opacities = with_balls(phantom, {"right": 30.0})
    field = smooth_field(geometry, 5.0)
    later = analysis_of(
        moved_hu(hu, geometry, geometry, field),
        moved_labels(phantom.lungs, geometry, geometry, field),
        moved_labels(opacities, geometry, geometry, field),
        geometry,
    )
    return Study(first, date(2020, 3, 1)), Study(later, date(2020, 3, 11))


@pytest.fixture(scope="session")
def laid_on(grown_and_gone):
    """Their follow-up, with registration, given in the wrong order."""
    from CovidCTLib.followup import follow_up

    return follow_up(grown_and_gone[::-1])


@pytest.fixture
def small_studies():
    """Three studies of tiny box lungs, for what needs no anatomy."""
    from analysis_maker import make_analysis

    from CovidCTLib.followup import Study

    return [Study(make_analysis(), date(2020, 3, day)) for day in (11, 1, 21)]
