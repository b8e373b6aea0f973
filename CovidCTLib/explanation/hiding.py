"""The deletion test: what becomes of the probability when a region is replaced by healthy lung.

A region that makes the classifier call a slice abnormal must lower the probability when it is hidden, and more than
any region does. Petsiuk et al. 2018 (RISE, arXiv 1806.07421) introduced deletion as a measure of explanations; the
random regions beside it tell the loss of what was hidden from the mere strangeness of a flat patch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.explanation.slice_explanation import HidingTest, Method, Verdict
from CovidCTLib.hu import scale_for_network

NAMED_LEVEL = 0.5
"""A Grad-CAM map names the lung where it reaches this share of its largest value in the lungs: half of the maximum."""

FAINT = 0.1
"""A Grad-CAM map whose largest value in the lungs is under this names nothing: half of the value from which the
localization counts (`CovidCTLib.options.Options.localization_threshold`), since a single map is not yet a product."""

RANDOM_REGIONS = 19
"""Random regions that a named one is held against: if it had no meaning, it would beat all of them in 1 of 20 cases."""

MIN_FALL = 0.1
"""Least fall of the probability, inclusive, that counts as an explanation of the verdict; a smaller one changes no
reader's mind, even where it beats every random region."""

LARGEST_TESTED_SHARE = 2 / 3
"""Share of the lung up to which, inclusive, random regions say something: of two regions that each take a share s, at
least 2 s - 1 of the lung lies in both, so from two thirds on every random region hides at least half of the named one,
wherever it lies."""

HEALTHY_LUNG_HU = -850
"""Healthy lung where a slice shows none: the middle of the aeration band of inflated lung, -950 to -750 HU
(`CovidCTLib.hu.AERATION_BANDS`)."""

MIN_HEALTHY_SHARE = 0.05
"""Share of a slice's lung without opacity from which its median stands for healthy lung; less is rims of opacities."""

LogOdds = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Takes images ``(n, size, size)`` in [0, 1] and gives the classifier's log odds of "like COVID-19", ``(n,)``."""


def probability_of(log_odds: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Turn log odds into probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(log_odds, dtype=np.float64))))


def healthy_value(image: NDArray[np.float32], lungs: NDArray[np.bool_], opacities: NDArray[np.bool_]) -> float:
    """Find what healthy lung looks like in a slice.

    Parameters
    ----------
    image
        What the network sees, in [0, 1].
    lungs, opacities
        Same shape.

    Returns
    -------
    float
        Median of the lung without opacity, in [0, 1]; where less than `MIN_HEALTHY_SHARE` of the lung is free of
        opacity, the value of `HEALTHY_LUNG_HU`.
    """
    healthy = lungs & ~opacities
    if np.count_nonzero(healthy) < MIN_HEALTHY_SHARE * np.count_nonzero(lungs) or not healthy.any():
        return float(scale_for_network(np.array([HEALTHY_LUNG_HU], dtype=np.int16))[0])
    return float(np.median(image[healthy]))


def named_region(heat: NDArray[np.float32], lungs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the part of the lungs that a map names.

    Parameters
    ----------
    heat
        Map in [0, 1].
    lungs
        bool, same shape.

    Returns
    -------
    ndarray
        bool, same shape: lung at or above `NAMED_LEVEL` of the map's largest value in the lungs; empty where that
        value is under `FAINT`.
    """
    inside = np.where(lungs, heat, 0)
    largest = float(inside.max())
    if largest < FAINT:
        return np.zeros(lungs.shape, dtype=bool)
    return np.asarray(inside >= NAMED_LEVEL * largest)


def random_regions(lungs: NDArray[np.bool_], area: int, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw compact regions of a given area inside the lungs.

    Parameters
    ----------
    lungs
        bool, shape ``(y, x)``, not empty.
    area
        Pixels of each region, at most those of the lungs.
    count
        How many.
    rng
        Where chance comes from.

    Returns
    -------
    ndarray
        bool, shape ``(count, y, x)``. Each region is made of the lung pixels nearest to one random lung pixel; it may
        reach into the other lung, as named regions do.
    """
    rows, columns = np.nonzero(lungs)
    regions = np.zeros((count, *lungs.shape), dtype=bool)
    for region, centre in zip(regions, rng.integers(0, rows.size, count), strict=True):
        distance = (rows - rows[centre]) ** 2 + (columns - columns[centre]) ** 2
        nearest = np.argsort(distance, kind="stable")[:area]
        region[rows[nearest], columns[nearest]] = True
    return regions


def judge(
    positive: bool, before: float, after: float, random: NDArray[np.float64], *, threshold: float, share: float
) -> Verdict:
    """Say what hiding a region showed.

    Parameters
    ----------
    positive
        Whether the classifier calls the slice like COVID-19; if not, there is nothing to explain.
    before, after
        Log odds before and after hiding the region.
    random
        Log odds after hiding each of the random regions, shape ``(n,)``.
    threshold
        Probability from which, inclusive, a slice is called like COVID-19.
    share
        Share of the lung that is hidden, above 0, at most 1.

    Returns
    -------
    str
        ``"explains"``: the log odds fall below those of every random region, the probability falls by at least
        `MIN_FALL`, and what is left is called not like COVID-19; ``"partly"``: the first alone, or it and the second.
        Where some random region does as much: ``"too large"``, if the probability falls by at least `MIN_FALL`, but the
        region takes more than `LARGEST_TESTED_SHARE` of the lung; ``"unclear"``, if it falls by at least `MIN_FALL`,
        and by as much more than by hiding random regions on average. ``"nothing"``: none of these; ``"not abnormal"``:
        the slice is not like COVID-19.
    """
    if not positive:
        return "not abnormal"
    left = float(probability_of(after))
    enough = float(probability_of(before)) - left >= MIN_FALL
    if after < min(before, float(random.min())):
        return "explains" if enough and left < threshold else "partly"
    if enough and share > LARGEST_TESTED_SHARE:
        return "too large"
    return "unclear" if enough and float(probability_of(random).mean()) - left >= MIN_FALL else "nothing"


def hide_and_see(
    image: NDArray[np.float32],
    lungs: NDArray[np.bool_],
    regions: dict[Method, NDArray[np.bool_]],
    healthy: float,
    positive: bool,
    log_odds: LogOdds,
    seed: int,
    *,
    threshold: float,
) -> tuple[HidingTest, ...]:
    """Hide each method's region, and random regions of its area, and ask the classifier again.

    Parameters
    ----------
    image
        What the network sees, in [0, 1], shape ``(size, size)``.
    lungs
        bool, same shape, not empty.
    regions
        bool, same shape, inside the lungs: what each method names.
    healthy
        What takes the place of what is hidden, from `healthy_value`.
    positive
        Whether the classifier calls the slice like COVID-19.
    log_odds
        The classifier.
    seed
        Seed of the random regions; each method draws its own, so that leaving one out changes no other.
    threshold
        As in `judge`.
    """
    before = float(log_odds(image[None])[0])
    tests = []
    for number, (method, region) in enumerate(regions.items()):
        area = int(np.count_nonzero(region))
        share = area / int(np.count_nonzero(lungs))
        if area == 0:
            tests.append(HidingTest(method, "no region", 0.0, float(probability_of(before))))
            continue
        rng = np.random.default_rng((seed, number))
        hidden = np.concatenate([region[None], random_regions(lungs, area, RANDOM_REGIONS, rng)])
        after = log_odds(np.where(hidden, np.float32(healthy), image))
        random = probability_of(after[1:])
        tests.append(
            HidingTest(
                method,
                judge(positive, before, float(after[0]), after[1:], threshold=threshold, share=share),
                100 * share,
                float(probability_of(before)),
                float(probability_of(after[0])),
                float(random.mean()),
                float(random.min()),
                int(np.count_nonzero(after[1:] <= after[0])),
            )
        )
    return tuple(tests)
