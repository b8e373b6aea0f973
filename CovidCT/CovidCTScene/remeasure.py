"""Results of a CT measured again from its segments as they are now, without networks; the segments stay untouched."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTScene.nodes import resultNodesOf
from CovidCTScene.scan import scanLater
from CovidCTScene.scene_segments import MEASURED_ATTRIBUTE, SceneSegments
from CovidCTScene.snapshot import localizationOf
from CovidCTScene.tables import fillChartValues, fillMeasureTable, fillSliceTable
from CovidCTScene.texts import tr as _

FIRST_ATTRIBUTE = "CovidCT.First"
"""Attribute of the segmentation node, JSON: where the labels of the analysis come from, and the checksum of each part,
by which it is told what was corrected by hand since."""

PARTS = ("lungs", "opacities", "effusion")


def firstOf(analysis: Analysis) -> str:
    """Give the text of `FIRST_ATTRIBUTE` for an analysis that comes into the scene."""
    sums = partSums(analysis.lungs, analysis.opacities, analysis.opacities == 3)
    return json.dumps({"provenance": asdict(analysis.provenance), "checksums": sums})


def partSums(
    lungs: NDArray[Any] | None, opacities: NDArray[Any] | None, effusion: NDArray[np.bool_] | None
) -> dict[str, str]:
    """Give the checksum of lungs, of ground glass and consolidation, and of effusion; none is as good as empty."""
    fluid = None if effusion is None or not effusion.any() else effusion
    kinds = opacities
    if kinds is not None and fluid is not None:
        kinds = np.where(fluid, np.uint8(0), kinds)
    arrays = (lungs, kinds, fluid)
    return {name: _sum(array) for name, array in zip(PARTS, arrays, strict=True)}


def _sum(array: NDArray[Any] | None) -> str:
    if array is None:
        return ""
    return f"{zlib.adler32(np.ascontiguousarray(array).view(np.uint8).data):08x}"


class Remeasure:
    """Measures a CT again: steps in the main thread, `make` in any, then `put` in the main thread.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.

    Raises
    ------
    InputError
        If the CT has no results in the scene or cannot be read, or a segment is not stored as voxels.
    """

    def __init__(self, scene: Any, volumeNode: Any) -> None:
        nodes = resultNodesOf(scene, volumeNode)
        if nodes is None:
            raise InputError(_("Results of this CT must be in the scene, but there are none. Press Analyze first."))
        self._scene, self._nodes = scene, nodes
        self._scan = scanLater(volumeNode)
        self._text = nodes.record.GetText() or ""
        self._first = nodes.segmentation.GetAttribute(FIRST_ATTRIBUTE)
        self._segments = SceneSegments(nodes.segmentation, volumeNode)
        x, y, z = volumeNode.GetImageData().GetDimensions()
        self._stamped = self._segments.stamp()
        self._heat = localizationOf(nodes.localization.GetImageData(), (z, y, x))
        self._made: tuple[Analysis, str, str] | None = None

    @property
    def current(self) -> bool:
        """Whether the segments are still those that were measured."""
        return self._segments.stamp() == self._stamped

    def steps(self) -> Iterator[float]:
        """Copy the segments, as `SceneSegments.steps`."""
        return self._segments.steps()

    def make(self) -> None:
        """Measure, when all steps were taken.

        Raises
        ------
        InputError
            If no segment is known, all are empty, or the record is not of this CT.
        QualityError
            If there is hardly any lung.
        """
        from CovidCTLib.pipeline import measure
        from CovidCTLib.results.reading import restored_analysis
        from CovidCTLib.results.record import analysis_json
        from CovidCTLib.results.stored_record import parsed_record
        from CovidCTLib.segments import lay_on

        record, scan = parsed_record(self._text), self._scan()
        labels = lay_on(self._segments.segmentation(), scan)
        none = np.zeros(scan.geometry.shape_zyx, np.uint8)
        # Segments that were removed are as good as emptied ones: no network runs here.
        labels = replace(
            labels,
            lungs=none if labels.lungs is None else labels.lungs,
            opacities=none if labels.opacities is None else labels.opacities,
        )
        before = restored_analysis(record, none, none, self._heat, scan.hu)
        before, corrected = self._since(before, labels)
        # What is known of the CT stands in the record: its node tells neither slice thickness nor a nominal spacing.
        described = replace(scan, facts=before.scan.facts)
        analysis = measure(described, labels, before=before, corrected=corrected)
        self._made = (analysis, analysis_json(analysis), self._segments.checksum())

    def _since(self, before: Analysis, labels: Any) -> tuple[Analysis, tuple[str, ...]]:
        """Give the analysis with its first provenance, and what was corrected since."""
        if self._first is None:
            # A scene of an early version does not say what was changed: both may have been.
            return before, ("lungs", "opacities")
        from CovidCTLib.analysis import Provenance
        from CovidCTLib.results.plain_values import from_plain

        first = json.loads(self._first)
        now = partSums(labels.lungs, labels.opacities, labels.effusion)
        corrected = tuple(name for name in PARTS if now[name] != first["checksums"][name])
        return replace(before, provenance=from_plain(Provenance, first["provenance"])), corrected

    def put(self) -> str:
        """Put the numbers into the scene, and say what the user should know of them.

        Raises
        ------
        InputError
            If the results were removed meanwhile.
        """
        if self._made is None:
            raise InputError(_("The segments must be measured before their numbers are shown. Measure them first."))
        analysis, text, checksum = self._made
        nodes = self._nodes
        if nodes.record.GetScene() is None or nodes.segmentation.GetScene() is None:
            raise InputError(_("The results must stay in the scene while they are measured, but they were removed."))
        tables = [nodes.measures, nodes.slices, *([nodes.chartValues] if nodes.chartValues is not None else [])]
        fills = (fillMeasureTable, fillSliceTable, fillChartValues)
        for table, fill in zip(tables, fills, strict=False):
            modified = table.StartModify()
            table.RemoveAllColumns()
            fill(table, analysis)
            table.EndModify(modified)
        nodes.record.SetText(text)
        nodes.segmentation.SetAttribute(MEASURED_ATTRIBUTE, checksum)
        left = analysis.provenance.left_out
        if not left:
            return _("Measured again from the segments as they are.")
        return _(
            "Measured again from the segments as they are. Not recognized, and left out: {names}. To have one measured "
            'by itself, let its name begin with "area".'
        ).format(names=", ".join(left))
