"""Training slices in memory: every case cut into axial slices, framed and scaled once, kept in one cache file.

All networks are trained on axial slices, alone or with their neighbours, since half of the data are single slices.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.framing import Frame, body_frame, find_body, lung_frame
from CovidCTLib.labelled_data.labelled import INFECTION, UNKNOWN, LabelledImage, read_images
from CovidCTLib.labelled_data.layout import TrainingCase, TrainingFolder
from CovidCTLib.models.card import count_of
from CovidCTLib.scan import Scan
from CovidCTLib.training.slice_checksums import check_patients_differ, slice_checksums
from CovidCTLib.writing.files import replacing

__all__ = ["INFECTION", "SIDE", "UNKNOWN", "Framing", "LungFinder", "SliceSet", "load_slices", "whole_picture"]

Framing = Literal["body", "lungs"]

_NEEDED: Mapping[Framing, str] = {
    "body": "CTs with masks of lungs (NAME_lungs.nii.gz) or effusion (NAME_effusion.nii.gz), calibrated pictures or "
    "slice archives",
    "lungs": "CTs or pictures",
}
"""What can be framed so."""

SIDE = 288
"""Side of a stored slice in pixels, where a task names no other; a little more than the crops that are trained on."""

_CACHE_VERSION = 8
"""Raised whenever slices are cut, labelled or checked in another way, so that no older ones are taken."""


@dataclass(frozen=True)
class SliceSet:
    """Slices of many cases, all brought to one grid.

    Parameters
    ----------
    image
        float16 in [0, 1], shape ``(n, side, side)``: HU from -1024 to 150, estimated ones in photographs.
    lungs
        uint8, same shape: 1 lung, 0 none, `UNKNOWN`.
    opacities
        uint8, same shape: 0 none, 1 GGO, 2 consolidation, `INFECTION`, `UNKNOWN`.
    effusion
        uint8, same shape: 1 pleural effusion, 0 none, `UNKNOWN`.
    abnormal
        int8, shape ``(n,)``: 1 abnormal and like COVID-19, 0 not, or -1 where not known. No slice of a patient with
        another disease is like COVID-19.
    patient, case, source
        Text, shape ``(n,)``. ``source`` is the kind of the case, and tells sampling what to balance.
    number
        int32, shape ``(n,)``: number of the slice in its image, from the feet; 0 in cases of single slices.
    step_mm
        float32, shape ``(n,)``: distance of the slices of its image; 0 in cases of single slices.
    checksum
        Text, shape ``(n,)``, see `CovidCTLib.training.slice_checksums`.
    """

    image: NDArray[np.float16]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    effusion: NDArray[np.uint8]
    abnormal: NDArray[np.int8]
    patient: NDArray[np.str_]
    case: NDArray[np.str_]
    source: NDArray[np.str_]
    number: NDArray[np.int32]
    step_mm: NDArray[np.float32]
    checksum: NDArray[np.str_]

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
    side: int = SIDE,
) -> SliceSet:
    """Cut all cases of a training folder into framed slices.

    Parameters
    ----------
    folder
        What `CovidCTLib.labelled_data.layout.find_cases` found.
    framing
        Frame around the body (lung network) or around the lungs (opacity network, classifier).
    find_lungs
        Finds lungs where no mask is given; None leaves such volumes out.
    cache
        Folder in which the slices are kept for the next run, each case in a file of its own.
    lungs_from
        Checksum of what finds the lungs; slices that another one framed are not taken from the cache.
    report
        Takes one line a case.
    side
        Side of a stored slice in pixels.

    Raises
    ------
    TrainingDataError
        If a file cannot be read, a mask has another grid than its image or labels out of range, a mask is empty,
        or a slice stands under two patients.
    """
    parts = []
    for case in folder.cases:
        stored = cache and cache / f"slices-{framing}-{_key(case, framing, lungs_from, side)}.npz"
        part = _read_cache(stored, report) if stored else None
        if part is None:
            part = _slices_of(case, framing, find_lungs, side)
            report(f"{case.name}: {count_of(0 if part is None else len(part), 'slices')}")
            if stored and part is not None:
                # Now, and not with the others: whatever ends the command, this case need not be cut again.
                _write_cache(stored, part)
        if part is not None:
            parts.append(part)
    if not parts:
        raise TrainingDataError(
            f"No case below {folder.root} can be used here ({len(folder.cases)} found): {_NEEDED[framing]} were "
            "expected. Add them; docs/training.md shows an example of each."
        )
    slices = SliceSet.joined(parts)
    check_patients_differ(slices)
    return slices


def _key(case: TrainingCase, framing: Framing, lungs_from: str, side: int) -> str:
    """Name what the slices of a case depend on."""
    # A mask of lungs may leave slices unlabelled, whose lungs are found then.
    finder = "" if framing == "body" else lungs_from
    words = [f"{_CACHE_VERSION} {framing} {side} {finder}"]
    words += [
        f"{case.name} {case.patient}{' reversed' if case.table_reversed else ''} {case.aliases} {case.no_effusion}"
    ]
    words += [_stamp(path) for path in (case.image, case.lungs, case.opacities, case.infection, case.effusion)]
    words += [_stamp(case.slice_table)]
    return hashlib.sha256("".join(words).encode()).hexdigest()[:16]


def _write_cache(stored: Path, slices: SliceSet) -> None:
    """Keep slices under a temporary name, then move them into place."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    # Runs that share a cache folder may write at once, each a file of its own.
    with replacing(stored) as (part,):
        np.savez(part, **{name: getattr(slices, name) for name in SliceSet.__dataclass_fields__})


def _read_cache(stored: Path, report: Callable[[str], None]) -> SliceSet | None:
    """Read slices that were cut before; None where there are none, or the file is cut off or damaged."""
    if not stored.exists():
        return None
    try:
        with np.load(stored) as archive:
            return SliceSet(**{name: archive[name] for name in SliceSet.__dataclass_fields__})
    except (zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, OSError, RuntimeError):
        report("Stored slices cannot be read, so they are made again.")
        return None


def _stamp(path: Path | None) -> str:
    """Write which files a case has, how large they are and when they were changed."""
    if path is None:
        return "none"
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    # Hidden links that lead nowhere are no part of a case.
    there = ((file, file.stat()) for file in files if file.exists())
    return " ".join(f"{file} {status.st_size} {status.st_mtime_ns}" for file, status in there)


def _frame_labels(frame: Frame, labels: NDArray[np.uint8], outside: int, side: int) -> NDArray[np.uint8]:
    """Bring label slices to the stored grid by nearest neighbour."""
    cut = frame.cut(labels, outside)
    rows = ((np.arange(side) + 0.5) * cut.shape[1] / side).astype(int)
    columns = ((np.arange(side) + 0.5) * cut.shape[2] / side).astype(int)
    return np.asarray(cut[:, rows][:, :, columns], dtype=np.uint8)


def _slices_of(case: TrainingCase, framing: Framing, find_lungs: LungFinder | None, side: int) -> SliceSet | None:
    """Cut one case into framed slices; None where it says nothing for this framing."""
    says_body = case.lungs or case.effusion or case.all_normal or case.no_effusion
    if framing == "body" and (case.kind == "photographs" or (case.kind == "volume" and not says_body)):
        return None
    if framing == "lungs" and case.kind == "slice archive":
        return None
    parts = [_framed(image, case, framing, find_lungs, side) for image in read_images(case)]
    given = [part for part in parts if part is not None]
    return SliceSet.joined(given) if given else None


def _framed(
    image: LabelledImage, case: TrainingCase, framing: Framing, find_lungs: LungFinder | None, side: int
) -> SliceSet | None:
    """Frame one image as the networks see it."""
    if case.kind == "slice archive":
        return _make(case, body_frame(find_body(image.hu, image.spacing_zyx_mm), image.spacing_zyx_mm), image, side)
    if case.kind != "volume":
        return _make(case, whole_picture(image.hu), image, side)
    spacing = image.spacing_zyx_mm
    if framing == "body":
        return _make(case, body_frame(find_body(image.hu, spacing), spacing), image, side)
    if (image.lungs == UNKNOWN).any():
        if find_lungs is None or image.scan is None:
            return None
        # Lungs from a network serve the frame and the choice of slices, never as truth.
        image = replace(image, lungs=_completed(image, find_lungs(image.scan)))
    made = _make(case, lung_frame(image.lungs, spacing), image, side)
    # Slices far from the lungs are never shown to these networks.
    return made.only(np.flatnonzero(made.lungs.any(axis=(1, 2))))


def _completed(image: LabelledImage, predicted: NDArray[Any]) -> NDArray[np.uint8]:
    """Fill what is not labelled of the lungs by lungs that were found; effusion that is labelled is no lung."""
    lungs = np.where(image.lungs == UNKNOWN, (predicted > 0).astype(np.uint8), image.lungs)
    if image.effusion is not None:
        lungs[image.effusion == 1] = 0
    return lungs


def whole_picture(slices: NDArray[np.generic]) -> Frame:
    """Make the frame around single pictures ``(n, y, x)``, which are cropped to the lungs already: all of them."""
    return Frame.square((0, 0), (slices.shape[1], slices.shape[2]), (1.0, 1.0))


def _make(case: TrainingCase, frame: Frame, labelled: LabelledImage, side: int) -> SliceSet:
    """Bring slices of HU and labels to the stored grid."""
    hu, opacities = labelled.hu, labelled.opacities
    count = len(hu)
    image = np.concatenate(
        [frame.to_grid(hu[k : k + 16], side)[:, 0].numpy().astype(np.float16) for k in range(0, count, 16)]
    )
    framed_opacities = _frame_labels(frame, opacities, 0, side)
    # What lies beyond a slice of which nothing is known is not known either.
    framed_opacities[(opacities == UNKNOWN).all(axis=(1, 2))] = UNKNOWN
    effusion = np.full((count, side, side), UNKNOWN, np.uint8)
    if labelled.effusion is not None:
        effusion = _frame_labels(frame, labelled.effusion, 0, side)
    framed_lungs = _frame_labels(frame, labelled.lungs, 0, side)
    framed_lungs[(labelled.lungs == UNKNOWN).all(axis=(1, 2))] = UNKNOWN
    return SliceSet(
        image,
        framed_lungs,
        framed_opacities,
        effusion,
        np.zeros(count, np.int8) if case.not_covid else labelled.abnormal,
        np.asarray([labelled.patient] * count),
        np.asarray([case.name] * count),
        np.asarray([case.kind] * count),
        np.arange(count, dtype=np.int32),
        np.full(count, labelled.spacing_zyx_mm[0] if case.kind == "volume" else 0, np.float32),
        np.asarray(slice_checksums(hu)),
    )
