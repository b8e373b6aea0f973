"""Segmentations that people corrected or other programs made: read, recognized, and laid on the grid of a CT.

`read_segmentation` reads any kind of file or folder, `lay_on` makes lungs, opacities, lobes and areas of it.
"""

from CovidCTLib.segments.given import GivenLabels, GivenSegment, Segmentation
from CovidCTLib.segments.laying import lay_on
from CovidCTLib.segments.reading import read_segmentation

__all__ = ["GivenLabels", "GivenSegment", "Segmentation", "lay_on", "read_segmentation"]
