"""Quality checks before any number: is there a chest in view, and what must a reader know of the scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import CaseDecision
from CovidCTLib.errors import Notice, QualityError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import NETWORK_HIGH_HU

MIN_LUNG_VOLUME_ML = 300.0
"""Less lung than this is no chest in view, and no adult's: sinuses, bowel gas, or the lung bases of an abdomen."""

MAX_SLICE_SPACING_MM = 5.5
"""Above this, small opacities fall between slices; 5 mm is a usual thick reconstruction."""

SIDE_LUNG_SHARE = 0.001
"""Lungs count as cut off at a side of the picture where more than this share of them lies on its outermost pixels."""

CUT_LUNG_SHARE = 0.10
"""Lungs count as cut off where the scan's first or last slice shows more than this share of the largest lung area."""

DISAGREEMENT_PERCENT = 1.0
"""Share of the lungs, in percent, at or above which the opacity network says disease and under which it does not; an
opacity share under 1 % is the noise of the network in healthy lungs."""


def check_scan(hu: NDArray[np.int16], grid: CanonicalGrid) -> tuple[Notice, ...]:
    """Look at a scan before anything is computed.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    grid
        The way from the scan's own grid to the canonical one.

    Returns
    -------
    tuple of Notice
        Thick slices, oblique axes, HU that had been clipped.
    """
    notices = []
    spacing = grid.geometry.spacing_zyx_mm[0]
    if spacing > MAX_SLICE_SPACING_MM:
        notices.append(
            Notice(
                "thick-slices",
                f"Slices are {spacing:.1f} mm apart; small opacities may be missed and volumes are less exact.",
                "warn",
                float(spacing),
                MAX_SLICE_SPACING_MM,
                "mm",
            )
        )
    if grid.resamples:
        notices.append(
            Notice(
                "oblique",
                f"The scan's axes are turned by {grid.angle_deg:.0f} degrees against the patient's; it was resampled "
                "to axial slices for the analysis, and the results were brought back to its own grid.",
                "warn",
                grid.angle_deg,
                None,
                "degrees",
            )
        )
    highest = int(hu.max())
    if highest <= 2 * NETWORK_HIGH_HU:
        notices.append(
            Notice(
                "clipped-hu",
                f"No voxel is above {highest} HU, so the scan was clipped when it was exported; means and mass of "
                "dense parts are too low.",
                "warn",
                float(highest),
                float(2 * NETWORK_HIGH_HU),
                "HU",
            )
        )
    return tuple(notices)


def check_lungs(lungs: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]) -> tuple[Notice, ...]:
    """Look at the lungs that were found.

    Parameters
    ----------
    lungs
        Canonical axial: 0 background, 1 right, 2 left.
    spacing_zyx_mm
        Spacing in mm.

    Returns
    -------
    tuple of Notice
        A side that is missing, lungs that the scan cuts off.

    Raises
    ------
    QualityError
        If there is less lung than `MIN_LUNG_VOLUME_ML`.
    """
    voxel_ml = float(np.prod(spacing_zyx_mm)) / 1000
    counts = np.stack([np.count_nonzero(lungs == side, axis=(1, 2)) for side in (1, 2)])
    volume_ml = float(counts.sum()) * voxel_ml
    if volume_ml < MIN_LUNG_VOLUME_ML:
        raise QualityError(
            f"No lungs in view: a chest CT with at least {MIN_LUNG_VOLUME_ML:.0f} ml of lung was expected, but "
            f"{volume_ml:.0f} ml were found. Give a chest CT, the whole of it, in HU."
        )
    notices = []
    for name, count in zip(("right", "left"), counts.sum(axis=1), strict=True):
        if count == 0:
            notices.append(
                Notice(f"no-{name}-lung", f"No {name} lung was found; its measures are not available.", "warn")
            )
    area = counts.sum(axis=0)
    for name, share in (("base", area[0] / area.max()), ("apex", area[-1] / area.max())):
        if share > CUT_LUNG_SHARE:
            notices.append(
                Notice(
                    f"lungs-cut-at-{name}",
                    f"The scan ends inside the lungs at the {name}: its last slice there shows {share:.0%} of the "
                    "largest lung area. Volumes are those of the part in view.",
                    "warn",
                    round(100 * float(share), 1),
                    100 * CUT_LUNG_SHARE,
                    "%",
                )
            )
    rim = np.concatenate([lungs[:, [0, -1]].ravel(), lungs[:, 1:-1][:, :, [0, -1]].ravel()])
    share = float(np.count_nonzero(rim) / counts.sum())
    if share > SIDE_LUNG_SHARE:
        notices.append(
            Notice(
                "lungs-cut-at-side",
                "The lungs reach the side of the picture, so the field of view may cut them off. Volumes are those of "
                "the part in view, and right and left may be mistaken.",
                "warn",
                round(100 * share, 2),
                100 * SIDE_LUNG_SHARE,
                "%",
            )
        )
    return tuple(notices)


def check_agreement(case: CaseDecision, opacity_percent: float | None) -> tuple[Notice, ...]:
    """Hold the two readings of the disease against each other: the slice classifier's and the opacity network's.

    Parameters
    ----------
    case
        The classifier's decision.
    opacity_percent
        The opacity network's share of both lungs, in percent; None where it is not defined.

    Returns
    -------
    tuple of Notice
        A warning if one says disease and the other does not.
    """
    if case.positive is None or opacity_percent is None or case.positive == (opacity_percent >= DISAGREEMENT_PERCENT):
        return ()
    verdict = "positive" if case.positive else "negative"
    return (
        Notice(
            "readings-disagree",
            f"The two readings disagree: the slice classifier calls the case {verdict}, but the opacity network finds "
            f"{opacity_percent:.1f} % of the lungs opaque. Look at the pictures before you trust either.",
            "warn",
            round(opacity_percent, 2),
            DISAGREEMENT_PERCENT,
            "%",
        ),
    )
