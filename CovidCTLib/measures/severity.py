"""The six-zone severity score, from 0 to 4 a zone and 0 to 24 in all.

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
