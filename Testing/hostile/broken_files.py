"""Files that look like a CT and are none, each broken in one way."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from dicom_maker import chest_like
from numpy.typing import NDArray

DIMENSIONS, PIXDIM, OFFSET = 40, 76, 108
"""Places in a NIfTI-1 header (nifti1.h)."""


def volume(path: Path, values: NDArray[Any] | None = None, *, vector: bool = False) -> Path:
    """Write an array as a volume file of the type that its name says."""
    image = sitk.GetImageFromArray(chest_like() if values is None else values, isVector=vector)
    sitk.WriteImage(image, str(path))
    return path


def patched(path: Path, offset: int, layout: str, *numbers: float) -> Path:
    """Write other numbers into the header of a new, uncompressed NIfTI file."""
    content = bytearray(volume(path).read_bytes())
    struct.pack_into(f"<{layout}", content, offset, *numbers)
    path.write_bytes(content)
    return path


def cut(path: Path, length: int) -> Path:
    """Keep the first bytes of a file."""
    path.write_bytes(path.read_bytes()[:length])
    return path


def wrong_checksum(path: Path) -> Path:
    """Write a gzip file whose checksum is wrong."""
    content = bytearray(volume(path).read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    return path


def two_images_of_nifti(path: Path) -> Path:
    """Write an image with a time axis."""
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(chest_like())] * 2), str(path))
    return path


def meta_image(path: Path, data: bytes | None = None, **fields: str) -> Path:
    """Write a MetaImage file with a header of one's own."""
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "24 20 12",
        "ElementSpacing": "1 1 1",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
        **fields,
    }
    text = "".join(f"{key} = {value}\n" for key, value in header.items())
    path.write_bytes(text.encode() + (chest_like().tobytes() if data is None else data))
    return path


def nrrd(path: Path, data: bytes = b"", **fields: str) -> Path:
    """Write an NRRD file with a header of one's own."""
    header = {
        "type": "short",
        "dimension": "3",
        "sizes": "24 20 12",
        "encoding": "raw",
        "endian": "little",
        **{key.replace("_", " "): value for key, value in fields.items()},
    }
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in header.items()) + "\n"
    path.write_bytes(text.encode() + data)
    return path


def zip_of(path: Path, *names: str, method: int = zipfile.ZIP_STORED, content: bytes = b"DICM") -> Path:
    """Write an archive of entries that look like DICOM."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in names:
            archive.writestr(name, bytes(128) + content)
    return path


def zip_with(path: Path, **changes: int) -> Path:
    """Write an archive whose only entry has other fields in the list of entries than it should have."""
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a.dcm")
        entry.external_attr = changes.get("external_attr", 0)
        archive.writestr(entry, bytes(128) + b"DICM")
    content = bytearray(path.read_bytes())
    listed = content.rfind(b"PK\1\2")
    if "flags" in changes:
        struct.pack_into("<H", content, listed + 8, changes["flags"])
    if "size" in changes:
        struct.pack_into("<I", content, listed + 24, changes["size"])
    path.write_bytes(content)
    return path


def gzip_of(path: Path, content: bytes) -> Path:
    """Write gzip-compressed bytes."""
    path.write_bytes(gzip.compress(content))
    return path


def cut_gzip_nrrd(path: Path) -> Path:
    """Write an NRRD file whose compressed data are cut off."""
    return nrrd(path, gzip.compress(chest_like().tobytes())[:200], encoding="gzip")


def cut_zlib_meta_image(path: Path) -> Path:
    """Write a MetaImage file whose compressed data are shorter than it says."""
    packed = zlib.compress(chest_like().tobytes())
    return meta_image(path, packed[:200], CompressedData="True", CompressedDataSize=str(len(packed)))


def filled_output(folder: Path) -> None:
    """Make an output folder with a file that must stay."""
    (folder / "out").mkdir()
    (folder / "out" / "precious.txt").write_text("mine")
