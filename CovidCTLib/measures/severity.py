"""Severity scores: of six zones, from 0 to 4 a zone and 0 to 24 in all, and of five lobes, 0 to 5 and 0 to 25.

Readers estimate how much of a zone is involved (Ooi et al. 2004, doi:10.1148/radiol.2303030853); here the share of
opacity is measured.
"""

from __future__ import annotations

MOST_SEVERE = 4
"""Points of a zone of which three quarters or more are opacity."""


def zone_severity(opacity_voxels: int, lung_voxels: int) -> int:
    """Grade one zone by its share of opacity.

    Parameters
    ----------
    opacity_voxels
        Voxels of ground-glass opacity and consolidation in the zone, at most ``lung_voxels``.
    lung_voxels
        Voxels of the zone, at least 1.

    Returns
    -------
    int
        0 without any opacity voxel, 1 under 25 %, 2 under 50 %, 3 under 75 %, 4 from 75 % on. Limits belong to the
        higher grade; they are compared in whole numbers, so that no rounding decides.
    """
    if opacity_voxels == 0:
        return 0
    return min(1 + 4 * opacity_voxels // lung_voxels, MOST_SEVERE)


MOST_SEVERE_LOBE = 5
"""Points of a lobe of which more than three quarters are opacity."""

_LOBE_LIMITS_PERCENT = ((5, False), (25, True), (50, False), (75, True))
"""Share up to which a lobe has 1, 2, 3 and 4 points, and whether the limit itself does (Pan et al. 2020: under 5 %, 5
to 25 %, 26 to 49 %, 50 to 75 %, above 75 %, in whole percent; what lies between 25 and 26 has 3 points here)."""


def lobe_severity(opacity_voxels: int, lobe_voxels: int) -> int:
    """Grade one lobe by its share of opacity (Pan et al. 2020, doi:10.1148/radiol.2020200370).

    Parameters
    ----------
    opacity_voxels
        Voxels of ground-glass opacity and consolidation in the lobe, at most ``lobe_voxels``.
    lobe_voxels
        Voxels of the lobe, at least 1.

    Returns
    -------
    int
        0 without any opacity voxel, 1 under 5 %, 2 from 5 to 25 %, 3 above 25 and under 50 %, 4 from 50 to 75 %, 5
        above. The shares are compared in whole numbers, so that no rounding decides.
    """
    if opacity_voxels == 0:
        return 0
    for points, (limit, inclusive) in enumerate(_LOBE_LIMITS_PERCENT, start=1):
        if 100 * opacity_voxels < limit * lobe_voxels + int(inclusive):
            return points
    return MOST_SEVERE_LOBE
