"""The labels that CovidCT writes, each with its name, colour and terminology.

Codes come from SNOMED CT as used by DICOM (PS3.16); where DICOM has no code, a private one of the scheme
``99COVIDCT`` stands, and the terminology file of the Slicer module lists it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value and meaning (DICOM PS3.3, section 8.8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Label:
    """One segment of the result.

    Parameters
    ----------
    value
        Value in ``labelmap.nii.gz``.
    segment_id
        Fixed identifier in segmentations.
    name
        What a user reads.
    colour
        Red, green, blue, each 0 to 255; chosen from Okabe and Ito's colour-blind safe set.
    category, type, modifier
        Terminology.
    """

    value: int
    segment_id: str
    name: str
    colour: tuple[int, int, int]
    category: Code
    type: Code
    modifier: Code | None = None


_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Altered Structure")
_LUNG = Code("39607008", "SCT", "Lung")

RIGHT_LUNG = Label(1, "right_lung", "right lung", (86, 180, 233), _ANATOMY, _LUNG, Code("24028007", "SCT", "Right"))
LEFT_LUNG = Label(2, "left_lung", "left lung", (0, 114, 178), _ANATOMY, _LUNG, Code("7771000", "SCT", "Left"))
GGO = Label(
    3, "ggo", "ground-glass opacity", (240, 228, 66), _ABNORMAL,
    Code("50196008", "SCT", "Ground glass opacity"),
)  # fmt: skip
CONSOLIDATION = Label(
    4, "consolidation", "consolidation", (213, 94, 0), _ABNORMAL,
    Code("95436008", "SCT", "Lung consolidation"),
)  # fmt: skip
PLEURAL_EFFUSION = Label(
    5, "pleural_effusion", "pleural effusion", (204, 121, 167), _ABNORMAL,
    Code("60046008", "SCT", "Pleural effusion"),
)  # fmt: skip

LOBE_LABELS = (
    Label(
        1, "right_upper_lobe", "right upper lobe", (177, 122, 101), _ANATOMY,
        Code("42400003", "SCT", "Upper lobe of right lung"),
    ),
    Label(
        2, "right_middle_lobe", "right middle lobe", (111, 184, 210), _ANATOMY,
        Code("72481006", "SCT", "Middle lobe of right lung"),
    ),
    Label(
        3, "right_lower_lobe", "right lower lobe", (216, 101, 79), _ANATOMY,
        Code("266005", "SCT", "Lower lobe of right lung"),
    ),
    Label(
        4, "left_upper_lobe", "left upper lobe", (183, 156, 220), _ANATOMY,
        Code("44714003", "SCT", "Upper lobe of left lung"),
    ),
    Label(
        5, "left_lower_lobe", "left lower lobe", (183, 214, 211), _ANATOMY,
        Code("41224006", "SCT", "Lower lobe of left lung"),
    ),
)  # fmt: skip
"""Lobes, where a segmentation gives them; their values are those in an array of lobes."""

RIGHT_LOBES, LEFT_LOBES = (1, 2, 3), (4, 5)
"""Values of the lobes of each side."""

LABELS = (RIGHT_LUNG, LEFT_LUNG, GGO, CONSOLIDATION, PLEURAL_EFFUSION)

LUNG_LABELS = (RIGHT_LUNG, LEFT_LUNG)
OPACITY_LABELS = (GGO, CONSOLIDATION, PLEURAL_EFFUSION)

RIGHT, LEFT = 1, 2
"""Values in an array of lungs."""

OPACITY_GGO, OPACITY_CONSOLIDATION, OPACITY_EFFUSION = 1, 2, 3
"""Values in an array of opacities (the three labels of the radiologists' collection)."""
