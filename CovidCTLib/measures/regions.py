"""The regions that measures are given for: lungs, and thirds of each lung.

A third is a third of a lung's own craniocaudal extent: of the ``n`` axial slices from the lowest to the highest one
that shows the lung, a slice belongs to the third in which its centre lies. Every slice thus belongs to exactly one
third of each lung, the rule is the same upside down, and a shrunken lung beside a large one still has three thirds of
equal height. Readers draw the zones at the carina and the inferior pulmonary veins (Ooi et al. 2004,
doi:10.1148/radiol.2303030853); equal heights need no landmark, but are not the same zones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.labels import LEFT, LOBE_LABELS, RIGHT

THIRDS = ("lower", "middle", "upper")
"""Thirds of a lung from the feet to the head; the position is the third's number in `thirds_of_slices`."""

NO_THIRD = -1
"""What `thirds_of_slices` says of a slice under or over the lung."""

_SIDES = (("right", RIGHT), ("left", LEFT))

ZONES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {f"{side}_{third}": (label, THIRDS.index(third)) for side, label in _SIDES for third in reversed(THIRDS)}
)
"""The six zones: the lung's label (`RIGHT` or `LEFT`) and the number of its third. No voxel is in two zones."""

REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "both_lungs": "both lungs",
        "right_lung": "right lung",
        "left_lung": "left lung",
        **{zone: f"{zone.replace('_', ' lung, ')} third" for zone in ZONES},
        **{third: f"both lungs, {third} third" for third in reversed(THIRDS)},
    }
)
"""Identifier and name for people of each region, in the order of the tables."""


LOBES: Mapping[str, str] = MappingProxyType({label.segment_id: label.name for label in LOBE_LABELS})
"""Identifier and name for people of each lobe, in the order of their values in an array of lobes."""

AREA_PREFIX = "area:"
"""Begins the identifier of a region of interest; the user's name follows."""


def area_region(name: str) -> str:
    """Give the identifier of a region of interest."""
    return f"{AREA_PREFIX}{name}"


def region_words(region: str) -> str:
    """Give the name for people of any region; one of a later version is its own name."""
    if region.startswith(AREA_PREFIX):
        return region.removeprefix(AREA_PREFIX)
    return REGIONS.get(region) or LOBES.get(region) or region.replace("_", " ")


def _zones_of(region: str) -> tuple[str, ...]:
    """List the zones that make up a region."""
    if region == "both_lungs":
        return tuple(ZONES)
    if region.endswith("_lung"):
        return tuple(zone for zone in ZONES if zone.startswith(region.removesuffix("lung")))
    return tuple(zone for zone in ZONES if zone == region or zone.endswith(f"_{region}"))


ZONES_OF_REGION: Mapping[str, tuple[str, ...]] = MappingProxyType({region: _zones_of(region) for region in REGIONS})
"""The zones of each region. Every region is a sum of zones, so that right and left always add up to both lungs."""


def thirds_of_slices(shows_lung: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Give each axial slice its third of one lung, by equal parts of the lung's craniocaudal extent.

    Parameters
    ----------
    shows_lung
        Shape ``(z,)``, from the feet to the head: whether the slice shows this lung.

    Returns
    -------
    NDArray[np.int8]
        Shape ``(z,)``: 0 lower, 1 middle, 2 upper third, `NO_THIRD` outside the extent.

    Notes
    -----
    A slice within the extent that shows no lung has a third, too. A lung of one slice is all middle third, one of two
    slices has no middle third. Without any lung, every slice is `NO_THIRD`.
    """
    thirds = np.full(shows_lung.shape, NO_THIRD, dtype=np.int8)
    slices = np.flatnonzero(shows_lung)
    if slices.size == 0:
        return thirds
    first, count = int(slices[0]), int(slices[-1] - slices[0]) + 1
    # Centre (i + 1/2) / n times 3, in whole numbers: it is odd over even, so that no centre lies on a border.
    thirds[first : first + count] = 3 * (2 * np.arange(count) + 1) // (2 * count)
    return thirds
