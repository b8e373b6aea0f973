"""How the scans of a cohort are measured, and what stands for it in keys and in ``run.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from CovidCTLib import __version__
from CovidCTLib.errors import OptionsError
from CovidCTLib.options import Options

Measures = Literal["all", "fast"]
MEASURES: tuple[Measures, ...] = ("all", "fast")

ANALYZERS: Mapping[Measures, str] = {
    "all": "CovidCTLib.cohort.analyzers:whole_analyzer",
    "fast": "CovidCTLib.cohort.analyzers:fast_analyzer",
}
_WITH_SEGMENTATIONS = "CovidCTLib.cohort.analyzers:given_analyzer"
"""What measures a scan, as ``module:function``; the function takes the settings and gives an `Analyzer`."""

TIMEOUT_S = 3600.0
"""Longest time of one scan in seconds; a whole analysis of 600 slices takes about a tenth of it on one slow core."""

MEMORY_GB: Mapping[Measures, float] = {"all": 4.0, "fast": 2.0}
"""Most resident memory of one process, in 10^9 bytes: about twice what CTs of 300 slices of 512 x 512 took."""

_KEY_DIGITS = 32


@dataclass(frozen=True)
class CohortSettings:
    """How each scan is measured.

    Parameters
    ----------
    measures
        ``"all"``: the whole analysis; ``"fast"``: the population study's (representative slice, contour lungs,
        vessels).
    options
        Of the analysis. ``threads`` counts for each process and is 1 where None, so that the numbers do not depend on
        how many processes share a computer.
    model_folders
        Own networks, as for `CovidCTLib.models.store.ModelStore`.
    images
        Whether segmentation, labelmap and localization are kept.
    report
        Whether each scan gets a ``report.html``.
    timeout_s
        Longest time of a scan, in seconds, exclusive of the time to start its process.
    memory_gb
        Most resident memory of a process, in 10^9 bytes; None takes that of `MEMORY_GB`.
    analyzer
        ``module:function``, as in `ANALYZERS`; empty takes that of the measures.
    segmentations
        Folder with a segmentation of each scan, by its name; None where the networks find everything.
    labels
        Which label of a labelmap is what, by name, for all of them.
    assume_axial, geometry, spacing_zyx_mm
        For every scan, as in `CovidCTLib.reading.read_scan`.

    Raises
    ------
    OptionsError
        If a value is out of its range.
    """

    measures: Measures = "all"
    options: Options = field(default_factory=Options)
    model_folders: tuple[Path, ...] = ()
    images: bool = True
    report: bool = True
    timeout_s: float = TIMEOUT_S
    memory_gb: float | None = None
    analyzer: str = ""
    segmentations: Path | None = None
    labels: tuple[tuple[str, int], ...] = ()
    assume_axial: bool = False
    geometry: Literal["sform", "qform"] | None = None
    spacing_zyx_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.measures not in MEASURES:
            raise OptionsError(
                f"The measures must be one of {', '.join(MEASURES)}, not {self.measures!r}. Choose one of them."
            )
        if self.segmentations is not None and self.measures != "all":
            raise OptionsError(
                f"Segmentations are measured by the whole analysis, but the measures asked for are {self.measures!r}. "
                "Take all measures, or leave the segmentations out."
            )
        if not self.timeout_s > 0:
            raise OptionsError(f"The timeout of a scan must be above 0 seconds, not {self.timeout_s:g}. Correct it.")
        if not self.most_memory_gb > 0:
            raise OptionsError(f"The memory of a process must be above 0 GB, not {self.most_memory_gb:g}. Correct it.")
        if self.spacing_zyx_mm is not None:
            from CovidCTLib.reading.given_grid import check_given_spacing

            check_given_spacing(self.spacing_zyx_mm)

    @property
    def threads(self) -> int:
        """Threads of each process."""
        return self.options.threads or 1

    @property
    def most_memory_gb(self) -> float:
        """Most resident memory of a process, in 10^9 bytes."""
        return MEMORY_GB[self.measures] if self.memory_gb is None else self.memory_gb

    @property
    def analyzer_name(self) -> str:
        """``module:function`` of what measures a scan."""
        usual = ANALYZERS[self.measures] if self.segmentations is None else _WITH_SEGMENTATIONS
        return self.analyzer or usual


def models_of(settings: CohortSettings) -> str:
    """Name the networks that take part: ``role name version sha256``, 12 digits of it, joined by ``"; "``.

    Raises
    ------
    ModelError
        If a network's card is missing or damaged.
    """
    if settings.measures == "fast" or settings.analyzer:
        return ""
    from CovidCTLib.models.registry import all_entries

    unused = {"lungs"} if settings.options.lungs == "contour" else set()
    cards = (entry.card for entry in all_entries(settings.model_folders))
    return "; ".join(
        f"{card.role} {card.name} {card.version} {card.sha256[:12]}" for card in cards if card.role not in unused
    )


def run_record(settings: CohortSettings) -> dict[str, Any]:
    """Put into plain values what decides what a row says: another record, another run.

    Raises
    ------
    ModelError
        If a network's card is missing or damaged.
    """
    options = asdict(replace(settings.options, threads=settings.threads))
    record = {
        "covidct": __version__,
        "measures": settings.measures,
        "options": options,
        "models": models_of(settings),
        "images": settings.images,
        "report": settings.report,
        "analyzer": settings.analyzer_name,
    }
    # Left out where it was not asked for, so that earlier runs can be continued.
    grid = {
        "assume_axial": settings.assume_axial or None,
        "geometry": settings.geometry,
        "spacing_zyx_mm": settings.spacing_zyx_mm,
    }
    record |= {name: value for name, value in grid.items() if value is not None}
    if settings.segmentations is not None:
        from CovidCTLib.cohort.segmentations import digest_of

        record |= {"segmentations": digest_of(settings.segmentations), "labels": dict(settings.labels)}
    # Open ends of bands become words, as JSON knows no infinity.
    plain: dict[str, Any] = json.loads(json.dumps(record), parse_constant=str)
    return plain


def key_of(record: Mapping[str, Any], content_sha256: str) -> str:
    """Make the key of a scan's row of its content and the run's record."""
    text = json.dumps(record, sort_keys=True) + content_sha256
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
