"""Labels in NIfTI, NRRD and MetaImage files: Slicer's segmentations, labelmaps with a mapping, folders of masks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading.integrity import check_complete
from CovidCTLib.reading.plausibility import check_size
from CovidCTLib.reading.quiet import quiet_itk
from CovidCTLib.reading.volume_files import FORMATS, IMAGE_IO, format_of
from CovidCTLib.segments.given import GivenSegment, Segmentation
from CovidCTLib.segments.structures import SegmentCode, structure_of

SLICER, LABELMAP, MASKS = "Slicer segmentation", "labelmap", "folder of masks"
"""Kinds of segmentations, for people."""

COVIDCT_LABELMAP = "CovidCT labelmap"
"""Description in the header of a labelmap that CovidCT wrote itself."""

_FRACTIONAL = "Fractional labelmap"
_MASK_ENDINGS = (".gz", ".nii", ".nrrd", ".mha", ".mhd", ".nhdr", ".seg")


def is_slicer_segmentation(path: Path) -> bool:
    """Tell whether a NRRD file lists segments as Slicer does."""
    return format_of(path) == "NRRD" and "Segment0_ID" in _keys(path)


def is_covidct_labelmap(path: Path) -> bool:
    """Tell whether CovidCT wrote a labelmap, whose labels are known then."""
    return _keys(path).get("descrip", "").strip() == COVIDCT_LABELMAP


def read_slicer_segmentation(path: Path) -> Segmentation:
    """Read a segmentation as Slicer stores it (``.seg.nrrd``).

    Parameters
    ----------
    path
        A NRRD file with keys such as ``Segment0_ID``
        (https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html).

    Raises
    ------
    InputError
        If the file is damaged, fractional, or its keys name a layer that it has not.
    """
    keys = _keys(path)
    if _FRACTIONAL in keys.get("Segmentation_MasterRepresentation", keys.get("Segmentation_SourceRepresentation", "")):
        raise _fractional()
    image, voxels = _read(path, layers=True)
    _check_whole(voxels)
    geometry = Geometry.from_image(image)
    layers = voxels if voxels.ndim == 4 else voxels[..., None]
    segments = []
    for number in range(len(keys)):
        begin = f"Segment{number}_"
        if f"{begin}ID" not in keys:
            break
        try:
            # Up to Slicer 4.10 each segment had a layer of its own, and no value.
            layer = int(keys.get(f"{begin}Layer", number))
            value = int(keys.get(f"{begin}LabelValue", 1))
            stored = layers[..., layer]
        except (ValueError, IndexError):
            raise InputError(
                f"Segments in the {layers.shape[-1]} layers of the file were expected, but its header places segment "
                f"{number + 1} elsewhere: it is damaged. Save the segmentation again."
            ) from None
        code = code_of_terminology(_terminology(keys.get(f"{begin}Tags", "")))
        name = keys.get(f"{begin}Name") or keys[f"{begin}ID"]
        segments.append(GivenSegment(name, partial(_equal, stored, value, geometry), code))
    return Segmentation(tuple(segments), SLICER)


def read_labelmap(path: Path, mapping: Mapping[str, int]) -> Segmentation:
    """Read a labelmap whose labels a mapping names.

    Parameters
    ----------
    path
        NIfTI, NRRD or MetaImage with whole numbers.
    mapping
        The label of each structure, by its name.

    Raises
    ------
    InputError
        If the file is damaged, not 3D, or holds other values than whole numbers.
    """
    image, voxels = _read(path)
    _check_whole(voxels)
    if voxels.min() < 0:
        raise InputError(
            f"A labelmap of whole numbers from 0 on was expected, but this one goes down to {float(voxels.min()):g}. "
            "Give the labels, not the CT."
        )
    geometry = Geometry.from_image(image)
    segments = tuple(GivenSegment(name, partial(_equal, voxels, value, geometry)) for name, value in mapping.items())
    return Segmentation(segments, LABELMAP, _unmapped(voxels, set(mapping.values())))


def read_mask_folder(folder: Path) -> Segmentation:
    """Read a folder of one mask a structure, each in a file of its name, as TotalSegmentator writes it.

    Parameters
    ----------
    folder
        NIfTI, NRRD or MetaImage files; others are passed over. Masks whose name is not known are listed and not read.

    Raises
    ------
    InputError
        If there is no mask; or, when it is asked for, one is damaged or holds several labels.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and format_of(path) is not None)
    if not files:
        raise InputError(
            f"A folder of masks ({', '.join(FORMATS)}), one a structure, was expected, but this one holds none. Check "
            "the path."
        )
    named = [(_mask_name(path), path) for path in files]
    return Segmentation(tuple(GivenSegment(name, partial(_mask, path, name)) for name, path in named), MASKS)


def code_of_terminology(text: str) -> SegmentCode | None:
    """Read the code of a type out of Slicer's text of a terminology entry; None where there is none.

    Parameters
    ----------
    text
        Context, category, type, modifier and region, separated by ``~``; each code as ``scheme^value^meaning``.
    """
    parts = text.split("~")
    kind = parts[2].split("^") if len(parts) > 2 else []
    if len(kind) < 2 or not kind[1]:
        return None
    modifier = parts[3].split("^") if len(parts) > 3 else []
    return SegmentCode(kind[0], kind[1], modifier[1] if len(modifier) > 1 and modifier[1] else None)


def _terminology(tags: str) -> str:
    """The terminology entry among a segment's tags, which ``|`` separates."""
    start = "TerminologyEntry:"
    return next((tag.removeprefix(start) for tag in tags.split("|") if tag.startswith(start)), "")


def _equal(voxels: NDArray[Any], value: int, geometry: Geometry) -> tuple[NDArray[np.bool_], Geometry]:
    return np.asarray(voxels == value), geometry


def _mask(path: Path, name: str) -> tuple[NDArray[np.bool_], Geometry]:
    """Read one mask; whatever its one value is, 1 or 255, means the structure."""
    check_complete(path)
    image, voxels = _read(path)
    _check_whole(voxels)
    mask = voxels != 0
    inside = voxels[mask]
    if inside.size and inside.min() != inside.max():
        raise InputError(
            f"A mask of one structure with one value was expected, but that of {_structure_name(name)} holds values "
            f"from {int(inside.min())} to {int(inside.max())}. Give a labelmap with its mapping, or masks of 0 and 1."
        )
    return np.asarray(mask), Geometry.from_image(image)


def _structure_name(name: str) -> str:
    """The name of the structure; a file's own name may be a patient's."""
    structure = structure_of(name, None)
    return structure.name if structure is not None else "an area"


def _mask_name(path: Path) -> str:
    name = path.name
    while True:
        ending = next((end for end in _MASK_ENDINGS if name.lower().endswith(end) and len(name) > len(end)), None)
        if ending is None:
            return name
        name = name[: -len(ending)]


def _reader(path: Path) -> sitk.ImageFileReader:
    kind = format_of(path)
    if kind is None:
        raise InputError(f"A file of one of the types {', '.join(FORMATS)} was expected. Give the segmentation in one.")
    reader = sitk.ImageFileReader()
    reader.SetImageIO(IMAGE_IO[kind])
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError:
        raise _damaged() from None
    return reader


def _keys(path: Path) -> dict[str, str]:
    """The keys of a file's header."""
    reader = _reader(path)
    return {key: str(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys()}


def _read(path: Path, *, layers: bool = False) -> tuple[sitk.Image, NDArray[Any]]:
    """Read image and voxels; layers of a segmentation are the last axis."""
    reader = _reader(path)
    check_size(reader.GetSize())
    if not layers and reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"Labels with one value a voxel were expected, but this file has {reader.GetNumberOfComponents()}. Give a "
            "labelmap, or Slicer's segmentation as it was saved."
        )
    if len(reader.GetSize()) == 4 and reader.GetSize()[3] == 1:
        reader.SetExtractSize([*reader.GetSize()[:3], 0])
    try:
        with quiet_itk():
            image = reader.Execute()
    except RuntimeError:
        raise _damaged() from None
    if image.GetDimension() != 3:
        raise _not_3d(image.GetDimension())
    return image, sitk.GetArrayFromImage(image)


def _check_whole(voxels: NDArray[Any]) -> None:
    """Refuse values that are no labels."""
    if voxels.dtype.kind == "f" and not all(np.array_equal(plane, np.rint(plane)) for plane in voxels):
        raise _fractional()


def _unmapped(voxels: NDArray[Any], named: set[int]) -> tuple[Notice, ...]:
    """Say which labels no name was given for."""
    values, counts = _histogram(voxels)
    rest = [(value, count) for value, count in zip(values, counts, strict=True) if value and value not in named]
    if not rest:
        return ()
    listed = ", ".join(f"{value} ({count} voxels)" for value, count in rest[:12])
    more = f" and {len(rest) - 12} more" if len(rest) > 12 else ""
    text = f"Labels without a name in the mapping were left out: {listed}{more}."
    return (Notice("labels-unknown", text, "warn", float(len(rest)), None, "labels"),)


def _histogram(voxels: NDArray[Any]) -> tuple[list[int], list[int]]:
    counts_of: dict[int, int] = {}
    for plane in voxels:
        for value, count in zip(*np.unique(plane, return_counts=True), strict=True):
            counts_of[int(value)] = counts_of.get(int(value), 0) + int(count)
    values = sorted(counts_of)
    return values, [counts_of[value] for value in values]


def _damaged() -> InputError:
    return InputError(
        "A segmentation that can be read was expected, but the file is damaged, cut off or of another type than its "
        "name says. Copy or export it again."
    )


def _not_3d(dimensions: int) -> InputError:
    return InputError(f"A 3D segmentation was expected, but this file has {dimensions} dimensions. Save it as 3D.")


def _fractional() -> InputError:
    return InputError(
        "A segmentation of whole labels was expected, but this one is fractional: it says how much of each voxel "
        "belongs to a segment. Convert it to a binary labelmap (Slicer: module Segmentations), and give that."
    )
