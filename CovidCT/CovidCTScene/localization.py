"""The localization volume: where the slice classifier looked, drawn as a heat map over the CT."""

from __future__ import annotations

from typing import Any

import numpy as np

LOWEST_SHOWN = 0.05
"""Localization values (0 to 1) under it are not drawn, so that the CT stays free of a veil (chosen by eye)."""

COLOUR_COUNT = 256

HEAT_COLOURS = (
    (0.00, (0.15, 0.03, 0.35)),
    (0.25, (0.47, 0.11, 0.43)),
    (0.50, (0.81, 0.27, 0.28)),
    (0.75, (0.97, 0.55, 0.04)),
    (1.00, (0.99, 0.93, 0.60)),
)
"""Position (0 to 1) and colour (red, green, blue, 0 to 1); lightness only rises, so it reads in grey too."""


def fillLocalizationNode(localizationNode: Any, colourNode: Any, volumeNode: Any, heat: Any) -> None:
    """Put the localization into an empty scalar volume node and set how it is drawn.

    Parameters
    ----------
    localizationNode
        A vtkMRMLScalarVolumeNode in the scene; gets float32 in [0, 1] on the grid of the CT.
    colourNode
        A vtkMRMLColorTableNode in the scene, filled by `fillColourNode`.
    volumeNode
        The CT.
    heat
        vtkImageData float32 with as many voxels as the CT; the node takes it over.
    """
    display = localizationNode.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    # Off before the display node meets the voxels: the histogram behind it takes seconds for a large CT.
    display.AutoWindowLevelOff()
    display.SetAndObserveColorNodeID(colourNode.GetID())
    localizationNode.SetAndObserveDisplayNodeID(display.GetID())
    localizationNode.SetAndObserveImageData(heat)
    localizationNode.CopyOrientation(volumeNode)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetThreshold(LOWEST_SHOWN, 1.0)
    display.ApplyThresholdOn()
    # Labels and measures are exact per voxel, but a smoothed heat map reads better without voxel edges.
    display.InterpolateOn()


def fillColourNode(colourNode: Any) -> None:
    """Make an empty colour table node the heat map's colours, from little to much."""
    # Those who watch the node are told once, and not for each colour.
    modifying = colourNode.StartModify()
    colourNode.SetTypeToUser()
    colourNode.SetNumberOfColors(COLOUR_COUNT)
    positions = np.linspace(0, 1, COLOUR_COUNT)
    anchors = [position for position, _colour in HEAT_COLOURS]
    channels = [np.interp(positions, anchors, [colour[c] for _position, colour in HEAT_COLOURS]) for c in range(3)]
    for index in range(COLOUR_COUNT):
        red, green, blue = (float(channel[index]) for channel in channels)
        colourNode.SetColor(index, f"{positions[index]:.3f}", red, green, blue, 1.0)
    colourNode.EndModify(modifying)
