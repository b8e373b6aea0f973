"""The way of a CT through CovidCT: scan, lungs, opacities, slices, measures, analysis.

Nothing here touches the disk but the weights.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

import CovidCTLib
from CovidCTLib.analysis import (
    Analysis,
    AxialArrays,
    CancelCheck,
    Measurement,
    ModelUsed,
    Progress,
    ProgressCallback,
    Stage,
)
from CovidCTLib.checks import check_agreement, check_lungs, check_scan
from CovidCTLib.errors import CancelledError, InputError, Notice
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import OPACITY_EFFUSION
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan, ScanFacts

if TYPE_CHECKING:
    from CovidCTLib.models.store import ModelStore

_SHARES: dict[Stage, tuple[float, float]] = {
    "lungs": (0.05, 0.35),
    "opacities": (0.35, 0.55),
    "slices": (0.55, 0.75),
    "measures": (0.75, 0.85),
}
"""Start and end of each stage on the bar of the whole way; reading comes before, writing and report after."""

_SEVERITY_ORDER = {"refuse": 0, "warn": 1, "note": 2}

NO_EFFUSION = Notice(
    "no-pleural-effusion",
    "Pleural effusion is not looked for: the networks were not trained on any labelled effusion.",
    "note",
)

NO_KINDS = Notice(
    "no-opacity-kinds",
    "The own opacity network does not tell ground-glass opacity from consolidation: all opacity is counted as "
    "ground-glass opacity, so look at the sum only.",
)


class _Run:
    """Clock, progress and cancel check of one analysis."""

    def __init__(self, progress: ProgressCallback | None, cancelled: CancelCheck | None) -> None:
        self.progress = progress
        self.cancelled = cancelled
        self.seconds: dict[str, float] = {}

    def check(self) -> None:
        """Stop if the caller asked to."""
        if self.cancelled is not None and self.cancelled():
            raise CancelledError("The analysis was cancelled; nothing was changed.")

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Callable[[float], None]]:
        """Time a stage; gives a function that takes the share of the stage that is done."""
        start, end = _SHARES[stage]

        def tell(share: float) -> None:
            self.check()
            if self.progress is not None:
                self.progress(Progress(stage, start + (end - start) * min(max(share, 0.0), 1.0)))

        begun = time.monotonic()
        tell(0.0)
        yield tell
        tell(1.0)
        self.seconds[stage] = time.monotonic() - begun


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
    import torch

    from CovidCTLib.lungs.sides import extend_sides
    from CovidCTLib.measures import measure_regions, measure_slices
    from CovidCTLib.models.device import usable_threads
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.opacities.network import segment_opacities
    from CovidCTLib.slices.classifier import classify_slices, decide_case
    from CovidCTLib.slices.localization import localize

    options = options if options is not None else Options()
    scan = _as_scan(scan, geometry)
    models = models if models is not None else ModelStore(device=options.device)
    run = _Run(progress, cancelled)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(usable_threads(options.threads))
    try:
        grid = CanonicalGrid(scan.geometry)
        hu = grid.take(scan.hu, LOWEST_HU)
        spacing = grid.geometry.spacing_zyx_mm
        notices = [*scan.notices, *check_scan(hu, grid, scan.facts.spacing_known, scan.facts.slice_thickness_mm)]
        used: list[ModelUsed] = []

        with run.stage("lungs") as tell:
            lungs, effusion, lung_notices = _find_chest(hu, spacing, options, models, used, run, tell)
            notices += [*lung_notices, *check_lungs(lungs, spacing, scan.facts.spacing_known, hu)]
        with run.stage("opacities") as tell:
            network = models.opacities()
            used.append(network.used)
            if not network.card.tells_kinds:
                notices.append(NO_KINDS)
            opacities = segment_opacities(hu, lungs, spacing, network, tell)
            if effusion is not None:
                opacities[effusion] = 0
            # The lung network misses opacity at the pleura; an opacity belongs to the lung that it sits in.
            lungs = extend_sides(lungs, opacities > 0)
            if effusion is not None:
                # Fluid beside the lungs is neither lung nor opacity.
                lungs[effusion] = 0
                opacities[effusion] = OPACITY_EFFUSION
        with run.stage("slices") as tell:
            network = models.slices()
            used.append(network.used)
            thresholds = {**network.card.thresholds, **_given_thresholds(options)}
            findings = classify_slices(
                hu, lungs, spacing, network, thresholds["slice"], lambda share: tell(share * 0.5)
            )
            case = decide_case(findings, thresholds["slice"], thresholds["case"], network.card.cases_judged)
            localization = localize(
                hu,
                lungs,
                spacing,
                findings,
                network,
                options.localization_threshold,
                options.localization_sigma_mm,
                lambda share: tell(0.5 + share * 0.5),
            )
        with run.stage("measures"):
            spacing_known = scan.facts.spacing_known
            axial = AxialArrays(hu, lungs, opacities, localization, grid.geometry, spacing_known, effusion is not None)
            measures = measure_regions(axial, options)
            slices = measure_slices(axial, findings, options)
            notices += [*check_agreement(case, _opacity_percent(measures), measures), *_own_models(used)]
            if effusion is None:
                notices.append(NO_EFFUSION)
            back = [grid.give_back(array) for array in (lungs, opacities)]
            own_localization = grid.give_back(localization, labels=False)
            # Interpolation of a resampled scan reaches a little beyond the lungs.
            own_localization[back[0] == 0] = 0
    finally:
        torch.set_num_threads(threads_before)
    return Analysis(
        scan=scan,
        lungs=back[0],
        opacities=back[1],
        localization=own_localization,
        axial=axial,
        measures=measures,
        slices=slices,
        case=case,
        notices=tuple(sorted(notices, key=lambda notice: _SEVERITY_ORDER[notice.severity])),
        options=replace(options, slice_threshold=thresholds["slice"], case_threshold=thresholds["case"]),
        models=tuple(used),
        seconds=run.seconds,
        versions=_versions(),
    )


def _as_scan(scan: Scan | sitk.Image | NDArray[Any], geometry: Geometry | None) -> Scan:
    """Make a scan of what the caller has, and refuse what cannot be HU."""
    from CovidCTLib.reading.fill import without_fill
    from CovidCTLib.reading.header_grid import SPACING_ASSUMED, is_default_grid
    from CovidCTLib.reading.plausibility import check_hu

    if isinstance(scan, np.ndarray):
        if geometry is None:
            raise InputError(
                "An array needs its grid, as volumes depend on the voxel size. Give geometry=Geometry(shape, spacing)."
            )
        scan = Scan.from_array(scan, geometry)
    elif isinstance(scan, sitk.Image):
        scan = Scan.from_image(scan)
        if is_default_grid(scan.geometry.spacing_xyz_mm, scan.geometry.origin_lps_mm):
            facts = replace(scan.facts, spacing_known=False)
            scan = replace(scan, facts=facts, notices=(*scan.notices, SPACING_ASSUMED))
    elif not isinstance(scan, Scan):
        raise InputError(
            f"A scan, a SimpleITK image or a NumPy array was expected, but a value of type {type(scan).__name__} was "
            "given. Read files with read_scan(path), and give an array with its geometry."
        )
    if scan.facts.source_format == ScanFacts().source_format:
        # Files were looked at when they were read.
        check_hu(scan.hu)
        scan = without_fill(scan)
    return scan


def _find_chest(
    hu: NDArray[np.int16],
    spacing_zyx_mm: tuple[float, float, float],
    options: Options,
    models: ModelStore,
    used: list[ModelUsed],
    run: _Run,
    tell: Callable[[float], None],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None, tuple[Notice, ...]]:
    """Find the lungs by the engine of the options, right and left told apart, and pleural effusion by the network."""
    from CovidCTLib.lungs.contour import segment_lungs_by_contours
    from CovidCTLib.lungs.network import segment_chest_by_network
    from CovidCTLib.lungs.sides import find_body_midline, split_sides

    notices: tuple[Notice, ...] = ()
    effusion = None
    if options.lungs == "contour":
        mask, notices = segment_lungs_by_contours(hu, spacing_zyx_mm, cancelled=run.cancelled, progress=tell)
    else:
        network = models.lungs()
        used.append(network.used)
        masks = segment_chest_by_network(hu, spacing_zyx_mm, network, tell)
        mask, effusion = masks.lungs, masks.effusion
    run.check()
    midline = find_body_midline(hu, spacing_zyx_mm[2])
    return split_sides(mask, spacing_zyx_mm, body_midline_x=midline), effusion, notices


def _own_models(used: Sequence[ModelUsed]) -> list[Notice]:
    """Say which networks were a user's own."""
    return [
        Notice(
            "own-model",
            f"An own model was used for the {model.role} ({model.name} {model.version}), so the accuracy that CovidCT "
            "states does not hold here.",
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


def _versions() -> dict[str, str]:
    """Versions of what computed."""
    versions = {"covidct": CovidCTLib.__version__, "python": platform.python_version()}
    for package in ("numpy", "SimpleITK", "torch", "monai", "scikit-image", "pydicom"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            # A package that was put in place by hand, as some Slicer builds do.
            versions[package] = "not known"
    return versions
