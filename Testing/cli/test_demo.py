"""``covidct demo`` with the real phantom, and the truth in place of what networks would find."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from analysis_maker import make_analysis

from CovidCTLib import phantom as phantoms
from CovidCTLib.analysis import AxialArrays
from CovidCTLib.cli.main import main
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.measures import measure_regions

COARSE = ((80, 128, 128), (4.0, 2.8, 2.8))
"""Shape and spacing of a phantom that is made in no time."""


@pytest.fixture
def perfect_networks(monkeypatch):
    """Make the analysis give the phantom's own truth."""
    import types

    phantom = phantoms.make_chest_phantom(*COARSE)

    def analyze(scan, options=None, **kwargs):
        grid = CanonicalGrid(scan.geometry)
        axial = AxialArrays(
            grid.take(scan.hu, -1024),
            grid.take(phantom.lungs, 0),
            grid.take(phantom.opacities, 0),
            (grid.take(phantom.opacities, 0) > 0).astype("float32"),
            grid.geometry,
        )
        return replace(
            make_analysis(),
            scan=scan,
            lungs=phantom.lungs,
            opacities=phantom.opacities,
            localization=(phantom.opacities > 0).astype("float32"),
            axial=axial,
            measures=measure_regions(axial, options),
            notices=(),
        )

    pipeline = types.ModuleType("CovidCTLib.pipeline")
    pipeline.analyze = analyze
    monkeypatch.setitem(sys.modules, "CovidCTLib.pipeline", pipeline)
    monkeypatch.setattr(phantoms, "make_chest_phantom", lambda: phantom)
    report = types.ModuleType("CovidCTLib.report")
    report.write_report = lambda analysis, path: path.write_text("<html></html>")
    monkeypatch.setitem(sys.modules, "CovidCTLib.report", report)


def test_perfect_networks_would_come_within_a_few_percent_of_the_truth(perfect_networks, tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("volume in ml")) + 1
    rows = [line.rsplit(maxsplit=4) for line in lines[first : first + 4]]
    assert "drawn, not scanned" in lines[first + 5]
    assert [row[0] for row in rows] == ["right lung", "left lung", "ground-glass opacity", "consolidation"]
    # Voxels of 31 microlitres: coarse for a consolidation of 29 ml.
    assert all(abs(float(row[3])) < 5 for row in rows)
    record = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert record["scan"]["source_format"] == phantoms.make_chest_phantom().scan.facts.source_format
