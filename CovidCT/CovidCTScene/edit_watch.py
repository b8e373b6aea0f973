"""Notices edits of a CT's segments by hand: when any is made, and whether what is there differs from the analysis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import slicer

from CovidCTLib.errors import InputError
from CovidCTLib.labels import LABELS
from CovidCTScene.scene_segments import ALL_ATTRIBUTE, MEASURED_ATTRIBUTE, SceneSegments
from CovidCTScene.segment_voxels import BINARY_LABELMAP, SegmentReader
from CovidCTScene.snapshot import CHECKSUM_ATTRIBUTE, checksum

EVENTS = ("SourceRepresentationModified", "MasterRepresentationModified", "SegmentAdded", "SegmentRemoved")
"""Events of vtkSegmentation after which segments may differ; the second is the first one's name up to Slicer 5.2.
Surfaces that are made, and colours that are changed, are none."""


class EditWatch:
    """Calls a function whenever segments of one segmentation change."""

    def __init__(self) -> None:
        self._segmentation: Any = None
        self._tags: list[int] = []

    def follow(self, segmentationNode: Any, onEdit: Callable[[], None]) -> None:
        """Watch the segments of a vtkMRMLSegmentationNode, and no others; None watches nothing."""
        segmentation = segmentationNode.GetSegmentation() if segmentationNode is not None else None
        if segmentation is self._segmentation:
            return
        for tag in self._tags:
            self._segmentation.RemoveObserver(tag)
        self._segmentation = segmentation
        events = [getattr(slicer.vtkSegmentation, name) for name in EVENTS if hasattr(slicer.vtkSegmentation, name)]
        self._tags = []
        if segmentation is not None:
            self._tags = [segmentation.AddObserver(event, lambda *_caller: onEdit()) for event in events]


@dataclass(frozen=True)
class Stamp:
    """What changes with the segments, and with what they are compared with.

    Parameters
    ----------
    measured
        Checksum of the segments that were measured again; None before that.
    voxels
        Changes with any voxel of any segment.
    """

    measured: str | None
    voxels: tuple[tuple[str, int, int], ...]


class EditCheck:
    """Compares segments with those of the analysis: steps in the main thread, then `edited` in any.

    Parameters
    ----------
    segmentationNode
        CovidCT's segmentation.
    volumeNode
        The CT that it was made from.
    sinceAnalysis
        Whether the segments are compared with those of the analysis even where they were measured again since.
    """

    def __init__(self, segmentationNode: Any, volumeNode: Any, sinceAnalysis: bool = False) -> None:
        self._segmentationNode = segmentationNode
        self._checksum = segmentationNode.GetAttribute(CHECKSUM_ATTRIBUTE)
        self._measured = segmentationNode.GetAttribute(ALL_ATTRIBUTE if sinceAnalysis else MEASURED_ATTRIBUTE)
        self.stamp = Stamp(self._measured, _stampOf(segmentationNode))
        self._reader: SegmentReader | None = None
        self._all: SceneSegments | None = None
        if self._measured is not None:
            with contextlib.suppress(InputError):
                self._all = SceneSegments(segmentationNode, volumeNode)
            return
        if {label.segment_id for label in LABELS}.issuperset(segmentationNode.GetSegmentation().GetSegmentIDs()):
            try:
                self._reader = SegmentReader(segmentationNode, volumeNode)
            except InputError:
                # A lung or an opacity has no segment any more, or one that is not stored as voxels.
                self._reader = None

    @property
    def current(self) -> bool:
        """Whether the segments are still those that are compared."""
        return self.stamp.voxels == _stampOf(self._segmentationNode)

    def steps(self) -> Iterator[float]:
        """Copy the segments, as `SegmentReader.steps`."""
        if self._all is not None:
            yield from self._all.steps()
        if self._reader is not None:
            yield from self._reader.steps()

    def edited(self) -> bool:
        """Say whether the segments differ from those of the analysis, when all steps were taken.

        True where there are further segments, one is gone or has other voxels, or that cannot be told.
        """
        if self._measured is not None:
            return self._all is None or self._measured != self._all.checksum()
        return self._reader is None or self._checksum != checksum(self._reader.lungs, self._reader.opacities)


def _stampOf(segmentationNode: Any) -> tuple[tuple[str, int, int], ...]:
    """Give what changes with any voxel of any segment, and with the segments themselves."""
    segmentation = segmentationNode.GetSegmentation()
    stamps = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        # VTK gives no time twice, so that an image that took the place of another is told as well.
        changed = image.GetMTime() if image is not None else -1
        stamps.append((segmentation.GetNthSegmentID(index), int(changed), int(segment.GetLabelValue())))
    return tuple(stamps)
