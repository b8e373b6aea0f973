"""The slice classifier: how likely each axial slice shows disease (B4), and the decision on the case (B8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import CaseDecision, SliceFinding
from CovidCTLib.framing import lung_frame
from CovidCTLib.models.store import BATCH
from CovidCTLib.slices.lung_crop import crop_lungs

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

MIN_LUNG_MM2 = 500.0
"""A slice with less lung than this (the tips of apex and base) is not judged and does not count as a lung slice."""


def classify_slices(
    hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    network: LoadedNetwork,
    slice_threshold: float,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[SliceFinding, ...]:
    """Judge every axial slice that shows lung.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    lungs
        Same shape, lung labels, not empty.
    spacing_zyx_mm
        Spacing in mm.
    network
        The slice classifier.
    slice_threshold
        Probability at or above which a slice is positive.
    progress
        Takes the share of slices that are done, and may raise to stop.

    Returns
    -------
    tuple of SliceFinding
        One a slice, from the feet to the head; the probability is None where the slice shows less than `MIN_LUNG_MM2`
        of lung.
    """
    area_mm2 = np.count_nonzero(lungs, axis=(1, 2)) * spacing_zyx_mm[1] * spacing_zyx_mm[2]
    judged = np.flatnonzero(area_mm2 >= MIN_LUNG_MM2)
    probability = np.full(len(hu), np.nan)
    frame = lung_frame(lungs, spacing_zyx_mm)
    for start in range(0, len(judged), BATCH):
        chosen = judged[start : start + BATCH]
        logits = network.run(crop_lungs(hu, lungs, frame, chosen, network.card.size))
        probability[chosen] = logits.sigmoid().numpy()
        progress((start + len(chosen)) / len(judged))
    return tuple(
        SliceFinding(None if np.isnan(p) else float(p), bool(not np.isnan(p) and p >= slice_threshold))
        for p in probability
    )


def decide_case(
    findings: Sequence[SliceFinding], slice_threshold: float, case_threshold: float, judged_on: str = ""
) -> CaseDecision:
    """Call a case like COVID-19 if the share of positive slices among lung slices is above a threshold (B8).

    Parameters
    ----------
    findings
        One a slice.
    slice_threshold
        Probability at or above which slices were called positive; it is only recorded.
    case_threshold
        Share above which (exclusive) the case is positive.
    judged_on
        On which cases such decisions were judged; it is only recorded.
    """
    lung_slices = sum(finding.probability is not None for finding in findings)
    positive_slices = sum(finding.positive for finding in findings)
    if lung_slices == 0:
        reason = "no slice shows enough lung to be judged"
        return CaseDecision(None, None, 0, 0, slice_threshold, case_threshold, reason, judged_on)
    share = positive_slices / lung_slices
    positive = share > case_threshold
    return CaseDecision(
        positive, share, positive_slices, lung_slices, slice_threshold, case_threshold, judged_on=judged_on
    )
