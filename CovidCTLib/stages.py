"""The stages of the way of a CT: lungs, opacities, slices, measures; `CovidCTLib.pipeline` puts them in a row.

An analysis and the measuring of a given segmentation go the same way; the latter leaves stages out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import (
    Analysis,
    AxialArrays,
    CaseDecision,
    Measurement,
    ModelUsed,
    Provenance,
    SliceFinding,
)
from CovidCTLib.checks import check_agreement, check_lungs
from CovidCTLib.errors import Notice
from CovidCTLib.labels import OPACITY_EFFUSION
from CovidCTLib.options import Options
from CovidCTLib.work import Work, versions

_SEVERITY_ORDER = {"refuse": 0, "warn": 1, "note": 2}

NO_EFFUSION = Notice(
    "no-pleural-effusion",
    "Pleural effusion is not looked for: the networks were not trained on any labelled effusion.",
    "note",
)

_NETWORK_FINDS, _SEGMENTATION_SHOWS = "the opacity network finds", "the segmentation shows"
"""Words of the notice about the two readings, where no network made the opacities."""

NO_EFFUSION_GIVEN = Notice(
    "no-pleural-effusion",
    "Pleural effusion is not looked for: the segmentation says nothing of it, and where lungs are given, the network "
    "that finds them does not run.",
    "note",
)

NO_KINDS = Notice(
    "no-opacity-kinds",
    "The user's own opacity network does not tell ground-glass opacity from consolidation: all opacity is counted as "
    "ground-glass opacity, so look at the sum only.",
)


@dataclass(frozen=True)
class SliceReading:
    """What the slice classifier says: of each slice, of the case, and where it looked (on the canonical grid)."""

    findings: tuple[SliceFinding, ...]
    case: CaseDecision
    localization: NDArray[np.float32]


def look_at_lungs(work: Work, lungs: NDArray[np.uint8], *, given: bool = False) -> None:
    """Look at the lungs, found or given; what a reader must know joins the notices.

    Parameters
    ----------
    work
        The scan.
    lungs
        Labels on the canonical grid, shape ``(z, y, x)``.
    given
        Whether they were segmented by hand or by another program.

    Raises
    ------
    QualityError
        If there are none.
    """
    work.notices += check_lungs(lungs, work.spacing_zyx_mm, work.scan.facts.spacing_known, work.hu, given=given)


def find_opacities(
    work: Work, lungs: NDArray[np.uint8], tell: Callable[[float], None], *, inside: bool = False
) -> NDArray[np.uint8]:
    """Find ground-glass opacity and consolidation by the network.

    Parameters
    ----------
    work
        The scan; the network and what must be said of it join it.
    lungs
        Labels on the canonical grid, shape ``(z, y, x)``.
    tell
        Takes the share that is done, and may raise to stop.
    inside
        Whether opacities never reach beyond the lungs.

    Returns
    -------
    ndarray
        uint8, same shape: 0 none, 1 ground glass, 2 consolidation.
    """
    from CovidCTLib.opacities.network import FOREIGN_CLEANUP, segment_opacities

    network = work.models.opacities()
    work.used.append(network.used)
    if not network.card.tells_kinds:
        work.notices.append(NO_KINDS)
    cleanup = FOREIGN_CLEANUP if inside else None
    return segment_opacities(work.hu, lungs, work.spacing_zyx_mm, network, tell, cleanup)


def settle(
    lungs: NDArray[np.uint8], opacities: NDArray[np.uint8], effusion: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Let what was found fit together: an opacity is lung, fluid beside the lungs is neither lung nor opacity.

    Parameters
    ----------
    lungs
        Labels, shape ``(z, y, x)``; not changed.
    opacities
        uint8, same shape: 0 none, 1 ground glass, 2 consolidation; changed in place where there is effusion.
    effusion
        Same shape; None where it was not looked for.

    Returns
    -------
    tuple of ndarray
        Lungs with the opacities that lie at them, and opacities with effusion as 3.
    """
    from CovidCTLib.lungs.sides import extend_sides

    if effusion is not None:
        opacities[effusion] = 0
    # The lung network misses opacity at the pleura; an opacity belongs to the lung that it sits in.
    extended = extend_sides(lungs, opacities > 0)
    if effusion is not None:
        extended = extended.copy() if extended is lungs else extended
        extended[effusion] = 0
        opacities[effusion] = OPACITY_EFFUSION
    return extended, opacities


def judge_slices(work: Work, lungs: NDArray[np.uint8], tell: Callable[[float], None]) -> SliceReading:
    """Let the slice classifier judge every slice with lung, decide the case, and show where it looked.

    Parameters
    ----------
    work
        The scan; the network joins it.
    lungs
        Labels on the canonical grid, shape ``(z, y, x)``, not empty.
    tell
        Takes the share that is done, and may raise to stop.
    """
    from CovidCTLib.slices.classifier import classify_slices, decide_case
    from CovidCTLib.slices.localization import localize

    network = work.models.slices()
    work.used.append(network.used)
    options, spacing = work.options, work.spacing_zyx_mm
    thresholds = {**network.card.thresholds, **_given_thresholds(options)}
    findings = classify_slices(work.hu, lungs, spacing, network, thresholds["slice"], lambda share: tell(share * 0.5))
    case = decide_case(findings, thresholds["slice"], thresholds["case"], network.card.cases_judged)
    localization = localize(
        work.hu,
        lungs,
        spacing,
        findings,
        network,
        options.localization_threshold,
        options.localization_sigma_mm,
        lambda share: tell(0.5 + share * 0.5),
    )
    return SliceReading(findings, case, localization)


def complete(
    work: Work,
    lungs: NDArray[np.uint8],
    opacities: NDArray[np.uint8],
    effusion_known: bool,
    reading: SliceReading,
    provenance: Provenance | None = None,
    lobes: NDArray[np.uint8] | None = None,
    areas: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Analysis:
    """Measure what was found or given, and put the analysis together.

    Parameters
    ----------
    work
        The scan on its way.
    lungs, opacities, lobes, areas
        On the canonical grid, as in `AxialArrays`; no lobes and no areas where None.
    effusion_known
        Whether pleural effusion was looked for.
    reading
        The slice classifier's.
    provenance
        Where the labels come from; None where CovidCT found all of them.

    Returns
    -------
    Analysis
        Its seconds lack the stage that this is part of, until that ends.
    """
    from CovidCTLib.measures import lobe_notices, measure_areas, measure_lobes, measure_regions, measure_slices

    options, grid, spacing_known = work.options, work.grid, work.scan.facts.spacing_known
    axial = AxialArrays(work.hu, lungs, opacities, reading.localization, grid.geometry, spacing_known, effusion_known)
    measures = measure_regions(axial, options)
    if lobes is not None:
        measures = (*measures, *measure_lobes(axial, lobes, options))
        work.notices += lobe_notices(axial, lobes)
    if areas:
        measures = (*measures, *measure_areas(axial, areas))
    slices = measure_slices(axial, reading.findings, options)
    agreement = check_agreement(reading.case, _opacity_percent(measures), measures)
    if provenance is not None and provenance.opacities in ("given", "corrected"):
        agreement = tuple(
            replace(notice, text=notice.text.replace(_NETWORK_FINDS, _SEGMENTATION_SHOWS)) for notice in agreement
        )
    work.notices += [*agreement, *_own_models(work.used)]
    if provenance is not None and provenance.effusion != "network":
        work.notices[:] = [notice for notice in work.notices if notice.code != "rough-effusion"]
    if not effusion_known:
        by_hand = provenance is not None and provenance.lungs in ("given", "corrected")
        work.notices.append(NO_EFFUSION_GIVEN if by_hand else NO_EFFUSION)
    back = [grid.give_back(array) for array in (lungs, opacities)]
    localization = grid.give_back(reading.localization, labels=False)
    # Interpolation of a resampled scan reaches a little beyond the lungs.
    localization[back[0] == 0] = 0
    return Analysis(
        scan=work.scan,
        lungs=back[0],
        opacities=back[1],
        localization=localization,
        axial=axial,
        measures=measures,
        slices=slices,
        case=reading.case,
        notices=tuple(sorted(work.notices, key=lambda notice: _SEVERITY_ORDER[notice.severity])),
        options=replace(
            options, slice_threshold=reading.case.slice_threshold, case_threshold=reading.case.case_threshold
        ),
        models=tuple(work.used),
        # The stage that this is the end of is still running; its time joins when it ends.
        seconds=work.run.seconds,
        versions=versions(),
        provenance=provenance if provenance is not None else _by_covidct(options, effusion_known),
        lobes=None if lobes is None else grid.give_back(lobes),
        areas={name: grid.give_back(mask.view(np.uint8)).view(np.bool_) for name, mask in (areas or {}).items()},
    )


def _by_covidct(options: Options, effusion_known: bool) -> Provenance:
    """What CovidCT found itself."""
    return Provenance(lungs=options.lungs, effusion="network" if effusion_known else "none")


def find_chest(work: Work, tell: Callable[[float], None]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Find the lungs by the engine of the options, right and left told apart, and pleural effusion by the network."""
    from CovidCTLib.lungs.contour import segment_lungs_by_contours
    from CovidCTLib.lungs.network import segment_chest_by_network

    hu, spacing, run = work.hu, work.spacing_zyx_mm, work.run
    effusion = None
    if work.options.lungs == "contour":
        mask, notices = segment_lungs_by_contours(hu, spacing, cancelled=run.cancelled, progress=tell)
        work.notices += notices
    else:
        network = work.models.lungs()
        work.used.append(network.used)
        masks = segment_chest_by_network(hu, spacing, network, tell)
        mask, effusion = masks.lungs, masks.effusion
        if effusion is not None and effusion.any():
            work.notices.append(_rough_effusion(network.card.effusion_judged))
    run.check()
    return tell_sides(work, mask), effusion


def _rough_effusion(judged: str) -> Notice:
    """Say how far a volume of pleural effusion by the network may be off."""
    from CovidCTLib.lungs.effusion import MIN_PART_ML

    return Notice(
        "rough-effusion",
        f"The volume of pleural effusion is rough. {judged} Pieces under {MIN_PART_ML:g} ml are not told from the "
        "pleura, nor are thin layers.",
        "note",
    )


def tell_sides(work: Work, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Tell the right from the left lung in a mask of both, shape ``(z, y, x)`` on the canonical grid."""
    from CovidCTLib.lungs.sides import find_body_midline, split_sides

    midline = find_body_midline(work.hu, work.spacing_zyx_mm[2])
    return split_sides(mask, work.spacing_zyx_mm, body_midline_x=midline)


def _own_models(used: Sequence[ModelUsed]) -> list[Notice]:
    """Say which networks were a user's own."""
    return [
        Notice(
            "own-model",
            f"The user's own model was used for the {model.role} ({model.name} {model.version}), so the accuracy that "
            "CovidCT states does not hold here.",
            "note",
        )
        for model in used
        if model.own
    ]


def _opacity_percent(measures: Sequence[Measurement]) -> float | None:
    """Share of both lungs that is opaque, in percent."""
    return next(m.value for m in measures if (m.region, m.name) == ("both_lungs", "opacity_percent"))


def _given_thresholds(options: Options) -> dict[str, float]:
    """Thresholds that the options set, by the names of the classifier's card."""
    given = {"slice": options.slice_threshold, "case": options.case_threshold}
    return {name: value for name, value in given.items() if value is not None}
