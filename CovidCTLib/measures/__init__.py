"""Measures of lungs and opacities: per region (`measure_regions`) and per axial slice (`measure_slices`).

Where a segmentation gives them, lobes (`measure_lobes`) and regions of interest (`measure_areas`) are measured too.

What each number means, its unit and its source stand in `CovidCTLib.measures.definitions`.
"""

from CovidCTLib.measures.areas import measure_areas
from CovidCTLib.measures.lobes import lobe_notices, measure_lobes
from CovidCTLib.measures.region_table import measure_regions
from CovidCTLib.measures.slice_table import measure_slices

__all__ = ["lobe_notices", "measure_areas", "measure_lobes", "measure_regions", "measure_slices"]
