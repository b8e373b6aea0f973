"""Losses that know which pixels are labelled, and how finely."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from CovidCTLib.training.slices import INFECTION, UNKNOWN

_SMOOTH = 1.0
"""Pixels added to both sides of a Dice, so that an empty mask found empty counts as right."""

INFECTION_WEIGHT = 1.5
"""Infected pixels are few; each counts this many times in the cross entropy."""

CLEAR_WEIGHT = 0.5
CLEAR_PIXELS = 100.0
"""A slice without infection costs this weight times a / (a + 100), a being the pixels called infected: also the last
few vessels and dependent lung must go."""

SPOT_SHARE = 0.1
"""A cell of a coarse grid holds opacity if at least this share of it does."""


def soft_dice_of_slices(probability: torch.Tensor, truth: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice of each slice, the mean over slices that show what is looked for.

    Parameters
    ----------
    probability, truth, labelled
        Shape ``(n, y, x)``; probabilities, 0/1, 0/1.

    Notes
    -----
    Dice over a whole batch forgets small lesions beside large ones. A slice without the truth has no Dice; the cross
    entropy teaches it.
    """
    overlap = (probability * truth * labelled).sum(dim=(1, 2))
    total = ((probability + truth) * labelled).sum(dim=(1, 2))
    shown = ((truth * labelled).sum(dim=(1, 2)) > 0).float()
    loss = 1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)
    return (loss * shown).sum() / shown.sum().clamp(min=1)


def soft_dice(probability: torch.Tensor, truth: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice over a batch, known pixels only.

    Parameters
    ----------
    probability, truth, labelled
        Shape ``(n, y, x)``; probabilities, 0/1, 0/1.
    """
    overlap = (probability * truth * labelled).sum()
    total = ((probability + truth) * labelled).sum()
    return 1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)


def clear_loss(probability: torch.Tensor, truth: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """What is found in slices that are known to hold nothing, between 0 and 1, the mean over those slices.

    Parameters
    ----------
    probability, truth, labelled
        Shape ``(n, y, x)``; probabilities, 0/1, 0/1.
    """
    clear = ((truth * labelled).sum(dim=(1, 2)) == 0).float() * (labelled.amax(dim=(1, 2)) > 0).float()
    predicted = (probability * labelled).sum(dim=(1, 2))
    return (clear * predicted / (predicted + CLEAR_PIXELS)).sum() / clear.sum().clamp(min=1)


EFFUSION_WEIGHT = 3.0
"""Pixels of effusion are few; each counts this many times in the cross entropy."""


def lung_loss(logits: torch.Tensor, lungs: torch.Tensor, effusion: torch.Tensor) -> torch.Tensor:
    """Cross entropy plus soft Dice of lungs and pleural effusion, each where it is labelled.

    Parameters
    ----------
    logits
        Shape ``(n, 3, y, x)``: neither, lung, effusion. With one channel it is the logit of lung, and effusion is left
        out.
    lungs, effusion
        uint8, shape ``(n, y, x)``: 0, 1, `UNKNOWN`.

    Notes
    -----
    A pixel is one of the three classes. What is labelled leaves some of them possible: a pixel that is no lung may be
    effusion where effusion is not labelled, and one that is no effusion may be lung where lungs are not. The cross
    entropy is that of the sum of the possible classes (marginal loss), so that one source never teaches the other's
    class to be absent; that lung and effusion exclude each other is taught by each label alone (exclusion). Shi et al.
    2021, doi:10.1016/j.media.2021.101979.
    """
    lung_labelled, fluid_labelled = (lungs != UNKNOWN).float(), (effusion != UNKNOWN).float()
    lung, fluid = (lungs == 1).float(), (effusion == 1).float()
    if logits.shape[1] == 1:
        logit = logits[:, 0].float()
        # Effusion is no lung, whether or not lungs are labelled.
        labelled = torch.maximum(lung_labelled, fluid)
        entropy = binary_cross_entropy_with_logits(logit, lung, reduction="none")
        return (entropy * labelled).sum() / labelled.sum().clamp(min=1) + soft_dice(logit.sigmoid(), lung, labelled)
    logs = logits.float().log_softmax(dim=1)
    possible = torch.stack(
        [
            (1 - lung) * (1 - fluid),
            (1 - fluid) * torch.where(lung_labelled > 0, lung, torch.ones_like(lung)),
            (1 - lung) * torch.where(fluid_labelled > 0, fluid, torch.ones_like(fluid)),
        ],
        dim=1,
    )
    either_labelled = torch.maximum(lung_labelled, fluid_labelled)
    # Where nothing is labelled every class is possible, and the sum is 1: no loss.
    entropy = -torch.logsumexp(logs.masked_fill(possible == 0, float("-inf")), dim=1)
    weight = either_labelled * (1 + (EFFUSION_WEIGHT - 1) * fluid)
    loss = (entropy * weight).sum() / weight.sum().clamp(min=1)
    chance = logs.exp()
    # Fluid is known to be no lung, and lung to be no fluid.
    loss = loss + soft_dice(chance[:, 1], lung, torch.maximum(lung_labelled, fluid))
    labelled = torch.maximum(fluid_labelled, lung)
    return (
        loss
        + 0.5 * soft_dice_of_slices(chance[:, 2], fluid, labelled)
        + CLEAR_WEIGHT * clear_loss(chance[:, 2], fluid, labelled * (fluid_labelled.amax(dim=(1, 2), keepdim=True)))
    )


def opacity_loss(logits: torch.Tensor, opacities: torch.Tensor) -> torch.Tensor:
    """Cross entropy plus soft Dice of infection, and of each class where the class is known.

    Parameters
    ----------
    logits
        Shape ``(n, 3, y, x)``: none, GGO, consolidation.
    opacities
        uint8, shape ``(n, y, x)``: 0, 1, 2, `INFECTION` (class not known), `UNKNOWN`.
    """
    logits = logits.float()
    labelled = (opacities != UNKNOWN).float()
    infected = ((opacities > 0) & (opacities != UNKNOWN)).float()
    # The logit of "any infection" against none; the classes are told apart by their own difference.
    infection = torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]
    entropy = binary_cross_entropy_with_logits(infection, infected, reduction="none")
    weight = labelled * (1 + (INFECTION_WEIGHT - 1) * infected)
    loss = (entropy * weight).sum() / weight.sum().clamp(min=1)
    chance = infection.sigmoid()
    loss = loss + 0.5 * soft_dice(chance, infected, labelled) + soft_dice_of_slices(chance, infected, labelled)
    loss = loss + CLEAR_WEIGHT * clear_loss(chance, infected, labelled)
    probabilities = logits.softmax(dim=1)
    has_class = ((opacities != UNKNOWN) & (opacities != INFECTION)).float()
    classed = has_class * infected
    if classed.sum() > 0:
        consolidation = (opacities == 2).float()
        difference = logits[:, 2] - logits[:, 1]
        right = torch.where(consolidation > 0, logsigmoid(difference), logsigmoid(-difference))
        loss = loss - (right * classed).sum() / classed.sum()
        for value in (1, 2):
            truth = (opacities == value).float()
            loss = loss + 0.5 * soft_dice_of_slices(probabilities[:, value], truth, has_class)
    return loss


def spot_loss(spots: torch.Tensor, opacities: torch.Tensor) -> torch.Tensor:
    """Cross entropy of opacity in the cells of a coarse grid.

    Parameters
    ----------
    spots
        Logits, shape ``(n, cells, cells)``.
    opacities
        uint8, shape ``(n, y, x)``, as in `opacity_loss`; sides are multiples of ``cells``.
    """
    cell = opacities.shape[1] // spots.shape[1]
    unknown = (opacities == UNKNOWN).float()
    infected = (opacities > 0).float() * (1 - unknown)
    share, hidden = (torch.nn.functional.avg_pool2d(mask[:, None], cell)[:, 0] for mask in (infected, unknown))
    labelled = (hidden == 0).float()
    truth = (share >= SPOT_SHARE).float()
    entropy = binary_cross_entropy_with_logits(spots.float(), truth, reduction="none") * (1 + truth)
    return (entropy * labelled).sum() / labelled.sum().clamp(min=1)


def abnormal_loss(logits: torch.Tensor, abnormal: torch.Tensor, smoothing: float = 0.05) -> torch.Tensor:
    """Cross entropy of abnormal against normal slices, with softened labels.

    Parameters
    ----------
    logits, abnormal
        Shape ``(n,)``; labels 0 and 1.
    smoothing
        Labels become ``smoothing`` and ``1 - smoothing``: readers disagree on faint slices.
    """
    target = abnormal.float() * (1 - 2 * smoothing) + smoothing
    return binary_cross_entropy_with_logits(logits.float(), target)
