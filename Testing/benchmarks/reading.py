"""Seconds and peak memory of reading a DICOM series, beside SimpleITK's ImageSeriesReader in the same run.

Usage: ``python Testing/benchmarks/reading.py [--slices 600] [--repeats 3]``. It writes a chest CT of 512 x 512 (a real
one from ../shared resampled, the phantom where it is absent) as a series with headers as hospitals have them,
uncompressed and as JPEG Lossless (encoded by GDCM), into a temporary folder. Each reading runs in a process of its
own, so that its peak memory is its own; the two readers take turns, and the fastest of the repeats counts. Both begin
with the folder, so finding and ordering the files is in the time, and end with the voxels as an array of HU.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1, generate_uid
from speed import make_ct

READERS = ("CovidCT", "SimpleITK")
UID_LENGTH = 50
"""Room for the number of a slice behind it; a UID has at most 64 characters."""

MEBIBYTE = 1024 * 1024
KIB_IN_MEBIBYTE = 1024
PRIVATE_ELEMENTS = 60
"""Private elements that a scanner writes beside the public ones; headers of a few kilobytes are the rule."""


def header(k: int, position: list[float], spacing_yx: list[float], series: str, study: str) -> Dataset:
    """Make a slice's header, with as many elements as hospitals' files have."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"{series}.{k + 1}"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.FrameOfReferenceUID = study + ".9"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, "20200317")
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, keyword, "101112.123000")
    dataset.Modality, dataset.Manufacturer, dataset.PatientID = "CT", "MAKER", "0"
    dataset.StudyDescription, dataset.SeriesDescription, dataset.ProtocolName = "Chest", "Chest 1.0", "Chest"
    dataset.PatientPosition, dataset.ConvolutionKernel, dataset.BodyPartExamined = "HFS", "B60f", "CHEST"
    dataset.KVP, dataset.SliceThickness, dataset.XRayTubeCurrent, dataset.Exposure = 120, 1, 200, 100
    dataset.DataCollectionDiameter, dataset.ReconstructionDiameter, dataset.GantryDetectorTilt = 500, 360, 0
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 2, 1, k + 1
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = position, [1, 0, 0, 0, 1, 0]
    dataset.SliceLocation = position[2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.PixelSpacing = 512, 512, spacing_yx
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    block = dataset.private_block(0x0019, "MAKER CT HEADER", create=True)
    for element in range(PRIVATE_ELEMENTS):
        block.add_new(element, "LO", f"value {element} of {k}")
    return dataset


def jpeg_lossless(stored: NDArray[np.uint16], folder: Path) -> bytes:
    """Encode a slice by GDCM; give the encapsulated pixel data."""
    path = folder / "encoded.dcm"
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.SetImageIO("GDCMImageIO")
    writer.SetCompressor("JPEG")
    writer.UseCompressionOn()
    writer.Execute(sitk.GetImageFromArray(stored[None]))
    dataset = pydicom.dcmread(path)
    if dataset.file_meta.TransferSyntaxUID != JPEGLosslessSV1:
        raise SystemExit("SimpleITK wrote no JPEG Lossless; this build has no such encoder.")
    return bytes(dataset.PixelData)


def write_series(folder: Path, image: sitk.Image, compress: bool) -> None:
    """Write an image in HU as a series."""
    folder.mkdir()
    series, study = generate_uid()[:UID_LENGTH], generate_uid()[:UID_LENGTH]
    x, y, z = image.GetSpacing()
    for k, plane in enumerate(sitk.GetArrayViewFromImage(image)):
        dataset = header(k, [-200.0, -200.0, round(z * k, 6)], [round(y, 6), round(x, 6)], series, study)
        stored = (np.maximum(plane, -1024) + 1024).astype(np.uint16)
        if compress:
            dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
            dataset.PixelData = jpeg_lossless(stored, folder.parent)
            dataset["PixelData"].is_undefined_length = True
        else:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.save_as(folder / f"IM{k:05d}", enforce_file_format=True)


def peak_mib() -> float:
    """Give the peak memory of this process, in MiB; Linux's getrusage would count the parent's, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_IN_MEBIBYTE
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(found[1]) / KIB_IN_MEBIBYTE if found else float("nan")


def read(reader: str, folder: str, dump: str) -> None:
    """Read a series in this process; print the seconds, the peak memory and the memory before, as JSON."""
    from CovidCTLib.reading import read_scan

    hu: NDArray[Any]
    before = peak_mib()
    begun = time.monotonic()
    if reader == "CovidCT":
        hu = read_scan(folder).hu
    else:
        series = sitk.ImageSeriesReader()
        series.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
        image = series.Execute()
        hu = sitk.GetArrayViewFromImage(image)
    seconds = time.monotonic() - begun
    peak = peak_mib()
    if dump:
        np.save(dump, hu)
    result = {"seconds": seconds, "peak": peak, "before": before, "volume": hu.size * 2 / MEBIBYTE}
    sys.stdout.write(json.dumps(result) + "\n")


def measure(reader: str, folder: Path, dump: str) -> dict[str, float]:
    """Read a series in a process of its own."""
    command = [sys.executable, __file__, "--child", reader, "--folder", str(folder), "--dump", dump]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", default="", choices=["", *READERS])
    parser.add_argument("--folder", default="")
    parser.add_argument("--dump", default="")
    arguments = parser.parse_args()
    if arguments.child:
        read(arguments.child, arguments.folder, arguments.dump)
        return
    say = sys.stdout.write
    say("| series | reader | seconds | share of SimpleITK | peak, MiB | before, MiB | volume, MiB | peak / volume |\n")
    say(f"|{'---|' * 8}\n")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        image = make_ct(arguments.slices)
        for encoding in ("uncompressed", "JPEG Lossless"):
            folder = place / encoding.replace(" ", "_")
            write_series(folder, image, compress=encoding != "uncompressed")
            runs: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
            for repeat in range(arguments.repeats):
                for reader in READERS:
                    dump = str(place / f"{reader}.npy") if repeat == 0 else ""
                    runs[reader].append(measure(reader, folder, dump))
            best = {reader: min(found, key=lambda run: run["seconds"]) for reader, found in runs.items()}
            ours, theirs = (np.load(place / f"{reader}.npy", mmap_mode="r") for reader in READERS)
            if not np.array_equal(ours, theirs):
                raise SystemExit("The two readers gave different voxels.")
            for reader, run in best.items():
                share = run["seconds"] / best["SimpleITK"]["seconds"]
                say(
                    f"| {encoding} | {reader} | {run['seconds']:.2f} | {share:.2f} | {run['peak']:.0f} | "
                    f"{run['before']:.0f} | {run['volume']:.0f} | {run['peak'] / run['volume']:.2f} |\n"
                )


if __name__ == "__main__":
    main()
