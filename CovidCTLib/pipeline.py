"""The way of a CT through CovidCT: scan, lungs, opacities, slices, measures, analysis.

`analyze` finds everything by the networks; `measure` takes what a segmentation gives, and lets the networks find the
rest. Both go through the same stages (`CovidCTLib.stages`). Nothing here touches the disk but the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.analysis import (
    Analysis,
    CancelCheck,
    ProgressCallback,
    SliceFinding,
)
from CovidCTLib.errors import InputError, Notice, OptionsError
from CovidCTLib.geometry import Geometry
from CovidCTLib.options import Options
from CovidCTLib.provenance import kept_notices, provenance_notices, provenance_of
from CovidCTLib.scan import Scan
from CovidCTLib.segments.given import GivenLabels, GivenSegment, Segmentation
from CovidCTLib.segments.laying import lay_on
from CovidCTLib.segments.structures import UNSIDED
from CovidCTLib.stages import (
    NO_KINDS,
    SliceReading,
    complete,
    find_chest,
    find_opacities,
    judge_slices,
    look_at_lungs,
    settle,
    tell_sides,
)
from CovidCTLib.units import MM3_PER_ML
from CovidCTLib.work import Work, begin

if TYPE_CHECKING:
    from CovidCTLib.models.store import ModelStore


def analyze(
    scan: Scan | sitk.Image | NDArray[Any],
    options: Options | None = None,
    *,
    geometry: Geometry | None = None,
    models: ModelStore | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelCheck | None = None,
) -> Analysis:
    """Analyze a chest CT.

    Parameters
    ----------
    scan
        A scan, or a 3D SimpleITK image or array ``(z, y, x)`` in HU, on any grid.
    options
        How; None takes the defaults.
    geometry
        Grid of an array; scans and images bring their own.
    models
        Networks to use; None loads the shipped ones. Keep one store for many scans, so that they load once.
    progress
        Called with `Progress` several times a second at most as often as batches are done.
    cancelled
        Asked between batches; where it gives true the analysis ends with `CancelledError`.

    Returns
    -------
    Analysis
        Arrays on the scan's own grid, measures, slices, decision, notices.

    Raises
    ------
    InputError
        If the image is no CT volume.
    QualityError
        If no lungs are in view.
    ModelError
        If weights are missing or damaged.
    OptionsError
        If the device does not exist.
    CancelledError
        If the caller asked to stop.
    """
    work = begin(scan, options, geometry, models, progress, cancelled)
    # A device that does not exist is refused before the long work.
    work.load_models()
    with work.threads():
        with work.run.stage("lungs") as tell:
            lungs, effusion = find_chest(work, tell)
            look_at_lungs(work, lungs)
        with work.run.stage("opacities") as tell:
            opacities = find_opacities(work, lungs, tell)
            lungs, opacities = settle(lungs, opacities, effusion)
        with work.run.stage("slices") as tell:
            reading = judge_slices(work, lungs, tell)
        with work.run.stage("measures"):
            return complete(work, lungs, opacities, effusion is not None, reading)


def measure(
    scan: Scan | sitk.Image | NDArray[Any],
    labels: Segmentation | GivenLabels | Mapping[str, NDArray[Any]],
    options: Options | None = None,
    *,
    geometry: Geometry | None = None,
    areas: Collection[str] = (),
    before: Analysis | None = None,
    corrected: Collection[str] | None = None,
    models: ModelStore | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelCheck | None = None,
) -> Analysis:
    """Measure a chest CT with a segmentation that was corrected by hand, or that another program made.

    Parameters
    ----------
    scan, options, geometry, models, progress, cancelled
        As for `analyze`.
    labels
        The segmentation, as `CovidCTLib.segments.read_segmentation` reads it; what was made of it on the grid of the
        CT; or masks of the shape of the CT by the names of structures (``{"right_lung": mask, ...}``).
    areas
        Names of segments that are regions of interest, as `CovidCTLib.segments.lay_on` takes them.
    before
        An analysis of the same CT: the slice classifier does not run again, its answers are those of before, and
        options that are not given are those of before. Without it the classifier judges the slices with these lungs.
    corrected
        Which of ``"lungs"``, ``"opacities"`` and ``"effusion"`` were changed by hand after the analysis before; None
        compares the voxels.

    Returns
    -------
    Analysis
        Of the same form as by `analyze`, with `Analysis.provenance`. Lungs that are not given are found by the
        networks, and opacities that are not given by the network inside the given lungs.

    Raises
    ------
    InputError
        As `analyze` and `CovidCTLib.segments.lay_on`; or if the analysis before is of another grid.
    OptionsError
        As `analyze`; or if an option asks the slice classifier for what only running again could give.
    QualityError, ModelError, CancelledError
        As `analyze`.
    """
    work = begin(scan, _options_after(options, before), geometry, models, progress, cancelled, checked=before is None)
    given = labels if isinstance(labels, GivenLabels) else lay_on(_as_segmentation(labels, work.scan), work.scan, areas)
    _check_shapes(given, work.scan.geometry)
    if before is not None:
        _check_before(before, work)
        work.notices[:] = kept_notices(work.notices, before.notices)
        work.used += before.models
    work.notices += given.notices
    with work.threads(loads_torch=given.lungs is None or given.opacities is None or before is None):
        with work.run.stage("lungs") as tell:
            lungs, effusion = _chest_of(given, work, tell)
            look_at_lungs(work, lungs, given=given.lungs is not None)
        effusion_known = effusion is not None or (before is not None and before.axial.effusion_known)
        with work.run.stage("opacities") as tell:
            opacities = _opacities_of(given, work, lungs, tell)
            unsettled = lungs
            lungs, opacities = settle(lungs, opacities, effusion)
            if given.opacities is not None:
                work.notices += _opacity_notices(work, unsettled, lungs, opacities)
        with work.run.stage("slices") as tell:
            reading = judge_slices(work, lungs, tell) if before is None else _reading_of(before, work, lungs)
        provenance = provenance_of(given, before, corrected, effusion_known)
        work.notices[:0] = provenance_notices(provenance)
        lobes = None if given.lobes is None else work.grid.take(given.lobes, 0, labels=True)
        named = {name: _taken(work, mask) for name, mask in given.areas.items()}
        with work.run.stage("measures"):
            analysis = complete(work, lungs, opacities, effusion_known, reading, provenance, lobes, named)
    return _with_given_voxels(analysis, given) if work.grid.resamples else analysis


NO_KINDS_GIVEN = replace(
    NO_KINDS,
    text="The segmentation does not tell ground-glass opacity from consolidation: all opacity is counted as "
    "ground-glass opacity, so look at the sum only.",
)


def _chest_of(
    given: GivenLabels, work: Work, tell: Callable[[float], None]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Take lungs and effusion that were given; the networks find lungs that were not, and effusion with them."""
    effusion: NDArray[np.bool_] | None = None
    if given.lungs is None:
        lungs, effusion = find_chest(work, tell)
    else:
        lungs = _sided(work, work.grid.take(given.lungs, 0, labels=True))
    return lungs, effusion if given.effusion is None else _taken(work, given.effusion)


def _opacities_of(
    given: GivenLabels, work: Work, lungs: NDArray[np.uint8], tell: Callable[[float], None]
) -> NDArray[np.uint8]:
    """Take opacities that were given; where they were not, the network finds them, inside lungs that were given."""
    if given.opacities is None:
        return find_opacities(work, lungs, tell, inside=given.lungs is not None)
    if not given.kinds_parted:
        work.notices.append(NO_KINDS_GIVEN)
    return work.grid.take(given.opacities, 0, labels=True).copy()


def _as_segmentation(labels: Segmentation | Mapping[str, NDArray[Any]], scan: Scan) -> Segmentation:
    """Make a segmentation of masks on the grid of the CT."""
    if isinstance(labels, Segmentation):
        return labels
    shape = scan.geometry.shape_zyx
    for mask in labels.values():
        if mask.shape != shape:
            raise InputError(
                f"Masks of the CT's shape {shape} (z, y, x) were expected, but one has {mask.shape}. Give masks on the "
                "grid of the CT, or a segmentation with its own."
            )
    segments = [
        GivenSegment(name, lambda mask=mask: (np.asarray(mask) != 0, scan.geometry))  # type: ignore[misc]
        for name, mask in labels.items()
    ]
    return Segmentation(tuple(segments), "masks")


def _check_shapes(given: GivenLabels, grid: Geometry) -> None:
    arrays = [given.lungs, given.opacities, given.effusion, given.lobes, *given.areas.values()]
    for array in arrays:
        if array is not None and array.shape != grid.shape_zyx:
            raise InputError(
                f"Labels on the grid of the CT, {grid.shape_zyx} voxels (z, y, x), were expected, but one array has "
                f"{array.shape}. Lay them on this CT first."
            )


def _check_before(before: Analysis, work: Work) -> None:
    earlier, grid = before.scan.geometry, work.scan.geometry
    if earlier.shape_zyx != grid.shape_zyx or not earlier.lies_on(grid.ijk_to_lps):
        raise InputError(
            f"An analysis of this CT, on its grid of {grid.shape_zyx} voxels (z, y, x), was expected, but the one "
            f"before has {earlier.shape_zyx}, or lies elsewhere. Give the results of this CT."
        )


def _options_after(options: Options | None, before: Analysis | None) -> Options | None:
    """The options, where there is an analysis before: limits may change, what the classifier was asked may not."""
    if before is None or options is None:
        return options if before is None else before.options
    asked = {
        name: getattr(options, name)
        for name in ("slice_threshold", "case_threshold", "localization_threshold", "localization_sigma_mm")
    }
    usual = Options()
    for name, value in asked.items():
        if value not in (None, getattr(usual, name), getattr(before.options, name)):
            raise OptionsError(
                f"The slice classifier does not run again where its earlier answers are taken, so {name} must be that "
                f"of the analysis before ({getattr(before.options, name):g}), not {value:g}. Leave it out, or measure "
                "without the earlier results."
            )
    return replace(
        before.options,
        high_opacity_hu=options.high_opacity_hu,
        vessel_hu=options.vessel_hu,
        aeration_bands=options.aeration_bands,
        device=options.device,
        threads=options.threads,
    )


def _taken(work: Work, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bring a mask to the canonical grid."""
    return np.asarray(work.grid.take(mask.view(np.uint8), 0, labels=True)).view(np.bool_)


def _sided(work: Work, lungs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tell right from left where a mask holds both lungs; what was given with its side keeps it."""
    both = lungs == UNSIDED
    if not both.any():
        return lungs
    sides = tell_sides(work, lungs > 0)
    return np.where(both, sides, lungs)


def _opacity_notices(
    work: Work, given: NDArray[np.uint8], lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]
) -> list[Notice]:
    """Say how much given opacity lies outside of the given lungs."""
    voxel_ml = work.grid.geometry.voxel_volume_mm3 / MM3_PER_ML
    beyond = lost = 0
    for before, after, opacity in zip(given, lungs, opacities, strict=True):
        beyond += int(np.count_nonzero((before == 0) & (after > 0)))
        lost += int(np.count_nonzero((after == 0) & ((opacity == 1) | (opacity == 2))))
    notices = []
    if beyond:
        text = f"{beyond * voxel_ml:.1f} ml of opacity lay outside of the lungs; it was counted as lung of its side."
        notices.append(Notice("opacity-beyond-lungs", text, "note", round(beyond * voxel_ml, 2), None, "ml"))
    if lost:
        text = f"{lost * voxel_ml:.1f} ml of opacity lie in slices without lung and were not counted."
        notices.append(Notice("opacity-outside-lungs", text, "warn", round(lost * voxel_ml, 2), None, "ml"))
    return notices


def _reading_of(before: Analysis, work: Work, lungs: NDArray[np.uint8]) -> SliceReading:
    """What the slice classifier said before; where it looked counts inside the lungs of now."""
    findings = tuple(SliceFinding(row.probability, row.positive) for row in before.slices)
    heat = before.axial.localization
    if not work.grid.resamples:
        heat = work.grid.take(before.localization, 0)
    return SliceReading(findings, before.case, np.where(lungs > 0, heat, np.float32(0)))


def settled_labels(scan: Scan, given: GivenLabels) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give lungs and opacities on the CT's own grid as `measure` counts them, where both are given.

    Parameters
    ----------
    scan
        The CT.
    given
        Labels on its grid; what is None is empty.
    """
    work = begin(scan, None, None, None, None, None, checked=False)
    none = np.zeros(scan.geometry.shape_zyx, np.uint8)
    lungs = _sided(work, work.grid.take(none if given.lungs is None else given.lungs, 0, labels=True))
    opacities = work.grid.take(none if given.opacities is None else given.opacities, 0, labels=True).copy()
    effusion = None if given.effusion is None else _taken(work, given.effusion)
    lungs, opacities = settle(lungs, opacities, effusion)
    return work.grid.give_back(lungs), work.grid.give_back(opacities)


def _with_given_voxels(analysis: Analysis, given: GivenLabels) -> Analysis:
    """Keep what was given voxel by voxel where the canonical grid is another one, so that nothing wears off."""
    lungs, opacities = analysis.lungs, analysis.opacities
    if given.opacities is not None:
        opacities = given.opacities.copy()
        if given.effusion is not None:
            opacities[given.effusion] = 3
    if given.lungs is not None:
        sided = (given.lungs > 0) & (given.lungs != UNSIDED)
        kept = np.where(sided, given.lungs, np.where((given.lungs > 0) | (opacities > 0), lungs, np.uint8(0)))
        lungs = np.where(opacities == 3, np.uint8(0), kept)
    return replace(
        analysis,
        lungs=lungs,
        opacities=opacities,
        lobes=analysis.lobes if given.lobes is None else given.lobes,
        areas={**analysis.areas, **given.areas},
    )
