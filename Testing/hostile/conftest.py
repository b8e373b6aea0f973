"""Paths of the makers that other tests have, and what the hostile tests share."""

from __future__ import annotations

import logging
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
MAKERS = ("results", "reading", "models", "scene", "panel", "report", "explanation", "cohort", "cli", "hostile")
sys.path[:0] = [str(TESTING / name) for name in MAKERS]


@pytest.fixture
def made_pipeline(monkeypatch):
    """Put a small analysis in place of what the networks would find."""
    from analysis_maker import make_analysis

    made = make_analysis()
    pipeline = types.ModuleType("CovidCTLib.pipeline")
    pipeline.analyze = lambda scan, options=None, **rest: replace(
        made, scan=scan, notices=(*scan.notices, *made.notices)
    )
    monkeypatch.setitem(sys.modules, "CovidCTLib.pipeline", pipeline)


@pytest.fixture
def program(made_pipeline, monkeypatch, tmp_path, capfd, caplog):
    """Run the program with a stand-in for the networks, and hold what it says and calls files against the marks."""
    from mark_search import Watch

    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    return Watch(tmp_path, capfd.readouterr, lambda: caplog.text)


@pytest.fixture(scope="session")
def series(tmp_path_factory):
    """A marked DICOM folder; its own name is what a user types. With it the marks of its first slice."""
    from marked_files import TYPED, marked_series

    folder = tmp_path_factory.mktemp("dicom") / TYPED
    return folder, marked_series(folder)
