"""The segmentation as 3D Slicer stores it: a ``.seg.nrrd`` with names, colours and terminology.

Layers of a 4D NRRD let segments overlap: layer 0 holds the lungs, diseased parts included, layer 1 the opacities; where
there are some, layer 2 holds the lobes, and each region of interest has a layer of its own.
The keys are those that Slicer's vtkMRMLSegmentationStorageNode reads and writes
(https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html); the container is NRRD
(https://teem.sourceforge.net/nrrd/format.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.analysis import Analysis
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import (
    CONSOLIDATION,
    GGO,
    LEFT,
    LEFT_LUNG,
    LOBE_LABELS,
    OPACITY_CONSOLIDATION,
    OPACITY_EFFUSION,
    OPACITY_GGO,
    PLEURAL_EFFUSION,
    RIGHT,
    RIGHT_LUNG,
    Code,
    Label,
)
from CovidCTLib.results.compressed import slab_length, write_gzip

TERMINOLOGY_CONTEXT = "Segmentation category and type - CovidCT"
"""Name of the terminology that the Slicer module ships; it lists all of the labels."""

_NO_REGION = "Anatomic codes - DICOM master list~^^~^^"
"""Slicer's entry for: no anatomic region is given beside the type."""

_LAYERS: tuple[Mapping[int, Label], ...] = (
    {RIGHT: RIGHT_LUNG, LEFT: LEFT_LUNG},
    {OPACITY_GGO: GGO, OPACITY_CONSOLIDATION: CONSOLIDATION, OPACITY_EFFUSION: PLEURAL_EFFUSION},
)
"""Per layer, the label of each value."""

_AREA_COLOUR = (0, 158, 115)
_AREA_CATEGORY = Code("85756007", "SCT", "Tissue")
_AREA_TYPE = Code("85756007", "SCT", "Tissue")
"""What Slicer gives a segment of which nothing is known; the name says the rest."""

_ONLY_IF_PRESENT = (PLEURAL_EFFUSION,)
"""No network predicts it yet; an empty segment would read as: looked for and not found."""

Extent = tuple[int, int, int, int, int, int]
EMPTY_EXTENT: Extent = (0, -1, 0, -1, 0, -1)
"""How Slicer writes the extent of a segment without voxels."""


def terminology_entry(label: Label) -> str:
    """Compose Slicer's text for a label's terminology.

    Returns
    -------
    str
        Context, category, type, modifier and (empty) anatomic region, separated by ``~``; each code as
        ``scheme^value^meaning``.
    """
    codes = "~".join(_code_text(code) for code in (label.category, label.type, label.modifier))
    return f"{TERMINOLOGY_CONTEXT}~{codes}~{_NO_REGION}"


def write_segmentation(path: Path, analysis: Analysis) -> None:
    """Write lungs and opacities as a segmentation for 3D Slicer, on the scan's own grid.

    Parameters
    ----------
    path
        New file; its name should end in ``.seg.nrrd``.
    analysis
        Its ``lungs`` and ``opacities`` are written. Both lungs, ground-glass opacity and consolidation are always
        there, empty if nothing was found; pleural effusion only where it is present.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    layers = _layers_of(analysis)
    header = _header(analysis.scan.geometry, [entry for layer in layers for entry in layer.listed()], len(layers))
    with path.open("wb") as file:
        file.write(header.encode("utf-8"))
        write_gzip(file, _interleaved(tuple(layer.array for layer in layers)))


def _code_text(code: Code | None) -> str:
    """One code as Slicer writes it."""
    return f"{code.scheme}^{code.value}^{code.meaning}" if code is not None else "^^"


@dataclass(frozen=True)
class _Layer:
    """One layer: its number, its voxels, and the label of each value."""

    number: int
    array: NDArray[np.uint8]
    labels: Mapping[int, Label]

    def listed(self) -> Iterator[tuple[int, int, Label, Extent]]:
        """Give layer, value, label and extent of every segment that is to be listed."""
        boxes = ndimage.find_objects(self.array, max_label=max(self.labels))
        for value, label in self.labels.items():
            box = boxes[value - 1]
            if box is None and label in _ONLY_IF_PRESENT:
                continue
            yield self.number, value, label, _extent(box)


def _layers_of(analysis: Analysis) -> list[_Layer]:
    """All layers of an analysis, in their order."""
    arrays = [(analysis.lungs, _LAYERS[0]), (analysis.opacities, _LAYERS[1])]
    if analysis.lobes is not None:
        arrays.append((analysis.lobes, {label.value: label for label in LOBE_LABELS}))
    for number, (name, mask) in enumerate(analysis.areas.items(), start=1):
        arrays.append((mask.view(np.uint8), {1: area_label(name, number)}))
    return [_Layer(number, array, labels) for number, (array, labels) in enumerate(arrays)]


def area_label(name: str, number: int) -> Label:
    """Make the label of a region of interest, whose name is the user's."""
    return Label(1, f"area_{number}", name, _AREA_COLOUR, _AREA_CATEGORY, _AREA_TYPE)


def _extent(box: tuple[slice, ...] | None) -> Extent:
    """First and last index along i, j, k of a box in ``zyx``."""
    if box is None:
        return EMPTY_EXTENT
    z, y, x = box
    return x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1


def _header(geometry: Geometry, segments: list[tuple[int, int, Label, Extent]], layers: int) -> str:
    """NRRD's header with Slicer's keys, the empty line that ends it included."""
    steps = geometry.direction_matrix * np.asarray(geometry.spacing_xyz_mm)
    sizes = (layers, *geometry.shape_zyx[::-1])
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {_numbers(sizes)}",
        f"space directions: none {' '.join(_vector(steps[:, axis]) for axis in range(3))}",
        "kinds: list domain domain domain",
        "encoding: gzip",
        f"space origin: {_vector(geometry.origin_lps_mm)}",
    ]
    for number, (layer, value, label, extent) in enumerate(segments):
        keys = {
            "ID": label.segment_id,
            "Name": label.name,
            "NameAutoGenerated": 0,
            "Color": " ".join(f"{channel / 255:.6g}" for channel in label.colour),
            "ColorAutoGenerated": 0,
            "LabelValue": value,
            "Layer": layer,
            "Extent": _numbers(extent),
            "Tags": f"TerminologyEntry:{terminology_entry(label)}|",
        }
        lines += [f"Segment{number}_{key}:={text}" for key, text in keys.items()]
    lines += [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        # Slicer calls it the source representation since 5.2, and still reads and writes the older key.
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    return "\n".join(lines) + "\n\n"


def _numbers(values: tuple[int, ...]) -> str:
    """Whole numbers, separated by spaces."""
    return " ".join(str(int(value)) for value in values)


def _vector(values: Any) -> str:
    """A vector in NRRD's notation, with all digits."""
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _interleaved(layers: tuple[NDArray[np.uint8], ...]) -> Iterator[NDArray[np.uint8]]:
    """Blocks of voxels with the layers as the fastest axis, as NRRD's sizes say."""
    step = slab_length(layers[0])
    for start in range(0, len(layers[0]), step):
        yield np.stack([layer[start : start + step] for layer in layers], axis=-1)
