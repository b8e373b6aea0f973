"""The page of a cohort: its summary in the reports' look, everything inside it, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from PIL import Image

from CovidCTLib.cohort.representative import VESSEL_COLOUR
from CovidCTLib.cohort.rows import (
    PICTURE_FILE,
    STATUSES,
    SUMMARY_TABLE_CSV,
    SUMMARY_TABLE_PARQUET,
    CohortRow,
    scan_folder,
)
from CovidCTLib.cohort.summary_classifier import classifier_part
from CovidCTLib.cohort.summary_numbers import (
    IQR_FACTOR,
    MAD_FACTOR,
    MIN_REFERENCE,
    NO_CLASS,
    ROBUST_Z_LIMIT,
    Outlier,
    class_of,
    count_classes,
    count_flags,
    distributions,
    gather_failures,
    measured,
    values_of,
)
from CovidCTLib.cohort.summary_plots import Drawing, draw_class_counts, draw_distributions, draw_histograms
from CovidCTLib.errors import Notice
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS
from CovidCTLib.measures.definitions import (
    POPULATION_SOURCE,
    MeasureDefinition,
    definitions_for,
    slice_definitions_for,
)
from CovidCTLib.options import Options
from CovidCTLib.report.content import format_number
from CovidCTLib.report.embedded import Picture, embed_image
from CovidCTLib.report.page import render_page
from CovidCTLib.units import pretty_unit

OUTLIER_PICTURES = 12
"""Most outliers that are shown as pictures: three rows of four."""

OUTLIER_LINES = 60
"""Most lines of the table of outliers; the table in the files names them all."""

LABELS: Mapping[str, tuple[str, str]] = {
    "vessel_ratio_percent": ("vessel ratio", "%"),
    "lung_area_mm2": ("lung area of the representative slice", "mm2"),
    "lung_volume_ml": ("lung volume", "ml"),
    "opacity_percent": ("percentage of opacity", "%"),
    "corona_score_cm3": ("Corona Score", "cm3"),
    "severity_0_24": ("severity score, 0 to 24", ""),
    "positive_fraction": ("share of positive slices, 0 to 1", ""),
}
"""Label and unit of the columns that are shown."""

_CLASS_COLUMNS = ("class", "scans", "patients", *STATUSES)
_DISTRIBUTION_COLUMNS = ("measure", "class", "scans", "smallest", "quartile 1", "median", "quartile 3", "largest")
_OUTLIER_COLUMNS = (
    "scan",
    "class",
    "measure",
    "value",
    "median",
    "robust z",
    "held against",
    "rules",
)
_BYTES_PER_GB = 1e9
_SECONDS_PER_HOUR = 3600


def draw_pictures(rows: Sequence[CohortRow]) -> tuple[Drawing, ...]:
    """Draw class counts, the histogram of vessel ratios, and the distributions that there are values for."""
    drawn: list[Drawing | None] = [draw_class_counts(count_classes(rows))]
    drawn.append(draw_histograms(rows, "vessel_ratio_percent", _axis("vessel_ratio_percent"), "vessel_ratio.png"))
    for measure, file in (("corona_score_cm3", "corona_score.png"), ("opacity_percent", "opacity_percent.png")):
        drawn.append(draw_distributions(rows, measure, _axis(measure), file))
    return tuple(drawing for drawing in drawn if drawing is not None)


def render_summary(
    out: Path, rows: Sequence[CohortRow], outliers: Sequence[Outlier], drawings: Sequence[Drawing], vessel_hu: float
) -> str:
    """Write the summary as HTML.

    Parameters
    ----------
    out
        Output folder of the cohort; pictures of outliers are taken from it.
    rows, outliers, drawings
        What to show; the first drawing is that of the classes.
    vessel_hu
        Lower limit of vessels, in HU, for the definition.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.
    """
    pictures = _outlier_pictures(out, outliers)
    whole = any(row.measures == "all" for row in rows)
    return render_page(
        "cohort.html.j2",
        title=f"Cohort of {len(rows):,} scans",
        folder=Path(__file__).parent / "templates",
        models=_models(rows),
        notices=_notices(rows),
        cards=_cards(rows),
        class_picture=drawings[0].picture,
        class_columns=_CLASS_COLUMNS,
        class_rows=[
            (entry.class_name, f"{entry.scans:,}", f"{entry.patients:,}" if entry.patients else "–",
             *(f"{entry.by_status[name]:,}" for name in STATUSES))
            for entry in count_classes(rows)
        ],
        pictures=[drawing.picture for drawing in drawings[1:]],
        distribution_columns=_DISTRIBUTION_COLUMNS,
        distribution_rows=_distribution_rows(rows),
        outlier_words=_outlier_words(rows, outliers),
        outlier_pictures=pictures,
        outlier_columns=_OUTLIER_COLUMNS,
        outlier_rows=[_outlier_row(outlier) for outlier in outliers[:OUTLIER_LINES]],
        lung_labels=LUNG_LABELS,
        opacity_labels=OPACITY_LABELS[:2] if whole else (),
        vessel_colour=VESSEL_COLOUR if any(row.measures == "fast" for row in rows) else None,
        flag_rows=[
            (code, f"{count:,}", format_number(100 * count / len(measured(rows)))) for code, count in count_flags(rows)
        ],
        failures=gather_failures(rows),
        classifier=classifier_part(out),
        facts=_facts(rows),
        files=[(drawing.file, drawing.picture.title) for drawing in drawings]
        + [(SUMMARY_TABLE_CSV, "all rows, for spreadsheets"), (SUMMARY_TABLE_PARQUET, "all rows, for pandas and R")],
        definitions=_definitions(rows, vessel_hu),
    )  # fmt: skip


def _axis(measure: str) -> str:
    """Name and unit of a measure for an axis."""
    label, unit = LABELS[measure]
    return f"{label} ({pretty_unit(unit)})" if unit else label


def _notices(rows: Sequence[CohortRow]) -> list[Notice]:
    """What a reader must know before the numbers."""
    notices = [
        Notice("rows-so-far", "The page shows the scans that were finished when it was made. While a run goes on, "
               "'covidct cohort summary' makes it anew.", "note"),
    ]  # fmt: skip
    failed = len(rows) - len(measured(rows))
    if failed:
        text = (
            f"{failed:,} of {len(rows):,} scans failed and are in no distribution; if they failed for what they show, "
            "the rest is a selection."
        )
        notices.insert(0, Notice("failed-scans", text, "warn", 100 * failed / len(rows), None, "%"))
    if len({row.measures for row in measured(rows)}) > 1:
        text = "Some scans have all measures and others the fast ones: lungs were found in two ways."
        notices.insert(0, Notice("mixed-measures", text, "warn"))
    if any(row.measures == "fast" for row in rows):
        text = (
            "Lungs were found by contours of air, which miss consolidation at the pleura; the vessel ratio counts "
            "vessels, lesions and a dome of the diaphragm alike."
        )
        notices.append(Notice("contour-lungs", text, "note"))
    return notices


def _cards(rows: Sequence[CohortRow]) -> list[tuple[str, str, str, str]]:
    """Label, number, unit and remark of the key numbers."""
    done = measured(rows)
    patients = len({row.patient for row in rows if row.patient})
    names = [entry.class_name for entry in count_classes(rows) if entry.class_name != NO_CLASS]
    cards = [
        ("scans", f"{len(rows):,}", "", f"{len(done):,} measured, {len(rows) - len(done):,} failed"),
        ("classes", str(len(names)), "", ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")),
    ]
    if patients:
        cards.append(("patients", f"{patients:,}", "", "as the manifest names them"))
    for measure in ("vessel_ratio_percent", "opacity_percent", "corona_score_cm3"):
        values = values_of(rows, measure)
        if values.size:
            label, unit = LABELS[measure]
            low, middle, high = (format_number(float(v)) for v in np.percentile(values, [25, 50, 75]))
            cards.append((f"median {label}", middle, pretty_unit(unit), f"middle half {low} to {high}"))
    return cards


def _distribution_rows(rows: Sequence[CohortRow]) -> list[tuple[str, ...]]:
    return [
        (
            _axis(entry.measure), entry.class_name, f"{entry.count:,}",
            *(format_number(v) for v in (entry.minimum, entry.quartile_1, entry.median, entry.quartile_3,
                                         entry.maximum)),
        )
        for entry in distributions(rows)
    ]  # fmt: skip


def _outlier_row(outlier: Outlier) -> tuple[str, ...]:
    return (
        outlier.row.id, class_of(outlier.row), _axis(outlier.measure), format_number(outlier.value),
        format_number(outlier.median), "–" if outlier.robust_z is None else f"{outlier.robust_z:+.1f}",
        outlier.reference, " and ".join(outlier.rules),
    )  # fmt: skip


def _outlier_words(rows: Sequence[CohortRow], outliers: Sequence[Outlier]) -> str:
    """Say how many outliers there are and how many are shown."""
    if len(measured(rows)) < MIN_REFERENCE:
        return f"Outliers are sought among at least {MIN_REFERENCE} measured scans; there are {len(measured(rows))}."
    if not outliers:
        return "No value lies far from the others."
    scans = len({outlier.row.id for outlier in outliers})
    values, owners = ("value" if len(outliers) == 1 else "values"), ("scan" if scans == 1 else "scans")
    words = f"Outliers by at least one of the two rules: {len(outliers):,} {values} of {scans:,} {owners}."
    if len(outliers) > OUTLIER_LINES:
        words += f" The table shows {OUTLIER_LINES}; the column outlier_in of {SUMMARY_TABLE_CSV} names all."
    return words


def _outlier_pictures(out: Path, outliers: Sequence[Outlier]) -> list[Picture]:
    """Representative slices of the strangest scans, each scan once; what has no picture is left out."""
    shown: dict[str, Picture] = {}
    for outlier in outliers:
        if len(shown) == OUTLIER_PICTURES:
            break
        file = scan_folder(out, outlier.row.id) / PICTURE_FILE
        if outlier.row.id in shown or not file.is_file():
            continue
        name = _axis(outlier.measure)
        words = f"{name} {format_number(outlier.value)}, median of {outlier.reference} {format_number(outlier.median)}"
        try:
            with Image.open(file) as opened:
                picture = opened.convert("RGB")
        except (OSError, ValueError, SyntaxError):
            # A picture that is damaged is no reason to go without the summary.
            continue
        alt = f"Representative slice of scan {outlier.row.id}: {words}."
        shown[outlier.row.id] = embed_image(picture, alt, outlier.row.id, f"{class_of(outlier.row)}. {words}.")
    return list(shown.values())


def _models(rows: Sequence[CohortRow]) -> list[str]:
    """Names and versions of the networks that took part."""
    entries = sorted({entry for row in rows for entry in row.models.split("; ") if entry})
    return list(dict.fromkeys(" ".join(entry.split(" ")[1:3]) for entry in entries))


def _facts(rows: Sequence[CohortRow]) -> list[tuple[str, str]]:
    """Time, size and versions."""
    done = measured(rows)
    seconds = np.array([row.seconds for row in done]) if done else np.zeros(1)
    size_gb = sum(row.bytes for row in rows) / _BYTES_PER_GB
    memory = [row.peak_memory_gb for row in rows if row.peak_memory_gb is not None]
    dates = sorted(row.study_date for row in rows if row.study_date)
    facts = [
        ("made", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("measures", ", ".join(sorted({row.measures for row in rows}))),
        ("scans finished", " to ".join(dict.fromkeys((min(r.finished for r in rows), max(r.finished for r in rows))))),
        ("size of the sources", f"{size_gb:.3g} GB"),
        ("seconds a measured scan", f"median {np.median(seconds):.1f}, largest {seconds.max():.1f}"),
        ("all of them", f"{sum(row.seconds for row in rows) / _SECONDS_PER_HOUR:.2g} process hours"),
        ("largest memory of a process", f"{max(memory):.2g} GB" if memory else "not known"),
        ("versions of CovidCT", ", ".join(sorted({row.version for row in rows if row.version}))),
    ]
    if dates:
        facts.append(("study dates", f"{dates[0]} to {dates[-1]}"))
    return facts + [("network", entry) for entry in sorted({e for r in rows for e in r.models.split("; ") if e})]


def _definitions(rows: Sequence[CohortRow], vessel_hu: float) -> list[MeasureDefinition]:
    """What the measures that are shown mean, and the rules of outliers."""
    options = Options(vessel_hu=vessel_hu)
    # The percentage of opacity has a definition in both: here it is that of the volumes.
    definitions = {**slice_definitions_for(options), **definitions_for(options)}
    names = {"lung_volume_ml": ("volume_ml",), "vessel_ratio_percent": ("vessel_area_mm2", "vessel_ratio_percent")}
    shown = [measure for measure in LABELS if values_of(rows, measure).size]
    listed = [definitions[name] for measure in shown for name in names.get(measure, (measure,)) if name in definitions]
    return [
        MeasureDefinition(
            "representative", "representative slice", "",
            "The axial slice with the largest lung area; lung area, vessel area and vessel ratio are those of this "
            "slice.",
            POPULATION_SOURCE,
        ),
        *listed,
        MeasureDefinition(
            "robust_z", "outlier by robust z", "",
            f"{MAD_FACTOR} times the distance from the median over the median absolute deviation, above "
            f"{ROBUST_Z_LIMIT:g} in size. Values are held against their class, or, where it has under {MIN_REFERENCE} "
            "of them, the cohort.",
            "Iglewicz and Hoaglin 1993, ISBN 978-0-87389-247-6",
        ),
        MeasureDefinition(
            "quartiles", "outlier by quartiles", "",
            f"More than {IQR_FACTOR:g} interquartile ranges under the first or above the third quartile.",
            "Tukey 1977, ISBN 978-0-201-07616-5",
        ),
    ]  # fmt: skip
