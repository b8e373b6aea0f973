"""Bad inputs of ``covidct analyze`` and ``covidct series``: paths, volume files, archives and DICOM folders."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import broken_files as broken
import numpy as np
import pydicom
from bad_inputs import BadInput
from dicom_maker import chest_like, edit, save, slice_dataset, write_series
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, generate_uid

ANALYZE = "covidct analyze"


def scan(name: str, what: str, make: Callable[[Path], object], *options: str) -> BadInput:
    """A bad input file or folder of ``covidct analyze``; ``make`` gives it, or fills the folder ``in``."""

    def given(folder: Path) -> list[str]:
        (folder / "in").mkdir()
        made = make(folder / "in")
        return [str(made if isinstance(made, (str, Path)) else folder / "in"), "-o", "out", *options]

    return BadInput(name, ANALYZE, what, given)


def _linked(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def _written(path: Path, content: bytes = b"") -> Path:
    path.write_bytes(content)
    return path


def _damaged_zip(folder: Path) -> Path:
    return broken.cut(broken.zip_of(folder / "study.zip", "a.dcm", "b.dcm"), 150)


def _constant(value: float) -> np.ndarray:
    return np.full((12, 20, 24), value, np.int16)


def _not_finite(value: float) -> np.ndarray:
    hu = chest_like().astype(np.float32)
    hu[3, 3, 3] = value
    return hu


PATHS = (
    scan("no-such-path", "a path with nothing there", lambda folder: folder / "ct.nii.gz"),
    scan("zero-in-path", "a path with a zero character", lambda folder: "a\0b.nii.gz"),
    scan("long-path", "a path of 5,000 characters", lambda folder: "x" * 5000),
    scan("link-to-itself", "two links that lead to each other", _linked),
    scan("pipe", "a named pipe", _pipe),
    scan("device", "the null device", lambda folder: os.devnull),
    scan("text-file", "a text file", lambda folder: _written(folder / "notes.txt", b"A CT of the chest.")),
    scan("empty-folder", "an empty folder", lambda folder: None),
    scan("folder-without-dicom", "a folder of text files", lambda folder: _written(folder / "a.txt", b"x") and None),
    scan("folder-of-volumes", "a folder with a NIfTI file", lambda folder: broken.volume(folder / "a.nii") and None),
)

VOLUMES = (
    scan("empty-nifti", "a NIfTI file without content", lambda f: _written(f / "ct.nii.gz")),
    scan("text-as-nifti", "gzip-compressed text", lambda f: broken.gzip_of(f / "ct.nii.gz", b"chest" * 200)),
    scan("picture-as-nifti", "a PNG picture named .nii", lambda f: _written(f / "ct.nii", b"\x89PNG\r\n\x1a\n" * 99)),
    scan("cut-nifti", "an uncompressed NIfTI file cut off", lambda f: broken.cut(broken.volume(f / "ct.nii"), 5000)),
    scan("cut-header", "a NIfTI header cut off", lambda f: broken.cut(broken.volume(f / "ct.nii"), 200)),
    scan("cut-gzip", "a compressed NIfTI file cut off", lambda f: broken.cut(broken.volume(f / "ct.nii.gz"), 900)),
    scan("wrong-checksum", "a wrong gzip checksum", lambda f: broken.wrong_checksum(f / "ct.nii.gz")),
    scan(
        "claims-32767-cubed",
        "a NIfTI header that claims 32,767 voxels along each axis",
        lambda f: broken.patched(f / "ct.nii", broken.DIMENSIONS, "4h", 3, 32767, 32767, 32767),
    ),
    scan(
        "negative-size",
        "a NIfTI header with a negative number of voxels",
        lambda f: broken.patched(f / "ct.nii", broken.DIMENSIONS, "4h", 3, 24, -20, 12),
    ),
    scan(
        "no-voxels",
        "a NIfTI header with an axis of no voxels",
        lambda f: broken.patched(f / "ct.nii", broken.DIMENSIONS, "4h", 3, 24, 0, 12),
    ),
    scan("nifti-2", "a NIfTI-2 file", lambda f: broken.patched(f / "ct.nii", 0, "i", 540)),
    scan("one-picture", "a single picture as NIfTI", lambda f: broken.volume(f / "ct.nii.gz", chest_like()[5])),
    scan("time-series", "an image with two time points", lambda f: broken.two_images_of_nifti(f / "ct.nii.gz")),
    scan(
        "colours",
        "three values a voxel",
        lambda f: broken.volume(f / "ct.nrrd", np.stack([chest_like()] * 3, axis=-1), vector=True),
    ),
    scan("not-a-number", "a voxel that is NaN", lambda f: broken.volume(f / "ct.nii.gz", _not_finite(np.nan))),
    scan("infinite", "a voxel that is infinite", lambda f: broken.volume(f / "ct.mha", _not_finite(np.inf))),
    scan("constant", "one value everywhere", lambda f: broken.volume(f / "ct.nii.gz", _constant(-1000))),
    scan("too-small", "8 x 8 voxels a slice", lambda f: broken.volume(f / "ct.nii.gz", chest_like((12, 8, 8)))),
    scan("one-slice", "a single slice", lambda f: broken.volume(f / "ct.nii.gz", chest_like((1, 20, 24)))),
    scan("labelmap", "a labelmap", lambda f: broken.volume(f / "ct.nii.gz", (chest_like() > -500).astype(np.uint8))),
    scan(
        "grey-values",
        "grey values from 0 to 255",
        lambda f: broken.volume(f / "ct.nii.gz", ((chest_like() + 1000) / 6).clip(0, 255).astype(np.uint8)),
    ),
    scan("lost-offset", "HU without their offset", lambda f: broken.volume(f / "ct.nii.gz", chest_like() + 1024)),
    scan(
        "normalized",
        "values from -1 to 1",
        lambda f: broken.volume(f / "ct.nii.gz", (chest_like() / 1000).astype(np.float32)),
    ),
    scan("text-as-nrrd", "text named .nrrd", lambda f: _written(f / "ct.nrrd", b"A CT of the chest.\n")),
    scan("cut-nrrd", "raw NRRD data cut off", lambda f: broken.nrrd(f / "ct.nrrd", chest_like().tobytes()[:500])),
    scan("cut-gzip-nrrd", "compressed NRRD data cut off", lambda f: broken.cut_gzip_nrrd(f / "ct.nrrd")),
    scan("nrrd-without-data", "an NRRD header alone", lambda f: broken.nrrd(f / "ct.nhdr", data_file="ct.raw")),
    scan("nrrd-of-many-files", "an NRRD header of many files", lambda f: broken.nrrd(f / "ct.nhdr", data_file="LIST")),
    scan("cut-meta-image", "raw MetaImage data cut off", lambda f: broken.meta_image(f / "ct.mha", b"\0" * 500)),
    scan(
        "cut-zlib-meta-image", "compressed MetaImage data cut off", lambda f: broken.cut_zlib_meta_image(f / "ct.mha")
    ),
    scan("meta-image-of-99-axes", "a MetaImage of 99 axes", lambda f: broken.meta_image(f / "ct.mha", NDims="99")),
    scan(
        "meta-image-too-large",
        "a MetaImage that claims 100,000 voxels along each axis",
        lambda f: broken.meta_image(f / "ct.mha", DimSize="100000 100000 100000"),
    ),
    scan(
        "meta-image-without-data",
        "a MetaImage header alone",
        lambda f: broken.meta_image(f / "ct.mhd", b"", ElementDataFile="ct.raw"),
    ),
    scan("series-of-a-file", "--series with a NIfTI file", lambda f: broken.volume(f / "ct.nii.gz"), "--series", "1"),
)

ARCHIVES = (
    scan("damaged-zip", "a ZIP archive cut off", _damaged_zip),
    scan("zip-without-dicom", "a ZIP archive of text", lambda f: broken.zip_of(f / "a.zip", "a.txt", content=b"no")),
    scan("zip-that-climbs", "a ZIP entry ../../a.dcm", lambda f: broken.zip_of(f / "a.zip", "../../a.dcm")),
    scan("zip-from-the-root", "a ZIP entry /etc/a.dcm", lambda f: broken.zip_of(f / "a.zip", "/etc/a.dcm")),
    scan(
        "zip-with-link",
        "a link in a ZIP archive",
        lambda f: broken.zip_with(f / "a.zip", external_attr=(stat.S_IFLNK | 0o777) << 16),
    ),
    scan("zip-with-password", "an encrypted ZIP archive", lambda f: broken.zip_with(f / "a.zip", flags=1)),
    scan(
        "zip-of-bzip2",
        "a ZIP archive compressed by bzip2",
        lambda f: broken.zip_of(f / "a.zip", "a.dcm", method=zipfile.ZIP_BZIP2),
    ),
    scan("zip-bomb", "a ZIP archive that claims 3.7 GiB", lambda f: broken.zip_with(f / "a.zip", size=4_000_000_000)),
)


def _at(*heights: float) -> list[tuple[float, float, float]]:
    return [(-10.0, -20.0, height) for height in heights]


def _shrunk(folder: Path) -> None:
    uid = write_series(folder, shuffle=False)
    for index in range(5):
        stored = (chest_like((12, 18, 24))[index] + 1024).astype(np.uint16)
        save(slice_dataset(stored, (-10, -20, -300 + 2.5 * index), series=uid), folder / f"im{index:03d}.dcm")


def _turned(folder: Path) -> None:
    uid = write_series(folder, shuffle=False)
    for index in range(5):
        stored = (chest_like()[index] + 1024).astype(np.uint16)
        position = (-10, -20, -300 + 2.5 * index)
        save(
            slice_dataset(stored, position, series=uid, orientation=(1, 0, 0, 0, 0, -1)),
            folder / f"im{index:03d}.dcm",
        )


def _cut_slice(folder: Path) -> None:
    write_series(folder, shuffle=False)
    broken.cut(folder / "im005.dcm", 900)


def _other_plane(folder: Path) -> None:
    for number, orientation in enumerate(((1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)), start=1):
        axis = 1 if number == 1 else 0
        places = [tuple(2.5 * k if a == axis else 0.0 for a in range(3)) for k in range(12)]
        write_series(folder / str(number), positions=places, orientation=orientation, number=number)


def _two_endings(folder: Path) -> None:
    for number in (1, 2):
        write_series(folder / str(number), series=f"1.2.826.0.1.{number}.77777", number=number)


def _report_object(folder: Path) -> Path:
    dataset = slice_dataset(np.zeros((4, 4), np.uint16), (0, 0, 0), series=generate_uid(), modality="SR")
    for keyword in ("Rows", "Columns", "PixelData"):
        del dataset[keyword]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    return save(dataset, folder / "report.dcm")


MR = "1.2.840.10008.5.1.4.1.1.4"

DICOM = (
    scan("empty-dicom", "DICOM files without content", lambda f: _written(f / "a.dcm") and None),
    scan("dicom-cut-header", "a DICOM file cut off in its header", lambda f: write_series(f) and _cut_all(f, 200)),
    scan("dicom-report", "a DICOM file without an image", _report_object),
    scan("one-dicom-slice", "a series of one slice", lambda f: write_series(f, chest_like((1, 20, 24))) and None),
    scan("mr-images", "a series of MR", lambda f: write_series(f, sop_class=MR, modality="MR") and None),
    scan(
        "localizers",
        "localizers alone",
        lambda f: write_series(f, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")) and None,
    ),
    scan(
        "dose-sheets",
        "dose sheets alone",
        lambda f: write_series(f, image_type=("DERIVED", "SECONDARY", "DOSE_INFO")) and None,
    ),
    scan("no-positions", "slices without position", lambda f: write_series(f, ImagePositionPatient=None) and None),
    scan("no-pixel-spacing", "slices without pixel spacing", lambda f: write_series(f, PixelSpacing=None) and None),
    scan("zero-pixel-spacing", "a pixel spacing of 0", lambda f: write_series(f, pixel_spacing=(0.0, 0.7)) and None),
    scan(
        "oblong-directions",
        "row and column at 45 degrees",
        lambda f: write_series(f, orientation=(1, 0, 0, 0.7, 0.7, 0)) and None,
    ),
    scan("all-at-one-place", "all slices at one place", lambda f: write_series(f, positions=_at(*[0.0] * 12)) and None),
    scan(
        "a-large-gap",
        "six slices missing in a row",
        lambda f: write_series(f, positions=_at(*range(6), *range(12, 18))) and None,
    ),
    scan(
        "uneven-slices",
        "unevenly spaced slices with large gaps",
        lambda f: write_series(f, positions=_at(*np.cumsum([4.2] * 6 + [10.5] * 6))) and None,
    ),
    scan("far-apart", "slices 60 mm apart", lambda f: write_series(f, distance=60.0) and None),
    scan("two-sizes", "slices of two sizes", _shrunk),
    scan("two-orientations", "slices of two orientations", _turned),
    scan("a-cut-slice", "a slice whose pixels are cut off", _cut_slice),
    scan("slope-zero", "a rescale slope of 0", lambda f: write_series(f) and _sloped(f)),
    scan(
        "no-rescale",
        "slices without rescale whose values are no HU",
        lambda f: write_series(f, chest_like() + 1024, slope=None, intercept=None) and None,
    ),
    scan("damaged-pixels", "compressed pixels that are none", lambda f: write_series(f) and _recoded(f)),
    scan("two-other-planes", "a coronal and a sagittal series", _other_plane),
    scan("series-9-of-1", "--series 9 where there is one", lambda f: write_series(f) and None, "--series", "9"),
    scan("series-by-text", "--series with a name", lambda f: write_series(f) and None, "--series", "thorax"),
    scan("ambiguous-series", "--series with an ending of two UIDs", _two_endings, "--series", "77777"),
    scan(
        "chosen-unusable-series",
        "--series of an MR series",
        lambda f: write_series(f, sop_class=MR, modality="MR") and None,
        "--series",
        "1",
    ),
)


def _cut_all(folder: Path, length: int) -> None:
    for path in folder.iterdir():
        broken.cut(path, length)


def _sloped(folder: Path) -> None:
    for path in folder.iterdir():
        edit(path, RescaleSlope=0)


def _recoded(folder: Path) -> None:
    """Put zeros where JPEG 2000 is said to be."""
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(500)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.save_as(path)


def series(name: str, what: str, make: Callable[[Path], object]) -> BadInput:
    """A bad input of ``covidct series``."""

    def given(folder: Path) -> list[str]:
        (folder / "in").mkdir()
        made = make(folder / "in")
        return [str(made if isinstance(made, Path) else folder / "in")]

    return BadInput(name, "covidct series", what, given)


SERIES = (
    BadInput("series-without-folder", "covidct series", "no folder", lambda folder: []),
    series("series-of-nothing", "a folder that is not there", lambda f: f / "not-there"),
    series("series-of-a-volume", "a NIfTI file", lambda f: broken.volume(f / "ct.nii.gz")),
    series("series-of-empty-folder", "an empty folder", lambda f: None),
    series("series-of-damaged-zip", "a ZIP archive cut off", _damaged_zip),
    series(
        "series-of-damaged-files",
        "DICOM files cut off in their headers",
        lambda f: write_series(f) and _cut_all(f, 200),
    ),
)

NO_CHEST = (
    scan(
        "no-lungs",
        "a CT without lungs",
        lambda f: broken.volume(f / "ct.nii.gz", np.where(np.indices((12, 64, 64))[2] < 8, -1000, 40).astype(np.int16)),
        "--lungs",
        "contour",
        "--device",
        "cpu",
    ),
)

ROWS = (*PATHS, *VOLUMES, *ARCHIVES, *DICOM, *SERIES, *NO_CHEST)
