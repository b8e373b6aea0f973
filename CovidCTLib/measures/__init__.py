"""Measures of lungs and opacities: per region (`measure_regions`) and per axial slice (`measure_slices`).

What each number means, its unit and its source stand in `CovidCTLib.measures.definitions`.
"""

from CovidCTLib.measures.region_table import measure_regions
from CovidCTLib.measures.slice_table import measure_slices

__all__ = ["measure_regions", "measure_slices"]
