"""Stand-ins for reading, pipeline and phantom, so that the terminal is tested without networks.

The same functions serve tests in this process (`install`) and tests of a whole process (``python cli_stand_ins.py``,
which installs them and runs the program; what it does in the middle is chosen by COVIDCT_TEST_STAGE).
"""

from __future__ import annotations

import os
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "results"), str(Path(__file__).parents[2])]


def make_modules(seen):
    """Modules that answer like the real ones, and note in ``seen`` what they were asked."""
    from analysis_maker import make_analysis

    from CovidCTLib.analysis import Progress

    analysis = make_analysis()
    reading = types.ModuleType("CovidCTLib.reading")
    pipeline = types.ModuleType("CovidCTLib.pipeline")
    phantom = types.ModuleType("CovidCTLib.phantom")

    def read_scan(
        path,
        *,
        series=None,
        acquisition=None,
        with_study_date=False,
        assume_axial=False,
        identified=False,
        with_source=False,
        geometry=None,
        spacing_zyx_mm=None,
    ):
        seen["with_source"] = with_source
        seen["geometry"], seen["spacing_zyx_mm"] = geometry, spacing_zyx_mm
        seen["reading"] = (path, series, with_study_date)
        seen["acquisition"] = acquisition
        seen["assume_axial"] = assume_axial
        seen["identified"] = identified
        pause("reading")
        return analysis.scan

    def analyze(scan, options=None, *, models=None, progress=None, cancelled=None):
        seen["options"] = options
        seen["models"] = models
        for stage, fraction in (("lungs", 0.05), ("opacities", 0.4), ("slices", 0.6), ("measures", 0.85)):
            pause(stage)
            progress(Progress(stage, fraction))
            seen["cancelled"] = cancelled()
        return replace(analysis, scan=scan)

    reading.read_scan = read_scan
    # Its other modules are the real ones.
    reading.__path__ = [str(Path(__file__).parents[2] / "CovidCTLib" / "reading")]
    pipeline.analyze = analyze
    phantom.make_chest_phantom = lambda: types.SimpleNamespace(
        scan=analysis.scan,
        volumes_ml={"right_lung": 1.152, "left_lung": 1.2, "ggo": 0.09, "consolidation": 0.06},
    )
    return {module.__name__: module for module in (reading, pipeline, phantom)}


def pause(stage):
    """Wait at the stage that the test chose, after telling it that the program is there."""
    if os.environ.get("COVIDCT_TEST_STAGE") == stage:
        sys.stderr.write(f"at {stage}\n")
        sys.stderr.flush()
        time.sleep(30)


def main():
    """Run the program with stand-ins in a process of its own."""
    sys.modules.update(make_modules({}))
    if os.environ.get("COVIDCT_TEST_STAGE") == "writing":
        from CovidCTLib import results

        write = results.write_record

        def write_then_wait(path, analysis):
            write(path, analysis)
            pause("writing")

        results.write_record = write_then_wait
    from CovidCTLib.cli.main import main as program

    return program()


if __name__ == "__main__":
    sys.exit(main())
