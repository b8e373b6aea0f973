"""What measures the marked scans of a cohort: the whole analysis, but for the networks."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

from analysis_maker import make_analysis

ANALYZER = "analyzers_of_marks:without_networks"


def without_networks(settings):
    """Make the whole analyzer around a small analysis in place of what the networks would find."""
    from CovidCTLib.cohort.analyzers import whole_analyzer

    made = make_analysis()
    pipeline = types.ModuleType("CovidCTLib.pipeline")
    pipeline.analyze = lambda scan, *_, **__: replace(made, scan=scan, notices=(*scan.notices, *made.notices))
    store = types.ModuleType("CovidCTLib.models.store")
    store.ModelStore = lambda *_, **__: types.SimpleNamespace(network=lambda name: None)
    sys.modules.update({module.__name__: module for module in (pipeline, store)})
    return whole_analyzer(settings)
