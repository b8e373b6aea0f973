"""The series of a DICOM folder: which there are, and which can be used."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.dicom_acquisitions import choose_acquisition, list_acquisitions
from CovidCTLib.reading.dicom_axial import assume_axial
from CovidCTLib.reading.dicom_files import DIRECTORY_NAME, read_directory
from CovidCTLib.reading.dicom_headers import FileHeader, Frame, read_header
from CovidCTLib.reading.dicom_kinds import Kind
from CovidCTLib.reading.dicom_stack import Orientation, Stack, plan_stack, plane_of, spacing_notice, stack_with_spacing
from CovidCTLib.reading.dicom_whole import join_lone_images, why_no_pixels
from CovidCTLib.reading.identifiers import known_kernel

_WHY_LEFT_OUT: dict[Kind, str] = {
    "localizer": "localizers (scout views)",
    "picture": "projections, dose sheets or maps computed from a CT",
    "map": "a map of a material or density (by RescaleType or ImageType), whose values are no HU",
    "colour": "colour pictures",
}


@dataclass(frozen=True)
class AcquisitionSummary:
    """One acquisition of a series: the number that chooses it (``--acquisition``), and how many images it has."""

    number: int
    slices: int


@dataclass(frozen=True)
class SeriesSummary:
    """One series of a DICOM folder, without patient data (UIDs are left out, too: many hold the date of the study).

    Parameters
    ----------
    number
        From 1, in the order of the list; chooses the series (``--series``).
    modality
        DICOM's code, ``"CT"`` for CT.
    slices
        Images that would be stacked.
    rows, columns
        Pixels of an image.
    spacing_zyx_mm
        Distance of slices, rows and columns in mm; None where the series cannot be used.
    orientation
        ``"axial"``, ``"coronal"``, ``"sagittal"``, ``"oblique"``, or None where the images do not say.
    kernel
        Reconstruction kernel, where given; "other" where it is none that CovidCT knows, as it is a free text.
    original
        False where all images were computed from other images.
    reason
        Why the series cannot be used; None where it can.
    acquisitions
        What it holds, where it holds several; by default the largest is read where they do not fit together.
    hint
        What the terminal adds to the reason, as in `CovidCTLib.errors.CovidCTError`.
    """

    number: int
    modality: str
    slices: int
    rows: int
    columns: int
    spacing_zyx_mm: tuple[float, float, float] | None
    orientation: Orientation | None
    kernel: str | None
    original: bool
    reason: str | None
    acquisitions: tuple[AcquisitionSummary, ...] = ()
    hint: str = ""

    @property
    def usable(self) -> bool:
        """Whether the series can be read as a CT volume."""
        return self.reason is None


@dataclass(frozen=True)
class Series:
    """A series with the plan of its volume.

    Parameters
    ----------
    uid
        SeriesInstanceUID; never shown as a whole.
    headers
        Its files.
    summary
        What is shown.
    stack
        None where the series cannot be used.
    """

    uid: str
    headers: tuple[FileHeader, ...]
    summary: SeriesSummary
    stack: Stack | None


@dataclass(frozen=True)
class DicomFolder:
    """What was found: the series in the order of the list, and the folders of damaged files, one entry a file."""

    series: tuple[Series, ...]
    damaged: tuple[Path, ...]
    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """SOPInstanceUIDs that a DICOMDIR lists, by SeriesInstanceUID."""


def gather_series(
    files: Iterable[Path],
    *,
    axial: bool = False,
    acquisition: int | None = None,
    spacing: tuple[float, float, float] | None = None,
) -> DicomFolder:
    """Read the headers of DICOM files and group them into series.

    Parameters
    ----------
    files
        Files that look like DICOM; those without images are left out.
    axial
        Whether slices are taken for axial ones, whatever orientation they give (`assume_axial`).
    acquisition
        The acquisition of each series that is to be stacked (`choose_acquisition`); series without it cannot be used.
    spacing
        Distance of slices, rows and columns in mm, in place of what the headers say.
    """
    by_uid: dict[str, list[FileHeader]] = defaultdict(list)
    listed: dict[str, frozenset[str]] = {}
    damaged = []
    for path in files:
        if path.name.upper() == DIRECTORY_NAME:
            listed.update(read_directory(path))
            continue
        try:
            header = read_header(path)
        except InputError:
            damaged.append(path.parent)
            continue
        if header is not None:
            by_uid[header.series].append(header)
    joined = join_lone_images(by_uid)
    ordered = sorted(by_uid, key=lambda uid: (by_uid[uid][0].series_number or 0, uid))
    series = tuple(
        _series(number, uid, by_uid[uid], _Wishes(axial, acquisition, spacing), joined.get(uid, ()))
        for number, uid in enumerate(ordered, start=1)
    )
    return DicomFolder(series, tuple(damaged), listed)


def _slices_of(headers: list[FileHeader]) -> tuple[list[Frame], bool]:
    """Choose the images that are slices; originals before derived ones. Also tell whether they are originals."""
    frames = [frame for header in headers for frame in header.frames]
    for kind in ("original", "derived", "unknown unit"):
        chosen = [frame for frame in frames if frame.kind == kind]
        if chosen:
            return chosen, kind == "original"
    return [], False


@dataclass(frozen=True)
class _Wishes:
    """What the user asks for in place of what the headers say."""

    axial: bool
    acquisition: int | None
    spacing: tuple[float, float, float] | None


def _series(
    number: int, uid: str, headers: list[FileHeader], wishes: _Wishes, notices: tuple[Notice, ...] = ()
) -> Series:
    frames, original = _slices_of(headers)
    everything = [frame for header in headers for frame in header.frames]
    shown = (frames or everything)[0]
    stack, reason, hint = None, None, ""
    acquisitions = list_acquisitions(frames) if frames else ()
    if frames:
        reason = why_no_pixels(headers)
    if frames and reason is None:
        try:
            stack = _planned(frames, wishes)
            stack = replace(stack, notices=(*notices, *stack.notices, *_unreadable(headers)))
            shown = stack.frames[0]
        except InputError as error:
            reason, hint = str(error), error.hint
    elif not frames:
        reason = _why_no_slices(headers[0].modality, everything)
    return Series(
        uid,
        tuple(headers),
        SeriesSummary(
            number=number,
            modality=headers[0].modality,
            slices=len(stack.frames if stack else frames or everything),
            rows=shown.rows,
            columns=shown.columns,
            spacing_zyx_mm=stack.geometry.spacing_zyx_mm if stack else None,
            orientation=plane_of(shown.orientation_lps) if shown.orientation_lps else None,
            kernel=known_kernel(headers[0].kernel),
            original=original,
            reason=reason,
            hint=hint,
            acquisitions=tuple(AcquisitionSummary(one.number, len(one.frames)) for one in acquisitions)
            if len(acquisitions) > 1
            else (),
        ),
        stack,
    )


def _planned(frames: list[Frame], wishes: _Wishes) -> Stack:
    """Plan the volume of a series as the user wishes."""
    chosen, choice_notices = (
        (tuple(frames), ()) if wishes.acquisition is None else choose_acquisition(frames, wishes.acquisition)
    )
    if wishes.spacing is not None:
        between, *in_plane = wishes.spacing
        chosen = tuple(replace(one, spacing_yx_mm=tuple(in_plane), distance_mm=between) for one in chosen)
    laid, assumed = assume_axial(chosen) if wishes.axial else (chosen, ())
    stack = plan_stack(laid)
    notices = (*choice_notices, *assumed, *stack.notices)
    if wishes.spacing is None:
        return replace(stack, notices=notices)
    return replace(stack_with_spacing(stack, wishes.spacing), notices=(*notices, spacing_notice(stack, wishes.spacing)))


def _unreadable(headers: list[FileHeader]) -> tuple[Notice, ...]:
    """Note values that no volume needs and that could not be read."""
    names = sorted(set().union(*(header.unreadable for header in headers)))
    if not names:
        return ()
    text = f"Values of the headers that are not needed could not be read and count as absent: {', '.join(names)}."
    return (Notice("unreadable-values", text, "note", float(len(names)), unit="values"),)


def _why_no_slices(modality: str, frames: list[Frame]) -> str:
    kind = Counter(frame.kind for frame in frames).most_common(1)[0][0]
    other = f"{modality or 'unknown'} images, not CT slices"
    if modality == "CT":
        other = (
            "images of another storage class than CT (such as Secondary Capture) without the place, orientation and "
            "spacing of CT slices, although they call themselves CT"
        )
    what = _WHY_LEFT_OUT.get(kind, other)
    return f"CT slices were expected, but the series holds only {what}. Give the axial CT series."
