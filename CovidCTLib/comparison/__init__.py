"""Two scans beside each other: their representative slices, what SIFT finds alike in them, and window presets."""

from __future__ import annotations

from CovidCTLib.comparison.keypoints import KeypointMatches, match_slices
from CovidCTLib.comparison.slices import ScanSlice, SlicePair, compare_slices, find_lung_mask, take_slice

__all__ = [
    "KeypointMatches",
    "ScanSlice",
    "SlicePair",
    "compare_slices",
    "find_lung_mask",
    "match_slices",
    "take_slice",
]
