"""The course of a disease over the studies of one patient. Pure: nothing is read or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations

import numpy as np

from CovidCTLib.analysis import Analysis, CancelCheck, Progress, ProgressCallback
from CovidCTLib.errors import CancelledError, InputError, Notice
from CovidCTLib.followup.change import chart_series, measured, sentences_of, table_rows
from CovidCTLib.followup.difference import find_difference
from CovidCTLib.followup.registration import LEAST_DICE, Registration, register_lungs
from CovidCTLib.followup.result import Comparison, Difference, FollowUp, LeftOut, TimePoint
from CovidCTLib.followup.study import Study
from CovidCTLib.report.content import sorted_notices
from CovidCTLib.results.reading import has_ct

FEWEST_STUDIES = 2
"""A change needs at least so many."""

THICKNESS_RATIO = 1.5
"""Ratio of slice distances above which, exclusive, two studies are said to differ in them. CovidCT's own choice: a
6 mm slice blurs what two slices of 3 mm still tell apart."""

LUNG_VOLUME_RATIO = 1.25
"""Ratio of lung volumes above which, exclusive, two studies are said to differ in them. CovidCT's own choice: a
change of opacity in ml by as much is worth telling, and then its cause must be told as well."""

MOST_FOLDED_PERCENT = 1.0
"""Share of the lungs that a registration may turn inside out, inclusive, in percent. CovidCT's own choice: no tissue
can do so, but a few voxels at the lungs' edge do not change a volume."""

NOT_ASKED = "registration was not asked for"


def follow_up(
    studies: Sequence[Study],
    *,
    register: bool = True,
    left_out: Sequence[LeftOut] = (),
    today: date | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelCheck | None = None,
) -> FollowUp:
    """Compare studies of one patient with the first of them.

    Parameters
    ----------
    studies
        At least two, in any order.
    register
        Whether later studies are laid on the first, for maps of what changed; it takes some seconds to a minute each.
    left_out
        Studies that could not be used, to be told with the result.
    today
        The day of the follow-up, after which no study can have been made; None checks no date.
    progress
        Told about the stage ``"comparing"``; fractions run from 0 to 1.
    cancelled
        Asked meanwhile; True ends the follow-up.

    Returns
    -------
    FollowUp
        Studies of the same date keep the order in which they are given. Where a later study cannot be laid on the
        first, its comparison says why, and everything else is there.

    Raises
    ------
    InputError
        If there are fewer than two studies, or two have the same number.
    CancelledError
        If the caller asked to stop.
    """
    if len(studies) < FEWEST_STUDIES:
        raise InputError(_too_few(len(studies), left_out))
    numbered = [
        study if study.number is not None else replace(study, number=number)
        for number, study in enumerate(studies, start=1)
    ]
    if len({study.number for study in numbered}) < len(numbered):
        raise InputError(
            "Each study of a follow-up needs a number of its own, but two have the same. Number all of them or none."
        )
    ordered = tuple(sorted(numbered, key=lambda study: study.date))
    begin = ordered[0].date
    points = tuple(TimePoint(study.number or 0, study.date, (study.date - begin).days) for study in ordered)
    rows = table_rows(ordered, points)
    by_study = {point.number: [row for row in rows if row.study == point.number] for point in points}
    comparisons = []
    for number, (study, point) in enumerate(zip(ordered[1:], points[1:], strict=True)):
        if cancelled is not None and cancelled():
            raise CancelledError("The follow-up was cancelled; nothing was changed.")
        if progress is not None:
            progress(Progress("comparing", number / (len(ordered) - 1)))
        comparisons.append(_compare(ordered[0], study, point, register, cancelled))
    if progress is not None:
        progress(Progress("comparing", 1.0))
    return FollowUp(
        studies=ordered,
        points=points,
        rows=rows,
        series=chart_series(rows, points),
        sentences={
            point.number: sentences_of(by_study[point.number], by_study[points[0].number]) for point in points[1:]
        },
        comparisons=tuple(comparisons),
        notices=sorted_notices(
            (*_notices(ordered, points), *_future_dates(points, today), *_left_out_notices(left_out))
        ),
        left_out=tuple(left_out),
    )


def _too_few(count: int, left_out: Sequence[LeftOut]) -> str:
    """Say how many studies there are, and why the others are not."""
    reasons = "".join(f" Study {entry.number} was left out: {entry.reason}" for entry in left_out)
    usable = "only one" if count == 1 else "none"
    return (
        f"A follow-up needs at least {FEWEST_STUDIES} studies that can be used, but there is {usable}.{reasons} Give "
        "more studies of the same patient."
    )


def _compare(first: Study, later: Study, point: TimePoint, register: bool, cancelled: CancelCheck | None) -> Comparison:
    """Lay one study on the first, and say why not where that cannot be stood behind."""
    empty = Comparison(point.number, point.days)
    if not register:
        return replace(empty, reason=NOT_ASKED)
    registration, difference, reason = lay_on(first.analysis, later.analysis, cancelled=cancelled)
    return replace(empty, registration=registration, difference=difference, reason=reason)


def lay_on(
    first: Analysis, later: Analysis, *, cancelled: CancelCheck | None = None
) -> tuple[Registration | None, Difference | None, str | None]:
    """Lay a later study on the first, and say why not where that cannot be stood behind.

    Returns
    -------
    registration, difference, reason
        Without a difference the reason is given; without a registration none was possible.

    Raises
    ------
    CancelledError
        If the caller asked to stop.
    """
    try:
        by_hu = has_ct(first) and has_ct(later)
        registration = register_lungs(first.axial, later.axial, by_hu=by_hu, cancelled=cancelled)
    except InputError as error:
        return None, None, str(error)
    if registration.dice < LEAST_DICE:
        reason = (
            f"the lungs overlap too little after registration (Dice {registration.dice:.2f}, at least {LEAST_DICE:g} "
            "is asked for)"
        )
        return registration, None, reason
    if registration.folded_percent > MOST_FOLDED_PERCENT:
        reason = (
            f"the registration turns {registration.folded_percent:.1f} % of the lungs inside out, which no tissue does "
            f"(at most {MOST_FOLDED_PERCENT:g} % is let pass)"
        )
        return registration, None, reason
    return registration, find_difference(first.axial, later.axial, registration), None


def _notices(studies: Sequence[Study], points: Sequence[TimePoint]) -> list[Notice]:
    """What a reader must know before he believes a change."""
    notices = []
    patients = [study.patient for study in studies if study.patient is not None]
    if len(set(patients)) > 1:
        notices.append(
            Notice(
                "different-patients",
                f"The studies carry {len(set(patients))} different patient numbers: they may be of different patients, "
                "and then the changes below mean nothing. Check whose they are.",
                "refuse",
            )
        )
    elif len(patients) < len(studies):
        notices.append(
            Notice(
                "patients-not-compared",
                "Not every study says whose it is, so nothing checked that all are of the same patient.",
                "note",
            )
        )
    notices += _same_dates(points)
    notices += _same_scans(studies, points)
    notices += _given_or_corrected(studies, points)
    analyses = [study.analysis for study in studies]
    if len({_made_by(analysis) for analysis in analyses}) > 1:
        notices.append(
            Notice(
                "different-networks",
                "The studies were not analyzed by the same networks with the same limits, so a change may come from "
                "these. Analyze all of them with one version.",
            )
        )
    steps = [analysis.axial.geometry.spacing_zyx_mm[0] for analysis in analyses if analysis.axial.spacing_known]
    if steps and max(steps) / min(steps) > THICKNESS_RATIO:
        notices.append(
            Notice(
                "different-slice-distance",
                f"The distance of slices differs between the studies ({min(steps):.3g} to {max(steps):.3g} mm), so "
                "small changes of volume may come from it.",
                "warn",
                max(steps) / min(steps),
                THICKNESS_RATIO,
            )
        )
    volumes = [measured(analysis, "both_lungs", "volume_ml").value for analysis in analyses]
    stated_volumes = [volume for volume in volumes if volume]
    if stated_volumes and max(stated_volumes) / min(stated_volumes) > LUNG_VOLUME_RATIO:
        notices.append(
            Notice(
                "different-lung-volume",
                f"The volume of the lungs differs between the studies ({min(stated_volumes):.0f} to "
                f"{max(stated_volumes):.0f} ml): the patient breathed in more or less, a file states a wrong spacing, "
                "or a part is out of view. Changes in ml come from this, too; look at percentages and maps.",
                "warn",
                max(stated_volumes) / min(stated_volumes),
                LUNG_VOLUME_RATIO,
            )
        )
    if not all(has_ct(analysis) for analysis in analyses):
        notices.append(
            Notice(
                "ct-not-stored",
                "The CT is not stored with every study's results: pictures of these show findings without the CT, and "
                "their lungs are registered by shape alone. Give the CTs themselves for more.",
                "note",
            )
        )
    return notices


def _given_or_corrected(studies: Sequence[Study], points: Sequence[TimePoint]) -> list[Notice]:
    """Name the studies whose labels were given or corrected by hand: a change may come from that."""
    lines = [
        f"study {point.number}: {study.analysis.provenance.words}"
        for study, point in zip(studies, points, strict=True)
        if study.analysis.provenance.words
    ]
    if not lines:
        return []
    text = (
        f"Not all of these studies show what the networks found ({'; '.join(lines)}), so a change may come from that."
    )
    return [Notice("labels-by-hand", text)]


def _same_dates(points: Sequence[TimePoint]) -> list[Notice]:
    """Name the studies that share a date."""
    notices = []
    for day in dict.fromkeys(point.days for point in points):
        same = [str(point.number) for point in points if point.days == day]
        if len(same) > 1:
            notices.append(
                Notice(
                    "same-date",
                    f"Studies {' and '.join(same)} have the same date: what differs between them is no change over "
                    "time. Check the dates.",
                )
            )
    return notices


def _same_scans(studies: Sequence[Study], points: Sequence[TimePoint]) -> list[Notice]:
    """Name studies in which lungs and opacities are the same in every voxel, as no two scans ever show them."""
    notices = []
    for (study, point), (other, later) in combinations(zip(studies, points, strict=True), 2):
        one, two = study.analysis.axial, other.analysis.axial
        if (
            one.lungs.any()
            and one.geometry.shape_zyx == two.geometry.shape_zyx
            and np.array_equal(one.lungs, two.lungs)
            and np.array_equal(one.opacities, two.opacities)
        ):
            notices.append(
                Notice(
                    "same-scan",
                    f"Studies {point.number} and {later.number} show the same lungs and opacities in every voxel: they "
                    "are one scan, given twice. Check which study is meant.",
                )
            )
    return notices


def _future_dates(points: Sequence[TimePoint], today: date | None) -> list[Notice]:
    """Name the studies whose date is still to come."""
    # The clock of a scanner in another time zone may be a day ahead.
    late = [] if today is None else [str(point.number) for point in points if (point.date - today).days > 1]
    if not late:
        return []
    one = len(late) == 1
    have = f"Study {late[0]} has a date" if one else f"Studies {' and '.join(late)} have dates"
    text = f"{have} in the future, so the days between the studies may be wrong. Check the dates."
    return [Notice("future-date", text)]


def _left_out_notices(left_out: Sequence[LeftOut]) -> list[Notice]:
    return [
        Notice("study-left-out", f"Study {entry.number} was left out: {entry.reason}", "warn") for entry in left_out
    ]


def _made_by(analysis: Analysis) -> tuple[object, ...]:
    """What the measures depend on beside the CT."""
    options, case = analysis.options, analysis.case
    hashes = tuple(sorted((model.role, model.sha256) for model in analysis.models))
    limits = (options.lungs, options.high_opacity_hu, options.localization_threshold, options.localization_sigma_mm)
    return (*hashes, *limits, case.slice_threshold)
