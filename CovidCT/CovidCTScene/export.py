"""Results out of the scene: the analysis put together again from its nodes, and written as the terminal writes it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError, Notice
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS, PLEURAL_EFFUSION, Label
from CovidCTScene.nodes import ResultNodes, resultNodesOf
from CovidCTScene.scan import scanFromVolumeNode

CHECKSUM_ATTRIBUTE = "CovidCT.Checksum"
"""Attribute of the segmentation node: checksum of lungs and opacities as they came from the analysis."""

SEGMENTS_EDITED = Notice(
    "segments-edited",
    "The segments were changed by hand after the analysis: segmentation and pictures show them as they are now, all "
    "numbers are those of the analysis.",
    "warn",
)
"""Attached to an analysis that was taken from a scene in which the segments are no longer the analysis's."""


def analysisFromScene(scene: Any, volumeNode: Any) -> Analysis:
    """Put the analysis of a CT together from the nodes of the scene, for example of one that was loaded from a file.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.

    Returns
    -------
    Analysis
        Numbers from the text node, segments and localization as they are in the scene. Where the segments were changed
        meanwhile, the first notice says so.

    Raises
    ------
    InputError
        If the CT has no results in the scene, a segment is missing, the localization has another size than the CT, or
        the text node does not hold an analysis.
    """
    # Reading results needs more than Slicer ships, so it loads only where there are some.
    from CovidCTLib.results.reading import parsed_record, restored_analysis

    nodes = resultNodesOf(scene, volumeNode)
    if nodes is None:
        raise InputError("Results of this CT must be in the scene, but there are none. Press Analyze first.")
    record = parsed_record(nodes.record.GetText() or "")
    scan = scanFromVolumeNode(volumeNode)
    if shapeOfRecord(record) != scan.geometry.shape_zyx:
        raise InputError(
            f"The results must have the grid of the CT, {scan.geometry.shape_zyx} voxels (z, y, x), but have "
            f"{shapeOfRecord(record)}. Analyze the CT again."
        )
    lungs, opacities = segmentArrays(nodes, volumeNode)
    localization = _localization(nodes, scan.geometry.shape_zyx)
    analysis = restored_analysis(record, lungs, opacities, localization, scan.hu)
    if nodes.segmentation.GetAttribute(CHECKSUM_ATTRIBUTE) == checksum(lungs, opacities):
        return analysis
    return replace(analysis, notices=(SEGMENTS_EDITED, *analysis.notices))


def exportResults(
    scene: Any, volumeNode: Any, folder: str | os.PathLike[str], *, report: bool = True
) -> tuple[Path, ...]:
    """Write the results of a CT in the scene as ``covidct analyze`` writes them; all files appear, or none.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.
    folder
        A path that does not exist yet, or an empty folder.
    report
        Whether ``report.html`` is made too.

    Returns
    -------
    tuple of Path
        The files, in the order of their names.

    Raises
    ------
    InputError
        As `analysisFromScene`.
    OutputError
        If the folder is not empty, is a file, cannot be written to, or the disk is full.
    """
    from CovidCTLib.results import check_output_folder, write_results

    check_output_folder(folder)
    return write_results(analysisFromScene(scene, volumeNode), folder, report=report)


def shapeOfRecord(record: Mapping[str, Any]) -> tuple[int, int, int]:
    """Give the number of voxels (z, y, x) of the scan that a record tells of.

    Raises
    ------
    InputError
        If the record does not say it.
    """
    try:
        z, y, x = (int(size) for size in record["geometry"]["shape_zyx"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "A complete analysis was expected in the text node, but its geometry is missing. Analyze the CT again."
        ) from error
    return z, y, x


def segmentArrays(nodes: ResultNodes, volumeNode: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Take lungs and opacities out of the segmentation.

    Parameters
    ----------
    nodes
        The results.
    volumeNode
        The CT, on whose grid the segments are wanted.

    Returns
    -------
    lungs, opacities
        uint8, shape (z, y, x) of the CT, values as in `CovidCTLib.analysis.AxialArrays`. Where segments of one layer
        were made to overlap, the later one in the order of `CovidCTLib.labels` holds.

    Raises
    ------
    InputError
        If a lung, ground-glass opacity or consolidation has no segment.
    """
    x, y, z = volumeNode.GetImageData().GetDimensions()
    lungs, opacities = np.zeros((z, y, x), np.uint8), np.zeros((z, y, x), np.uint8)
    grid = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(volumeNode)
    for array, labels in ((lungs, LUNG_LABELS), (opacities, OPACITY_LABELS)):
        for value, label in enumerate(labels, start=1):
            if nodes.segmentation.GetSegmentation().GetSegment(label.segment_id) is None:
                if label is PLEURAL_EFFUSION:
                    continue
                raise InputError(
                    f"The segmentation must hold the segment {label.segment_id!r}, but it was removed. Undo that, or "
                    "analyze the CT again."
                )
            array[_mask(nodes.segmentation, label, grid)] = value
    return lungs, opacities


def checksum(lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> str:
    """Give the Adler-32 checksum of both arrays (RFC 1950), for telling whether the segments were changed."""
    return f"{zlib.adler32(np.ascontiguousarray(opacities).data, zlib.adler32(np.ascontiguousarray(lungs).data)):08x}"


def _mask(segmentationNode: Any, label: Label, grid: Any) -> NDArray[np.bool_]:
    """Voxels of a segment on a grid, as Slicer itself resamples them; shape (z, y, x)."""
    image = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(label.segment_id, image)
    placed = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, grid, placed)
    x, y, z = placed.GetDimensions()
    return np.asarray(vtk_to_numpy(placed.GetPointData().GetScalars()).reshape(z, y, x) > 0)


def _localization(nodes: ResultNodes, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    image = nodes.localization.GetImageData()
    found = None if image is None else image.GetDimensions()[::-1]
    if found != shape:
        raise InputError(
            f"The localization must have the grid of the CT, {shape} voxels (z, y, x), but has {found}. Analyze the CT "
            "again."
        )
    # A copy, for the analysis must not change when the user changes the node.
    return np.array(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape), np.float32)
