"""What people read in any viewer: the report as encapsulated PDF, key pictures as captures, a refusal as text."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from CovidCTLib import __version__
from CovidCTLib.dicom_results.reproducible_uids import uid_of
from CovidCTLib.dicom_results.study import (
    MAKER,
    MODEL_NAME,
    RESEARCH_ONLY,
    SERIES,
    Study,
    coded,
    patient_elements,
    stamp,
)
from CovidCTLib.labels import Code
from CovidCTLib.report.canvas import Overlay, paint, write_text
from CovidCTLib.report.html import render_report
from CovidCTLib.report.pdf import pdf_of
from CovidCTLib.report.planes import PLANES, cut, lung_box, worst_place
from CovidCTLib.scan import SourceSeries

PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
TEXT_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"
"""Encapsulated PDF and Basic Text SR Storage (DICOM PS3.4, table B.5-1)."""

PICTURE_PX = (768, 640)
"""Largest width and height of a key picture, in pixels."""

_STRIP_PX = 28
"""Height of the line under a picture, in pixels, and of its letters half of it."""

_OVERLAYS: tuple[tuple[Overlay, str], ...] = (("findings", "findings"), ("localization", "localization"))
_REPORT_TITLE = Code("18748-4", "LN", "Diagnostic imaging report")


def make_pdf(study: Study) -> Dataset:
    """Make the report of an analysis as encapsulated PDF (DICOM PS3.3, A.45.1).

    Raises
    ------
    CovidCTError
        As `CovidCTLib.report.pdf.pdf_of`.
    """
    content = pdf_of(render_report(study.analysis))
    made = _empty(PDF_CLASS, study.instance("DOC"))
    stamp(made, study, "DOC")
    now = datetime.datetime.now()
    made.Modality, made.ConversionType, made.InstanceNumber = "DOC", "WSD", 1
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = "YES" if study.analysis.scan.identifiers is not None else "NO"
    made.VerificationFlag = "UNVERIFIED"
    made.DocumentTitle = "CovidCT: chest CT report (research, unverified)"
    made.ConceptNameCodeSequence = [coded(_REPORT_TITLE)]
    made.SourceInstanceSequence = [_reference(image) for image in study.source.images[:1]]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(content)
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return made


def make_key_pictures(study: Study) -> Iterator[Dataset]:
    """Make the key pictures: the three planes through the worst place, with findings and with localization.

    Yields
    ------
    highdicom.sc.SCImage
        RGB; each says in its last line that it is research only.
    """
    import highdicom as hd

    axial = study.analysis.axial
    worst, box = worst_place(study.analysis), lung_box(axial)
    uid, series_number, _ = study.series_of("OT")
    number = 0
    for overlay, words in _OVERLAYS:
        for name in PLANES:
            number += 1
            image = _with_line(
                paint(cut(axial, name, worst.along(name), box), overlay, *PICTURE_PX),
                f"CovidCT: {name}, {words}. Research only, unverified.",
            )
            made = hd.sc.SCImage(
                pixel_array=np.asarray(image.convert("RGB")),
                photometric_interpretation="RGB",
                bits_allocated=8,
                coordinate_system="PATIENT",
                study_instance_uid=study.study_uid,
                series_instance_uid=uid,
                series_number=series_number,
                sop_instance_uid=study.instance("OT", number),
                instance_number=number,
                manufacturer=MAKER,
                patient_orientation=("L", "P")
                if name == "axial"
                else (("L", "F") if name == "coronal" else ("P", "F")),
            )
            stamp(made, study, "OT")
            made.Modality = "OT"
            made.ImageType = ["DERIVED", "SECONDARY"]
            made.BurnedInAnnotation = "NO"
            made.ImageComments = RESEARCH_ONLY
            made.DerivationDescription = f"{name} plane with {words}, painted by CovidCT {__version__}"
            made.SourceImageSequence = [_reference(image) for image in study.source.images[:1]]
            yield made


def failure_document(source: SourceSeries, reason: str) -> Dataset:
    """Make a Basic Text SR that says why a study was not analyzed (DICOM PS3.3, A.35.1).

    Parameters
    ----------
    source
        The series that was tried.
    reason
        A sentence without patient data.

    Returns
    -------
    Dataset
        Its UIDs follow from series, reason and version, so that the same failure is the same object.
    """
    identity = uid_of("failure", str(source.header.SeriesInstanceUID), reason, __version__)
    made = _empty(TEXT_CLASS, uid_of(identity, "instance"))
    made.update({element.tag: element for element in patient_elements(source.header)})
    number, description = SERIES["SR"]
    made.SeriesInstanceUID, made.SeriesNumber, made.SeriesDescription = uid_of(identity, "series"), number, description
    made.Manufacturer, made.ManufacturerModelName = MAKER, MODEL_NAME
    made.SoftwareVersions = f"CovidCT {__version__}"
    now = datetime.datetime.now()
    made.Modality, made.InstanceNumber = "SR", 1
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.CompletionFlagDescription = "Not analyzed"
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [coded(_REPORT_TITLE)]
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [coded(Code("121106", "DCM", "Comment"))]
    item.TextValue = f"CovidCT did not analyze this CT: {reason} {RESEARCH_ONLY}"
    made.ContentSequence = [item]
    return made


def _empty(sop_class: str, instance: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = sop_class, instance
    now = datetime.datetime.now()
    made.InstanceCreationDate, made.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    return made


def _reference(image: Any) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.sop_class, image.instance
    if image.frame is not None:
        item.ReferencedFrameNumber = image.frame
    return item


def _with_line(image: Image.Image, text: str) -> Image.Image:
    """Put a line of text under a picture."""
    whole = Image.new("RGB", (max(image.width, 420), image.height + _STRIP_PX))
    whole.paste(image, ((whole.width - image.width) // 2, 0))
    write_text(whole, (8, image.height + _STRIP_PX / 2), text, _STRIP_PX // 2, "lm")
    return whole
