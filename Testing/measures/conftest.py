"""Two box-shaped lungs, healthy and diseased, on one grid."""

from __future__ import annotations

import numpy as np
import pytest
from measure_phantoms import LUNG_HU, SHAPE, make_axial, make_box_lungs

from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO


@pytest.fixture
def healthy_boxes():
    return make_axial(LUNG_HU, make_box_lungs())


@pytest.fixture
def diseased_boxes():
    """In the right lung's lowest third one of four columns is GGO, in the left lung's highest all is consolidation."""
    lungs = make_box_lungs()
    opacities = np.zeros(SHAPE, dtype=np.uint8)
    opacities[1:4, 2:3, 1:7] = OPACITY_GGO
    opacities[10:13, 2:6, 10:18] = OPACITY_CONSOLIDATION
    hu = np.full(SHAPE, LUNG_HU)
    hu[opacities == OPACITY_GGO] = -600
    hu[opacities == OPACITY_CONSOLIDATION] = -200
    hu[10, 2, 10:18] = -201
    return make_axial(hu, lungs, opacities)
