"""Predictions as users get them: whole volumes the way an analysis goes, single slices as near to it as they allow.

Volumes go through the same functions as in `CovidCTLib.pipeline.analyze`: opacities and slices see the lungs that were
found, never the true ones, and everything is on the scan's own pixels (on the axial grid where a scan is so oblique
that it is resampled).

Single slices have no neighbours and no known spacing, so clean-up that rests on these is left out. Archive slices show
the whole body and are framed around it, as in a scan. Pictures are crops around the lungs, and the whole picture is the
frame, for the lung network too. Opacities in calibrated pictures count only in and at the lungs that the lung network
finds in the picture, unless it finds none at all, for instance in a lung that is white throughout. In photographs,
whose contrast is anyone's guess, the lung network does not take part: opacities count wherever they are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.errors import ModelError
from CovidCTLib.framing import Frame, body_frame, find_body
from CovidCTLib.labelled_data.labelled import LabelledImage
from CovidCTLib.labelled_data.layout import Kind
from CovidCTLib.lungs.network import CLEANUP as LUNG_CLEANUP
from CovidCTLib.lungs.network import clean_lungs, lung_logit, segment_chest_by_network
from CovidCTLib.lungs.sides import extend_sides, find_body_midline, split_sides
from CovidCTLib.models.store import LoadedNetwork, ModelStore
from CovidCTLib.opacities.network import CLEANUP as OPACITY_CLEANUP
from CovidCTLib.opacities.network import OpacityLogits, label_opacities, segment_opacities
from CovidCTLib.slices.classifier import classify_slices
from CovidCTLib.training.slices import whole_picture

Labels = NDArray[np.uint8]

SLICE_LUNG_CLEANUP = replace(LUNG_CLEANUP, no_gas=False)
"""In a slice, one lung may be small and dark beside the other without being gas."""

SLICE_OPACITY_CLEANUP = replace(OPACITY_CLEANUP, min_volume_mm3=0.0)
"""A slice has no volume; steps through neighbouring slices leave a lone one as it is."""


@dataclass(frozen=True)
class PredictedOpacities:
    """Opacities and the lungs that they were looked for in.

    Parameters
    ----------
    opacities
        uint8, shape ``(z, y, x)``: 0 none, 1 GGO, 2 consolidation.
    lungs
        uint8, same shape: 0 or a lung, nowhere one if none were found; None for photographs.
    effusion
        bool, same shape: pleural effusion; None where it was not looked for.
    """

    opacities: Labels
    lungs: Labels | None
    effusion: NDArray[np.bool_] | None = None


def predict_lungs(image: LabelledImage, kind: Kind, store: ModelStore) -> Labels:
    """Find the lungs.

    Parameters
    ----------
    image
        A volume or a single slice.
    kind
        Kind of its case.
    store
        Networks.

    Returns
    -------
    ndarray
        uint8, shape of the image: 0 background, 1 right (or lung, in a single slice), 2 left. Empty where none is
        found.

    Raises
    ------
    ModelError
        If the network needs volumes and the image is a single slice.
    """
    network = store.lungs()
    if kind == "volume":
        return predict_chest(image, store)[0]
    body = find_body(image.hu, image.spacing_zyx_mm)
    frame = body_frame(body, image.spacing_zyx_mm) if kind == "slice archive" else whole_picture(image.hu)
    lungs = np.zeros(image.hu.shape, dtype=bool)
    frame.paste(lung_logit(_logits_of_slice(image, frame, network)), lungs, np.arange(1))
    clean_lungs(lungs, image.hu, body, image.spacing_zyx_mm, SLICE_LUNG_CLEANUP)
    return lungs.astype(np.uint8)


def predict_chest(image: LabelledImage, store: ModelStore) -> tuple[Labels, NDArray[np.bool_] | None]:
    """Find lungs, right and left, and pleural effusion in a volume; None from a network that does not look for it."""
    masks = segment_chest_by_network(image.hu, image.spacing_zyx_mm, store.lungs())
    midline = find_body_midline(image.hu)
    return split_sides(masks.lungs, image.spacing_zyx_mm, body_midline_x=midline), masks.effusion


def predict_opacities(image: LabelledImage, kind: Kind, store: ModelStore) -> PredictedOpacities:
    """Find opacities inside the lungs that were found.

    Parameters
    ----------
    image
        A volume or a picture.
    kind
        Kind of its case.
    store
        Networks.

    Raises
    ------
    ModelError
        If the network needs volumes and the image is a single slice.

    Notes
    -----
    An analysis refuses a volume in which no lungs are found. Here nothing is found in it, so that true opacities count
    as missed and the case does not leave the mean.
    """
    network = store.opacities()
    if kind == "volume":
        lungs, effusion = predict_chest(image, store)
        if not lungs.any():
            return PredictedOpacities(np.zeros_like(lungs), lungs, effusion)
        opacities = segment_opacities(image.hu, lungs, image.spacing_zyx_mm, network)
        if effusion is not None:
            opacities[effusion] = 0
        predicted = _belonging(opacities, lungs)
        if effusion is not None and predicted.lungs is not None:
            predicted.lungs[effusion] = 0
        return replace(predicted, effusion=effusion)
    everywhere = np.ones(image.hu.shape, np.uint8)
    if kind == "photographs":
        return PredictedOpacities(_opacities_of_picture(image, everywhere, network), None)
    lungs = predict_lungs(image, kind, store)
    if not lungs.any():
        return PredictedOpacities(_opacities_of_picture(image, everywhere, network), lungs)
    return _belonging(_opacities_of_picture(image, lungs, network), lungs)


def _belonging(opacities: Labels, lungs: Labels) -> PredictedOpacities:
    """Opacities, and the lungs with what of them lies beyond the lungs that were found, as an analysis has it."""
    return PredictedOpacities(opacities, extend_sides(lungs, opacities > 0))


def predict_slices(
    image: LabelledImage, store: ModelStore, slice_threshold: float
) -> tuple[tuple[SliceFinding, ...], Labels]:
    """Judge each slice of a volume; also give the lungs that were found. Where there are none, no slice is judged."""
    lungs = predict_lungs(image, "volume", store)
    if not lungs.any():
        return (SliceFinding(None, False),) * len(lungs), lungs
    return classify_slices(image.hu, lungs, image.spacing_zyx_mm, store.slices(), slice_threshold), lungs


def _logits_of_slice(image: LabelledImage, frame: Frame, network: LoadedNetwork) -> torch.Tensor:
    """Run a single slice through a network; output ``(1, channels, size, size)``."""
    if network.card.patch is not None:
        raise ModelError(
            f"The network {network.card.name} takes volumes and cannot judge single slices. Judge it on volumes."
        )
    return next(output for _, output in network.run_slices(image.hu, frame, np.arange(1)))


def _opacities_of_picture(image: LabelledImage, within: Labels, network: LoadedNetwork) -> Labels:
    """Opacities of a picture inside a mask or at its rim, by the same rules as in volumes."""
    frame = whole_picture(image.hu)
    none, ggo, consolidation = _logits_of_slice(image, frame, network).unbind(1)
    infection = torch.logaddexp(ggo, consolidation) - none
    logits = OpacityLogits(frame, np.arange(1), infection.numpy(), (consolidation - ggo).numpy())
    return label_opacities(logits, within, image.spacing_zyx_mm, SLICE_OPACITY_CLEANUP)


def probabilities(findings: Sequence[SliceFinding]) -> NDArray[Any]:
    """Probabilities of slices, NaN where a slice shows too little lung to be judged."""
    return np.array([np.nan if f.probability is None else f.probability for f in findings], dtype=np.float64)
