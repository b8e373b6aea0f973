# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""What the scene layer takes it gives back: nodes, voxels and Python objects."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, resultNodesOf, show3D
from scene_analysis import made_analysis
from scene_maker import SceneWithLogics, added_volume

from CovidCTLib.geometry import Geometry

RUNS = 8
MIB = 1 << 20
LARGE = Geometry((48, 256, 256), (1.0, 1.0, 2.0))
"""A localization of 12 MiB, so that one that stays behind in each run is seen."""


def resident_bytes():
    """Memory of this process."""
    if not sys.platform.startswith("linux"):
        pytest.skip("resident memory is read from Linux's /proc")
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_second_run_gives_back_the_nodes_and_voxels_of_the_first(scene, volume_node, analysis):
    first = addAnalysisToScene(scene, volume_node, analysis)
    kept = [weakref.ref(node) for node in vars(first).values()]
    kept.append(weakref.ref(first.localization.GetImageData()))
    count = scene.GetNumberOfNodes()
    for _ in range(RUNS):
        addAnalysisToScene(scene, volume_node, analysis)
        assert scene.GetNumberOfNodes() == count
    del first
    gc.collect()
    assert [reference() for reference in kept] == [None] * len(kept)


def test_the_results_do_not_hold_on_to_the_analysis(scene, volume_node, geometry):
    analysis = made_analysis(geometry)
    localization = weakref.ref(analysis.localization)
    lungs = weakref.ref(analysis.lungs)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    before = analysis.localization.copy()
    del analysis
    gc.collect()
    assert localization() is None
    assert lungs() is None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.localization), before)


def test_a_scene_closed_in_between_leaves_nothing_and_can_be_used_again(logics, analysis):
    scene = logics.scene
    empty = scene.GetNumberOfNodes()
    for _ in range(2):
        volume = added_volume(scene, analysis.scan.hu, analysis.scan.geometry)
        nodes = addAnalysisToScene(scene, volume, analysis)
        show3D(scene, nodes)
        image = weakref.ref(nodes.localization.GetImageData())
        assert resultNodesOf(scene, volume) == nodes
        del nodes, volume
        scene.Clear(0)
        gc.collect()
        assert image() is None
        assert scene.GetNumberOfNodes() <= empty + 1, "only the subject hierarchy is made anew"


def test_memory_stays_level_over_many_runs():
    analysis = made_analysis(LARGE)
    logics = SceneWithLogics()
    volume = added_volume(logics.scene, analysis.scan.hu, LARGE)
    for _ in range(2):
        addAnalysisToScene(logics.scene, volume, analysis)
    gc.collect()
    start = resident_bytes()
    for _ in range(RUNS):
        addAnalysisToScene(logics.scene, volume, analysis)
    gc.collect()
    grown = resident_bytes() - start
    logics.close()
    assert grown < 2 * analysis.localization.nbytes, f"{grown / MIB:.0f} MiB more after {RUNS} runs"
