"""References found automatically: a line through grey values of known tissues, with its uncertainty.

Each picture gives anchors: grey values of outside air, airways, lung, fat and soft tissue, whose HU are known from
anatomy within some standard deviation. A weighted straight line through them gives the values at -1000 and -100 HU and
how uncertain these are. The pictures of a folder then help each other: the lung of a patient has much the same HU from
slice to slice, and most folders were exported with one window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.hu import AIR_HU, FAT_HU
from CovidCTLib.photos.anchors import (
    AIRWAY,
    DARKEST,
    DARKEST_HU,
    DARKEST_SD_HU,
    LUNG,
    LUNG_HU,
    OUTSIDE,
    Anchor,
    Evidence,
    find_evidence,
)
from CovidCTLib.photos.references import References, why_unusable
from CovidCTLib.photos.regions import Grey, find_regions

DARK_BELOW_HU = -500
"""Air and lung lie under this, fat and soft tissue above; a line needs an anchor on each side."""

LARGEST_MISFIT_SD = 2.5
"""An anchor further off the line than this many of its standard deviations is mistaken, and is left out."""

UNSURE_SD_HU = 22.0
"""Standard deviation of the HU at air or fat from which references are called doubtful."""

MIN_POOLED = 4
"""Slices that must agree before others take something over from them."""

MEASURED_LUNG_SD_HU, LEAST_MEASURED_LUNG_SD_HU = 14.0, 8.0
"""A patient's own HU of lung are used where slices with visible air agree on them within the first, and they count with
no less than the second."""

FURTHEST_MEASURED_LUNG_HU = 45.0
"""Own HU of lung that are further than this from the usual ones are not believed."""

SAME_AIR_HU, SAME_FAT_HU, SAME_SHARE = 30.0, 12.0, 0.75
"""The slices of a folder have one value of air (or of fat) where this share of them agrees on it within so many HU; the
peaks of fat and soft tissue are sharper than the cues of air."""

CONTRADICTION_HU = 60.0
"""A slice whose own tissues lie further than this from the folder's common value is doubtful."""


@dataclass(frozen=True)
class Line:
    """The straight line ``hu = slope * value + intercept``.

    Parameters
    ----------
    slope, intercept
        HU per level, and HU of the value 0.
    covariance
        Shape ``(2, 2)``, of slope and intercept.
    misfit_sd
        How far each anchor lies off the line, in its standard deviations.
    """

    slope: float
    intercept: float
    covariance: NDArray[np.float64]
    misfit_sd: tuple[float, ...]

    def value_at(self, hu: float) -> float:
        """Grey value that stands for some HU."""
        return (hu - self.intercept) / self.slope

    def sd_hu_at(self, hu: float) -> float:
        """Standard deviation of the line where it reaches some HU."""
        vector = np.array([self.value_at(hu), 1.0])
        return float(np.sqrt(vector @ self.covariance @ vector))


@dataclass(frozen=True)
class _Fit:
    """What was made of one picture."""

    evidence: Evidence
    line: Line | None
    used: tuple[Anchor, ...]
    dropped: tuple[Anchor, ...]


def fit_line(anchors: Sequence[Anchor]) -> Line | None:
    """Fit a straight line by least squares, each anchor weighted by its standard deviation.

    Parameters
    ----------
    anchors
        At least one dark and one bright tissue.

    Returns
    -------
    Line or None
        None where one side is missing or the line does not rise.
    """
    if len({anchor.hu > DARK_BELOW_HU for anchor in anchors}) < 2:
        return None
    sd = np.array([anchor.sd_hu for anchor in anchors])
    value = np.array([anchor.value for anchor in anchors])
    hu = np.array([anchor.hu for anchor in anchors])
    design = np.stack([value, np.ones_like(value)], axis=1) / sd[:, None]
    normal = design.T @ design
    if np.linalg.cond(normal) > 1 / np.finfo(float).eps:
        return None
    covariance = np.linalg.inv(normal)
    slope, intercept = covariance @ design.T @ (hu / sd)
    if slope <= 0:
        return None
    misfit = np.abs(slope * value + intercept - hu) / sd
    return Line(float(slope), float(intercept), covariance, tuple(float(m) for m in misfit))


def find_references(
    pictures: Sequence[Grey], tell: Callable[[float], None] = lambda share: None
) -> list[References | str]:
    """Find the grey values of air and fat in the pictures of one folder.

    Parameters
    ----------
    pictures
        One float32 array ``(y, x)`` a slice, grey values on the scale of 8 bits, in the order of the stack, about 512
        pixels along the longer side.
    tell
        Told the share that is done, 0 to 1.

    Returns
    -------
    list
        For each slice its references, or as text the reason why it has none.
    """
    references = []
    for number, picture in enumerate(pictures, start=1):
        references.append(evidence_of(picture))
        tell(number / len(pictures))
    return references_from(references)


def evidence_of(picture: Grey) -> Evidence:
    """Collect what one picture tells; without anchors where nothing is recognized.

    Parameters
    ----------
    picture
        As for `find_references`.
    """
    regions = find_regions(picture)
    return Evidence(()) if regions is None else find_evidence(picture, regions)


def references_from(evidence: Sequence[Evidence]) -> list[References | str]:
    """Find the grey values of air and fat by what the pictures of one folder tell.

    Parameters
    ----------
    evidence
        Of each slice.

    Returns
    -------
    list
        As `find_references`.
    """
    fits = _with_measured_lung([_fit(one) for one in evidence])
    common = _common_values(fits)
    return [_references(fit, common) for fit in fits]


def _fit(evidence: Evidence) -> _Fit:
    """Fit a line; leave anchors out that contradict the others, as long as enough are left."""
    used, dropped = list(evidence.anchors), []
    line = fit_line(used)
    names = {anchor.name for anchor in used}
    sees_air = not evidence.clipped_air and bool(names & {OUTSIDE, AIRWAY}) and DARKEST not in names
    if line is not None and sees_air and line.slope * evidence.lowest + line.intercept > DARKEST_HU:
        used.append(Anchor(DARKEST, evidence.lowest, DARKEST_HU, DARKEST_SD_HU))
        line = fit_line(used)
    while line is not None and len(used) > 2 and max(line.misfit_sd) > LARGEST_MISFIT_SD:
        trials = [(fit_line([*used[:i], *used[i + 1 :]]), i) for i in range(len(used))]
        possible = [(max(trial.misfit_sd), trial, i) for trial, i in trials if trial is not None]
        if not possible:
            break
        _, line, worst = min(possible, key=lambda entry: entry[0])
        dropped.append(used.pop(worst))
    return _Fit(evidence, line, tuple(used), tuple(dropped))


def _with_measured_lung(fits: list[_Fit]) -> list[_Fit]:
    """Replace the usual HU of lung by the patient's own, where slices with visible air agree on them."""
    lungs_hu = []
    for fit in fits:
        lung = next((anchor for anchor in fit.used if anchor.name == LUNG), None)
        air = any(anchor.name in (OUTSIDE, AIRWAY) for anchor in fit.used)
        line = fit_line([anchor for anchor in fit.used if anchor.name != LUNG])
        if lung is not None and air and line is not None:
            lungs_hu.append(line.slope * lung.value + line.intercept)
    if len(lungs_hu) < MIN_POOLED:
        return fits
    middle, spread = _median_and_sd(np.array(lungs_hu))
    if spread > MEASURED_LUNG_SD_HU or abs(middle - LUNG_HU) > FURTHEST_MEASURED_LUNG_HU:
        return fits
    sd_hu = max(spread, LEAST_MEASURED_LUNG_SD_HU)

    def corrected(anchor: Anchor) -> Anchor:
        return replace(anchor, hu=middle, sd_hu=max(sd_hu, anchor.sd_hu / 2)) if anchor.name == LUNG else anchor

    return [
        _fit(replace(fit.evidence, anchors=tuple(corrected(anchor) for anchor in fit.evidence.anchors))) for fit in fits
    ]


def _median_and_sd(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and the standard deviation that the median absolute deviation of normal values stands for."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def _common_values(fits: list[_Fit]) -> tuple[float | None, float | None]:
    """Values of air and of fat that most slices agree on; None for one that they do not agree on."""
    lines = [fit.line for fit in fits if fit.line is not None and not fit.evidence.clipped_air]
    if len(lines) < max(MIN_POOLED, len(fits) / 2):
        return None, None
    level_hu = float(np.median([line.slope for line in lines]))
    common: list[float | None] = []
    for hu, tolerance_hu in ((AIR_HU, SAME_AIR_HU), (FAT_HU, SAME_FAT_HU)):
        values = np.array([line.value_at(hu) for line in lines])
        weights = np.array([line.sd_hu_at(hu) for line in lines]) ** -2
        middle = _weighted_median(values, weights)
        agree = np.abs(values - middle) * level_hu < tolerance_hu
        common.append(middle if agree.mean() >= SAME_SHARE else None)
    return common[0], common[1]


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


def _references(fit: _Fit, common: tuple[float | None, float | None]) -> References | str:
    """Say what the references are, and what speaks against them; or why there are none."""
    evidence, line = fit.evidence, fit.line
    if evidence.clipped_lung:
        return "its window clips the lungs to black, so their HU are lost"
    by_line = (None, None) if line is None else (line.value_at(AIR_HU), line.value_at(FAT_HU))
    air, fat = (by_line[end] if common[end] is None else common[end] for end in range(2))
    if air is None or fat is None:
        return "no pair of dark and bright tissue was recognized in it"
    reason = why_unusable(air, fat)
    if reason is not None:
        return reason
    doubts = []
    if evidence.clipped_air:
        doubts.append("air is clipped to black, so its value is estimated from the other tissues")
    if evidence.clipped_soft:
        doubts.append("soft tissue is clipped to white")
    if by_line[0] is None or by_line[1] is None:
        doubts.append("its own tissues were not recognized, so it takes the values of the other slices")
    elif max(abs(by_line[0] - air), abs(by_line[1] - fat)) * (FAT_HU - AIR_HU) / (fat - air) > CONTRADICTION_HU:
        doubts.append("its own tissues contradict the values of the other slices, which it takes")
    if None in common:
        doubts += _doubts_of_one(fit)
    air_sd, fat_sd = (None, None) if line is None else (line.sd_hu_at(AIR_HU), line.sd_hu_at(FAT_HU))
    return References(
        air, fat, "automatic", tuple(doubts), air_sd, fat_sd, {anchor.name: anchor.value for anchor in fit.used}
    )


def _doubts_of_one(fit: _Fit) -> list[str]:
    """What speaks against the references of a slice that stands for itself."""
    doubts = []
    if fit.evidence.ambiguous_tissue:
        doubts.append("fat and soft tissue could be mistaken for something else")
    if fit.dropped:
        doubts.append(f"{' and '.join(anchor.name for anchor in fit.dropped)} contradicted the other tissues")
    line = fit.line
    if line is not None and max(line.sd_hu_at(AIR_HU), line.sd_hu_at(FAT_HU)) > UNSURE_SD_HU:
        doubts.append("too few tissues were recognized")
    return doubts
