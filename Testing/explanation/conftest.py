"""Fixtures of the explanations' tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "report")]


@pytest.fixture(scope="package")
def an_analysis():
    """A CT with opacity in one slice."""
    from explained_slices import analysis_with_opacity

    return analysis_with_opacity()


@pytest.fixture(scope="package")
def an_explanation(an_analysis):
    """Why that slice is called like COVID-19, by a classifier that looks at the opacity."""
    from explained_slices import SLICE, models_that_look_at_the_opacity

    from CovidCTLib.explanation import explain_slices

    return explain_slices(an_analysis, [SLICE], samples=60, models=models_that_look_at_the_opacity(an_analysis))
