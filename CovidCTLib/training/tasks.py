"""The three things that are trained: lungs, opacities, slices. Each says which slices it uses and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from CovidCTLib.labelled_data.layout import says_normal, says_other_disease, says_other_pneumonia
from CovidCTLib.models.card import ModelName
from CovidCTLib.models.networks import (
    LUNG_ARCHITECTURE,
    OPACITY_ARCHITECTURE,
    SLICE_ARCHITECTURE,
    SliceClassifier,
    slices_seen,
)
from CovidCTLib.slices.lung_crop import keep_lungs
from CovidCTLib.training.augmentation import GENTLE, USUAL, Strength
from CovidCTLib.training.lesions import LABEL_EFFUSION, LABEL_LUNGS, LABEL_OPACITIES
from CovidCTLib.training.losses import abnormal_loss, lung_loss, opacity_loss, spot_loss
from CovidCTLib.training.sampling import balanced_weights
from CovidCTLib.training.slices import SIDE, UNKNOWN, Framing, SliceSet

SLICE_THRESHOLD = 0.5
"""Probability at or above which a slice is called abnormal, where the validation gives no better one."""

SPECIFICITY = 0.9
"""Share of normal slices that the slice threshold of a card leaves uncalled: a case without disease must not be called
positive because one slice in five is."""

CASE_THRESHOLD = 0.1
"""Share of abnormal slices above which a case is called positive, where the command names no other."""

SPOT_WEIGHT = 0.5
"""Weight of each of the two coarse grids of opacity beside the verdict on the slice."""


@dataclass(frozen=True)
class Task:
    """One kind of training.

    Parameters
    ----------
    name
        Name of the model.
    architecture, size, framing
        As in its card.
    usable
        Mask of the slices that say something for this task.
    weights
        Chance of each slice to be shown.
    prepare
        From images ``(n, 1, size, size)`` and lung labels ``(n, size, size)`` to what the network sees.
    loss
        From the network, prepared images and a batch to a number.
    judge
        From predictions on validation slices to figures; ``score`` is the one to raise.
    expects, gives, limits
        Sentences of the card.
    thresholds
        Operating points that the card names.
    pasted, carried
        Chances of a made-up opacity in a training slice, and of the lesions of another one in a slice without opacity.
    strength
        How strongly the augmentation changes contrast.
    side
        Side of the slices that are stored for the training.
    crop
        Side of the crops of them that are trained on; 0 is ``size``.
    flooded
        Chance of another slice's pleural effusion in a slice with labelled lungs.
    """

    name: ModelName
    architecture: Mapping[str, Any]
    size: int
    framing: Framing
    usable: Callable[[SliceSet], NDArray[np.bool_]]
    weights: Callable[[SliceSet], NDArray[np.float64]]
    loss: Callable[[torch.nn.Module, torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]
    judge: Callable[[torch.Tensor, SliceSet], dict[str, float]]
    expects: str
    gives: str
    limits: tuple[str, ...]
    prepare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = lambda images, _: images
    thresholds: Mapping[str, float] = field(default_factory=dict)
    pasted: float = 0.1
    carried: float = 0.0
    strength: Strength = USUAL
    side: int = SIDE
    crop: int = 0
    flooded: float = 0.0

    @property
    def seen(self) -> int:
        """Slices that the network sees, the own one in the middle."""
        return slices_seen(self.architecture)


def to_grid(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bring stored label slices ``(n, side, side)`` to a network's grid by nearest neighbour."""
    where = ((np.arange(size) + 0.5) * labels.shape[1] / size).astype(int)
    return labels[:, where][:, :, where]


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice of two masks of one shape; 1 where both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2 * int((predicted & truth).sum()) / total


def area_under_curve(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of values and classes, shape ``(n,)``; ties count half; NaN with one class only."""
    ranks = rankdata(values)
    count, others = int(positive.sum()), int((~positive).sum())
    if count == 0 or others == 0:
        return float("nan")
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def _judge_lungs(outputs: torch.Tensor, slices: SliceSet) -> dict[str, float]:
    """Mean Dice over slices of pictures and archives, over cases of volumes; the same of pleural effusion."""
    called = outputs.argmax(dim=1).numpy() if outputs.shape[1] > 1 else (outputs[:, 0] > 0).numpy().astype(int)
    truth = to_grid(slices.lungs, called.shape[1])
    figures = _mean_dice("lungs", (called == 1) & (truth != UNKNOWN), truth == 1, slices)
    if outputs.shape[1] == 1:
        return figures
    fluid = to_grid(slices.effusion, called.shape[1])
    other = _mean_dice("effusion", (called == 2) & (fluid != UNKNOWN), fluid == 1, slices)
    scores = [part["score"] for part in (figures, other) if len(part) > 1]
    without = np.asarray([not (fluid[slices.case == case] == 1).any() for case in slices.case])
    if without.any():
        figures["false_effusion_pixels_a_slice"] = float((called[without] == 2).sum(axis=(1, 2)).mean())
    return {**figures, **other, "score": float(np.mean(scores)) if scores else 0.0}


def _mean_dice(
    what: str, predicted: NDArray[np.bool_], truth: NDArray[np.bool_], slices: SliceSet, chosen: Any = True
) -> dict[str, float]:
    """Dice per source, and their mean as score; volumes case by case, the others slice by slice."""
    figures: dict[str, float] = {}
    for source in np.unique(slices.source):
        members = np.flatnonzero((slices.source == source) & chosen)
        groups = slices.case[members] if source == "volume" else members
        values = []
        for group in np.unique(groups):
            part = members[groups == group]
            if truth[part].any():
                values.append(dice(predicted[part], truth[part]))
        if values:
            figures[f"{what}_dice_{str(source).replace(' ', '_')}"] = float(np.mean(values))
    figures["score"] = float(np.mean(list(figures.values()))) if figures else 0.0
    return figures


def _judge_opacities(outputs: torch.Tensor, slices: SliceSet) -> dict[str, float]:
    """Dice of infection and of the classes, and the share of normal slices' lungs called opacity."""
    label = outputs.argmax(dim=1).numpy()
    infection = (outputs[:, 1:].logsumexp(dim=1) > outputs[:, 0]).numpy()
    truth = to_grid(slices.opacities, label.shape[1])
    infected = (truth > 0) & (truth != UNKNOWN)
    lungs = to_grid(slices.lungs, label.shape[1]) == 1
    inside = infection & (lungs | ~lungs.any(axis=(1, 2))[:, None, None])
    figures = _mean_dice("infection", inside, infected, slices)
    photographs = slices.source == "photographs"
    for value, name in ((1, "ggo"), (2, "consolidation")):
        other = _mean_dice(name, inside & (label == value), truth == value, slices, photographs)
        figures.update({key: v for key, v in other.items() if key != "score"})
    normal = np.asarray([says_normal(str(case)) for case in slices.case])
    if normal.any() and lungs[normal].any():
        figures["normal_opacity_percent"] = 100 * float(inside[normal].sum() / lungs[normal].sum())
    others = np.asarray([says_other_disease(str(case)) for case in slices.case])
    if others.any() and lungs[others].any():
        figures["other_disease_opacity_percent"] = 100 * float(inside[others].sum() / lungs[others].sum())
    return figures


def _judge_slices(outputs: torch.Tensor, slices: SliceSet) -> dict[str, float]:
    """AUC of abnormal against normal slices: volumes only, since pictures hold abnormal slices alone."""
    probability = outputs.sigmoid().numpy().astype(np.float64)
    volumes = slices.source == "volume"
    positive = slices.abnormal == 1
    figures = {}
    pooled = area_under_curve(probability[volumes], positive[volumes])
    if np.isfinite(pooled):
        figures["auc_volumes"] = pooled
    within = []
    for case in np.unique(slices.case[volumes]):
        members = slices.case == case
        value = area_under_curve(probability[members], positive[members])
        if np.isfinite(value):
            within.append(value)
    if within:
        figures["auc_within_case"] = float(np.mean(within))
    called = probability >= 0.5
    for name, members in (("sensitivity", positive), ("specificity", ~positive)):
        if members.any():
            figures[name] = float((called[members] == (name == "sensitivity")).mean())
    figures["score"] = float(np.mean(list(figures.values()))) if figures else 0.0
    if np.isfinite(pooled):
        figures.update(specific_point(probability[volumes], positive[volumes]))
    return figures


def specific_point(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> dict[str, float]:
    """Find the lowest threshold that leaves at least `SPECIFICITY` of the normal slices uncalled.

    Parameters
    ----------
    probability, positive
        Shape ``(n,)``; both classes must be present.

    Returns
    -------
    dict
        ``specific_threshold``, and sensitivity and specificity of calling positive at or above it.
    """
    normal = np.sort(probability[~positive])
    allowed = int((1 - SPECIFICITY) * len(normal) + 1e-9)
    limit = float(np.nextafter(normal[len(normal) - 1 - allowed], np.inf))
    return {
        "specific_threshold": limit,
        "sensitivity_there": float((probability[positive] >= limit).mean()),
        "specificity_there": float((normal < limit).mean()),
    }


def _slice_loss(network: torch.nn.Module, images: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Loss of the verdict, and of where the opacity is, in slices whose masks are known."""
    logits, *spots = cast(SliceClassifier, network).with_spots(images)
    loss = abnormal_loss(logits, batch["abnormal"])
    return loss + sum(SPOT_WEIGHT * spot_loss(spot, batch["label"][:, LABEL_OPACITIES]) for spot in spots)


def _slice_groups(slices: SliceSet) -> NDArray[np.str_]:
    """Groups of the classifier: abnormal, normal, or of a patient with another disease; volumes or pictures."""
    state = np.where(slices.abnormal == 1, "abnormal", np.where(_of_other_disease(slices), "other", "normal"))
    volume = np.where(slices.source == "volume", "volume", "picture")
    return np.char.add(np.char.add(state, " "), volume)


def _opacity_groups(slices: SliceSet) -> NDArray[np.str_]:
    """Groups of the opacity network: with and without opacity, by source."""
    infected = ((slices.opacities > 0) & (slices.opacities != UNKNOWN)).any(axis=(1, 2))
    state = np.where(infected, "infected ", np.where(_of_other_disease(slices), "other ", "clear "))
    return np.char.add(state, slices.source.astype(str))


def _of_other_disease(slices: SliceSet) -> NDArray[np.bool_]:
    """Slices of patients with another disease than COVID-19, by the names of their CTs."""
    return np.asarray([says_other_disease(str(c)) or says_other_pneumonia(str(c)) for c in slices.case], bool)


def _lung_groups(slices: SliceSet) -> NDArray[np.str_]:
    """Groups of the lung network: by source, and volumes by what is known of effusion, and whether there is some."""
    fluid = (slices.effusion == 1).any(axis=(1, 2))
    dry = (slices.effusion != UNKNOWN).any(axis=(1, 2)) & ~fluid & ~(slices.lungs != UNKNOWN).any(axis=(1, 2))
    state = np.where(fluid, "effusion ", np.where(dry, "no effusion ", ""))
    return np.char.add(state, slices.source.astype(str))


_SHARED_INPUT = "HU clipped to -1024..150 and scaled to [0, 1], canonical axial slices, one channel; "

LUNGS = Task(
    name="lungs",
    architecture=LUNG_ARCHITECTURE,
    size=256,
    framing="body",
    usable=lambda s: ((s.lungs != UNKNOWN) | (s.effusion != UNKNOWN)).any(axis=(1, 2)),
    weights=lambda s: balanced_weights(
        _lung_groups(s),
        {
            "volume": 1.4,
            "calibrated pictures": 0.5,
            "slice archive": 0.6,
            "effusion volume": 0.9,
            "no effusion volume": 0.4,
        },
    ),
    loss=lambda network, images, batch: lung_loss(
        network(images), batch["label"][:, LABEL_LUNGS], batch["label"][:, LABEL_EFFUSION]
    ),
    judge=_judge_lungs,
    # Half of them dense and at the pleura, which else is taken for the chest wall.
    pasted=0.25,
    flooded=0.2,
    expects=_SHARED_INPUT + "a square around the body, 256 x 256.",
    gives="Three logits a pixel: neither; lung, diseased lung included, trachea and main bronchi excluded; pleural "
    "effusion.",
    limits=(
        "Children, one lung alone and pneumothorax: trust it only if its training data show them.",
        "Fluid in the belly and in the pericardium, and fluid with gas in it, may be called pleural effusion.",
        "Slices thicker than those of its training data were not seen.",
    ),
)

OPACITIES = Task(
    name="opacities",
    architecture=OPACITY_ARCHITECTURE,
    # Fine edges and small lesions are lost on 256 x 256: a pixel is 1.3 mm there.
    size=352,
    crop=320,
    side=352,
    framing="lungs",
    usable=lambda s: (s.opacities != UNKNOWN).any(axis=(1, 2)),
    weights=lambda s: balanced_weights(
        _opacity_groups(s),
        {
            "infected volume": 0.8,
            "clear volume": 1.0,
            "infected calibrated pictures": 2.2,
            "clear calibrated pictures": 0.5,
            "infected photographs": 0.6,
            "clear photographs": 0.3,
            "other volume": 0.9,
        },
    ),
    loss=lambda network, images, batch: opacity_loss(network(images), batch["label"][:, LABEL_OPACITIES]),
    judge=_judge_opacities,
    pasted=0.2,
    carried=0.4,
    # Judged on patients held out: stronger changes of contrast cost a little nearly everywhere.
    strength=GENTLE,
    expects=_SHARED_INPUT + "a square around both lungs, 352 x 352.",
    gives="Three logits a pixel: none, ground-glass opacity, consolidation.",
    limits=(
        "Tumours, collapse and dependent density of few patients were shown as no opacity; those of others, fibrosis, "
        "and other pneumonias may be called opacity: it tells where, not why.",
        "Ground glass and consolidation are told apart less reliably than opacity from lung.",
    ),
)

SLICES = Task(
    name="slices",
    architecture=SLICE_ARCHITECTURE,
    size=224,
    # Hardly more than is seen at once: a lesion at the pleura that a crop leaves out would make the verdict wrong.
    side=240,
    framing="lungs",
    usable=lambda s: s.abnormal >= 0,
    weights=lambda s: balanced_weights(
        _slice_groups(s),
        {
            "abnormal volume": 1.3,
            "normal volume": 1.1,
            "other volume": 1.2,
            "abnormal picture": 0.4,
            "normal picture": 0.4,
        },
    ),
    prepare=lambda images, lungs: keep_lungs(images, lungs > 0),
    # Disease on the CTs of people without it teaches that the scanner says nothing.
    pasted=0.3,
    carried=0.3,
    loss=_slice_loss,
    thresholds={"slice": SLICE_THRESHOLD, "case": CASE_THRESHOLD},
    judge=_judge_slices,
    expects=_SHARED_INPUT + "a square around both lungs, 224 x 224, black outside the lungs but for a rim of 3 pixels.",
    gives="One logit a slice: abnormal and like COVID-19 against all others.",
    limits=(
        "Other pneumonia, viral above all, may look like COVID-19; it was shown one that is not.",
        "Of other diseases it was shown lung cancer and pleural effusion only.",
        "Where few patients with normal slices were trained on, those of other scanners may be called abnormal.",
        "The probability is not calibrated for populations with rare disease.",
        "In thick slices the dome of the diaphragm may be taken for disease.",
        "The case threshold is as good as the number of cases that it was chosen on, with and without disease.",
    ),
)

TASKS: Mapping[str, Task] = {task.name: task for task in (LUNGS, OPACITIES, SLICES)}
