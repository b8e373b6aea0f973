"""Files in which every text field holds a mark, so that a mark in an output tells that the field leaked."""

from __future__ import annotations

import gzip
import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_maker import chest_like, save, slice_dataset
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

MARK = "ZQMARK"
"""Start of every mark; five digits tell the field."""

TYPED = "ZQTYPED"
"""Start of names that the user typed: they may come back in a message on the terminal, and nowhere else."""

NUMBER = "7731377"
"""Digits in marked numbers and UIDs."""

BIRTH, STUDY = "19370704", "20190823"
"""Marked dates."""

TEXTS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "ST": 200, "LT": 200, "UC": 200, "UT": 200, "UR": 200}
"""Value representations of text (DICOM PS3.5, table 6.2-1), and how long the marked values are at most."""

NEEDED = {
    "SpecificCharacterSet", "ImageType", "Modality", "PhotometricInterpretation", "PatientPosition", "FrameType",
    "ConversionType", "FileSetID", "RetrieveAETitle", "LossyImageCompression", "DirectoryRecordType",
}  # fmt: skip
"""Texts that say what the image is, so a mark there would make it another one."""

IDENTIFIED = ("PatientName", "PatientID", "PatientBirthDate", "StudyDescription", "StudyDate")
"""What ``--with-identifiers`` lets through."""


def text_fields() -> Iterator[tuple[str, str]]:
    """Keyword and value representation of every text field of DICOM's dictionary that is not a command's."""
    for number, (kinds, _, _, retired, keyword) in DicomDictionary.items():
        kind = kinds.split(" or ")[0]
        if kind in TEXTS and keyword and not retired and keyword not in NEEDED and Tag(number).group > 4:
            yield keyword, kind


def mark_dataset(dataset: Dataset, numbers: Iterator[int]) -> dict[str, str]:
    """Put a mark into every text field, date, private tag and nested sequence; gives the marks by keyword."""
    marks = {}
    for keyword, kind in text_fields():
        value = f"{MARK}{next(numbers):05d}"
        if kind == "UR":
            value = f"http://{value}"
        elif TEXTS[kind] > len(value) + 12:
            value += "^Given Doe" if kind == "PN" else " some words"
        setattr(dataset, keyword, value)
        marks[keyword] = value
    dataset.PatientBirthDate, dataset.StudyDate = BIRTH, STUDY
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = STUDY
    marks |= {"PatientBirthDate": BIRTH, "StudyDate": STUDY}
    block = dataset.private_block(0x0029, f"{MARK}{next(numbers):05d}", create=True)
    for element, kind in enumerate(("LO", "PN", "UT", "OB"), start=1):
        value = f"{MARK}{next(numbers):05d}"
        block.add_new(element, kind, value.encode() if kind == "OB" else value)
    for keyword in ("RequestAttributesSequence", "OtherPatientIDsSequence", "ReferencedStudySequence"):
        inner, outer = Dataset(), Dataset()
        for item in (inner, outer):
            item.PatientName = item.PatientID = f"{MARK}{next(numbers):05d}"
            item.RequestedProcedureDescription = f"{MARK}{next(numbers):05d} some words"
        outer.ReferencedPatientSequence = Sequence([inner])
        setattr(dataset, keyword, Sequence([outer]))
    return marks


def marked_series(folder: Path, planes: np.ndarray | None = None) -> dict[str, str]:
    """Write a series, of 12 slices unless told otherwise, marked in all fields, file and folder names.

    Gives the marks of the first slice.
    """
    numbers = itertools.count(1)
    home = folder / f"{MARK}90001 Doe" / f"{MARK}90002"
    first: dict[str, str] = {}
    for index, plane in enumerate(chest_like() if planes is None else planes):
        dataset = slice_dataset(
            (plane + 1024).astype(np.uint16),
            (-10, -20, -300 + 2.5 * index),
            series=f"1.2.826.0.{NUMBER}.{BIRTH}",
            StudyInstanceUID=f"1.2.826.1.{NUMBER}.{BIRTH}",
            SOPInstanceUID=f"1.2.826.2.{NUMBER}.{BIRTH}.{index}",
        )
        if index == 0:
            first = mark_dataset(dataset, numbers)
        else:
            for keyword, value in first.items():
                setattr(dataset, keyword, value)
            dataset.PatientComments = f"{MARK}{next(numbers):05d}"
        dataset.preamble = f"{MARK}{next(numbers):05d}".encode().ljust(128, b"\0")
        save(dataset, home / f"{MARK}{90100 + index} Doe.dcm")
    return first


def marked_nifti(path: Path, values: np.ndarray | None = None) -> Path:
    """Write a NIfTI file with marks in all texts of its header, and in an extension (nifti1.h)."""
    raw = path.with_name("raw.nii")
    sitk.WriteImage(sitk.GetImageFromArray(chest_like() if values is None else values), str(raw))
    content = bytearray(raw.read_bytes())
    raw.unlink()
    for place, length, number in ((4, 10, 1), (14, 18, 2), (148, 80, 3), (228, 24, 4), (328, 16, 5)):
        content[place : place + length] = f"{MARK}{number:03d}".encode().ljust(length, b"\0")[:length]
    extension = f"{MARK}00006 Doe".encode().ljust(56, b"\0")
    content[348:352] = b"\1\0\0\0"
    content[352:352] = struct.pack("<2i", 64, 6) + extension
    struct.pack_into("<f", content, 108, 352 + 64)
    path.write_bytes(gzip.compress(bytes(content)))
    return path


def marked_nrrd(path: Path) -> Path:
    """Write an NRRD file with marks in its comments, its fields and its keys and values."""
    header = (
        f"NRRD0005\n# {MARK}00001\ntype: short\ndimension: 3\ncontent: {MARK}00002\nspace: left-posterior-superior\n"
        "sizes: 24 20 12\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\n"
        f"encoding: raw\nDICOM_0010_0010:={MARK}00003\n{MARK}00004:=x\n\n"
    )
    path.write_bytes(header.encode() + chest_like().tobytes())
    return path


def marked_meta_image(path: Path) -> Path:
    """Write a MetaImage file with marks in its comment and name."""
    header = (
        f"ObjectType = Image\nNDims = 3\nComment = {MARK}00001\nName = {MARK}00002\nDimSize = 24 20 12\n"
        "ElementSpacing = 1 1 1\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + chest_like().tobytes())
    return path


def marked_pictures(folder: Path) -> Path:
    """Save pictures with marks in their names and their texts, and a file that is no picture."""
    folder.mkdir(parents=True)
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 255, (64, 64), dtype=np.uint8)
        facts = PngInfo()
        facts.add_text("Comment", f"{MARK}0000{index}")
        Image.fromarray(noise).save(folder / f"{MARK}9000{index} slice{index}.png", pnginfo=facts)
    (folder / f"{MARK}90009.png").write_text(f"{MARK}90010")
    return folder
