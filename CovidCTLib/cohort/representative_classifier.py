"""A classifier of a cohort's representative slices (C8), held beside the plain threshold on the vessel ratio.

It is a logistic regression on what the slice classifier sees: its activations before the coarser of its two maps,
their mean over the picture, and its logit, for the lungs of the representative slice. A cohort has some hundred
scans, too few to train a network from nothing; the slice classifier has learned from thousands of slices what disease
looks like, and a linear layer on it has so few weights that it can be trained in seconds, without a scan being spent
on tuning.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.cohort.representative import RepresentativeSlice, read_representative
from CovidCTLib.cohort.representative_training import (
    EPOCHS,
    HELD_OUT_FRACTION,
    L2_PENALTY,
    MIN_PATIENTS,
    Interval,
    Labels,
    LinearClassifier,
    Numbers,
    fit_linear,
    fit_thresholds,
    split_patients,
)
from CovidCTLib.cohort.rows import CohortRow, read_rows, scan_folder
from CovidCTLib.cohort.summary_table import safe_cell
from CovidCTLib.errors import InputError
from CovidCTLib.writing.files import new_output_files
from CovidCTLib.writing.folder import explained
from CovidCTLib.writing.records import record_head, write_record_file

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork

FOLDER = "classifier"
HISTORY_FILES = ("history.csv", "history.png")
PREDICTIONS_FILE = "predictions.csv"
RECORD_FILE = "classifier.json"

METHOD = (
    "Logistic regression on the mean activations at 14 x 14 and the logit of the slice classifier, for the lungs of "
    "the representative slice; classes weigh alike. Held-out scans took part in nothing but the last judgement. Where "
    "the slice classifier itself was trained on patients of this cohort, the figures flatter it."
)


@dataclass(frozen=True)
class Verdict:
    """How well a rule does on the held-out scans.

    Parameters
    ----------
    accuracy
        Share of scans in their right class, with its exact interval; its count is that of patients, as scans of a
        patient are alike.
    balanced_accuracy
        Mean over the classes of the share that is right.
    """

    accuracy: Interval
    balanced_accuracy: float


@dataclass(frozen=True)
class ClassifierResult:
    """What the training of a classifier on representative slices gave.

    Parameters
    ----------
    classes
        Names, in the order of the confusion matrix.
    training_scans, training_patients, held_out_scans, held_out_patients
        Sizes of both sides.
    classifier, threshold
        The verdicts on the classifier and on the plain threshold on the vessel ratio.
    majority_accuracy
        Accuracy of always naming the class that is most frequent in training.
    limits_percent, limits_order
        The thresholds, in percent, and the classes from low ratios to high ones.
    confusion
        Held-out scans by true class (rows) and predicted class.
    only_classifier_right, only_threshold_right
        Held-out scans that only one of both has right.
    left_out
        Why scans took no part, and how many.
    files
        What was written.
    """

    classes: tuple[str, ...]
    training_scans: int
    training_patients: int
    held_out_scans: int
    held_out_patients: int
    classifier: Verdict
    threshold: Verdict
    majority_accuracy: float
    limits_percent: tuple[float, ...]
    limits_order: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    only_classifier_right: int
    only_threshold_right: int
    left_out: dict[str, int]
    files: tuple[Path, ...]


def train_representative_classifier(
    out: Path, *, network: LoadedNetwork | None = None, seed: int = 0
) -> ClassifierResult:
    """Train and judge a classifier of representative slices; the work of ``covidct cohort classifier OUT``.

    Parameters
    ----------
    out
        Output folder of ``covidct cohort``, of either kind of measures.
    network
        The slice classifier whose features are used; None loads the shipped one.
    seed
        Of the choice of held-out patients.

    Returns
    -------
    ClassifierResult
        Written to ``OUT/classifier`` as well: ``history.csv``, ``history.png``, ``predictions.csv`` of the held-out
        scans, and ``classifier.json``. Earlier ones are replaced.

    Raises
    ------
    InputError
        If there are no rows with class, ratio and slice, or too few patients of at least two classes.
    ModelError
        If the slice classifier is missing or damaged.
    OutputError
        If the files cannot be written.
    CovidCTError
        If pyarrow is not installed.
    """
    rows, slices, left_out = _usable(out)
    if network is None:
        from CovidCTLib.models.store import ModelStore

        network = ModelStore(device="cpu", full_precision=True).slices()
    patients = [row.patient or row.content_sha256 or row.id for row in rows]
    held_out = split_patients([row.class_name for row in rows], patients, seed)
    classes = tuple(sorted({row.class_name for row in rows}))
    labels = np.array([classes.index(row.class_name) for row in rows])
    features = slice_features(slices, network)
    folder = out / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise explained(error) from error
    files = [folder / name for name in (*HISTORY_FILES, PREDICTIONS_FILE, RECORD_FILE)]
    with new_output_files(files, overwrite=True) as lent:
        model = _train(features, labels, held_out, lent[files[0]].parent)
        probabilities = model.probabilities(features[held_out])
        result = _judged(rows, patients, labels, classes, held_out, probabilities, left_out, tuple(files))
        _write_predictions(
            lent[files[2]], [r for r, h in zip(rows, held_out, strict=True) if h], classes, probabilities
        )
        write_record_file(lent[files[3]], _record(result, network, model, seed))
    return result


def slice_features(slices: Sequence[RepresentativeSlice], network: LoadedNetwork) -> Numbers:
    """Take what the slice classifier sees of slices.

    Parameters
    ----------
    slices
        Each with lung.
    network
        The slice classifier.

    Returns
    -------
    ndarray
        float64, shape ``(n, f)``: the mean over the picture of each activation that its layer ``spots_14`` takes (none
        where the network has no such layer), and its logit.
    """
    import torch

    from CovidCTLib.framing import lung_frame
    from CovidCTLib.slices.lung_crop import crop_lungs

    seen: list[torch.Tensor] = []
    layer = getattr(network.network, "spots_14", None)
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) if layer is not None else None
    features = []
    try:
        for shown in slices:
            frame = lung_frame(shown.lungs[None], (1.0, *shown.pixel_mm))
            image = crop_lungs(shown.hu[None], shown.lungs[None], frame, np.array([0]), network.card.size)
            logit = network.run(image).reshape(1, 1)
            values = [seen.pop().float().mean(dim=(2, 3)).cpu()] if seen else []
            features.append(torch.cat([*values, logit], dim=1)[0].numpy())
    finally:
        if hook is not None:
            hook.remove()
    return np.stack(features).astype(np.float64)


def _usable(out: Path) -> tuple[list[CohortRow], list[RepresentativeSlice], dict[str, int]]:
    """Rows with all that is needed, their slices, and why others took no part."""
    left_out: Counter[str] = Counter()
    rows, slices = [], []
    candidates = list(read_rows(out)) if out.is_dir() else []
    owners: dict[str, set[str]] = {}
    for row in candidates:
        if row.status == "ok" and row.class_name:
            owners.setdefault(row.class_name, set()).add(row.patient or row.content_sha256 or row.id)
    for row in candidates:
        if row.status != "ok":
            left_out["failed"] += 1
        elif not row.class_name:
            left_out["no class"] += 1
        elif row.vessel_ratio_percent is None:
            left_out["no vessel ratio"] += 1
        elif len(owners[row.class_name]) < MIN_PATIENTS:
            left_out[f"class with fewer than {MIN_PATIENTS} patients"] += 1
        else:
            try:
                slices.append(read_representative(scan_folder(out, row.id)))
            except InputError:
                left_out["no representative slice in the scan's folder"] += 1
            else:
                rows.append(row)
    if not rows:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())) or "no row at all"
        raise InputError(
            f"A cohort with classes and at least {MIN_PATIENTS} patients in each was expected, but no scan can be "
            f"used ({why}). Give a manifest with the column class, and run 'covidct cohort' first."
        )
    return rows, slices, dict(sorted(left_out.items()))


def _train(features: Numbers, labels: Labels, held_out: NDArray[np.bool_], run: Path) -> LinearClassifier:
    """Train on the scans that are not held out, and write the history."""
    from CovidCTLib.training.history import write_history

    def record(epoch: int, loss: float, model: LinearClassifier) -> None:
        said = model.probabilities(features[held_out])
        truth = labels[held_out]
        right_said = np.maximum(said[np.arange(len(truth)), truth], 1e-12)
        # The history's figures are those of held-out patients; nothing is chosen by them.
        figures = {
            "accuracy": float((said.argmax(axis=1) == truth).mean()),
            "cross_entropy": float(-np.log(right_said).mean()),
        }
        write_history(run, epoch, loss, figures)

    return fit_linear(features[~held_out], labels[~held_out], record)


def _judged(
    rows: Sequence[CohortRow],
    patients: Sequence[str],
    labels: Labels,
    classes: tuple[str, ...],
    held_out: NDArray[np.bool_],
    probabilities: Numbers,
    left_out: dict[str, int],
    files: tuple[Path, ...],
) -> ClassifierResult:
    """Judge classifier and threshold on the held-out scans."""
    ratio = np.array([row.vessel_ratio_percent for row in rows], dtype=np.float64)
    rule = fit_thresholds(ratio[~held_out], labels[~held_out])
    truth, called, plain = labels[held_out], probabilities.argmax(axis=1), rule.predict(ratio[held_out])
    owner = np.array(patients)
    count = len(set(owner[held_out]))
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (truth, called), 1)
    most_frequent = int(np.bincount(labels[~held_out]).argmax())
    return ClassifierResult(
        classes=classes,
        training_scans=int((~held_out).sum()),
        training_patients=len(set(owner[~held_out])),
        held_out_scans=int(held_out.sum()),
        held_out_patients=count,
        classifier=_verdict(called, truth, count),
        threshold=_verdict(plain, truth, count),
        majority_accuracy=float((truth == most_frequent).mean()),
        limits_percent=rule.limits,
        limits_order=tuple(classes[label] for label in rule.order),
        confusion=tuple(tuple(int(v) for v in line) for line in confusion),
        only_classifier_right=int(((called == truth) & (plain != truth)).sum()),
        only_threshold_right=int(((called != truth) & (plain == truth)).sum()),
        left_out=left_out,
        files=files,
    )


def _verdict(predicted: Labels, truth: Labels, patients: int) -> Verdict:
    from CovidCTLib.evaluation.statistics import exact_interval

    right = predicted == truth
    shares = [float(right[truth == label].mean()) for label in np.unique(truth)]
    share = float(right.mean())
    return Verdict(Interval(share, *exact_interval(share * patients, patients)), float(np.mean(shares)))


def _write_predictions(path: Path, rows: Sequence[CohortRow], classes: tuple[str, ...], probabilities: Numbers) -> None:
    """Write a line for each held-out scan."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [f"probability of {name}" for name in classes]
        writer.writerow(["id", "class_name", "predicted", "vessel_ratio_percent", *map(safe_cell, names)])
        for row, said in zip(rows, probabilities, strict=True):
            entry = [row.id, row.class_name, classes[int(said.argmax())], row.vessel_ratio_percent]
            writer.writerow([safe_cell(value) for value in (*entry, *(float(p) for p in said))])


def _record(result: ClassifierResult, network: LoadedNetwork, model: LinearClassifier, seed: int) -> dict[str, Any]:
    """Put the result and how it was made into plain values; infinite limits, of classes without a range, are None."""
    record = asdict(result)
    record["files"] = [file.name for file in result.files]
    record["limits_percent"] = [limit if np.isfinite(limit) else None for limit in result.limits_percent]
    return {
        **record_head(),
        "method": METHOD,
        "slice_classifier": {"name": network.card.name, "version": network.card.version, "sha256": network.card.sha256},
        "settings": {"held_out": HELD_OUT_FRACTION, "epochs": EPOCHS, "l2_penalty": L2_PENALTY, "seed": seed},
        **record,
        "coefficients": {name: getattr(model, name).tolist() for name in ("mean", "scale", "weights", "bias")},
    }
