"""Which images of a series belong to one volume: copies, odd images, and several acquisitions told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.dicom_headers import Frame

SAME_POSITION_MM = 0.01
"""Slices nearer than this along the normal, in mm, lie at one place; positions are written to 0.1 mm or finer."""

PARALLEL_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between slices that count as parallel (about 0.06 degrees)."""

SPACING_TOLERANCE = 1e-3
"""Largest relative difference of the pixel spacing between slices of one stack."""

MAX_ODD_IMAGES = 3
MAX_ODD_SHARE = 0.1
"""So many images, or this share of a series, both inclusive, may be of another size, spacing or orientation than the
rest and are left out: scout views and result sheets that do not say what they are."""

MIN_SHARE_OF_LARGEST = 0.5
"""Runs of InstanceNumber are acquisitions only if each has at least this share of the largest one's slices."""

MAX_SHARED_STEPS = 2
"""Ranges of two acquisitions that share more than so many slice distances are acquisitions of the same region."""

MAX_NAMED = 8
"""A message names so many acquisitions; of more (one for every turn of the gantry), the first and the last."""

_CHUNK = 1 << 16

MIN_ACQUISITION_SLICES = 10
"""A smaller acquisition is not read in place of a series that fits together badly as a whole."""


@dataclass(frozen=True)
class Acquisition:
    """Images of a series that belong together, with the number that chooses them (``--acquisition``)."""

    number: int
    frames: tuple[Frame, ...]


def without_copies(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Drop the images of files that are there several times."""
    unique = {(frame.instance or str(frame.path), frame.index, frame.position_lps_mm): frame for frame in frames}
    copies = len(frames) - len(unique)
    if not copies:
        return tuple(frames), ()
    text = f"{copies} files of the series were there twice and were read once."
    return tuple(unique.values()), (Notice("copied-files", text, "note", copies),)


def without_odd_images(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Leave out the few images of another size, pixel spacing or orientation than the rest.

    Returns
    -------
    tuple
        The images of the largest group and a notice; all of them, without notice, where the others are too many, or
        are acquisitions of their own.
    """
    groups: list[list[Frame]] = []
    for frame in frames:
        same = next((group for group in groups if _in_one_plane(frame, group[0])), None)
        if same is None:
            groups.append([frame])
        else:
            same.append(frame)
    if len(groups) < 2:
        return tuple(frames), ()
    largest = max(groups, key=len)
    odd = len(frames) - len(largest)
    if odd <= max(MAX_ODD_IMAGES, MAX_ODD_SHARE * len(frames)) and odd < len(largest):
        text = (
            f"{odd} of {len(frames)} images of the series have another size, pixel spacing or orientation (a scout "
            "view or result sheet?) and were left out."
        )
        return tuple(largest), (Notice("odd-images", text, value=odd, unit="images"),)
    numbers = [{frame.acquisition for frame in group} for group in groups]
    if any(one & other for one, other in combinations(numbers, 2)):
        return tuple(frames), ()
    return tuple(largest), (_several(len(groups), len(largest), "sizes, spacings or orientations"),)


def _in_one_plane(frame: Frame, other: Frame) -> bool:
    return (
        (frame.rows, frame.columns) == (other.rows, other.columns)
        and _near(frame.spacing_yx_mm, other.spacing_yx_mm, SPACING_TOLERANCE, relative=True)
        and _near(frame.orientation_lps, other.orientation_lps, PARALLEL_TOLERANCE, relative=False)
    )


def _near(one: Sequence[float] | None, other: Sequence[float] | None, tolerance: float, *, relative: bool) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= tolerance * (abs(b) if relative else 1) for a, b in zip(one, other, strict=True))


def _several(count: int, kept: int, what: str) -> Notice:
    return Notice(
        "several-acquisitions",
        f"The series holds {count} acquisitions ({what}); the largest, of {kept} slices, was read.",
        value=count,
    )


def count_doubled(frames: Sequence[Frame], normal: NDArray[np.float64]) -> int:
    """Count the slices that lie where another one lies."""
    return int((np.diff(np.sort(_heights(frames, normal))) < SAME_POSITION_MM).sum())


def _heights(frames: Sequence[Frame], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([frame.position_lps_mm for frame in frames], dtype=float) @ normal


def acquisition_at_each_position(
    frames: Sequence[Frame], normal: NDArray[np.float64]
) -> tuple[tuple[Frame, ...], tuple[Notice, ...]] | None:
    """Keep one acquisition where several show the same region.

    Parameters
    ----------
    frames
        Parallel slices with positions.
    normal
        Unit vector along which they are stacked.

    Returns
    -------
    tuple or None
        The slices of the largest acquisition (of the lowest number among equals) and a notice; all slices where there
        is one acquisition; None where slices lie at one place and nothing tells them apart.

    Notes
    -----
    Slices of several studies never make one volume (careless anonymizers give the series of all patients one UID).
    Slices of one are told apart by AcquisitionNumber, else by the kernel, else by InstanceNumber: where it grows and
    the position jumps back, another run begins. One or two slices in common, where acquisitions meet, and slices with
    the same pixels, are dropped.
    """
    studies = _studies(frames)
    if len(studies) > 1:
        # Slices of several patients may also lie one above the other.
        chosen = acquisition_at_each_position(_largest(studies), normal)
        several = _several(len(studies), max(map(len, studies)), "of several studies, perhaps of several patients")
        return None if chosen is None else (chosen[0], (several, *chosen[1]))
    by_number = _by_number(frames)
    doubled = count_doubled(frames, normal)
    if not doubled:
        if len(by_number) > 1 and _share_a_region(by_number, normal):
            return _largest(by_number), (_several(len(by_number), max(map(len, by_number)), "of the same region"),)
        return tuple(frames), ()
    if doubled <= MAX_SHARED_STEPS and len(by_number) > 1 and not _share_a_region(by_number, normal):
        return _once_at_each_position(frames, normal, lambda _, __: True, "where two acquisitions meet")
    groups = _split(frames, normal)
    if groups:
        return _largest(groups), (_several(len(groups), max(map(len, groups)), "of the same places"),)
    alike = _once_at_each_position(frames, normal, _same_pixels, "with the same pixels")
    left = count_doubled(alike[0], normal)
    if not left:
        return alike
    if left > max(MAX_ODD_IMAGES, MAX_ODD_SHARE * len(alike[0])):
        return None
    kept, (dropped,) = _once_at_each_position(alike[0], normal, lambda _, __: True, "with other pixels")
    text = f"{dropped.text} Which of the two is right is not known; look at the pictures."
    return kept, (Notice("doubled-slices-differ", text, value=dropped.value, unit=dropped.unit),)


def _split(frames: Sequence[Frame], normal: NDArray[np.float64]) -> list[list[Frame]]:
    """Split a series of which images lie at one place, so that none of one part do; empty if nothing splits it."""
    by_kernel = _grouped(frames, lambda frame: frame.kernel)
    for groups in (_by_number(frames), by_kernel, _runs(frames, normal), *_by_phases(frames)):
        if len(groups) > 1 and not any(count_doubled(group, normal) for group in groups):
            return groups
    return []


def _by_phases(frames: Sequence[Frame]) -> Iterator[list[list[Frame]]]:
    """Split a series by each of what may tell phases apart; not where that splits off single slices."""
    for i in range(min((len(frame.phases) for frame in frames), default=0)):
        groups = _grouped(frames, lambda frame, i=i: frame.phases[i])  # type: ignore[misc]
        sizes = [len(group) for group in groups]
        if min(sizes) > 1 and min(sizes) >= MIN_SHARE_OF_LARGEST * max(sizes):
            yield groups


def list_acquisitions(frames: Sequence[Frame]) -> tuple[Acquisition, ...]:
    """List the acquisitions of a series, so that one can be chosen.

    Parameters
    ----------
    frames
        The slices of a series, in any order.

    Returns
    -------
    tuple of Acquisition
        By number, which is AcquisitionNumber wherever it tells the images apart. Images that lie at one place and are
        told apart by something else (`acquisition_at_each_position`) are counted from 1. Empty where the images have no
        number and nothing tells them apart.
    """
    alike = without_odd_images(without_copies(frames)[0])[0]
    groups: list[list[Frame]] = []
    if all(frame.position_lps_mm and frame.orientation_lps for frame in alike):
        orientation = np.asarray(alike[0].orientation_lps, dtype=float)
        normal = np.cross(orientation[:3], orientation[3:])
        if count_doubled(alike, normal):
            groups = _split(alike, normal)
    studies = _studies(alike)
    if len(studies) > 1:
        groups = studies
    named = [{frame.acquisition for frame in group} for group in groups]
    if groups and (any(len(names) > 1 for names in named) or len(set.union(*named) - {None}) < len(groups)):
        return tuple(Acquisition(number, tuple(group)) for number, group in enumerate(groups, start=1))
    return tuple(
        Acquisition(number, tuple(group))
        for group in _by_number(frames)
        if (number := group[0].acquisition) is not None
    )


def choose_acquisition(frames: Sequence[Frame], wanted: int) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Choose one acquisition of a series.

    Parameters
    ----------
    frames
        The slices of the series.
    wanted
        Its number, as `list_acquisitions` gives it.

    Returns
    -------
    tuple
        Its slices, and a notice where the series holds others.

    Raises
    ------
    InputError
        If there is none of this number.
    """
    there = list_acquisitions(frames)
    chosen = next((one for one in there if one.number == wanted), None)
    if chosen is None:
        held = "it has no acquisition numbers. Leave the number out"
        if there:
            held = f"it holds {_named([one.number for one in there])}. Choose one of these"
        raise InputError(f"An acquisition of the series was expected, but {wanted} was asked for and {held}.")
    if len(chosen.frames) == len(frames):
        return chosen.frames, ()
    text = (
        f"Acquisition {wanted} of the series, {len(chosen.frames)} of {len(frames)} images, was read, as was asked for."
    )
    return chosen.frames, (Notice("chosen-acquisition", text, "note", wanted),)


def _named(numbers: Sequence[int]) -> str:
    """Name numbers; the first and the last where they are many."""
    if len(numbers) > MAX_NAMED:
        return f"{len(numbers)} from {numbers[0]} to {numbers[-1]}"
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))


def _once_at_each_position(
    frames: Sequence[Frame], normal: NDArray[np.float64], doubles: Callable[[Frame, Frame], bool], what: str
) -> tuple[tuple[Frame, ...], tuple[Notice, ...]]:
    """Drop slices that lie where the one before lies and are its doubles."""
    heights = _heights(frames, normal)
    kept: list[int] = []
    for i in np.argsort(heights, kind="stable").tolist():
        there = bool(kept) and heights[i] - heights[kept[-1]] < SAME_POSITION_MM
        if not (there and doubles(frames[kept[-1]], frames[i])):
            kept.append(i)
    dropped = len(frames) - len(kept)
    text = f"{dropped} slices lie where another one does ({what}); one at each place was read."
    return tuple(frames[i] for i in kept), (Notice("doubled-slices", text, "note", dropped, unit="slices"),)


def _same_pixels(one: Frame, other: Frame) -> bool:
    """Tell whether two files of a single image hold the same pixel data; damaged ones do not."""
    starts = one.encoding.start, other.encoding.start
    if None in starts or one.encoding.frames > 1 or (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    try:
        with one.path.open("rb") as first, other.path.open("rb") as second:
            first.seek(starts[0] or 0)
            second.seek(starts[1] or 0)
            while chunk := first.read(_CHUNK):
                if chunk != second.read(_CHUNK):
                    return False
            return not second.read(1)
    except OSError:
        return False


def acquisitions_by_themselves(frames: Sequence[Frame]) -> tuple[tuple[tuple[Frame, ...], tuple[Notice, ...]], ...]:
    """List the acquisitions of a series that does not fit together, the largest first, each with a notice.

    Parameters
    ----------
    frames
        Slices.

    Returns
    -------
    tuple
        Those of at least `MIN_ACQUISITION_SLICES` slices; empty if there is one acquisition only.
    """
    groups = _by_number(frames)
    if len(groups) < 2:
        return ()
    large = sorted((group for group in groups if len(group) >= MIN_ACQUISITION_SLICES), key=len, reverse=True)
    return tuple((tuple(group), (_several(len(groups), len(group), "apart from each other"),)) for group in large)


def _studies(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split a series by study; not where each image has a study of its own, as careless anonymizers write."""
    groups = _grouped(frames, lambda frame: frame.study)
    return groups if max(map(len, groups), default=0) > MAX_SHARED_STEPS else [list(frames)]


def _by_number(frames: Sequence[Frame]) -> list[list[Frame]]:
    return _grouped(frames, lambda frame: frame.acquisition)


def _grouped(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return [groups[name] for name in sorted(groups, key=lambda name: (name is not None, name))]


def _largest(groups: Sequence[list[Frame]]) -> tuple[Frame, ...]:
    sizes = [len(group) for group in groups]
    return tuple(groups[sizes.index(max(sizes))])


def _share_a_region(groups: Sequence[Sequence[Frame]], normal: NDArray[np.float64]) -> bool:
    """Tell whether the ranges of two acquisitions, each of several slices, lie over one another."""
    ranges = []
    for group in groups:
        heights = _heights(group, normal)
        if len(group) > MAX_SHARED_STEPS:
            ranges.append((heights.min(), heights.max(), float(np.ptp(heights)) / (len(group) - 1)))
    return any(
        min(one[1], other[1]) - max(one[0], other[0]) > MAX_SHARED_STEPS * min(one[2], other[2])
        for one, other in combinations(ranges, 2)
    )


def _runs(frames: Sequence[Frame], normal: NDArray[np.float64]) -> list[list[Frame]]:
    """Split a series at the places where InstanceNumber goes on and the position turns back."""
    numbers = [frame.number for frame in frames]
    if None in numbers or len(set(numbers)) < len(numbers):
        return [list(frames)]
    ordered = sorted(frames, key=lambda frame: frame.number or 0)
    heights = _heights(ordered, normal)
    runs, way = [[ordered[0]]], 0.0
    for before, frame in enumerate(ordered[1:]):
        step = float(np.sign(heights[before + 1] - heights[before]))
        if len(runs[-1]) > 1 and step != way:
            runs.append([frame])
        else:
            runs[-1].append(frame)
            way = step
    sizes = [len(run) for run in runs]
    return runs if min(sizes) >= MIN_SHARE_OF_LARGEST * max(sizes) else [list(frames)]
