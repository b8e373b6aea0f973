"""From pictures of axial CT slices (JPG, PNG, BMP, TIFF, WebP) to a volume in HU."""

from __future__ import annotations

from CovidCTLib.photos.stack import PhotoStack, read_stack
from CovidCTLib.photos.volume import PhotoVolume, SliceRecord, calibrate

__all__ = ["PhotoStack", "PhotoVolume", "SliceRecord", "calibrate", "read_stack"]
