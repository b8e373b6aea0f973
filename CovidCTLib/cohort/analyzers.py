"""What measures one scan of a cohort: the whole analysis, or the population study's part of it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from CovidCTLib.cohort.settings import CohortSettings
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.analysis import Analysis
    from CovidCTLib.scan import Scan


@dataclass(frozen=True)
class Measured:
    """A scan that was measured.

    Parameters
    ----------
    values
        By the names of the columns of `CovidCTLib.cohort.rows.CohortRow`, from ``lung_volume_ml`` to ``notices``.
    write
        Writes the scan's results into an existing empty folder.
    """

    values: Mapping[str, Any]
    write: Callable[[Path], None]


Analyzer = Callable[[Path], Measured]
"""Measures the scan of a path; raises CovidCTError where it cannot. Lives as long as its process."""


def load_analyzer(settings: CohortSettings) -> Analyzer:
    """Make what measures the scans, with its networks.

    Raises
    ------
    OptionsError
        If there is no such analyzer.
    ModelError
        If a network is missing or damaged.
    """
    module, _, name = settings.analyzer_name.partition(":")
    try:
        make: Callable[[CohortSettings], Analyzer] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionsError(
            f"An analyzer of the form module:function was expected, but {settings.analyzer_name!r} cannot be loaded. "
            "Correct the name, or see that its module is installed."
        ) from error
    return make(settings)


def whole_analyzer(settings: CohortSettings) -> Analyzer:
    """Make the whole analysis, its networks loaded.

    Raises
    ------
    ModelError, OptionsError
        As `CovidCTLib.models.store.ModelStore.network`.
    """
    from dataclasses import replace

    from CovidCTLib.cohort.population import population_measures
    from CovidCTLib.models.card import MODEL_NAMES
    from CovidCTLib.models.store import ModelStore
    from CovidCTLib.pipeline import analyze

    options = replace(settings.options, threads=settings.threads)
    models = ModelStore(settings.model_folders, device=options.device)
    for name in MODEL_NAMES:
        if name != "lungs" or options.lungs == "network":
            models.network(name)

    def measure(path: Path) -> Measured:
        analysis = analyze(_read(path, settings), options, models=models)
        population = population_measures(analysis)
        values = {**_both_lungs(analysis), **population.values()}

        def write(folder: Path) -> None:
            from CovidCTLib.cohort.representative import write_representative

            _write_analysis(analysis, folder, settings)
            write_representative(population.representative, folder)

        return Measured(values, write)

    return measure


def fast_analyzer(settings: CohortSettings) -> Analyzer:
    """Make the population study's measures, which need no network."""
    from CovidCTLib.cohort.population import fast_measures
    from CovidCTLib.cohort.representative import write_representative

    def measure(path: Path) -> Measured:
        measures = fast_measures(_read(path, settings), settings.options)

        def write(folder: Path) -> None:
            write_representative(measures.representative, folder)

        return Measured(measures.values(), write)

    return measure


def _read(path: Path, settings: CohortSettings) -> Scan:
    """Read a scan as the settings say."""
    from CovidCTLib.reading import read_scan

    return read_scan(
        path,
        assume_axial=settings.assume_axial,
        geometry=settings.geometry,
        spacing_zyx_mm=settings.spacing_zyx_mm,
    )


def _both_lungs(analysis: Analysis) -> dict[str, Any]:
    """Measures of both lungs and the case decision; what is undefined or no finite number is None."""
    names = (
        "volume_ml",
        "opacity_volume_ml",
        "opacity_percent",
        "corona_score_cm3",
        "severity_0_24",
        "pleural_effusion_volume_ml",
    )
    by_name = {entry.name: entry.value for entry in analysis.measures if entry.region == "both_lungs"}
    values = {name: by_name.get(name) for name in names}
    numbers = {name: None if value is None or not math.isfinite(value) else value for name, value in values.items()}
    return {
        "lung_volume_ml": numbers.pop("volume_ml"),
        **numbers,
        "positive_fraction": analysis.case.positive_fraction,
        "case_positive": analysis.case.positive,
    }


def _write_analysis(analysis: Analysis, folder: Path, settings: CohortSettings) -> None:
    """Write the results of an analysis into a folder; without images only what is small."""
    from CovidCTLib.results import MEASURES_FILE, RECORD_FILE, REPORT_FILE, SLICES_FILE, write_results
    from CovidCTLib.results.record import write_record
    from CovidCTLib.results.tables import write_measures, write_slices

    if settings.images:
        write_results(analysis, folder, report=settings.report)
        return
    write_record(folder / RECORD_FILE, analysis)
    write_measures(folder / MEASURES_FILE, analysis)
    write_slices(folder / SLICES_FILE, analysis)
    if settings.report:
        from CovidCTLib.report import write_report

        write_report(analysis, folder / REPORT_FILE)
