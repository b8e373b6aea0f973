"""The numbers as DICOM SR: measurement report TID 1500 (PS3.16), one measurement group a region and finding.

Groups of a segment are volumetric ROI groups (TID 1411) that refer to it; groups of thirds, both lungs and the case,
which no segment stands for, are groups without region (TID 1501). Each number has its place in the analysis as tracking
identifier, ``region.measure``, so that `read_measurements` finds it again. The record of the analysis
(``analysis.json``) lies beside the content in a private element.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydicom.dataset import Dataset

from CovidCTLib import __version__
from CovidCTLib.analysis import Measurement
from CovidCTLib.dicom_results.codes import (
    CASE,
    LUNG,
    MEASURES,
    PRIVATE_SCHEME,
    PRIVATE_SCHEME_NAME,
    measure_code,
    private_code,
    site_codes,
    site_of_label,
    unit_code,
)
from CovidCTLib.dicom_results.reproducible_uids import uid_of
from CovidCTLib.dicom_results.segmentation import Segment
from CovidCTLib.dicom_results.study import (
    MAKER,
    MODEL_NAME,
    RESEARCH_ONLY,
    Study,
    coded,
    model_parameters,
    stamp,
    surrogates,
)
from CovidCTLib.labels import LABELS, Code
from CovidCTLib.measures.definitions import MeasureDefinition, definitions_for
from CovidCTLib.measures.described import AREA_DEFINITIONS, LOBE_DEFINITIONS, definitions_of
from CovidCTLib.options import Options
from CovidCTLib.results import analysis_json

SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
"""Comprehensive SR Storage (DICOM PS3.4, table B.5-1)."""

RECORD_GROUP, RECORD_CREATOR, RECORD_ELEMENT, MAP_ELEMENT = 0x0073, "COVIDCT RECORD", 0x01, 0x02
"""The private elements that hold ``analysis.json``, compressed by zlib, and the UID of the parametric map."""

_CHEST_CT = Code("169069000", "SCT", "CT of chest")
_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
_COMMENT = Code("121106", "DCM", "Comment")
_UNKNOWN = Code("114010", "DCM", "Value unknown")
_DECISIONS = {
    True: Code("10828004", "SCT", "Positive"),
    False: Code("260385009", "SCT", "Negative"),
    None: Code("82334004", "SCT", "Indeterminate"),
}
_SHOWN_DIGITS = 6
"""Digits of a number that viewers show: no measure holds more."""

CASE_REGION = "case"
"""Region of the decision on the case."""

_GroupKey = tuple[str, Code]
"""Region and finding."""


def make_report(study: Study, segmentations: Sequence[tuple[Any, tuple[Segment, ...]]]) -> Any:
    """Make the DICOM SR of an analysis.

    Parameters
    ----------
    study
        The analysis and where it goes.
    segmentations
        As `CovidCTLib.dicom_results.segmentation.make_segmentations` gives them.

    Returns
    -------
    highdicom.sr.ComprehensiveSR
        Complete, but not verified by anybody.
    """
    import highdicom as hd

    groups = _groups(study, segmentations)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_device(study)),
        procedure_reported=coded(_CHEST_CT),
        imaging_measurements=groups,
        title=coded(_REPORT),
    )
    root = content[0]
    for text in _remarks(study):
        root.ContentSequence.append(_comment(text))
    sources = surrogates(study, *study.analysis.scan.geometry.shape_zyx[1:])
    unique = {str(image.SOPInstanceUID): image for image in sources}
    uid, number, _ = study.series_of("SR")
    made = hd.sr.ComprehensiveSR(
        evidence=[*unique.values(), *(segmentation for segmentation, _ in segmentations)],
        content=content[0],
        series_instance_uid=uid,
        series_number=number,
        sop_instance_uid=study.instance("SR"),
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[
            hd.coding_schemes.CodingSchemeIdentificationItem(designator=PRIVATE_SCHEME, name=PRIVATE_SCHEME_NAME),
        ],
    )
    stamp(made, study, "SR")
    _mend_evidence(made, study)
    record = zlib.compress(analysis_json(study.analysis).encode("utf-8"), 6)
    block = made.private_block(RECORD_GROUP, RECORD_CREATOR, create=True)
    block.add_new(RECORD_ELEMENT, "OB", record + b"\0" * (len(record) % 2))
    block.add_new(MAP_ELEMENT, "UI", study.instance("PM"))
    return made


def _device(study: Study) -> Any:
    """CovidCT as the observer: name, version, and the version of each network."""
    import highdicom as hd

    return hd.sr.ObserverContext(
        observer_type=coded(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=uid_of(
                MAKER, __version__, *(f"{model.name} {model.version} {model.sha256}" for model in study.analysis.models)
            ),
            name=MAKER,
            manufacturer_name=MAKER,
            model_name=f"{MODEL_NAME} {__version__}",
            serial_number="; ".join(model_parameters(study.analysis)) or __version__,
        ),
    )


def _algorithm(study: Study) -> Any:
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(
        name=MAKER, version=__version__, parameters=model_parameters(study.analysis) or None
    )


def _groups(study: Study, segmentations: Sequence[tuple[Any, tuple[Segment, ...]]]) -> list[Any]:
    """Make the measurement groups: those of segments, those of other regions, the case."""
    by_group = _measures_by_group(study)
    algorithm = _algorithm(study)
    groups = []
    for segmentation, segments in segmentations:
        for number, segment in enumerate(segments, start=1):
            key = _key_of(segment)
            groups.append(_roi_group(study, segmentation, number, segment, by_group.pop(key, []), algorithm))
    for (region, finding), entries in by_group.items():
        groups.append(_plain_group(study, region, finding, entries, algorithm))
    return [*groups, _case_group(study, algorithm)]


def _measures_by_group(study: Study) -> dict[_GroupKey, list[Measurement]]:
    labels = definitions_of(study.analysis)
    groups: dict[_GroupKey, list[Measurement]] = defaultdict(list)
    for entry in study.analysis.measures:
        label = labels[entry.name].label if entry.name in labels else entry.name
        finding, _ = measure_code(entry.name, label)
        groups[entry.region, finding].append(entry)
    return dict(groups)


def _key_of(segment: Segment) -> _GroupKey:
    """Region and finding whose measures belong to a segment."""
    if segment.role == "opacities":
        return "both_lungs", segment.type
    return segment.segment_id, LUNG


def _site(codes: tuple[Code, Code | None, Code | None]) -> list[Any]:
    import highdicom as hd

    organ, side, part = codes
    return [
        hd.sr.FindingSite(
            coded(organ), coded(side) if side is not None else None, coded(part) if part is not None else None
        )
    ]


def _roi_group(
    study: Study, segmentation: Any, number: int, segment: Segment, entries: list[Measurement], algorithm: Any
) -> Any:
    """One group of a segment (TID 1411)."""
    import highdicom as hd

    label = next((label for label in LABELS if label.segment_id == segment.segment_id), None)
    site = site_codes(segment.segment_id) if label is None else site_of_label(label)
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of(study.identity, "segment", segment.segment_id), identifier=segment.segment_id
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(study.series_uid),
        ),
        finding_category=coded(segment.category),
        finding_type=coded(segment.type),
        finding_sites=_site(site),
        algorithm_id=algorithm,
        measurements=_measurements(study, entries),
        qualitative_evaluations=_absent(study, entries),
    )
    _add_reasons(group, entries)
    return group


def _plain_group(study: Study, region: str, finding: Code, entries: list[Measurement], algorithm: Any) -> Any:
    """One group of a region without segment (TID 1501)."""
    import highdicom as hd

    name = f"{region}.{finding.meaning}"
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=uid_of(study.identity, "group", name), identifier=name),
        finding_type=coded(finding),
        finding_sites=_site(site_codes(region)),
        algorithm_id=algorithm,
        measurements=_measurements(study, entries),
        qualitative_evaluations=_absent(study, entries),
    )
    _add_reasons(group, entries)
    return group


def _case_group(study: Study, algorithm: Any) -> Any:
    """The case decision with the numbers and limits that it follows from."""
    import highdicom as hd

    case = study.analysis.case
    entries = [
        Measurement(CASE_REGION, "positive_slices", float(case.positive_slices), ""),
        Measurement(CASE_REGION, "lung_slices", float(case.lung_slices), ""),
        Measurement(CASE_REGION, "slice_threshold", float(case.slice_threshold), ""),
        Measurement(CASE_REGION, "case_threshold_percent", 100 * case.case_threshold, "%"),
    ]
    if case.positive_fraction is not None:
        entries.append(Measurement(CASE_REGION, "positive_slices_percent", 100 * case.positive_fraction, "%"))
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid_of(study.identity, "group", CASE_REGION), identifier=CASE_REGION
        ),
        finding_type=coded(CASE),
        finding_sites=_site(site_codes("both_lungs")),
        algorithm_id=algorithm,
        measurements=_measurements(study, entries, _CASE_LABELS),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name=coded(CASE), value=coded(_DECISIONS[case.positive]))],
    )
    words = case.words if case.positive is not None else case.reason or "There is no decision."
    meaning = (
        "Positive means like COVID-19, negative means not like COVID-19: the share of slices that look like COVID-19 "
        "pneumonia is above the limit, or not. What looks alike may be called so, too."
    )
    group[0].ContentSequence.append(_comment(f"{words} {meaning}"))
    return group


_CASE_LABELS: Mapping[str, str] = {
    "positive_slices": "Slices called like COVID-19",
    "lung_slices": "Slices that show lung",
    "slice_threshold": "Probability from which a slice is like COVID-19",
    "case_threshold_percent": "Share of such slices above which a case is called so",
    "positive_slices_percent": "Share of such slices among lung slices",
}


def _measurements(
    study: Study, entries: Sequence[Measurement], labels: Mapping[str, str] | None = None
) -> list[Any] | None:
    """Make the numbers of a group (TID 300); absent ones are left to `_absent`."""
    import highdicom as hd

    made = []
    for entry in entries:
        if not _is_number(entry.value):
            continue
        tracking = f"{entry.region}.{entry.name}"
        value = float(entry.value)  # type: ignore[arg-type]
        measurement = hd.sr.Measurement(
            name=coded(_concept(study, entry.name, labels)),
            value=value,
            unit=coded(unit_code(entry.unit)),
            tracking_identifier=hd.sr.TrackingIdentifier(
                uid=uid_of(study.identity, "measure", tracking), identifier=tracking
            ),
        )
        # What viewers show; FloatingPointValue beside it holds the number to the last bit.
        measurement[0].MeasuredValueSequence[0].NumericValue = f"{value:.{_SHOWN_DIGITS}g}"
        made.append(measurement)
    return made or None


def _absent(study: Study, entries: Sequence[Measurement]) -> list[Any] | None:
    """Say of measures without value that it is unknown; the reasons follow as comments."""
    import highdicom as hd

    made = [
        hd.sr.QualitativeEvaluation(name=coded(_concept(study, entry.name, None)), value=coded(_UNKNOWN))
        for entry in entries
        if not _is_number(entry.value)
    ]
    return made or None


def _add_reasons(group: Any, entries: Sequence[Measurement]) -> None:
    for entry in entries:
        if not _is_number(entry.value):
            reason = entry.reason or "The computed value is not a finite number."
            group[0].ContentSequence.append(_comment(f"{entry.region}.{entry.name} is absent: {reason}"))


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _concept(study: Study, name: str, labels: Mapping[str, str] | None) -> Code:
    if labels is not None:
        return private_code(name, labels[name])
    if name in MEASURES:
        return MEASURES[name][1]
    definition = _definitions(study.analysis.options).get(name)
    return private_code(name, definition.label if definition else name)


@lru_cache(maxsize=4)
def _definitions(options: Options) -> Mapping[str, MeasureDefinition]:
    """Definitions of the measures; a report asks for them hundreds of times."""
    return {**definitions_for(options), **LOBE_DEFINITIONS, **AREA_DEFINITIONS}


def _comment(text: str) -> Any:
    import highdicom as hd

    return hd.sr.TextContentItem(
        name=coded(_COMMENT), value=text, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
    )


def _remarks(study: Study) -> list[str]:
    """What a reader must know: research software, unverified, warnings."""
    notices = [f"Warning: {notice.text}" for notice in study.analysis.notices if notice.severity != "note"]
    return [f"{RESEARCH_ONLY} Do not base a diagnosis or a treatment on it.", *notices]


def _mend_evidence(made: Dataset, study: Study) -> None:
    """Name the class of the source images as it is, where they are no single slices."""
    classes = {image.instance: image.sop_class for image in study.source.images}
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for entry in made.get(keyword, ()):
            for series in entry.ReferencedSeriesSequence:
                for reference in series.ReferencedSOPSequence:
                    uid = str(reference.ReferencedSOPInstanceUID)
                    reference.ReferencedSOPClassUID = classes.get(uid, reference.ReferencedSOPClassUID)
