"""LIME on a slice: which superpixels of the lungs speak for the verdict, and which against it (C9).

Ribeiro et al. 2016, doi:10.1145/2939672.2939778; superpixels by SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120).
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import CovidCTError
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

_BATCH = 64
"""Pictures that are made at once; the network takes them in smaller portions."""


def _lime_image() -> ModuleType:
    """Import LIME, which is an optional extra."""
    try:
        with warnings.catch_warnings():
            # It loads a progress bar that nobody sees, which warns in notebooks.
            warnings.simplefilter("ignore")
            from lime import lime_image
    except ImportError as error:
        raise CovidCTError(
            "LIME needs the package 'lime', which is not installed. Install it, and try again.",
            hint="pip install 'covidct[explain]' installs it.",
        ) from error
    module: ModuleType = lime_image
    return module


def check_lime() -> None:
    """Check that LIME can be used.

    Raises
    ------
    CovidCTError
        If the package is not installed.
    """
    _lime_image()


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

    Raises
    ------
    CovidCTError
        If the package ``lime`` is not installed.
    """
    lime_image = _lime_image()
    segments = lung_superpixels(image, lungs)
    count = int(segments.max())

    class Explainer(lime_image.LimeImageExplainer):  # type: ignore[misc, name-defined]
        """LIME that hides superpixels of the lungs only, and shows no progress bar of its own."""

        def data_labels(self, *_: Any, **__: Any) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
            """Hide superpixels at random; the first sample hides none. Gives what was shown, and the log odds."""
            shown = self.random_state.randint(0, 2, (samples, count))
            shown[0] = 1
            # Superpixel 0 is what is not lung, and always shown.
            keep = np.concatenate([np.ones((samples, 1), dtype=bool), shown > 0], axis=1)
            answers = [log_odds(np.where(row[segments], image, np.float32(healthy))[None]) for row in keep[:1]]
            for start in range(1, samples, _BATCH):
                masks = keep[start : start + _BATCH][:, segments]
                answers.append(log_odds(np.where(masks, image, np.float32(healthy))))
            return shown, np.concatenate(answers)[:, None]

    explainer = Explainer(random_state=seed)
    answer = explainer.explain_instance(
        image.astype(np.float64),
        None,
        labels=(0,),
        top_labels=None,
        hide_color=healthy,
        num_samples=samples,
        segmentation_fn=lambda _: segments,
        random_seed=seed,
    )
    weights = np.zeros(count)
    for superpixel, weight in answer.local_exp[0]:
        weights[superpixel] = weight
    return Superpixels(segments, weights, float(answer.score))


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
    return (level >= NAMED_SHARE * largest)[superpixels.segments], (level <= -NAMED_SHARE * largest)[
        superpixels.segments
    ]
