"""An analysis and classifiers of known behaviour, whose explanations are known in advance."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from report_maker import make_analysis, make_arrays

from CovidCTLib.framing import lung_frame
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import LoadedNetwork

SIZE = 224
SLICE = 16
"""A slice through the middle of the ball of opacity."""

GAIN, MIDDLE = 30.0, 0.3
"""The stand-in's log odds: gain times (mean of the looked-at square less the middle)."""


class LooksAtTheWhole(torch.nn.Module):
    """Log odds rise with the mean brightness of the image; the maps show everything, or nothing."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 100 * (images[:, 0].mean(dim=(1, 2)) - 0.2)

    def spots(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(torch.full((len(images), n, n), self.level) for n in (28, 14))


class LooksAtASquare(torch.nn.Module):
    """Log odds rise with the brightness of one square of the image, and the maps show where that is."""

    def __init__(self, row: int, column: int, half: int = 4) -> None:
        super().__init__()
        self.square = (slice(row - half, row + half), slice(column - half, column + half))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return GAIN * (images[:, 0, self.square[0], self.square[1]].mean(dim=(1, 2)) - MIDDLE)

    def spots(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        where = torch.zeros(len(images), 1, SIZE, SIZE)
        where[:, :, self.square[0], self.square[1]] = 1
        at_28, at_14 = (torch.nn.functional.adaptive_max_pool2d(where, n)[:, 0] for n in (28, 14))
        return 12 * at_28 - 8, 12 * at_14 - 8


def place_on_grid(analysis, rows, columns):
    """Where the mean of some pixels of a slice lies on the network's grid."""
    axial = analysis.axial
    frame = lung_frame(axial.lungs, axial.geometry.spacing_zyx_mm)
    return (
        round((float(np.mean(rows)) + 0.5 - frame.top) / frame.rows * SIZE),
        round((float(np.mean(columns)) + 0.5 - frame.left) / frame.columns * SIZE),
    )


def models_that_look_at(analysis, rows, columns):
    """A stand-in for the store of networks whose slice classifier looks at some pixels of a slice."""
    return models_of(LooksAtASquare(*place_on_grid(analysis, rows, columns)))


def models_of(network):
    """A stand-in for the store of networks with this slice classifier."""
    card = ModelCard("slices", "1", {}, SIZE, "lungs", "", "", "")
    loaded = LoadedNetwork(network.eval(), card, torch.device("cpu"), torch.float32)
    return SimpleNamespace(slices=lambda: loaded)


def analysis_with_opacity():
    """Lungs with a ball of opacity in the right one."""
    return make_analysis()


def white_analysis():
    """Lungs that are white all over, all of it found as opacity."""
    arrays = make_arrays()
    lungs = arrays.lungs > 0
    hu = np.where(lungs, np.int16(20), arrays.hu)
    return make_analysis(replace(arrays, hu=hu, opacities=lungs.astype(np.uint8)))


def models_that_look_at_the_opacity(analysis):
    return models_that_look_at(analysis, *np.nonzero(analysis.axial.opacities[SLICE] > 0))


def models_that_look_at_the_left_lung(analysis):
    return models_that_look_at(analysis, *np.nonzero(analysis.axial.lungs[SLICE] == 2))
