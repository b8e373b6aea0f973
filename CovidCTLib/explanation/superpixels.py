"""LIME on a slice: which superpixels of the lungs speak for the verdict, and which against it (C9).

Ribeiro et al. 2016, doi:10.1145/2939672.2939778; superpixels by SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.explanation.hiding import LogOdds
from CovidCTLib.explanation.slice_explanation import Superpixels

SUPERPIXEL_AREA = 320
"""Pixels of a superpixel on the network's grid: about 18 x 18, which is 25 mm in a frame of 300 mm: a subsegment, and
no larger than the opacities that matter."""

MIN_SUPERPIXELS = 4
"""Superpixels of the smallest lung; with fewer there is nothing to compare."""

COMPACTNESS, SMOOTHING_PIXELS = 0.2, 1.0
"""SLIC's weight of nearness against likeness, and the standard deviation of the Gaussian before it: on real CTs the
borders of opacities still count, and in even lung the noise does not break superpixels up (at 0.05 it merged most)."""

NAMED_SHARE = 0.25
"""A superpixel counts as for or against from this share of the largest weight, inclusive; smaller ones are the noise of
the sampling."""

KERNEL_WIDTH = 0.25
"""How fast samples count less the more is hidden, as a cosine distance: that of LIME's authors for pictures."""

RIDGE = 1.0
"""Penalty of the squared weights: that of LIME's authors. It keeps superpixels small that few samples tell apart."""

_BATCH = 64
"""Pictures that are made at once; the network takes them in smaller portions."""


def lung_superpixels(image: NDArray[np.float32], lungs: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Cut the lungs into superpixels.

    Parameters
    ----------
    image
        What the network sees, in [0, 1], shape ``(size, size)``.
    lungs
        bool, same shape, not empty.

    Returns
    -------
    ndarray
        int, same shape: 0 outside the lungs, superpixels numbered from 1 without gaps. A lung of fewer pixels than
        `MIN_SUPERPIXELS` gives fewer superpixels.
    """
    from skimage.segmentation import relabel_sequential, slic

    pixels = int(np.count_nonzero(lungs))
    count = max(MIN_SUPERPIXELS, round(pixels / SUPERPIXEL_AREA))
    segments = slic(
        image.astype(np.float64),
        n_segments=count,
        compactness=COMPACTNESS,
        sigma=SMOOTHING_PIXELS,
        mask=lungs,
        start_label=1,
        channel_axis=None,
    )
    return np.asarray(relabel_sequential(np.where(lungs, segments, 0))[0], dtype=np.int_)


def explain_by_lime(
    image: NDArray[np.float32],
    lungs: NDArray[np.bool_],
    healthy: float,
    log_odds: LogOdds,
    samples: int,
    seed: int,
) -> Superpixels:
    """Fit LIME's local linear model of the classifier on superpixels of the lungs.

    Parameters
    ----------
    image
        What the network sees, in [0, 1], shape ``(size, size)``.
    lungs
        bool, same shape, not empty.
    healthy
        What takes the place of a superpixel that is hidden, in [0, 1].
    log_odds
        The classifier. Its log odds are explained, as its probabilities near 0 and 1 hardly change with what is seen.
    samples
        How many times superpixels are hidden at random.
    seed
        Seed of the chance, 0 to 2**32 - 1.

    Notes
    -----
    A superpixel is shown or hidden by a fair coin; the first sample hides none. A sample in which ``k`` of ``n``
    superpixels are shown is ``d = 1 - sqrt(k / n)`` away from the slice as it is (the paper's cosine distance), and
    counts with ``exp(-(d / KERNEL_WIDTH)**2 / 2)``. The log odds are fitted by ridge regression with an intercept that
    is not penalized.
    """
    segments = lung_superpixels(image, lungs)
    count = int(segments.max())
    shown = np.random.RandomState(seed).randint(0, 2, (samples, count))
    shown[0] = 1
    # Superpixel 0 is what is not lung, and always shown.
    keep = np.concatenate([np.ones((samples, 1), dtype=bool), shown > 0], axis=1)
    answers = [log_odds(np.where(row[segments], image, np.float32(healthy))[None]) for row in keep[:1]]
    for start in range(1, samples, _BATCH):
        masks = keep[start : start + _BATCH][:, segments]
        answers.append(log_odds(np.where(masks, image, np.float32(healthy))))
    distance = 1 - np.sqrt(shown.mean(axis=1))
    weights, fit = _ridge(shown.astype(float), np.concatenate(answers), np.exp(-((distance / KERNEL_WIDTH) ** 2) / 2))
    return Superpixels(segments, weights, fit)


def _ridge(
    shown: NDArray[np.float64], answers: NDArray[np.floating[Any]], trust: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Fit a weighted ridge regression with an intercept; give the weights, and the weighted R²."""
    x = shown - np.average(shown, axis=0, weights=trust)
    y = answers.astype(float) - np.average(answers, weights=trust)
    weights = np.linalg.solve(x.T @ (x * trust[:, None]) + RIDGE * np.eye(x.shape[1]), x.T @ (trust * y))
    around = float(trust @ y**2)
    # Where the classifier says the same of every sample, there is nothing that the model does not tell.
    return weights, 1.0 - float(trust @ (y - x @ weights) ** 2) / around if around > 0 else 1.0


def regions_for_and_against(superpixels: Superpixels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give the superpixels that speak for the verdict "like COVID-19", and those that speak against it.

    Returns
    -------
    for_it, against_it
        bool, shape of the segments. Superpixels whose weight is at least `NAMED_SHARE` of the largest absolute one.
    """
    largest = float(np.abs(superpixels.weights).max(initial=0.0))
    level = np.concatenate([[0.0], superpixels.weights])
    if largest <= 0:
        nothing = np.zeros(superpixels.segments.shape, dtype=bool)
        return nothing, nothing.copy()
    limit = NAMED_SHARE * largest
    return (level >= limit)[superpixels.segments], (level <= -limit)[superpixels.segments]
