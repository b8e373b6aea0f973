"""What a DICOM image is: a CT slice, a scout view, a picture or a map."""

from __future__ import annotations

from typing import Any, Literal

from CovidCTLib.reading.dicom_values import HeaderValues

LOCALIZER_WORDS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})

PICTURE_WORDS = frozenset(
    {"MIP", "MINIP", "MAX_IP", "MIN_IP", "MAXIMUM", "MINIMUM", "PROJECTION", "RENDERING", "RENDERED", "VRT", "SSD",
     "SCREEN", "DOSE", "DOSE_INFO", "PERFUSION", "MONITORING", "FILTERED_MAP", "PARAMETRIC_MAP"}
)  # fmt: skip
"""Words in ImageType (0008,0008) and FrameType (0008,9007) of images that do not show HU of slices; makers write some
into longer values (``CT_SOM5 MIP``, ``SCREEN SAVE``, ``VOLUME RENDERING``)."""

MATERIAL_WORDS = frozenset(
    {"MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_REMOVED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "MAT_MODIFIED",
     "MAT_VALUE_BASED", "IODINE", "IODINE_MAP", "Z_EFF", "RHO_Z"}
)  # fmt: skip
"""Words in ImageType of images of a material (DICOM PS3.3, C.8.15.3.9, and makers' own), whose values are no HU."""

MAP_TYPES = frozenset({"OD", "MGML", "Z_EFF", "ED", "EDW", "PCT"})

MAP_TYPE_PARTS = ("MG", "IOD", "WATER", "FAT", "CALCIUM", "DENS", "EFF", "RHO", "PERCENT", "%", "1/CM")
"""RescaleType of values that are no HU: DICOM's terms (PS3.3, C.11.1.1.2), and what makers' own hold: maps of density,
iodine, water, ... What is none of them may be anything that somebody typed, and the values may be HU."""

HU_TYPES = frozenset({"", "HU", "US"})
"""RescaleType of CT slices: HU, or unspecified (PS3.3, C.8.2.1 and C.11.1.1.2), or none. Slices of an unknown type come
after those of these and after derived ones, and are read with a warning."""

Kind = Literal["original", "derived", "unknown unit", "localizer", "picture", "map", "colour", "not CT"]


def kind_of(dataset: HeaderValues, image_type: Any) -> Kind:
    """Tell what an image is, by its colours, its ImageType or FrameType, and its RescaleType."""
    values = [image_type] if isinstance(image_type, str) else list(image_type or ())
    words = {word for value in values for word in str(value).upper().split()}
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        return "colour"
    if words & LOCALIZER_WORDS:
        return "localizer"
    if words & PICTURE_WORDS:
        return "picture"
    rescaled = str(dataset.get("RescaleType") or "").strip().upper()
    if rescaled in MAP_TYPES or any(part in rescaled for part in MAP_TYPE_PARTS) or words & MATERIAL_WORDS:
        return "map"
    if rescaled not in HU_TYPES:
        return "unknown unit"
    return "derived" if "DERIVED" in words else "original"
