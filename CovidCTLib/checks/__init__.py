"""Quality checks before any number: is this a chest CT in HU, and what must a reader know of it.

Each check gives a `CovidCTLib.errors.Notice` with its measured value and its limit; where no number can be stood
behind, it raises `QualityError` with the notice attached. All codes, limits and what to do stand in
``docs/quality_checks.md``. The checks look at samples of the voxels, so that they cost next to nothing.
"""

from CovidCTLib.checks.agreement import (
    DISAGREEMENT_PERCENT,
    RegionAgreement,
    agreement_sentence,
    check_agreement,
    compare_readings,
)
from CovidCTLib.checks.chest import MIN_LUNG_SHARE, MIN_LUNG_VOLUME_ML, check_lungs
from CovidCTLib.checks.whole_scan import MAX_SLICE_SPACING_MM, check_scan

__all__ = [
    "DISAGREEMENT_PERCENT",
    "MAX_SLICE_SPACING_MM",
    "MIN_LUNG_SHARE",
    "MIN_LUNG_VOLUME_ML",
    "RegionAgreement",
    "agreement_sentence",
    "check_agreement",
    "check_lungs",
    "check_scan",
    "compare_readings",
]
