"""Keypoints of two slices and which of them match (row C7 of the specification).

Keypoints and descriptors are SIFT's (Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94), as scikit-image computes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError

MOST_MATCHES = 50
"""Best matches that are kept, as in the population study."""


@dataclass(frozen=True)
class KeypointMatches:
    """Keypoints of two slices, and their best matches.

    Parameters
    ----------
    first, second
        float64, shape ``(n, 2)`` and ``(m, 2)``: row and column of each keypoint, in pixels of its slice.
    pairs
        int64, shape ``(k, 2)``, best first, at most `MOST_MATCHES`: numbers of the keypoints that match.
    distances
        float64, shape ``(k,)``: L1 distance of the descriptors of each pair; the smaller, the more alike.
    matched
        Number of all matches, of which the best are kept.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    pairs: NDArray[np.int64]
    distances: NDArray[np.float64]
    matched: int


def match_slices(first: NDArray[np.float32], second: NDArray[np.float32], most: int = MOST_MATCHES) -> KeypointMatches:
    """Find keypoints in two pictures and match them.

    Parameters
    ----------
    first, second
        Grey values in [0, 1], two-dimensional, each of its own shape.
    most
        Best matches to keep.

    Returns
    -------
    KeypointMatches
        A keypoint matches another if each is the other's nearest (cross-check) by the L1 distance of the descriptors.

    Raises
    ------
    InputError
        If a picture shows nothing that makes a keypoint.
    """
    from skimage.feature import match_descriptors

    (points, descriptors), (other_points, other_descriptors) = _keypoints(first), _keypoints(second)
    pairs = match_descriptors(descriptors, other_descriptors, metric="cityblock", cross_check=True)
    left, right = descriptors[pairs[:, 0]].astype(np.int64), other_descriptors[pairs[:, 1]].astype(np.int64)
    distances = np.abs(left - right).sum(axis=1).astype(np.float64)
    # A stable sort, so that equal distances keep the order of the keypoints on every machine.
    order = np.argsort(distances, kind="stable")[:most]
    return KeypointMatches(points, other_points, pairs[order].astype(np.int64), distances[order], len(pairs))


def _keypoints(picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Positions and descriptors of the keypoints of a picture."""
    from skimage.feature import SIFT

    detector = SIFT()
    try:
        detector.detect_and_extract(picture)
    except RuntimeError as error:
        # scikit-image refuses pictures without any keypoint.
        raise InputError(
            "A slice that shows a chest was expected, but this one shows nothing that makes a SIFT keypoint. Choose "
            "another slice with --slices."
        ) from error
    return np.asarray(detector.keypoints, dtype=np.float64), np.asarray(detector.descriptors)
