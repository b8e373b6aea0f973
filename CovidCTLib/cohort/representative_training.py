"""Split, fit and judge classifiers of representative slices; nothing here knows of files or networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError

HELD_OUT_FRACTION = 0.2
"""Share of each class's patients that is held out (population study, row C8 of the specification)."""

MIN_PATIENTS = 5
"""Fewest patients of a class: with the share above, one is held out and four are learned from."""

EPOCHS = 300
"""Steps of gradient descent, each over all training scans; the loss no longer falls visibly after two thirds."""

RECORD_EVERY = 30
"""Epochs between two lines of the history."""

LEARNING_RATE = 0.03

L2_PENALTY = 0.01
"""Weight of the squared coefficients. Set beforehand and not tuned, so that no scan is used for it."""

Labels = NDArray[np.int_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, all in [0, 1]."""

    value: float
    low: float
    high: float


def split_patients(classes: Sequence[str], patients: Sequence[str], seed: int = 0) -> NDArray[np.bool_]:
    """Hold patients out, the same share of each class.

    Parameters
    ----------
    classes, patients
        Class and patient of each scan. A patient with scans of several classes counts to the most frequent one.
    seed
        Of the choice.

    Returns
    -------
    ndarray
        bool, shape ``(n,)``: true for held-out scans; all scans of a patient are on one side.

    Raises
    ------
    InputError
        If there are fewer than two classes, or a class has fewer than `MIN_PATIENTS` patients.
    """
    classes_of: dict[str, Counter[str]] = {}
    for name, patient in zip(classes, patients, strict=True):
        classes_of.setdefault(patient, Counter())[name] += 1
    members: dict[str, list[str]] = {}
    for patient in sorted(classes_of):
        members.setdefault(min(classes_of[patient].items(), key=lambda entry: (-entry[1], entry[0]))[0], []).append(
            patient
        )
    fewest = min((len(listed) for listed in members.values()), default=0)
    if len(members) < 2 or fewest < MIN_PATIENTS:
        raise InputError(
            f"At least two classes with {MIN_PATIENTS} patients each were expected, but there are {len(members)}, the "
            f"smallest with {fewest}. Analyze more scans, or give their classes in the manifest."
        )
    random = np.random.default_rng(seed)
    held_out: set[str] = set()
    for name in sorted(members):
        listed = members[name]
        held_out.update(random.permutation(listed)[: max(1, round(HELD_OUT_FRACTION * len(listed)))].tolist())
    return np.array([patient in held_out for patient in patients], dtype=np.bool_)


@dataclass(frozen=True)
class Thresholds:
    """The plain rule: a value belongs to the class of the range that it lies in.

    Parameters
    ----------
    limits
        Rising, one fewer than ``order``; a value at a limit belongs to the range above it.
    order
        Classes from low values to high ones.
    """

    limits: tuple[float, ...]
    order: tuple[int, ...]

    def predict(self, values: Numbers) -> Labels:
        """Give the class of each value, shape ``(n,)``."""
        return np.asarray(self.order)[np.searchsorted(np.asarray(self.limits), values, side="right")]


def fit_thresholds(values: Numbers, labels: Labels) -> Thresholds:
    """Choose the thresholds with the largest accuracy, classes in the order of their medians.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite.
    labels
        Shape ``(n,)``: 0, 1, ...; each of them occurs.

    Notes
    -----
    Found exactly, by dynamic programming over the sorted values. Of equally good ones the lowest are taken; each limit
    lies in the middle between two values. A class that no range favours gets an empty one.
    """
    count = int(labels.max()) + 1
    order = tuple(int(c) for c in np.argsort([np.median(values[labels == c]) for c in range(count)], kind="stable"))
    levels, rank_of_value = np.unique(values, return_inverse=True)
    # hits[c, i]: scans of the c-th class of the order among the i lowest levels.
    hits = np.zeros((count, len(levels) + 1))
    for rank, label in enumerate(order):
        hits[rank, 1:] = np.cumsum(np.bincount(rank_of_value[labels == label], minlength=len(levels)))
    best, starts = hits[0].copy(), []
    for rank in range(1, count):
        # The class takes the levels from s to i: best[s] - hits[s] + hits[i], with s at most i.
        gain = best - hits[rank]
        better = np.concatenate([[True], gain[1:] > np.maximum.accumulate(gain)[:-1]])
        first = np.maximum.accumulate(np.where(better, np.arange(len(gain)), 0))
        starts.append(first)
        best = hits[rank] + gain[first]
    ends = [len(levels)]
    for first in reversed(starts):
        ends.append(int(first[ends[-1]]))
    middles = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    return Thresholds(tuple(float(middles[end]) for end in reversed(ends[1:])), order)


@dataclass(frozen=True)
class LinearClassifier:
    """Multinomial logistic regression on standardized features.

    Parameters
    ----------
    mean, scale
        Shape ``(f,)``, of the training scans.
    weights, bias
        Shapes ``(f, classes)`` and ``(classes,)``.
    """

    mean: Numbers
    scale: Numbers
    weights: Numbers
    bias: Numbers

    def probabilities(self, features: Numbers) -> Numbers:
        """Give the probability of each class, shape ``(n, classes)``, for features ``(n, f)``."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


def fit_linear(
    features: Numbers,
    labels: Labels,
    record: Callable[[int, float, LinearClassifier], None] = lambda *_: None,
) -> LinearClassifier:
    """Train a multinomial logistic regression by gradient descent (Adam; Kingma and Ba 2015, arXiv:1412.6980).

    Parameters
    ----------
    features
        Shape ``(n, f)``, finite.
    labels
        Shape ``(n,)``: 0, 1, ...; each of them occurs. Each class counts alike, however many scans it has.
    record
        Told, every `RECORD_EVERY` epochs, the epoch, the training loss (cross-entropy, in nats, without the penalty)
        and the classifier as it is.

    Notes
    -----
    It starts from zero and every step sees all scans, so the same scans give the same classifier.
    """
    import torch

    scale = features.std(axis=0)
    mean, scale = features.mean(axis=0), np.where(scale > 0, scale, 1.0)
    inputs = (features - mean) / scale
    classes = int(labels.max()) + 1
    counted = np.bincount(labels, minlength=classes)
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))
    weight = torch.from_numpy(1 / (classes * counted))[y]
    weights = torch.zeros((features.shape[1], classes), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=LEARNING_RATE)

    def model() -> LinearClassifier:
        return LinearClassifier(mean, scale, weights.detach().numpy().copy(), bias.detach().numpy().copy())

    for epoch in range(1, EPOCHS + 1):
        loss = (weight * torch.nn.functional.cross_entropy(x @ weights + bias, y, reduction="none")).sum()
        if epoch == 1 or epoch % RECORD_EVERY == 0:
            record(epoch, float(loss), model())
        weights.grad, bias.grad = torch.autograd.grad(loss + L2_PENALTY * weights.square().sum(), [weights, bias])
        optimizer.step()
    return model()
