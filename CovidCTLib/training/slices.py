"""Training slices in memory: every case cut into axial slices, framed and scaled once, kept in one cache file.

All networks are trained on single axial slices, since half of the data are single slices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import CovidCTError, InputError, TrainingDataError
from CovidCTLib.framing import Frame, body_frame, find_body, lung_frame
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import AIR_HU, NETWORK_HIGH_HU, NETWORK_LOW_HU
from CovidCTLib.scan import Scan
from CovidCTLib.training.layout import TrainingCase, TrainingFolder, read_table

Framing = Literal["body", "lungs"]

SIDE = 288
"""Side of a stored slice in pixels; a little more than the networks' grids, so that crops have room."""

UNKNOWN = 255
"""Value of a mask where the truth is not known."""

INFECTION = 3
"""Opacity label of an infection whose class is not known."""

SOFT_TISSUE_HU = 45
"""HU of the soft-tissue reference of calibrated pictures (muscle, unenhanced)."""

MIN_POSITIVE_MM2 = 30.0
"""Slices with less opacity than this, but some, are neither abnormal nor normal for the classifier."""

_CACHE_VERSION = 3


@dataclass(frozen=True)
class SliceSet:
    """Slices of many cases, all brought to one grid.

    Parameters
    ----------
    image
        float16 in [0, 1], shape ``(n, SIDE, SIDE)``: HU from -1024 to 150, or grey values of photographs.
    lungs
        uint8, same shape: 1 lung, 0 none, `UNKNOWN`.
    opacities
        uint8, same shape: 0 none, 1 GGO, 2 consolidation, `INFECTION`, `UNKNOWN`.
    abnormal
        int8, shape ``(n,)``: 1, 0, or -1 where not known.
    patient, case, source
        Text, shape ``(n,)``. ``source`` is the kind of the case, and tells sampling what to balance.
    """

    image: NDArray[np.float16]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    abnormal: NDArray[np.int8]
    patient: NDArray[np.str_]
    case: NDArray[np.str_]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.image)

    def only(self, chosen: NDArray[Any]) -> SliceSet:
        """Take some of the slices, by indices or a mask."""
        return SliceSet(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    @classmethod
    def joined(cls, parts: list[SliceSet]) -> SliceSet:
        """Put sets behind each other."""
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__})


LungFinder = Callable[[Scan], NDArray[Any]]
"""Gives canonical axial lungs for volumes that come without lung masks."""


def load_slices(
    folder: TrainingFolder,
    framing: Framing,
    find_lungs: LungFinder | None,
    cache: Path | None = None,
    lungs_from: str = "",
    report: Callable[[str], None] = lambda _: None,
) -> SliceSet:
    """Cut all cases of a training folder into framed slices.

    Parameters
    ----------
    folder
        What `CovidCTLib.training.layout.find_cases` found.
    framing
        Frame around the body (lung network) or around the lungs (opacity network, classifier).
    find_lungs
        Finds lungs where no mask is given; None leaves such volumes out.
    cache
        Folder in which the slices are kept for the next run.
    lungs_from
        Checksum of what finds the lungs; slices that another one framed are not taken from the cache.
    report
        Takes one line a case.

    Raises
    ------
    TrainingDataError
        If a file cannot be read, a mask has another grid than its image or labels out of range, or a mask is empty.
    """
    key = hashlib.sha256()
    key.update(f"{_CACHE_VERSION} {framing} {SIDE} {lungs_from}".encode())
    for case in folder.cases:
        key.update(f"{case.name} {case.patient}".encode())
        for path in (case.image, case.lungs, case.opacities, case.slice_table):
            key.update(_stamp(path).encode())
    stored = cache / f"slices-{framing}-{key.hexdigest()[:16]}.npz" if cache else None
    if stored and stored.exists():
        with np.load(stored) as archive:
            return SliceSet(**{name: archive[name] for name in SliceSet.__dataclass_fields__})
    parts = []
    for case in folder.cases:
        part = _READERS[case.kind](case, framing, find_lungs)
        report(f"{case.name}: {0 if part is None else len(part)} slices")
        if part is not None:
            parts.append(part)
    if not parts:
        raise TrainingDataError(f"None of the {len(folder.cases)} cases below {folder.root} can be used here.")
    slices = SliceSet.joined(parts)
    if stored:
        stored.parent.mkdir(parents=True, exist_ok=True)
        temporary = stored.with_suffix(".part.npz")
        np.savez(temporary, **{name: getattr(slices, name) for name in SliceSet.__dataclass_fields__})
        temporary.replace(stored)
    return slices


def _stamp(path: Path | None) -> str:
    """Write which files a case has, how large they are and when they were changed."""
    if path is None:
        return "none"
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return " ".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)


def _frame_labels(frame: Frame, labels: NDArray[np.uint8], outside: int) -> NDArray[np.uint8]:
    """Bring label slices to the stored grid by nearest neighbour."""
    cut = frame.cut(labels, outside)
    rows = ((np.arange(SIDE) + 0.5) * cut.shape[1] / SIDE).astype(int)
    columns = ((np.arange(SIDE) + 0.5) * cut.shape[2] / SIDE).astype(int)
    return np.asarray(cut[:, rows][:, :, columns], dtype=np.uint8)


def _make(
    case: TrainingCase,
    frame: Frame,
    hu: NDArray[np.generic],
    lungs: NDArray[np.uint8],
    opacities: NDArray[np.uint8],
    abnormal: NDArray[np.int8],
    patients: list[str],
) -> SliceSet:
    """Bring slices of HU and labels to the stored grid."""
    count = len(hu)
    image = np.concatenate(
        [frame.to_grid(hu[k : k + 16], SIDE)[:, 0].numpy().astype(np.float16) for k in range(0, count, 16)]
    )
    framed_opacities = _frame_labels(frame, opacities, 0)
    # What lies beyond a slice of which nothing is known is not known either.
    framed_opacities[(opacities == UNKNOWN).all(axis=(1, 2))] = UNKNOWN
    return SliceSet(
        image,
        _frame_labels(frame, lungs, 0),
        framed_opacities,
        abnormal.astype(np.int8),
        np.asarray(patients),
        np.asarray([case.name] * count),
        np.asarray([case.kind] * count),
    )


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
            f"{labels.max()}."
        )
    return np.ascontiguousarray(CanonicalGrid(geometry).take(labels.astype(np.uint8), 0))


def _read_volume(case: TrainingCase, framing: Framing, find_lungs: LungFinder | None) -> SliceSet | None:
    """Slices of a CT volume."""
    from CovidCTLib.reading import read_scan

    if framing == "body" and not case.lungs:
        return None
    try:
        scan = read_scan(case.image)
    except CovidCTError as error:
        raise TrainingDataError(f"{case.name}: {error}") from error
    grid = CanonicalGrid(scan.geometry)
    hu = np.ascontiguousarray(grid.take(scan.hu, NETWORK_LOW_HU))
    lungs = np.full(hu.shape, UNKNOWN, np.uint8)
    opacities = np.full(hu.shape, UNKNOWN, np.uint8)
    where: NDArray[Any] | None = None
    if case.lungs:
        lungs = np.minimum(_read_labels(case.lungs, scan.geometry, 2), 1)
        if not lungs.any():
            raise TrainingDataError(f"The mask {case.lungs.name} is empty. Leave the case out, or paint its lungs.")
        where = lungs
    elif find_lungs:
        where = find_lungs(scan)
    elif framing == "lungs":
        return None
    if case.opacities:
        opacities = _read_labels(case.opacities, scan.geometry, 2)
    elif case.all_normal:
        opacities[:] = 0
    pixel_mm2 = grid.geometry.spacing_xyz_mm[0] * grid.geometry.spacing_xyz_mm[1]
    if case.slice_table:
        abnormal = _labelled_slices(case, grid)
        opacities[abnormal == 0] = 0
    elif case.opacities or case.all_normal:
        area = np.count_nonzero(opacities, axis=(1, 2)) * pixel_mm2
        abnormal = np.where(area >= MIN_POSITIVE_MM2, 1, np.where(area == 0, 0, -1)).astype(np.int8)
    else:
        abnormal = np.full(len(hu), -1, np.int8)
    if where is not None and not case.lungs:
        # Lungs from a network serve the frame and the choice of slices, never as truth.
        lungs = (where > 0).astype(np.uint8)
    spacing = grid.geometry.spacing_zyx_mm
    frame = (
        body_frame(find_body(hu, spacing), spacing)
        if framing == "body" or where is None
        else lung_frame(where, spacing)
    )
    made = _make(case, frame, hu, lungs, opacities, abnormal, [case.patient] * len(hu))
    if framing == "body":
        return made
    # Slices far from the lungs are never shown to these networks.
    seen = made.lungs.any(axis=(1, 2))
    return made.only(np.flatnonzero(seen))


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


def _read_pictures(case: TrainingCase, framing: Framing, _: LungFinder | None) -> SliceSet | None:
    """Slices from single pictures, calibrated or not."""
    calibrated = case.kind == "calibrated pictures"
    if not calibrated and framing == "body":
        return None
    table: dict[str, dict[str, str]] = {}
    if calibrated and case.slice_table:
        rows = read_table(case.slice_table, ["slice", "patient", "air_value", "soft_tissue_value"])
        table = {row["slice"]: row for row in rows}
    parts = []
    for path in sorted((case.image / "images").glob("*.png")):
        grey = _read_picture(path)
        label = _read_picture(case.image / "labels" / path.name)
        if label.shape != grey.shape or label.max() > 2:
            raise TrainingDataError(
                f"The label of {path.name} must have the picture's shape {grey.shape} and values 0 to 2, but has "
                f"{label.shape} and values up to {label.max()}."
            )
        if calibrated:
            if path.stem not in table:
                raise TrainingDataError(f"{path.name} is missing in {case.name}/slices.csv.")
            row = table[path.stem]
            air, tissue = float(row["air_value"]), float(row["soft_tissue_value"])
            hu = (grey.astype(np.float32) - air) * ((SOFT_TISSUE_HU - AIR_HU) / (tissue - air)) + AIR_HU
            lungs = (label > 0).astype(np.uint8)
            opacities = np.where(label == 2, INFECTION, 0).astype(np.uint8)
            patient = row["patient"]
        else:
            # Grey values of a photograph span the networks' range as they are; augmentation varies contrast.
            hu = grey.astype(np.float32) * ((NETWORK_HIGH_HU - NETWORK_LOW_HU) / 255) + NETWORK_LOW_HU
            lungs = np.full(label.shape, UNKNOWN, np.uint8)
            opacities = label
            # Neighbours in number may be one patient: tens are kept together.
            patient = f"{case.name}-{path.stem[:-1]}"
        frame = Frame.square((0, 0), (grey.shape[0], grey.shape[1]), (1.0, 1.0))
        abnormal = np.asarray([1 if (opacities > 0).sum() > 0 else 0], np.int8)
        parts.append(_make(case, frame, hu[None], lungs[None], opacities[None], abnormal, [patient]))
    return SliceSet.joined(parts) if parts else None


def _read_archive(case: TrainingCase, framing: Framing, _: LungFinder | None) -> SliceSet | None:
    """Slices of an archive with lung masks; they say nothing about opacities."""
    if framing == "lungs":
        return None
    try:
        with np.load(case.image, allow_pickle=False) as archive:
            hu, lungs, names = archive["image_hu"], archive["lungs"].astype(np.uint8), archive["slice_id"]
    except (OSError, KeyError, ValueError) as error:
        raise TrainingDataError(f"{case.image.name} must hold image_hu, lungs and slice_id ({error}).") from error
    if hu.shape != lungs.shape or len(names) != len(hu):
        raise TrainingDataError(f"{case.image.name}: image_hu {hu.shape} and lungs {lungs.shape} must agree.")
    parts = []
    unknown = np.full(hu.shape[1:], UNKNOWN, np.uint8)
    for k in range(len(hu)):
        spacing = (1.0, 1.4, 1.4)
        frame = body_frame(find_body(hu[k : k + 1], spacing), spacing)
        patient = str(names[k]).split("_Z")[0]
        parts.append(
            _make(case, frame, hu[k : k + 1], lungs[k : k + 1], unknown[None], np.asarray([-1], np.int8), [patient])
        )
    return SliceSet.joined(parts)


_READERS: dict[str, Callable[[TrainingCase, Framing, LungFinder | None], SliceSet | None]] = {
    "volume": _read_volume,
    "calibrated pictures": _read_pictures,
    "photographs": _read_pictures,
    "slice archive": _read_archive,
}
