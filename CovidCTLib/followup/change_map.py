"""A map of what changed on the later study's own grid, for whoever looks at the later CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis, CancelCheck
from CovidCTLib.errors import InputError
from CovidCTLib.followup.course import lay_on
from CovidCTLib.followup.registration import Registration
from CovidCTLib.followup.result import CHANGE_LABELS, CHANGES, Change
from CovidCTLib.geometry import CanonicalGrid

_SEEN_FROM_LATER: dict[Change, Change] = {"new": "resolved", "resolved": "new", "persistent": "persistent"}
"""What a change is called the other way round in time."""


@dataclass(frozen=True)
class ChangeMap:
    """What changed since the first study, on the later study's own grid.

    Parameters
    ----------
    labels
        uint8, shape of the later study's scan (z, y, x in the order of its file): 0, or a value of `CHANGE_LABELS`.
    registration
        Of the first study on the later one.
    """

    labels: NDArray[np.uint8]
    registration: Registration


def change_map(first: Analysis, later: Analysis, *, cancelled: CancelCheck | None = None) -> ChangeMap:
    """Find which opacity of a later study is new, which of the first has resolved, and which persists.

    Parameters
    ----------
    first, later
        Two studies of one patient, with their arrays.
    cancelled
        Asked meanwhile; True ends the search.

    Returns
    -------
    ChangeMap
        Opacity as for `CovidCTLib.followup.difference.find_difference`, which lays the later study on the first. Here
        the first is laid on the later one, so that new opacity lies exactly where the later CT shows it; volumes
        differ from that map's by what the lungs have grown or shrunk, and by the rim of a voxel.

    Raises
    ------
    InputError
        If the studies cannot be laid on each other, with the reason.
    CancelledError
        If the caller asked to stop.
    """
    registration, difference, reason = lay_on(later, first, cancelled=cancelled)
    if registration is None:
        raise InputError(reason or "")
    if difference is None:
        raise InputError(
            f"The lungs of both studies must lie on each other to show what changed, but {reason}. Compare the studies "
            "side by side."
        )
    values = np.zeros(len(CHANGES) + 1, np.uint8)
    for value, change in CHANGES.items():
        values[value] = CHANGE_LABELS[_SEEN_FROM_LATER[change]].value
    return ChangeMap(CanonicalGrid(later.scan.geometry).give_back(values[difference.labels]), registration)
