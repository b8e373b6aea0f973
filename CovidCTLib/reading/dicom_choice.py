"""Which series of a DICOM folder is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from CovidCTLib.errors import InputError, Notice, SeriesChoiceError
from CovidCTLib.reading.dicom_series import DicomFolder, Series
from CovidCTLib.reading.dicom_stack import Stack

MIN_UID_ENDING = 4
"""Shortest ending of a SeriesInstanceUID, in characters, that chooses a series."""

MIN_CHEST_SLICES = 10
"""An original series of fewer slices (bolus tracking, a test slice) is not preferred to a derived one."""


def choose_series(
    folder: DicomFolder, wanted: str | None, without: Collection[int] = ()
) -> tuple[Series, Stack, tuple[Notice, ...]]:
    """Choose the series to read.

    Parameters
    ----------
    folder
        The series.
    wanted
        Number in the list (from 1), SeriesInstanceUID, or a unique ending of it of at least `MIN_UID_ENDING`
        characters; None for the usable axial series with the most slices, originals (of at least
        `MIN_CHEST_SLICES`) before derived ones.
    without
        Numbers in the list that are not chosen, as their values are no HU.

    Raises
    ------
    InputError
        If there is no series, or none (or not the one wanted) can be used.
    SeriesChoiceError
        If the one wanted is not there or ambiguous, or None was given and only several non-axial ones can be used.
    """
    if not folder.series:
        raise InputError(
            f"A CT series was expected, but the folder holds no readable DICOM image ({len(folder.damaged)} damaged "
            "files). Give the folder with the CT's files."
        )
    if wanted is not None:
        chosen = _find(folder.series, wanted.strip())
        if chosen.stack is None:
            raise InputError(
                f"Series {chosen.summary.number} cannot be used. {chosen.summary.reason}", hint=chosen.summary.hint
            )
        return chosen, chosen.stack, ()
    every = [(series, series.stack) for series in folder.series if series.stack is not None]
    usable = [pair for pair in every if pair[0].summary.number not in without]
    if not usable:
        raise _why_none(folder.series)
    axial = [pair for pair in usable if pair[0].summary.orientation == "axial"]
    if not axial and len(usable) > 1:
        numbers = _numbers(series for series, _ in usable)
        raise SeriesChoiceError(
            f"An axial CT series was expected, but the {len(usable)} usable ones are of other orientations. Choose one "
            f"by its number: {numbers}."
        )
    chosen, stack = max(axial or usable, key=lambda pair: _preference(pair[0]))
    if len(every) == 1:
        return chosen, stack, ()
    left = "".join(f" Series {number} is no CT in HU, by its values, and was left out." for number in without)
    text = (
        f"The folder holds {len(every)} usable CT series; the largest axial one was read (series "
        f"{chosen.summary.number} of the list, {chosen.summary.slices} slices).{left}"
    )
    return chosen, stack, (Notice("several-series", text, "warn", len(every)),)


def _preference(series: Series) -> tuple[bool, int]:
    summary = series.summary
    return summary.original and summary.slices >= MIN_CHEST_SLICES, summary.slices


def _numbers(series: Iterable[Series]) -> str:
    return ", ".join(str(one.summary.number) for one in series)


def _why_none(series: tuple[Series, ...]) -> InputError:
    if len(series) == 1:
        return InputError(str(series[0].summary.reason), hint=series[0].summary.hint)
    largest = max(series, key=lambda one: (one.summary.modality == "CT", one.summary.slices)).summary
    return InputError(
        f"A CT series was expected, but none of the {len(series)} series in the folder can be used. The largest, "
        f"number {largest.number}: {largest.reason}",
        hint=largest.hint,
    )


def _find(series: tuple[Series, ...], wanted: str) -> Series:
    if wanted.isdecimal() and 1 <= int(wanted) <= len(series):
        return series[int(wanted) - 1]
    exact = [one for one in series if one.uid == wanted]
    matching = exact or [one for one in series if len(wanted) >= MIN_UID_ENDING and one.uid.endswith(wanted)]
    if len(matching) > 1:
        raise SeriesChoiceError(
            f"One series was expected to end in {wanted!r}, but {len(matching)} do: {_numbers(matching)}. Give its "
            "number or a longer ending of its UID."
        )
    if not matching:
        raise SeriesChoiceError(
            f"A series from 1 to {len(series)}, or the ending of its UID ({MIN_UID_ENDING} characters or more), was "
            f"expected, but {wanted!r} is none. List the series of the folder and choose one."
        )
    return matching[0]
