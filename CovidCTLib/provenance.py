"""Where the labels of an analysis come from, and what a reader must know of that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis, Origin, Provenance, in_a_row
from CovidCTLib.errors import Notice
from CovidCTLib.labels import OPACITY_EFFUSION
from CovidCTLib.segments.given import GivenLabels

RECOMPUTED_CODES = frozenset(
    {
        "no-lungs", "no-right-lung", "no-left-lung", "small-lungs", "large-lungs", "lungs-cut-at-base",
        "lungs-cut-at-apex", "lungs-cut-at-side", "blurred", "contrast-enhanced", "front-back-doubtful",
        "head-feet-doubtful", "readings-disagree", "readings-differ-in-thirds", "no-pleural-effusion", "own-model",
        "no-opacity-kinds",
    }
)  # fmt: skip
"""Notices of an analysis that are found again when its segments are measured again."""

GIVEN_CODES = frozenset(
    {
        "segments-given", "segments-corrected", "segments-edited", "segments-resampled", "segments-outside",
        "segments-overlap", "segments-unknown", "labels-unknown", "given-lungs-dense", "lobes-missing", "lobes-differ",
        "opacity-beyond-lungs", "opacity-outside-lungs", "ct-not-stored", "localization-not-stored",
    }
)  # fmt: skip
"""Notices about a segmentation; another one has its own."""


def kept_notices(of_scan: list[Notice], before: tuple[Notice, ...]) -> list[Notice]:
    """Give what the scan and the analysis before say that still holds, each once."""
    gone = RECOMPUTED_CODES | GIVEN_CODES
    kept = [notice for notice in before if notice.code not in gone]
    said = {(notice.code, notice.text) for notice in kept}
    return [*kept, *(notice for notice in of_scan if (notice.code, notice.text) not in said)]


def provenance_of(
    given: GivenLabels, before: Analysis | None, corrected: Collection[str] | None, effusion_known: bool
) -> Provenance:
    """Tell where everything comes from.

    Parameters
    ----------
    given
        What was given.
    before, corrected
        As for `CovidCTLib.pipeline.measure`.
    effusion_known
        Whether pleural effusion was looked for.
    """
    origins = before.provenance if before is not None else Provenance()

    def origin(part: str, array: NDArray[Any] | None, earlier: NDArray[Any] | None, otherwise: Origin) -> Origin:
        if array is None:
            return otherwise
        if before is None:
            return "given"
        changed = part in corrected if corrected is not None else not np.array_equal(array, earlier)  # type: ignore[arg-type]
        return "corrected" if changed else getattr(origins, part)

    lungs = before.lungs if before is not None else None
    opacities = before.opacities if before is not None else None
    effusion = None
    if before is not None and corrected is None:
        effusion = before.opacities == OPACITY_EFFUSION
        opacities = np.where(effusion, np.uint8(0), before.opacities)
    return Provenance(
        lungs=origin("lungs", given.lungs, lungs, "network"),
        opacities=origin("opacities", given.opacities, opacities, "network"),
        effusion=origin("effusion", given.effusion, effusion, "network" if effusion_known else "none"),
        lobes="none" if given.lobes is None else "given",
        slices="network" if before is None else "before",
        given_as=given.given_as,
        left_out=given.left_out,
    )


def provenance_notices(provenance: Provenance) -> list[Notice]:
    """Say what was given and what was corrected, before any number."""
    named = (
        ("lungs", provenance.lungs), ("opacities", provenance.opacities), ("effusion", provenance.effusion),
        ("lobes", provenance.lobes),
    )  # fmt: skip
    notices = []
    corrected = [name for name, origin in named if origin == "corrected"]
    given = [name for name, origin in named if origin == "given"]
    again = (
        " The slice classifier did not run again: its decision, its probabilities and where it looked are those of the "
        "analysis before."
        if provenance.slices == "before"
        else ""
    )
    if corrected:
        text = (
            f"{in_a_row(corrected).capitalize()} corrected by hand: the volumes and shares are those of the corrected "
        )
        notices.append(Notice("segments-corrected", f"{text}segments.{again}", "warn"))
    if given:
        kind = f" ({provenance.given_as})" if provenance.given_as else ""
        text = f"{in_a_row(given).capitalize()} given by a segmentation{kind}, not found by CovidCT's networks."
        notices.append(Notice("segments-given", f"{text}{'' if corrected else again}", "note"))
    return notices
