"""A segmentation of the scene as an uncompressed ``.seg.nrrd`` file, written piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from CovidCTLib.errors import InputError
from CovidCTScene import handover
from CovidCTScene.scene_segments import SceneSegments
from CovidCTScene.texts import tr as _

READING_SHARE = 0.5
"""Share of the way that reading the segments takes."""


class SegmentsHandOver:
    """Writes all segments of a segmentation, on the grid of a CT.

    Parameters
    ----------
    segmentationNode
        Any vtkMRMLSegmentationNode.
    volumeNode
        The CT.

    Raises
    ------
    InputError
        As `SceneSegments`; or if there is no segment.
    """

    def __init__(self, segmentationNode: Any, volumeNode: Any) -> None:
        self._segments = SceneSegments(segmentationNode, volumeNode)
        if self._segments.empty:
            raise InputError(_("A segmentation with segments is needed, but this one has none. Choose another."))

    @property
    def byteCount(self) -> int:
        """Size of the voxels in bytes."""
        return self._segments.byteCount

    def steps(self, path: Path) -> Iterator[float]:
        """Read and write everything, a piece a step; yields the share that is done (0 to 1).

        Raises
        ------
        InputError
            If a segment is changed before all is read.
        OSError
            If the file cannot be written.
        """
        for share in self._segments.steps():
            yield share * READING_SHARE
        layers = self._segments.layers
        kind = np.result_type(*layers)
        z, y, x = layers[0].shape
        atOnce = max(1, handover.PIECE_BYTES // (len(layers) * y * x * kind.itemsize))
        with path.open("xb") as file:
            file.write(self._header(kind).encode("utf-8"))
            for low in range(0, z, atOnce):
                piece = np.stack([layer[low : low + atOnce] for layer in layers], axis=-1).astype(kind, copy=False)
                file.write(np.ascontiguousarray(piece).data)
                yield READING_SHARE + (1 - READING_SHARE) * min(1.0, (low + atOnce) / z)

    def _header(self, kind: np.dtype[Any]) -> str:
        """NRRD's header with Slicer's keys, the empty line that ends it included."""
        geometry, layers = self._segments.geometry, self._segments.layers
        steps = geometry.direction_matrix * np.asarray(geometry.spacing_xyz_mm)
        sizes = (len(layers), *geometry.shape_zyx[::-1])
        lines = [
            "NRRD0004",
            f"type: {kind.name}",
            "dimension: 4",
            "space: left-posterior-superior",
            f"sizes: {' '.join(str(size) for size in sizes)}",
            f"space directions: none {' '.join(handover.vectorText(steps[:, axis]) for axis in range(3))}",
            "kinds: list domain domain domain",
            "endian: little",
            "encoding: raw",
            f"space origin: {handover.vectorText(geometry.origin_lps_mm)}",
        ]
        for number, (name, terminology, layer, value) in enumerate(self._segments.listed()):
            keys = {
                "ID": f"Segment_{number}",
                "Name": " ".join(name.split()),
                "LabelValue": value,
                "Layer": layer,
                "Tags": f"TerminologyEntry:{' '.join(terminology.split())}|",
            }
            lines += [f"Segment{number}_{key}:={text}" for key, text in keys.items()]
        return "\n".join(lines) + "\n\n"
