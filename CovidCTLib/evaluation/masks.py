"""Judging of masks: lungs and opacities, image by image, and their means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import ModelError
from CovidCTLib.evaluation.examples import Contours, Example, slice_with_most
from CovidCTLib.evaluation.figures import NO_LUNGS, SEEN_REASON, Figure, Row, Value, few_remark, judged
from CovidCTLib.evaluation.metrics import Mask, Overlap, overlap, surface_agreement
from CovidCTLib.evaluation.predict import predict_lungs, predict_opacities
from CovidCTLib.evaluation.statistics import Estimate, bootstrap_mean, bootstrap_ratio
from CovidCTLib.labelled_data.labelled import INFECTION, UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.layout import Kind, TrainingCase, says_other_disease
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO
from CovidCTLib.models.card import count_of
from CovidCTLib.models.store import ModelStore
from CovidCTLib.units import MM3_PER_ML

MaskTask = Literal["lungs", "effusion", "opacities"]

VOLUMES = "volumes"
NORMAL_CONTROL = "normal control"
OTHER_DISEASE = "other disease"
NO_EFFUSION = "without effusion"
"""Groups of volumes; single slices are a group a case."""

EMPTY_TRUTH = "the truth is empty"
NOTHING_FOUND = "nothing was found"


@dataclass(frozen=True)
class Measured:
    """What was measured in one image.

    Parameters
    ----------
    values, undefined
        As in `CovidCTLib.evaluation.figures.Row`.
    overlaps
        Voxel counts by region.
    example
        The image with its contours; None where there is nothing to compare.
    """

    values: dict[str, Value] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    overlaps: dict[str, Overlap] = field(default_factory=dict)
    example: Example | None = None


def group_of(case: TrainingCase) -> str:
    """Name what a case is averaged with."""
    if case.kind == "volume":
        return NORMAL_CONTROL if case.all_normal else OTHER_DISEASE if says_other_disease(case.name) else VOLUMES
    return _name_of_slices(case)


def lung_group_of(case: TrainingCase) -> str:
    """The same where lungs are judged: normal lungs are volumes like others."""
    return VOLUMES if case.kind == "volume" else _name_of_slices(case)


def effusion_group_of(case: TrainingCase) -> str:
    """The same where pleural effusion is judged: those that show none are a group of their own."""
    return VOLUMES if case.effusion else NO_EFFUSION


def _name_of_slices(case: TrainingCase) -> str:
    """Name of a case of single slices, which is not that of a group of volumes."""
    taken = (VOLUMES, NORMAL_CONTROL, OTHER_DISEASE, NO_EFFUSION)
    return f"{case.name} (slices)" if case.name in taken else case.name


def measure_image(task: MaskTask, image: LabelledImage, case: TrainingCase, store: ModelStore) -> Measured:
    """Predict one image and compare with the truth.

    Raises
    ------
    CovidCTError
        If the image cannot be predicted.
    """
    if task == "lungs":
        labelled = image.lungs != UNKNOWN
        regions = {"lungs": ((predict_lungs(image, case.kind, store) > 0) & labelled, image.lungs == 1)}
        measured = _compare(regions, image, case.kind)
    elif task == "effusion":
        return _measure_effusion(image, case, store)
    elif says_other_disease(case.name):
        return _measure_other_disease(image, case, store)
    else:
        prediction = predict_opacities(image, case.kind, store)
        true = np.where(image.opacities == UNKNOWN, 0, image.opacities)
        regions = {"infection": (prediction.opacities > 0, true > 0)}
        if not (true == INFECTION).any() and case.kind != "calibrated pictures" and store.card("opacities").tells_kinds:
            regions["ggo"] = (prediction.opacities == OPACITY_GGO, true == OPACITY_GGO)
            regions["consolidation"] = (prediction.opacities == OPACITY_CONSOLIDATION, true == OPACITY_CONSOLIDATION)
        measured = _compare(regions, image, case.kind)
        _add_shares(measured, prediction.opacities > 0, prediction.lungs, image, case.kind)
    first = next(iter(regions))
    return Measured(
        measured.values,
        measured.undefined,
        measured.overlaps,
        _example(image, case, *regions[first], measured.overlaps[first]),
    )


def _measure_other_disease(image: LabelledImage, case: TrainingCase, store: ModelStore) -> Measured:
    """Measure what is called opacity inside the labelled lungs of a patient who has nothing like COVID-19."""
    prediction = predict_opacities(image, case.kind, store)
    lungs = image.lungs == 1
    wrong = (prediction.opacities > 0) & lungs
    counts = int(np.count_nonzero(lungs))
    measured = Measured()
    share = 100 * int(np.count_nonzero(wrong)) / counts if counts else None
    _put(measured, "false_opacity_percent", share, "the true lungs are not known")
    example = _example(image, case, wrong, np.zeros_like(lungs), overlap(wrong, np.zeros_like(lungs)))
    return Measured(measured.values, measured.undefined, {}, example)


def _measure_effusion(image: LabelledImage, case: TrainingCase, store: ModelStore) -> Measured:
    """Compare pleural effusion; where there is none, measure what is called so."""
    card = store.card("lungs")
    if not card.finds_effusion:
        raise ModelError(
            f"A lung network that tells pleural effusion was expected, but {card.name} {card.version} does not. Give "
            "one by --models, such as the run of covidct train lungs."
        )
    prediction = predict_opacities(image, case.kind, store)
    labels = np.zeros(image.hu.shape, np.uint8) if image.effusion is None else image.effusion
    true = labels == 1
    effusion = np.zeros_like(true) if prediction.effusion is None else prediction.effusion & (labels != UNKNOWN)
    if not true.any():
        ml = float(np.prod(image.spacing_zyx_mm)) / MM3_PER_ML
        measured = Measured({"false_effusion_ml": int(np.count_nonzero(effusion)) * ml})
    else:
        measured = _compare({"effusion": (effusion, true)}, image, case.kind)
        lungs = prediction.lungs if prediction.lungs is not None else np.zeros(true.shape, np.uint8)
        taken = int(np.count_nonzero(true & ((lungs > 0) | (prediction.opacities > 0))))
        measured.values["effusion_taken_percent"] = 100 * taken / int(np.count_nonzero(true))
    example = _example(image, case, effusion, true, overlap(effusion, true))
    return Measured(measured.values, measured.undefined, measured.overlaps, example)


def _compare(regions: dict[str, tuple[Mask, Mask]], image: LabelledImage, kind: Kind) -> Measured:
    """Compare masks region by region; surfaces only of what is one thing, lungs or infection."""
    measured = Measured()
    for number, (region, (predicted, truth)) in enumerate(regions.items()):
        counts = overlap(predicted, truth)
        measured.overlaps[region] = counts
        _put(measured, f"{region}_dice", counts.dice if counts.truth else None, EMPTY_TRUTH)
        if kind != "volume":
            continue
        ml = float(np.prod(image.spacing_zyx_mm)) / MM3_PER_ML
        error = counts.predicted - counts.truth
        measured.values[f"{region}_found_ml"] = counts.predicted * ml
        measured.values[f"{region}_true_ml"] = counts.truth * ml
        measured.values[f"{region}_volume_error_ml"] = error * ml
        _put(
            measured,
            f"{region}_volume_error_percent",
            100 * error / counts.truth if counts.truth else None,
            EMPTY_TRUTH,
        )
        if number == 0:
            agreement = surface_agreement(predicted, truth, image.spacing_zyx_mm)
            why = NOTHING_FOUND if counts.truth else EMPTY_TRUTH
            nothing = 0.0 if counts.truth else None
            _put(measured, f"{region}_surface_dice", agreement.surface_dice if agreement else nothing, EMPTY_TRUTH)
            _put(measured, f"{region}_hausdorff_95_mm", agreement.hausdorff_95_mm if agreement else None, why)
    return measured


def _add_shares(
    measured: Measured, opacity: Mask, lungs: NDArray[np.uint8] | None, image: LabelledImage, kind: Kind
) -> None:
    """Add opacity as a share of the lungs, in volumes."""
    if kind != "volume" or lungs is None:
        return
    predicted = int(np.count_nonzero(opacity))
    lung_voxels = int(np.count_nonzero(lungs))
    share = 100 * predicted / lung_voxels if lung_voxels else None
    _put(measured, "opacity_of_lungs_percent", share, NO_LUNGS)
    true_lungs = int(np.count_nonzero(image.lungs == 1))
    error = predicted - measured.overlaps["infection"].truth
    _put(
        measured,
        "opacity_error_of_lungs_percent",
        100 * error / true_lungs if true_lungs else None,
        "the true lungs are not known",
    )


def _put(measured: Measured, name: str, value: float | None, why_not: str) -> None:
    """Add a value, with the reason where there is none."""
    measured.values[name] = value
    if value is None:
        measured.undefined[name] = why_not


def _example(image: LabelledImage, case: TrainingCase, predicted: Mask, truth: Mask, counts: Overlap) -> Example | None:
    """The slice in which found and true differ most; None where nothing is true and nothing was found."""
    if not counts.truth and not counts.predicted:
        return None
    whole = " of the whole case" if case.kind == "volume" else ""
    dice = counts.dice or 0.0
    caption, badness = f"Dice {dice:.2f}{whole}", 1 - dice
    if not counts.truth:
        # All of it is wrong: the more, the worse, and worse than any Dice.
        caption, badness = (
            f"{counts.predicted} voxels found{whole}, none of them true",
            1 + counts.predicted / predicted.size,
        )
    k = slice_with_most(predicted ^ truth)
    where = f", slice {k}" if case.kind == "volume" else ""
    name = case.name if case.kind == "volume" else f"{case.name} {image.name}"
    return Example(
        badness=badness,
        title=f"{name}{where}",
        caption=caption,
        hu=np.array(image.hu[k]),
        contours=Contours(truth[k].copy(), predicted[k].copy()),
        pixel_mm=(image.spacing_zyx_mm[1], image.spacing_zyx_mm[2]),
        photograph=case.kind == "photographs",
        has_scale=case.kind == "volume",
    )


def mask_figures(
    task: MaskTask, rows: Sequence[Row], overlaps: Sequence[dict[str, Overlap]], kinds: dict[str, Kind]
) -> list[Figure]:
    """Sum up rows, group by group.

    Parameters
    ----------
    task
        What was judged.
    rows
        All rows.
    overlaps
        Voxel counts by region of each row; empty for rows that failed.
    kinds
        Kind of the cases of each group, in the order in which groups are shown.
    """
    figures = []
    for group, kind in kinds.items():
        members = [(row, counts) for row, counts in zip(rows, overlaps, strict=True) if row.group == group]
        counting = [(row, counts) for row, counts in members if row.status == "judged"]
        if group == NORMAL_CONTROL:
            figures.append(_mean(group, kind, "opacity_of_lungs_percent", [row for row, _ in members]))
            continue
        if group in (OTHER_DISEASE, NO_EFFUSION):
            name = "false_opacity_percent" if group == OTHER_DISEASE else "false_effusion_ml"
            figures.append(_mean(group, kind, name, [row for row, _ in members]))
            continue
        regions = list(dict.fromkeys(region for _, counts in members for region in counts))
        for region in regions:
            figures.append(_mean(group, kind, f"{region}_dice", [row for row, _ in members]))
            figures.append(_pooled(group, kind, region, counting))
            if kind == "volume":
                names = [f"{region}_{name}" for name in ("volume_error_ml", "volume_error_percent")]
                if region == regions[0]:
                    names = [f"{region}_surface_dice", f"{region}_hausdorff_95_mm", *names]
                figures += [_mean(group, kind, name, [row for row, _ in members]) for name in names]
        if task == "effusion":
            figures.append(_mean(group, kind, "effusion_taken_percent", [row for row, _ in members]))
        if task == "opacities" and kind == "volume" and regions:
            figures.append(_mean(group, kind, "opacity_error_of_lungs_percent", [row for row, _ in members]))
    return figures


def _mean(group: str, kind: Kind, name: str, rows: Sequence[Row]) -> Figure:
    """Mean of a value over the judged rows of a group; of errors, of their sizes."""
    size: Callable[[float], float] = abs if "error" in name else float
    counting = [(row, value) for row in judged(rows) if (value := number_in(row, name)) is not None]
    values = [size(value) for _, value in counting]
    patients = [row.patient for row, _ in counting]
    estimate = bootstrap_mean(values, patients) if values else Estimate(None, reason=why_none(rows, name))
    owners = len(set(patients))
    return Figure(group, kind, name, estimate, len(values), _counted(kind), owners, few_remark(owners))


def _pooled(group: str, kind: Kind, region: str, counting: Sequence[tuple[Row, dict[str, Overlap]]]) -> Figure:
    """Dice of all voxels of the judged rows of a group."""
    # A case whose mask does not tell kinds has no counts of one.
    labelled = [(row, by_region[region]) for row, by_region in counting if region in by_region]
    # An image with nothing true and nothing found adds nothing to either sum.
    showing = [(row, c) for row, c in labelled if c.predicted or c.truth]
    patients = [row.patient for row, _ in showing]
    counts = [c for _, c in showing]
    estimate = bootstrap_ratio([2 * c.both for c in counts], [c.predicted + c.truth for c in counts], patients)
    if not counting:
        estimate = Estimate(None, reason=SEEN_REASON)
    owners = len(set(patients))
    return Figure(
        group, kind, f"{region}_pooled_dice", estimate, len(counts), _counted(kind), owners, few_remark(owners)
    )


def _counted(kind: Kind) -> str:
    return "cases" if kind == "volume" else "slices"


def effusion_notices(rows: Sequence[Row]) -> list[str]:
    """Say plainly how far volumes of pleural effusion were off, and how much was found where there is none."""
    errors = [number_in(row, "effusion_volume_error_percent") for row in judged(rows)]
    off = [error for error in errors if error is not None]
    false = [ml for row in judged(rows) if (ml := number_in(row, "false_effusion_ml")) is not None]
    if not off:
        return []
    text = (
        f"Judged on {count_of(len(off), 'cases')} with pleural effusion, the volume found was {min(off) / 100 + 1:.1f} "
        f"to {max(off) / 100 + 1:.1f} times the true one."
    )
    if false:
        text += f" In {count_of(len(false), 'cases')} without it, up to {max(false):.0f} ml were found."
    return [text]


def number_in(row: Row, name: str) -> float | None:
    """A number among a row's values; None where it is undefined."""
    value = row.values.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def why_none(rows: Sequence[Row], name: str) -> str:
    """Say why a figure of these rows is undefined."""
    if not judged(rows):
        return SEEN_REASON if any(row.status == "seen in training" for row in rows) else "no case could be judged"
    reasons = {row.undefined[name] for row in judged(rows) if name in row.undefined}
    return "; ".join(sorted(reasons)) or "not measured"
