"""Small DICOM series and phantoms for the reading tests; no real data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGLosslessSV1, generate_uid

from CovidCTLib.scan import Scan

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
STUDY = "1.2.826.0.1.3680043.8.498.1"
SECRET = "DOE^JANE"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def chest_like(shape: tuple[int, int, int] = (12, 20, 24)) -> NDArray[np.int16]:
    """HU that differ in every voxel's neighbourhood: air at low x, tissue at high x, no symmetry."""
    z, y, x = np.indices(shape)
    return (-1000 + 1050 * x / (shape[2] - 1) + 7 * y + 3 * z).astype(np.int16)


def slice_dataset(
    stored: NDArray[Any],
    position: tuple[float, ...],
    *,
    series: str,
    number: int = 1,
    orientation: tuple[float, ...] = AXIAL,
    pixel_spacing: tuple[float, float] = (0.8, 0.7),
    slope: float | None = 1,
    intercept: float | None = -1024,
    sop_class: str = CT,
    modality: str = "CT",
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL"),
    **more: Any,
) -> Dataset:
    """One slice as a data set; keywords of ``more`` are DICOM keywords, None removes the element."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series
    dataset.StudyInstanceUID = STUDY
    dataset.PatientName = SECRET
    dataset.PatientID = "4711-SECRET"
    dataset.StudyDate = "20200317"
    dataset.Modality = modality
    dataset.Manufacturer = "MAKER"
    dataset.ConvolutionKernel = "B60f"
    dataset.KVP = 120
    dataset.SliceThickness = 99
    dataset.SeriesNumber = number
    dataset.AcquisitionNumber = 1
    dataset.ImageType = list(image_type)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    dataset.BitsStored = dataset.BitsAllocated
    dataset.HighBit = dataset.BitsAllocated - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelSpacing = list(pixel_spacing)
    dataset.ImagePositionPatient = [round(float(v), 6) for v in position]
    dataset.ImageOrientationPatient = [round(float(v), 8) for v in orientation]
    if slope is not None:
        dataset.RescaleSlope = slope
    if intercept is not None:
        dataset.RescaleIntercept = intercept
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in more.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    hu: NDArray[np.int16] | None = None,
    *,
    distance: float = 2.5,
    positions: list[tuple[float, ...]] | None = None,
    series: str | None = None,
    shuffle: bool = True,
    prefix: str = "im",
    **keywords: Any,
) -> str:
    """Write a volume (HU, z ascending) as a series; file names do not tell the order. Gives the series' UID.

    Stored values are HU + 1024, unsigned, unless ``slope`` and ``intercept`` say otherwise.
    """
    hu = chest_like() if hu is None else hu
    series = series or generate_uid()
    slope, intercept = keywords.get("slope", 1), keywords.get("intercept", -1024)
    places = positions or [(-10.0, -20.0, -300.0 + distance * k) for k in range(len(hu))]
    names = np.random.default_rng(3).permutation(len(hu)) if shuffle else np.arange(len(hu))
    for plane, position, name in zip(hu, places, names, strict=True):
        stored = np.rint((plane.astype(float) - (intercept or 0)) / (slope or 1))
        stored = stored.astype(np.uint16 if stored.min() >= 0 else np.int16)
        save(slice_dataset(stored, position, series=series, **keywords), folder / f"{prefix}{name:03d}.dcm")
    return series


def group(**elements: Any) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def enhanced_dataset(hu: NDArray[np.int16], *, distance: float = 2.5, frame_type: str = "AXIAL") -> Dataset:
    """All slices as one multi-frame file, frames from top to bottom; rescale differs from frame to frame."""
    first = slice_dataset(hu[0].astype(np.int16), (0, 0, 0), series=generate_uid(), sop_class=ENHANCED_CT)
    for keyword in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope"):
        del first[keyword]
    for keyword in ("RescaleIntercept", "ConvolutionKernel", "KVP", "SliceThickness"):
        del first[keyword]
    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[0.8, 0.7], SliceThickness=3)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=list(AXIAL))
    shared.CTReconstructionSequence = group(ConvolutionKernel="E40")
    shared.CTXRayDetailsSequence = group(KVP=100)
    first.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, stored = [], []
    for k in reversed(range(len(hu))):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=[-10.0, -20.0, -300.0 + distance * k])
        frame.PixelValueTransformationSequence = group(RescaleSlope=1, RescaleIntercept=-k)
        frame.CTImageFrameTypeSequence = group(FrameType=["ORIGINAL", "PRIMARY", frame_type, "NONE"])
        frame.FrameContentSequence = group(FrameAcquisitionNumber=1)
        frames.append(frame)
        stored.append(hu[k] + k)
    first.PerFrameFunctionalGroupsSequence = Sequence(frames)
    first.NumberOfFrames = len(frames)
    first.PixelData = np.stack(stored).astype(np.int16).tobytes()
    return first


def edit(path: Path, **elements: Any) -> None:
    """Change elements of a file; None removes one."""
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def compress_series(folder: Path, syntax: UID | None) -> None:
    """Write the files of a folder again in another transfer syntax; None leaves them as they are."""
    for path in sorted(folder.iterdir()):
        if syntax is None:
            return
        dataset = pydicom.dcmread(path)
        if syntax == JPEGLosslessSV1:
            dataset.PixelData = jpeg_lossless(dataset.pixel_array, path.with_suffix(".encoded.dcm"))
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = syntax
        elif syntax.is_encapsulated:
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(dataset.pixel_array.dtype.newbyteorder(">")).tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def jpeg_lossless(stored: NDArray[Any], path: Path) -> bytes:
    """Encode a slice as JPEG Lossless by GDCM, by way of a file that is removed again."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.SetImageIO("GDCMImageIO")
    writer.SetCompressor("JPEG")
    writer.UseCompressionOn()
    writer.Execute(sitk.GetImageFromArray(stored[None]))
    encoded = pydicom.dcmread(path)
    path.unlink()
    assert encoded.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    return bytes(encoded.PixelData)


def write_directory(folder: Path) -> Path:
    """Write a DICOMDIR that lists the images of a folder by their UIDs."""
    patient = Dataset()
    patient.DirectoryRecordType, patient.PatientName, patient.PatientID = "PATIENT", SECRET, "4711-SECRET"
    records, known = [patient], set()
    for path in sorted(folder.rglob("*.dcm")):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if dataset.SeriesInstanceUID not in known:
            known.add(dataset.SeriesInstanceUID)
            series = Dataset()
            series.DirectoryRecordType, series.SeriesInstanceUID = "SERIES", dataset.SeriesInstanceUID
            records.append(series)
        image = Dataset()
        image.DirectoryRecordType = "IMAGE"
        image.ReferencedFileID = "ELSEWHERE"
        image.ReferencedSOPInstanceUIDInFile = dataset.SOPInstanceUID
        records.append(image)
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    directory.DirectoryRecordSequence = Sequence(records)
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def codes(scan: Scan) -> list[str]:
    """Codes of what is said of a scan."""
    return [notice.code for notice in scan.notices]


def places(heights: Iterable[float], x: float = -10.0, y: float = -20.0) -> list[tuple[float, float, float]]:
    """Positions of slices that differ in height alone."""
    return [(x, y, float(h)) for h in heights]
