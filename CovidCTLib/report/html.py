"""The report as one HTML file: everything inside it, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

import os

from CovidCTLib.analysis import Analysis, SliceMeasures
from CovidCTLib.errors import InputError
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.labels import LUNG_LABELS
from CovidCTLib.measures.definitions import absent_columns
from CovidCTLib.measures.described import definitions_of, slice_definitions_of
from CovidCTLib.report import content
from CovidCTLib.report.agreement import agreement_table
from CovidCTLib.report.chart import MM2_PER_CM2, slice_chart
from CovidCTLib.report.page import render_page, write_page
from CovidCTLib.report.pictures import labels_present, montage, plane_rows, views_3d
from CovidCTLib.report.planes import MONTAGE_GAP_MM, lung_box, opacity_area_mm2, worst_place
from CovidCTLib.report.view3d import LOCALIZATION_COLOUR, LOCALIZATION_LEVEL, SMALLEST_SEEN_MM

DEFAULT_TITLE = "Chest CT report"

CHART_WIDE_PX = 900
CHART_NARROW_PX = 310
"""Widths of the chart on a desktop and on a phone of 360 px."""


def render_report(analysis: Analysis, *, title: str = DEFAULT_TITLE) -> str:
    """Write the report of an analysis as HTML.

    Parameters
    ----------
    analysis
        The result for one scan. Nothing is computed anew: the report shows its measures and paints its arrays.
    title
        Heading of the report; the caller answers for what it says of the patient.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.

    Raises
    ------
    InputError
        If the arrays in axial orientation do not share the shape of their grid, or the slices are not as many.
    """
    _check(analysis)
    definitions = definitions_of(analysis)
    slice_definitions = slice_definitions_of(analysis)
    spacing_known = analysis.scan.facts.spacing_known
    worst = worst_place(analysis)
    box = lung_box(analysis.axial)
    description = _chart_in_words(analysis)
    columns, rows = content.slice_rows(analysis.slices, slice_definitions, absent_columns(spacing_known))
    shown = worst.z if analysis.slices else None
    return render_page(
        "report.html.j2",
        title=title,
        models=content.model_words(analysis.models),
        identifiers=content.identifier_facts(analysis),
        identified=content.IDENTIFIED,
        notices=content.sorted_notices(analysis.notices),
        case=content.case_number(analysis),
        case_state=_case_state(analysis),
        key_numbers=content.key_numbers(analysis),
        place=worst,
        plane_rows=plane_rows(analysis, worst, box),
        window=READING_WINDOW,
        lung_labels=LUNG_LABELS,
        opacity_labels=labels_present(analysis),
        montage=montage(analysis, box),
        montage_gap_mm=MONTAGE_GAP_MM,
        views=views_3d(analysis),
        localization_colour=LOCALIZATION_COLOUR,
        localization_level=LOCALIZATION_LEVEL,
        smallest_seen_mm=SMALLEST_SEEN_MM,
        charts=[
            (css, slice_chart(analysis.slices, analysis.case, shown, width, description, spacing_known))
            for css, width in (("wide", CHART_WIDE_PX), ("narrow", CHART_NARROW_PX))
            if analysis.slices
        ],
        agreement=agreement_table(analysis),
        pivots=content.pivots(analysis, definitions),
        slice_columns=columns,
        slice_rows=rows,
        definition_groups=(
            ("Measures of regions", tuple(definitions.values())),
            ("Columns of the table of slices", tuple(slice_definitions.values())),
        ),
        facts=content.study_facts(analysis),
        options=content.option_facts(analysis),
        networks=content.network_rows(analysis.models),
        versions=analysis.versions,
        seconds=[(stage, f"{content.format_number(value)} s") for stage, value in analysis.seconds.items()],
    )


def write_report(
    analysis: Analysis,
    path: str | os.PathLike[str],
    *,
    title: str = DEFAULT_TITLE,
    pdf: str | os.PathLike[str] | None = None,
) -> None:
    """Write the report of an analysis to a file, whole or not at all, and as a PDF beside it where that is asked for.

    Parameters
    ----------
    analysis
        The result for one scan.
    path
        Where the file is to be; one that is there is replaced. Its folder must exist.
    title
        Heading of the report.
    pdf
        Where the PDF is to be; None makes none.

    Raises
    ------
    InputError
        As `render_report`.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer (`CovidCTLib.report.pdf.check_pdf_possible`).
    OutputError
        If a file cannot be written.
    """
    page = render_report(analysis, title=title)
    write_page(page, path)
    if pdf is not None:
        # PlutoPrint is there on request only.
        from CovidCTLib.report.pdf import write_pdf

        write_pdf(page, pdf)


def _check(analysis: Analysis) -> None:
    axial = analysis.axial
    shape = axial.geometry.shape_zyx
    for name in ("hu", "lungs", "opacities", "localization"):
        present = getattr(axial, name).shape
        if present != shape:
            raise InputError(
                f"The axial array {name!r} must have the shape of its grid, {shape}, not {present}. "
                "Take the arrays of one analysis."
            )
    if len(analysis.slices) not in (0, shape[0]):
        raise InputError(
            f"The report expects measures of all {shape[0]} slices or of none, but got {len(analysis.slices)}. "
            "Take the slices of the same analysis."
        )


def _case_state(analysis: Analysis) -> str:
    """Class of the card with the case decision."""
    return {True: "positive", False: "negative", None: "absent"}[analysis.case.positive]


def _chart_in_words(analysis: Analysis) -> str:
    """Say with numbers what the chart shows."""
    slices = analysis.slices
    if not slices:
        return ""
    positions = sorted(entry.position_mm for entry in slices)
    lungs = max(slices, key=lambda entry: entry.lung_area_mm2)
    opacity = max(slices, key=opacity_area_mm2)
    looked = max(slices, key=lambda entry: entry.localization_area_mm2)
    seen = [entry for entry in slices if entry.probability is not None]
    extent = f" from S {positions[0]:.1f} to {positions[-1]:.1f} mm" if analysis.scan.facts.spacing_known else ""

    spacing_known = analysis.scan.facts.spacing_known

    def where(entry: SliceMeasures, area_mm2: float) -> str:
        if not spacing_known:
            return f"in slice {entry.index}"
        return f"{area_mm2 / MM2_PER_CM2:.1f} cm² in slice {entry.index}"

    probability = "no slice has a probability"
    if seen:
        top = max(seen, key=lambda entry: entry.probability or 0.0)
        probability = (
            f"the probability is largest in slice {top.index} ({top.probability:.2f}), and "
            f"{sum(entry.positive for entry in seen)} slices reach the threshold {analysis.case.slice_threshold:.2f}"
        )
    return (
        f"Chart of {len(slices)} slices{extent}: {probability}. "
        f"Largest areas: lungs {where(lungs, lungs.lung_area_mm2)}, "
        f"opacity {where(opacity, opacity_area_mm2(opacity))}, "
        f"localization {where(looked, looked.localization_area_mm2)}."
    )
