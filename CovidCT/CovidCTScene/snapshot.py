"""The analysis of a CT taken out of the scene, piece by piece so that the application goes on answering."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError, Notice
from CovidCTScene import handover
from CovidCTScene.nodes import resultNodesOf
from CovidCTScene.scan import scanLater
from CovidCTScene.scene_segments import MEASURED_ATTRIBUTE, SceneSegments
from CovidCTScene.segment_voxels import SegmentReader
from CovidCTScene.texts import tr as _

CHECKSUM_ATTRIBUTE = "CovidCT.Checksum"
"""Attribute of the segmentation node: checksum of lungs and opacities as they came from the analysis."""

SEGMENTS_EDITED = Notice(
    "segments-edited",
    "The segments were changed by hand after the analysis: segmentation and pictures show them as they are now, all "
    "numbers are those of the analysis.",
    "warn",
)
"""Attached to an analysis that was taken from a scene in which the segments are no longer the analysis's."""

SEGMENTS_SHARE = 0.5
"""Share of the way that reading the segments takes; the rest is the localization, four bytes a voxel."""


class Snapshot:
    """Takes the results of a CT from the nodes of the scene, for example of one that was loaded from a file.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT. Its voxels are not copied: they stay in memory as long as they are needed.

    Raises
    ------
    InputError
        If the CT has no results in the scene or cannot be read, a segment is missing, or the localization has another
        size than the CT.
    """

    def __init__(self, scene: Any, volumeNode: Any) -> None:
        nodes = resultNodesOf(scene, volumeNode)
        if nodes is None:
            raise InputError(_("Results of this CT must be in the scene, but there are none. Press Analyze first."))
        self._nodes, self._volumeNode = nodes, volumeNode
        self._scan = scanLater(volumeNode)
        self._text = nodes.record.GetText() or ""
        self._checksum = nodes.segmentation.GetAttribute(CHECKSUM_ATTRIBUTE)
        x, y, z = volumeNode.GetImageData().GetDimensions()
        self._measured = nodes.segmentation.GetAttribute(MEASURED_ATTRIBUTE)
        # Segments that were measured again may be others than those of the analysis.
        self._all = SceneSegments(nodes.segmentation, volumeNode) if self._measured else None
        self._segments = None if self._all is not None else SegmentReader(nodes.segmentation, volumeNode)
        self._heat = localizationOf(nodes.localization.GetImageData(), (z, y, x))
        self._localization = np.zeros((z, y, x), np.float32)
        self._stamped = self._stamp()
        self._complete = False

    def steps(self) -> Iterator[float]:
        """Copy what the user may change, at most `CovidCTScene.handover.PIECE_BYTES` bytes a step.

        Yields the share that is copied (0 to 1).

        Raises
        ------
        InputError
            If the results are changed or removed before all is copied.
        """
        for share in self._reader.steps():
            yield share * SEGMENTS_SHARE
            self._check()
        count, y, x = self._localization.shape
        atOnce = max(1, handover.PIECE_BYTES // (self._localization.itemsize * y * x))
        for low in range(0, count, atOnce):
            self._localization[low : low + atOnce] = self._heat[low : low + atOnce]
            yield SEGMENTS_SHARE + (1 - SEGMENTS_SHARE) * min(1.0, (low + atOnce) / count)
            self._check()
        self._complete = True

    def analysis(self) -> Analysis:
        """Put the analysis together; it needs the scene no more, and may be called in another thread.

        Returns
        -------
        Analysis
            Numbers from the text node, segments and localization as they were in the scene. Where the segments were
            changed since the analysis, the first notice says so.

        Raises
        ------
        InputError
            If not all steps were taken, the text node does not hold an analysis of this CT, or the voxels cannot be HU.
        """
        if not self._complete:
            raise InputError(_("All steps must be taken before the analysis is complete. Take them first."))
        # Reading results needs more than Slicer ships, so it loads only where there are some.
        from CovidCTLib.results.reading import restored_analysis
        from CovidCTLib.results.stored_record import parsed_record

        record = parsed_record(self._text)
        scan = self._scan()
        if shapeOfRecord(record) != scan.geometry.shape_zyx:
            raise InputError(
                _(
                    "The results must have the grid of the CT, {expected} voxels (z, y, x), but have {found}. Analyze "
                    "the CT again."
                ).format(expected=scan.geometry.shape_zyx, found=shapeOfRecord(record))
            )
        if self._all is not None:
            from CovidCTLib.pipeline import settled_labels
            from CovidCTLib.segments import lay_on

            labels = lay_on(self._all.segmentation(), scan)
            lungs, opacities = settled_labels(scan, labels)
            analysis = restored_analysis(record, lungs, opacities, self._localization, scan.hu, lobes=labels.lobes)
            analysis = replace(analysis, areas=labels.areas)
            same = self._all.checksum() == self._measured
        else:
            lungs, opacities = self._reader.lungs, self._reader.opacities
            analysis = restored_analysis(record, lungs, opacities, self._localization, scan.hu)
            same = self._checksum == checksum(lungs, opacities)
        return analysis if same else replace(analysis, notices=(SEGMENTS_EDITED, *analysis.notices))

    @property
    def _reader(self) -> Any:
        """What takes the segments."""
        return self._all if self._all is not None else self._segments

    def _stamp(self) -> tuple[Any, ...]:
        """Give what changes with the scene, the grid of the CT, and every voxel of the results."""
        results = (self._nodes.segmentation, self._nodes.localization, self._volumeNode)
        images = (self._nodes.localization.GetImageData(), self._volumeNode.GetImageData())
        return (
            tuple(node.GetScene() is not None for node in results),
            tuple(None if image is None else image.GetMTime() for image in images),
            self._reader.stamp(),
        )

    def _check(self) -> None:
        if self._stamp() != self._stamped:
            raise InputError(
                _(
                    "The results must stay as they are while they are read, but they were changed or removed. Press "
                    "the button again."
                )
            )


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
            _("A complete analysis was expected in the text node, but its geometry is missing. Analyze the CT again.")
        ) from error
    return z, y, x


def checksum(lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]) -> str:
    """Give the Adler-32 checksum of both arrays (z, y, x) (RFC 1950), to tell whether the segments were changed."""
    return f"{zlib.adler32(np.ascontiguousarray(opacities).data, zlib.adler32(np.ascontiguousarray(lungs).data)):08x}"


def localizationOf(image: Any, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Give the voxels of the localization without copying them.

    Raises
    ------
    InputError
        If it has another size than the CT.
    """
    dimensions = None if image is None else image.GetDimensions()[::-1]
    if dimensions != shape:
        raise InputError(
            _(
                "The localization must have the grid of the CT, {shape} voxels (z, y, x), but has {found}. Analyze "
                "the CT again."
            ).format(shape=shape, found=dimensions)
        )
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape))
