"""The segments as DICOM SEG: lungs, opacities and, where given, lobes, with the codes and colours of the labels.

highdicom makes the object from small stand-ins of the pictures that only say which plane shows which segment; the
voxels themselves are packed here. That takes a tenth of the memory and half of the time of handing it the whole arrays,
of which it adds up all segments to see whether they overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from CovidCTLib import __version__
from CovidCTLib.dicom_results.codes import LOBES
from CovidCTLib.dicom_results.reproducible_uids import uid_of
from CovidCTLib.dicom_results.study import (
    MAKER,
    MODEL_NAME,
    RESEARCH_ONLY,
    Study,
    coded,
    nearest_images,
    stamp,
    surrogates,
)
from CovidCTLib.errors import InputError
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
)

SegmentKind = Literal["binary", "labelmap"]

_SMALL = 8
"""Rows and columns of the stand-ins; a frame of so many pixels fills whole bytes."""


@dataclass(frozen=True)
class Segment:
    """One segment: its label for people and programs, codes, colour, and where it is: ``array == value``.

    ``segment_id`` is CovidCT's fixed name of it.
    """

    segment_id: str
    name: str
    colour: tuple[int, int, int]
    category: Code
    type: Code
    modifier: Code | None
    array: NDArray[np.uint8]
    value: int
    role: str


def segments_of(study: Study, lobes: NDArray[np.uint8] | None = None) -> tuple[tuple[Segment, ...], ...]:
    """List the segments of an analysis, in groups whose members do not overlap: lungs, findings, lobes.

    Parameters
    ----------
    study
        The analysis. Pleural effusion is listed only where it is present, or a network for it took part; the other
        labels always.
    lobes
        uint8, shape ``(z, y, x)`` on the scan's own grid, 1 to 5 in the order of `LOBES`; None where there are none.

    Raises
    ------
    InputError
        If the lobes lie on another grid or have other values.
    """
    lungs, opacities = study.analysis.lungs, study.analysis.opacities
    findings = [(GGO, OPACITY_GGO), (CONSOLIDATION, OPACITY_CONSOLIDATION)]
    if _shows_effusion(study):
        findings.append((PLEURAL_EFFUSION, OPACITY_EFFUSION))

    def made(label: Any, array: NDArray[np.uint8], value: int, role: str) -> Segment:
        return Segment(
            label.segment_id, label.name, label.colour, label.category, label.type, label.modifier, array, value, role
        )

    groups = [
        (made(RIGHT_LUNG, lungs, RIGHT, "lungs"), made(LEFT_LUNG, lungs, LEFT, "lungs")),
        tuple(made(label, opacities, value, "opacities") for label, value in findings),
    ]
    if lobes is not None:
        groups.append(_lobe_segments(study, lobes))
    return tuple(groups)


def _shows_effusion(study: Study) -> bool:
    """Whether effusion was looked for: a measure has a value for it, or a voxel is labelled so."""
    measured = any(
        entry.name.startswith("pleural_effusion") and entry.value is not None for entry in study.analysis.measures
    )
    return measured or bool((study.analysis.opacities == OPACITY_EFFUSION).any())


def _lobe_segments(study: Study, lobes: NDArray[np.uint8]) -> tuple[Segment, ...]:
    grid = study.analysis.scan.geometry.shape_zyx
    if lobes.shape != grid or lobes.dtype != np.uint8 or int(lobes.max(initial=0)) > len(LOBES):
        raise InputError(
            f"Lobes must be uint8 from 0 to {len(LOBES)} on the scan's grid of {grid}, but are {lobes.dtype} up to "
            f"{lobes.max(initial=0)} of shape {lobes.shape}. Give the lobes of this CT."
        )
    return tuple(
        Segment(
            label.segment_id,
            label.type.meaning.lower(),
            label.colour,
            label.category,
            label.type,
            None,
            lobes,
            label.value,
            "lobes",
        )
        for label in LOBE_LABELS
    )


def make_segmentations(
    study: Study, kind: SegmentKind = "binary", lobes: NDArray[np.uint8] | None = None
) -> tuple[tuple[Any, tuple[Segment, ...]], ...]:
    """Make the DICOM SEG of an analysis.

    Parameters
    ----------
    study
        The analysis and where it goes.
    kind
        ``"binary"`` gives one object of all segments, as every reader knows it. ``"labelmap"`` gives one label map
        segmentation (DICOM 2024c and newer) a group of segments that do not overlap: lungs, findings, lobes.
    lobes
        As in `segments_of`.

    Returns
    -------
    tuple of (highdicom.seg.Segmentation, tuple of Segment)
        The objects, each with its segments in the order of their numbers, from 1.

    Raises
    ------
    InputError
        As `segments_of`.
    """
    groups = segments_of(study, lobes)
    if kind == "binary":
        everything = tuple(segment for group in groups for segment in group)
        return ((_make(study, everything, kind, 1), everything),)
    return tuple((_make(study, group, kind, number), group) for number, group in enumerate(groups, start=1))


def _make(study: Study, segments: Sequence[Segment], kind: SegmentKind, number: int) -> Any:
    import highdicom as hd

    count, rows, columns = study.analysis.scan.geometry.shape_zyx
    shown = _planes_of(segments, count)
    labelmap = kind == "labelmap"
    small = np.zeros((count, _SMALL, _SMALL) if labelmap else (count, _SMALL, _SMALL, len(segments)), np.uint8)
    for index in range(len(segments)):
        if labelmap:
            small[shown[index], index // _SMALL, index % _SMALL] = index + 1
        else:
            small[shown[index], 0, 0, index] = 1
    if not small.any():
        # An object without frames is not allowed; the first plane says that nothing is there.
        shown[0][0] = True
        small[0, 0, 0] = 1
    uid, series_number, _ = study.series_of("SEG")
    sources = surrogates(study, _SMALL, _SMALL)
    made = hd.seg.Segmentation(
        sources,
        small,
        hd.seg.SegmentationTypeValues.LABELMAP if labelmap else hd.seg.SegmentationTypeValues.BINARY,
        [_description(study, segment, segment_number) for segment_number, segment in enumerate(segments, start=1)],
        uid,
        series_number,
        study.instance("SEG", number, kind),
        number,
        MAKER,
        MODEL_NAME,
        __version__,
        __version__,
        content_label="COVIDCT",
        content_description=RESEARCH_ONLY[:64],
    )
    stamp(made, study, "SEG")
    made.Rows, made.Columns = rows, columns
    made.SegmentsOverlap = "YES" if len({id(segment.array) for segment in segments}) > 1 else "NO"
    source_at = {tuple(str(v) for v in one.ImagePositionPatient): index for index, one in enumerate(sources)}
    planes = [
        source_at[tuple(str(v) for v in item.PlanePositionSequence[0].ImagePositionPatient)]
        for item in made.PerFrameFunctionalGroupsSequence
    ]
    made.PixelData = _labelled(segments, planes) if labelmap else _packed(segments, planes, made)
    made["PixelData"].VR = "OW" if not labelmap else "OB"
    mend_references(made, study, planes)
    return made


def _planes_of(segments: Sequence[Segment], count: int) -> list[NDArray[np.bool_]]:
    """Tell for each segment which planes show it; one plane of an array is looked at at a time."""
    shown = [np.zeros(count, bool) for _ in segments]
    for plane in range(count):
        for flags, segment in zip(shown, segments, strict=True):
            flags[plane] = (segment.array[plane] == segment.value).any()
    return shown


def _packed(segments: Sequence[Segment], planes: list[int], made: Any) -> bytes:
    """Pack the frames of a binary segmentation, one bit a pixel, the first pixel in the lowest bit (PS3.5, 8.2)."""
    masks = (
        segments[int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber) - 1]
        for item in made.PerFrameFunctionalGroupsSequence
    )
    frames = ((segment.array[plane] == segment.value) for segment, plane in zip(masks, planes, strict=True))
    if made.Rows * made.Columns % 8 == 0:
        parts = [np.packbits(frame.reshape(-1), bitorder="little").tobytes() for frame in frames]
    else:
        # Frames follow each other bit by bit, not byte by byte.
        parts = [np.packbits(np.concatenate([frame.reshape(-1) for frame in frames]), bitorder="little").tobytes()]
    packed = b"".join(parts)
    return packed + b"\0" * (len(packed) % 2)


def _labelled(segments: Sequence[Segment], planes: list[int]) -> bytes:
    """Give the frames of a label map: the number of each pixel's segment, 0 for none."""
    numbers = np.zeros(256, np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[segment.value] = number
    content = b"".join(numbers[segments[0].array[plane]].tobytes() for plane in planes)
    return content + b"\0" * (len(content) % 2)


def _description(study: Study, segment: Segment, number: int) -> Any:
    import highdicom as hd

    colour = np.array(segment.colour, np.uint8)
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="CovidCT",
            family=coded(Code("123110", "DCM", "Artificial Intelligence")),
            version=__version__,
            parameters={
                f"network {model.role}": f"{model.name} {model.version} SHA-256 {model.sha256}"
                for model in study.analysis.models
                if model.role in ("", segment.role)
            }
            or None,
        ),
        tracking_uid=uid_of(study.identity, "segment", segment.segment_id),
        tracking_id=segment.segment_id,
        display_color=hd.color.CIELabColor.from_rgb(*(int(channel) for channel in colour)),
    )
    described.SegmentDescription = RESEARCH_ONLY[:1024]
    if segment.modifier is not None:
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            coded(segment.modifier)
        ]
    return described


def mend_references(made: Dataset, study: Study, planes: Sequence[int]) -> None:
    """Let references name the images as they are: their class, and the frame where a file holds several.

    Parameters
    ----------
    made
        An object that highdicom made of `surrogates`; changed.
    study
        Its source.
    planes
        Plane of each frame of the object.
    """
    images, nearest = study.source.images, nearest_images(study)
    for item, plane in zip(made.PerFrameFunctionalGroupsSequence, planes, strict=True):
        image = images[nearest[plane]]
        for derivation in item.get("DerivationImageSequence", ()):
            for reference in derivation.SourceImageSequence:
                reference.ReferencedSOPClassUID = image.sop_class
                if image.frame is not None:
                    reference.ReferencedFrameNumber = image.frame
    for series in made.get("ReferencedSeriesSequence", ()):
        unique = {str(entry.ReferencedSOPInstanceUID): entry for entry in series.ReferencedInstanceSequence}
        for entry in unique.values():
            entry.ReferencedSOPClassUID = images[0].sop_class
        series.ReferencedInstanceSequence = list(unique.values())
    for reference in made.get("SourceImageSequence", ()):
        reference.ReferencedSOPClassUID = images[0].sop_class
