"""What all DICOM results share: patient and study of the source, equipment, series; all is research."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from CovidCTLib import __version__
from CovidCTLib.analysis import Analysis
from CovidCTLib.dicom_results.reproducible_uids import identity_of, uid_of
from CovidCTLib.errors import CovidCTError, InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import Code
from CovidCTLib.reading.dicom_headers import CT_CLASS
from CovidCTLib.scan import SourceSeries

MAKER = "CovidCT"
MODEL_NAME = "CovidCT (research software)"
RESEARCH_ONLY = "Research software, not a medical device. Unverified findings of a program."

UNICODE = "ISO_IR 192"
"""Character set of all objects (UTF-8): whatever the source used, its names can be written."""

LONGEST_TEXT = 64
"""Characters of an LO or of a component group of a name at most (DICOM PS3.5, 6.2)."""

LONGEST_SHORT = 16
"""Characters of an SH at most."""

SERIES = {
    "SEG": (990001, "CovidCT segmentation (research)"),
    "SR": (990002, "CovidCT measurements (research, unverified)"),
    "DOC": (990003, "CovidCT report (research, unverified)"),
    "OT": (990004, "CovidCT key pictures (research)"),
    "PM": (990005, "CovidCT localization (research)"),
}
"""Per kind of object, number and description of its series. High numbers stand after those of a scanner."""

_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
           "AccessionNumber", "ReferringPhysicianName")  # fmt: skip
"""Tags that must be there, empty if not known (DICOM PS3.3, C.7.1.1 and C.7.2.1)."""

_LONG_TEXTS = ("PatientID", "IssuerOfPatientID", "StudyDescription", "DeidentificationMethod")
_TEXTS = {**dict.fromkeys(_LONG_TEXTS, LONGEST_TEXT), "StudyID": LONGEST_SHORT, "AccessionNumber": LONGEST_SHORT}
_NAMES = ("PatientName", "ReferringPhysicianName")
_PATTERNS = {
    "PatientBirthDate": re.compile(r"\d{8}"),
    "StudyDate": re.compile(r"\d{8}"),
    "StudyTime": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
    "PatientSex": re.compile(r"[MFO]"),
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "PatientIdentityRemoved": re.compile(r"YES|NO"),
}
_NUMBERS = ("PatientSize", "PatientWeight")


@dataclass(frozen=True)
class Study:
    """An analysis with the study that its results go into.

    Parameters
    ----------
    analysis
        The results.
    source
        The DICOM series.
    patient
        Elements of patient and study, cleaned, in Unicode.
    identity
        What UIDs are derived from.
    """

    analysis: Analysis
    source: SourceSeries
    patient: Dataset
    identity: str

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID of the source."""
        return str(self.source.header.StudyInstanceUID)

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID of the source."""
        return str(self.source.header.SeriesInstanceUID)

    @property
    def frame_of_reference(self) -> str:
        """FrameOfReferenceUID of the source."""
        return str(self.source.header.FrameOfReferenceUID)

    def series_of(self, kind: str) -> tuple[str, int, str]:
        """UID, number and description of the series of a kind of object (`SERIES`)."""
        number, description = SERIES[kind]
        return uid_of(self.identity, "series", kind), number, description

    def instance(self, kind: str, number: int = 1, variant: str = "") -> str:
        """UID of an object."""
        return uid_of(self.identity, "instance", kind, str(number), variant)


def study_of(analysis: Analysis) -> Study:
    """Take the study of an analysis.

    Raises
    ------
    InputError
        If its scan was not read from DICOM with its source (`CovidCTLib.reading.read_scan`, ``with_source``).
    """
    source = analysis.scan.source
    if source is None:
        raise InputError(
            "DICOM results need a CT that came as DICOM and was read with its source, but this analysis has none. Read "
            "the DICOM folder with read_scan(..., with_source=True) and analyze it again."
        )
    return Study(analysis, source, patient_elements(source.header), identity_of(analysis, source))


def patient_elements(header: Any) -> Dataset:
    """Take patient and study from the source, such that the standard allows them.

    Parameters
    ----------
    header
        pydicom's data set of a source image.

    Returns
    -------
    Dataset
        In Unicode. Missing tags of type 2 are there, empty; values that break the rules of their kind (a date that is
        none, a sex other than M, F, O) are empty, too; texts are one line, cut to their longest.
    """
    kept = Dataset()
    kept.SpecificCharacterSet = UNICODE
    for keyword in (*_NAMES, *_TEXTS, *_PATTERNS, *_NUMBERS):
        text = _text(header, keyword)
        if keyword in _NAMES:
            text = "=".join(group.strip()[:LONGEST_TEXT] for group in text.split("=")[:3]).rstrip("=^")
        elif keyword in _TEXTS:
            text = text.replace("\\", " ")[: _TEXTS[keyword]]
        elif keyword in _PATTERNS:
            text = text.replace(".", "") if keyword.endswith("Date") else text
            text = text if _PATTERNS[keyword].fullmatch(text) else ""
        elif not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text):
            text = ""
        if text or keyword in _TYPE_2:
            setattr(kept, keyword, text)
    if "PatientIdentityRemoved" in kept and "DeidentificationMethod" not in kept:
        # Of type 1C: without the method, the statement alone is not allowed (DICOM PS3.3, C.7.1.1).
        del kept.PatientIdentityRemoved
    kept.StudyInstanceUID = str(header.StudyInstanceUID)
    return kept


def _text(header: Any, keyword: str) -> str:
    """A value as one line; what cannot be decoded is empty."""
    try:
        value = header.get(keyword)
        text = "" if value is None else str(value)
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""
    return "".join(character for character in text if character.isprintable()).strip()


def stamp(dataset: Dataset, study: Study, kind: str) -> None:
    """Give an object patient, study, equipment and series, the same in all.

    Parameters
    ----------
    dataset
        The object; changed.
    study
        Where it goes.
    kind
        Of its series (`SERIES`).
    """
    for element in study.patient:
        dataset[element.tag] = element
    uid, number, description = study.series_of(kind)
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.SeriesDescription = uid, number, description
    dataset.Manufacturer, dataset.ManufacturerModelName = MAKER, MODEL_NAME
    dataset.SoftwareVersions = [f"CovidCT {__version__}", *(_model_words(model) for model in study.analysis.models)]
    dataset.DeviceSerialNumber = __version__
    if kind in ("SEG", "PM"):
        dataset.PositionReferenceIndicator = ""
    if kind in ("OT", "PM"):
        # Of type 2C: the lungs are a pair, and both are shown (DICOM PS3.3, C.7.3.1).
        dataset.Laterality = ""


def _model_words(model: Any) -> str:
    """Role, version and the start of the checksum of a network, as far as an LO holds them."""
    return f"{model.role or model.name} {model.version} {model.sha256[:16]}".replace("\\", " ")[:LONGEST_TEXT]


def model_parameters(analysis: Analysis) -> list[str]:
    """One text a network: role, name, version and the whole SHA-256 of its weights."""
    return [
        f"network {model.role}: {model.name}, version {model.version}, SHA-256 {model.sha256}"
        for model in analysis.models
    ]


def coded(code: Code) -> Any:
    """Make highdicom's concept of a code."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def decimal(value: float) -> DSfloat:
    """A number as DICOM writes it, with as many digits as 16 characters hold."""
    return DSfloat(float(value), auto_format=True)


def plane_position(geometry: Geometry, index: int) -> list[DSfloat]:
    """ImagePositionPatient of a plane of a grid: centre of its first voxel, LPS in mm."""
    return [decimal(value) for value in (geometry.ijk_to_lps @ (0, 0, index, 1))[:3]]


def surrogates(study: Study, rows: int, columns: int) -> list[Dataset]:
    """Make one description of a source image for each plane of the scan's grid, for highdicom's constructors.

    Parameters
    ----------
    study
        Its analysis gives the grid, its source the images.
    rows, columns
        Size of the pictures that highdicom is given.

    Returns
    -------
    list of Dataset
        In the order of the planes. Each refers to the image nearest to the plane: where slices were interpolated, or
        come from a file of several frames, several planes may refer to one image.
    """
    geometry = study.analysis.scan.geometry
    direction = geometry.direction_matrix
    orientation = [decimal(value) for value in (*direction[:, 0], *direction[:, 1])]
    x, y, z = (decimal(value) for value in geometry.spacing_xyz_mm)
    nearest = nearest_images(study)
    described = []
    for index in range(geometry.shape_zyx[0]):
        image = Dataset()
        image.update({element.tag: element for element in study.patient})
        image.SOPClassUID, image.SOPInstanceUID = CT_CLASS, study.source.images[nearest[index]].instance
        image.SeriesInstanceUID, image.Modality = study.series_uid, "CT"
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = study.frame_of_reference, ""
        image.Rows, image.Columns, image.PixelSpacing = rows, columns, [y, x]
        image.SliceThickness, image.SpacingBetweenSlices = z, z
        image.ImageOrientationPatient, image.ImagePositionPatient = orientation, plane_position(geometry, index)
        described.append(image)
    return described


def nearest_images(study: Study) -> list[int]:
    """Give for each plane of the grid the number of the source image that lies nearest along the normal."""
    geometry, images = study.analysis.scan.geometry, study.source.images
    count = geometry.shape_zyx[0]
    normal = geometry.direction_matrix[:, 2]
    if any(image.position_lps_mm is None for image in images):
        # Slices without positions are in order, one a plane.
        return [min(index, len(images) - 1) for index in range(count)]
    heights = np.array([image.position_lps_mm for image in images], dtype=float) @ normal
    planes = [float(normal @ (geometry.ijk_to_lps @ (0, 0, index, 1))[:3]) for index in range(count)]
    return [int(np.abs(heights - at).argmin()) for at in planes]


def check_dicom_possible() -> None:
    """Check, before any work, that DICOM results can be made on this computer.

    Raises
    ------
    CovidCTError
        If the package ``highdicom`` is missing or cannot be loaded.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise CovidCTError(
            "DICOM results need the package highdicom, which is not there or does not load on this computer. Install "
            "it with 'pip install \"covidct[dicom]\"'."
        ) from error
