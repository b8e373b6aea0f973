"""A scene with its logics, as Slicer has them, and a CT in it with an analysis built by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scene_analysis import made_analysis

from CovidCTLib.geometry import Geometry

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "CovidCT"
if str(MODULE_FOLDER) not in sys.path:
    sys.path.insert(0, str(MODULE_FOLDER))

OBLIQUE_DEG = 7.0


@pytest.fixture
def logics():
    """Scene with application, segmentations and terminologies logic."""
    from scene_maker import SceneWithLogics

    made = SceneWithLogics()
    yield made
    made.close()


@pytest.fixture
def scene(logics):
    """An empty scene."""
    return logics.scene


@pytest.fixture
def geometry():
    """A grid of three different sizes and spacings, flipped and turned about the body axis."""
    turn = np.radians(OBLIQUE_DEG)
    direction = np.array([[np.cos(turn), np.sin(turn), 0], [np.sin(turn), -np.cos(turn), 0], [0, 0, -1.0]])
    return Geometry((9, 20, 24), (1.5, 1.25, 4.0), (-12.0, 33.0, 140.5), tuple(float(v) for v in direction.ravel()))


@pytest.fixture
def analysis(geometry):
    """Two lungs, ground-glass opacity and consolidation, a localization, an absent measure."""
    return made_analysis(geometry)


@pytest.fixture
def volume_node(scene, analysis):
    """The CT of the analysis as a volume node."""
    from scene_maker import added_volume

    return added_volume(scene, analysis.scan.hu, analysis.scan.geometry)


@pytest.fixture
def untranslated():
    """Words that are not kept from before, and not kept for later: Slicer's language changes only when it starts."""
    from CovidCTScene import measure_words

    kept = [value for value in vars(measure_words).values() if hasattr(value, "cache_clear")]
    assert kept
    for words in kept:
        words.cache_clear()
    yield
    for words in kept:
        words.cache_clear()
