"""Labelled images of a training folder, each on its own grid: HU, masks, and what is known of each slice.

Training frames and shrinks these slices; judging compares predictions with them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import CovidCTError, InputError, TrainingDataError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import AIR_HU, NETWORK_HIGH_HU, NETWORK_LOW_HU
from CovidCTLib.photos.automatic import evidence_of, references_from
from CovidCTLib.photos.references import to_hu
from CovidCTLib.scan import Scan
from CovidCTLib.training.layout import TrainingCase, read_table

UNKNOWN = 255
"""Value of a mask where the truth is not known."""

INFECTION = 3
"""Opacity label of an infection whose class is not known."""

SOFT_TISSUE_HU = 45
"""HU of the soft-tissue reference of calibrated pictures (muscle, unenhanced)."""

MIN_POSITIVE_MM2 = 30.0
"""Slices with less opacity than this, but some, are neither abnormal nor normal for the classifier."""

PHOTOGRAPH_PIXELS = 512
"""Tissues are looked for in photographs of about this many pixels along the longer side; larger ones are thinned."""

PICTURE_SPACING_MM = (1.0, 1.0, 1.0)
"""Nominal spacing of pictures, whose true one is not known."""

ARCHIVE_SPACING_MM = (1.0, 1.4, 1.4)
"""Nominal spacing of archive slices, whose true one is not known: 256 pixels across a field of view of 360 mm."""


@dataclass(frozen=True)
class LabelledImage:
    """A volume, or a single slice, with what is known of it.

    Parameters
    ----------
    name
        Name of the case, or of the slice in a case of single slices.
    patient
        Whose it is.
    hu
        Canonical axial HU, estimated ones in photographs, shape ``(n, y, x)``; n is 1 for a slice.
    lungs
        uint8, same shape: 1 lung, 0 none, `UNKNOWN`.
    opacities
        uint8, same shape: 0 none, 1 GGO, 2 consolidation, `INFECTION`, `UNKNOWN`.
    abnormal
        int8, shape ``(n,)``: 1, 0, or -1 where not known.
    spacing_zyx_mm
        Spacing in mm; nominal for single slices.
    scan
        The scan as it was read; None for single slices.
    """

    name: str
    patient: str
    hu: NDArray[Any]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    abnormal: NDArray[np.int8]
    spacing_zyx_mm: tuple[float, float, float]
    scan: Scan | None = None


def patients_of(case: TrainingCase) -> tuple[str, ...]:
    """Say whose the images of a case are, without reading the images.

    Parameters
    ----------
    case
        A case of `CovidCTLib.training.layout.find_cases`.

    Returns
    -------
    tuple of str
        Different patients in the order of their names.

    Raises
    ------
    TrainingDataError
        If a table or an archive cannot be read.
    """
    if case.kind == "volume":
        return (case.patient,)
    if case.kind == "slice archive":
        return tuple(sorted({_archive_patient(name) for name in _open_archive(case)[2]}))
    table = _calibration(case)
    return tuple(sorted({_picture_patient(case, path.stem, table) for path in _pictures(case)}))


def read_images(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read a case: one image a volume, one image a slice where the case holds single slices.

    Parameters
    ----------
    case
        A case of `CovidCTLib.training.layout.find_cases`.

    Yields
    ------
    LabelledImage
        On its own grid, in the canonical axial orientation.

    Raises
    ------
    TrainingDataError
        If a file cannot be read, a mask has another grid than its image or labels out of range, or a mask is empty.
    """
    if case.kind == "volume":
        yield _read_volume(case)
    elif case.kind == "slice archive":
        yield from _read_archive(case)
    else:
        yield from _read_pictures(case)


def _read_labels(path: Path, like: Geometry, highest: int) -> NDArray[np.uint8]:
    """Read a mask, canonical axial, and hold it against its CT."""
    from CovidCTLib.reading.integrity import check_complete

    try:
        check_complete(path)
        image = sitk.ReadImage(str(path))
    except (InputError, RuntimeError) as error:
        raise TrainingDataError(f"The mask {path.name} cannot be read. Export it again as NIfTI.") from error
    geometry = Geometry.from_image(image)
    if geometry.shape_zyx != like.shape_zyx or not np.allclose(geometry.ijk_to_lps, like.ijk_to_lps, atol=0.1):
        raise TrainingDataError(
            f"The mask {path.name} has another grid ({geometry.shape_zyx}) than its CT ({like.shape_zyx}). "
            "Resample it to the CT's grid."
        )
    labels = sitk.GetArrayFromImage(image)
    if labels.min() < 0 or labels.max() > highest or not np.array_equal(labels, np.rint(labels)):
        raise TrainingDataError(
            f"The mask {path.name} must hold whole numbers from 0 to {highest}, but goes from {labels.min()} to "
            f"{labels.max()}. Correct the mask."
        )
    return np.ascontiguousarray(CanonicalGrid(geometry).take(labels.astype(np.uint8), 0))


def _read_volume(case: TrainingCase) -> LabelledImage:
    """Read a CT volume with its masks and the table of its slices."""
    from CovidCTLib.reading import read_scan

    try:
        scan = read_scan(case.image)
    except CovidCTError as error:
        raise TrainingDataError(f"{case.name}: {error}") from error
    grid = CanonicalGrid(scan.geometry)
    hu = np.ascontiguousarray(grid.take(scan.hu, NETWORK_LOW_HU))
    lungs = np.full(hu.shape, UNKNOWN, np.uint8)
    opacities = np.full(hu.shape, UNKNOWN, np.uint8)
    if case.lungs:
        lungs = np.minimum(_read_labels(case.lungs, scan.geometry, 2), 1)
        if not lungs.any():
            raise TrainingDataError(f"The mask {case.lungs.name} is empty. Leave the case out, or paint its lungs.")
    if case.opacities:
        opacities = _read_labels(case.opacities, scan.geometry, 2)
        if not opacities.any() and not case.all_normal:
            raise TrainingDataError(
                f"The mask {case.opacities.name} is empty. If the CT shows no disease, let its name begin with "
                "'normal'; else paint its opacities, or leave the mask out."
            )
    elif case.all_normal:
        opacities[:] = 0
    pixel_mm2 = grid.geometry.spacing_xyz_mm[0] * grid.geometry.spacing_xyz_mm[1]
    if case.slice_table:
        abnormal = np.array(_labelled_slices(case, grid))
        if case.table_reversed:
            told = np.flatnonzero(abnormal >= 0)
            abnormal[told] = abnormal[told[::-1]]
        opacities[abnormal == 0] = 0
    elif case.opacities or case.all_normal:
        area = np.count_nonzero(opacities, axis=(1, 2)) * pixel_mm2
        abnormal = np.where(area >= MIN_POSITIVE_MM2, 1, np.where(area == 0, 0, -1)).astype(np.int8)
    else:
        abnormal = np.full(len(hu), -1, np.int8)
    return LabelledImage(case.name, case.patient, hu, lungs, opacities, abnormal, grid.geometry.spacing_zyx_mm, scan)


def _labelled_slices(case: TrainingCase, grid: CanonicalGrid) -> NDArray[np.int8]:
    """Read which slices of a volume are abnormal, in the canonical order; -1 where the table is silent."""
    table = case.slice_table
    if table is None:
        raise TrainingDataError(f"{case.name} has no table of slices.")
    count = grid.geometry.shape_zyx[0]
    abnormal = np.full(count, -1, np.int8)
    with table.open(encoding="utf-8") as file:
        by_index = "slice_index" in file.readline()
    rows = read_table(table, ["slice_index" if by_index else "slice_location_mm", "abnormal"])
    if by_index:
        own = np.zeros(grid.own.shape_zyx[0], np.int8) - 1
        for row in rows:
            k = int(row["slice_index"])
            if not 0 <= k < len(own):
                raise TrainingDataError(f"{table.name} names slice {k}, but the scan has slices 0 to {len(own) - 1}.")
            own[k] = int(row["abnormal"])
        # The table counts slices of the file; the canonical order may run the other way.
        marks = np.broadcast_to(own[:, None, None], grid.own.shape_zyx)
        return np.asarray(grid.take(marks, -1)[:, 0, 0])
    bottom = grid.geometry.origin_lps_mm[2]
    step = grid.geometry.spacing_xyz_mm[2]
    for row in rows:
        k = round((float(row["slice_location_mm"]) - bottom) / step)
        if not 0 <= k < count:
            raise TrainingDataError(f"{table.name} names a slice at {row['slice_location_mm']} mm, off the scan.")
        abnormal[k] = int(row["abnormal"])
    return abnormal


def _read_picture(path: Path) -> NDArray[np.uint8]:
    try:
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise TrainingDataError(f"The picture {path.name} cannot be read. Export it again as 8-bit PNG.") from error
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise TrainingDataError(f"The picture {path.name} must be 8-bit grey, but is {picture.dtype} {picture.shape}.")
    return np.asarray(picture)


def photograph_hu(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn a photograph of a slice into HU by the tissues in it, as ``covidct photos --auto`` does.

    Parameters
    ----------
    grey
        Shape ``(y, x)``, from black to white.

    Returns
    -------
    ndarray
        float32, same shape. Where no tissues are recognized the grey values span the networks' range as they are.
    """
    step = max(1, round(max(grey.shape) / PHOTOGRAPH_PIXELS))
    grey = grey.astype(np.float32)
    references = references_from([evidence_of(np.ascontiguousarray(grey[::step, ::step]))])[0]
    if isinstance(references, str):
        return grey * ((NETWORK_HIGH_HU - NETWORK_LOW_HU) / 255) + NETWORK_LOW_HU
    return to_hu(grey, references)


def _pictures(case: TrainingCase) -> list[Path]:
    """Files of a case of pictures, in the order of their names."""
    return sorted((case.image / "images").glob("*.png"))


def _calibration(case: TrainingCase) -> dict[str, dict[str, str]]:
    """Read the table of calibrated pictures by the name of the picture; empty where they are not calibrated."""
    if case.kind != "calibrated pictures" or not case.slice_table:
        return {}
    rows = read_table(case.slice_table, ["slice", "patient", "air_value", "soft_tissue_value"])
    return {row["slice"]: row for row in rows}


def _picture_patient(case: TrainingCase, stem: str, table: dict[str, dict[str, str]]) -> str:
    """Say whose a picture is."""
    if case.kind == "photographs":
        # Neighbours in number may be one patient: tens are kept together.
        return f"{case.name}-{stem[:-1]}"
    if stem not in table:
        raise TrainingDataError(f"{stem}.png is missing in {case.name}/slices.csv.")
    return table[stem]["patient"]


def _read_pictures(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read single pictures, calibrated or not."""
    table = _calibration(case)
    for path in _pictures(case):
        grey = _read_picture(path)
        label = _read_picture(case.image / "labels" / path.name)
        if label.shape != grey.shape or label.max() > 2:
            raise TrainingDataError(
                f"The label of {path.name} must have the picture's shape {grey.shape} and values 0 to 2, but has "
                f"{label.shape} and values up to {label.max()}."
            )
        patient = _picture_patient(case, path.stem, table)
        if case.kind == "calibrated pictures":
            air, tissue = float(table[path.stem]["air_value"]), float(table[path.stem]["soft_tissue_value"])
            hu = (grey.astype(np.float32) - air) * ((SOFT_TISSUE_HU - AIR_HU) / (tissue - air)) + AIR_HU
            lungs = (label > 0).astype(np.uint8)
            opacities = np.where(label == 2, INFECTION, 0).astype(np.uint8)
        else:
            hu = photograph_hu(grey)
            lungs = np.full(label.shape, UNKNOWN, np.uint8)
            opacities = label
        abnormal = np.asarray([1 if (opacities > 0).sum() > 0 else 0], np.int8)
        yield LabelledImage(path.stem, patient, hu[None], lungs[None], opacities[None], abnormal, PICTURE_SPACING_MM)


def _open_archive(case: TrainingCase) -> tuple[NDArray[Any], NDArray[np.uint8], list[str]]:
    """Read HU, lungs and names of the slices of an archive."""
    try:
        with np.load(case.image, allow_pickle=False) as archive:
            hu, lungs, names = archive["image_hu"], archive["lungs"].astype(np.uint8), archive["slice_id"]
    except (OSError, KeyError, ValueError) as error:
        raise TrainingDataError(f"{case.image.name} must hold image_hu, lungs and slice_id ({error}).") from error
    if hu.shape != lungs.shape or len(names) != len(hu):
        raise TrainingDataError(f"{case.image.name}: image_hu {hu.shape} and lungs {lungs.shape} must agree.")
    return hu, lungs, [str(name) for name in names]


def _archive_patient(name: str) -> str:
    """Say whose a slice of an archive is."""
    return name.split("_Z")[0]


def _read_archive(case: TrainingCase) -> Iterator[LabelledImage]:
    """Read the slices of an archive with lung masks; they say nothing about opacities."""
    hu, lungs, names = _open_archive(case)
    unknown = np.full((1, *hu.shape[1:]), UNKNOWN, np.uint8)
    nothing = np.asarray([-1], np.int8)
    for k, name in enumerate(names):
        part = slice(k, k + 1)
        yield LabelledImage(name, _archive_patient(name), hu[part], lungs[part], unknown, nothing, ARCHIVE_SPACING_MM)
