"""An analysis and its result folder, for the tests that read results back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from analysis_maker import make_analysis

from CovidCTLib.analysis import Analysis
from CovidCTLib.results import write_results
from CovidCTLib.scan import Identifiers


@pytest.fixture
def analysis() -> Analysis:
    """An analysis with identifiers and a date, so that every field of the record is filled."""
    made = make_analysis((0, 0, 1, -1, 0, 0, 0, 1, 0))
    scan = replace(
        made.scan,
        identifiers=Identifiers("N", "I", "1950-01-02", None, "2020-03-01"),
        facts=replace(made.scan.facts, study_date="2020-03-01"),
    )
    return replace(made, scan=scan)


@pytest.fixture
def folder(tmp_path, analysis):
    """Its result folder, with the CT."""
    write_results(analysis, tmp_path / "results", report=False, scan=True)
    return tmp_path / "results"
