"""One scan on its way through the stages: clock, progress, cancel check, grid, notices, networks."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

import CovidCTLib
from CovidCTLib.analysis import (
    CancelCheck,
    ModelUsed,
    Progress,
    ProgressCallback,
    Stage,
)
from CovidCTLib.checks import check_scan
from CovidCTLib.errors import CancelledError, InputError, Notice
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
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


class Run:
    """Clock, progress and cancel check of one analysis."""

    def __init__(self, progress: ProgressCallback | None, cancelled: CancelCheck | None) -> None:
        self.progress = progress
        self.cancelled = cancelled
        self.seconds: dict[str, float] = {}

    def check(self) -> None:
        """Stop if the caller asked to.

        Raises
        ------
        CancelledError
            If so.
        """
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


@dataclass
class Work:
    """One scan on its way: what its stages share. `begin` makes it.

    Parameters
    ----------
    scan, options
        As given.
    store
        Networks; those that come with CovidCT are loaded when the first is asked for.
    run
        Clock, progress and cancel check.
    grid
        The canonical grid.
    hu
        HU on it.
    notices, used
        What a reader must know, and the networks that took part; stages add to them.
    """

    scan: Scan
    options: Options
    store: ModelStore | None
    run: Run
    grid: CanonicalGrid
    hu: NDArray[np.int16]
    notices: list[Notice]
    used: list[ModelUsed]

    @property
    def spacing_zyx_mm(self) -> tuple[float, float, float]:
        """Spacing of the canonical grid in mm."""
        return self.grid.geometry.spacing_zyx_mm

    @property
    def models(self) -> ModelStore:
        """The networks."""
        if self.store is None:
            from CovidCTLib.models.store import ModelStore

            self.store = ModelStore(device=self.options.device)
        return self.store

    def load_models(self) -> None:
        """Make the store of networks, so that a device that is not there is told at once."""
        _ = self.models

    @contextmanager
    def threads(self, *, loads_torch: bool = True) -> Iterator[None]:
        """Let torch use the threads of the options meanwhile; where no network runs, torch is not loaded."""
        if not loads_torch:
            yield
            return
        import torch

        from CovidCTLib.models.device import usable_threads

        before = torch.get_num_threads()
        torch.set_num_threads(usable_threads(self.options.threads))
        try:
            yield
        finally:
            torch.set_num_threads(before)


def begin(
    scan: Scan | sitk.Image | NDArray[Any],
    options: Options | None,
    geometry: Geometry | None,
    models: ModelStore | None,
    progress: ProgressCallback | None,
    cancelled: CancelCheck | None,
    *,
    checked: bool = True,
) -> Work:
    """Bring a scan on its way; the parameters are those of `analyze`, and it raises what that raises.

    With ``checked`` false the scan is not looked at, because that was done before.
    """
    as_scan = _as_scan(scan, geometry)
    asked = options if options is not None else Options()
    grid = CanonicalGrid(as_scan.geometry)
    hu = grid.take(as_scan.hu, LOWEST_HU)
    notices = [*as_scan.notices]
    if checked:
        notices += check_scan(hu, grid, as_scan.facts.spacing_known, as_scan.facts.slice_thickness_mm)
    return Work(as_scan, asked, models, Run(progress, cancelled), grid, hu, notices, [])


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


def versions() -> dict[str, str]:
    """Versions of what computed."""
    names = {"covidct": CovidCTLib.__version__, "python": platform.python_version()}
    for package in ("numpy", "SimpleITK", "torch", "monai", "scikit-image", "pydicom"):
        try:
            names[package] = version(package)
        except PackageNotFoundError:
            # A package that was put in place by hand, as some Slicer builds do.
            names[package] = "not known"
    return names
