"""The report as one HTML file: everything inside it, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from CovidCTLib.analysis import Analysis, SliceMeasures
from CovidCTLib.errors import InputError, OutputError
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.labels import LUNG_LABELS
from CovidCTLib.measures.definitions import absent_columns, definitions_for, slice_definitions_for
from CovidCTLib.report import content
from CovidCTLib.report.canvas import heat_colours
from CovidCTLib.report.chart import MM2_PER_CM2, slice_chart
from CovidCTLib.report.pictures import labels_present, montage, plane_rows, views_3d
from CovidCTLib.report.planes import MONTAGE_GAP_MM, lung_box, opacity_area_mm2, worst_place
from CovidCTLib.report.view3d import LOCALIZATION_COLOUR, LOCALIZATION_LEVEL, SMALLEST_SEEN_MM

DEFAULT_TITLE = "Chest CT report"

RESEARCH_USE = "CovidCT is research software, not a medical device. Every number below says how it was made."
"""Said once, plainly."""

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
    definitions = definitions_for(analysis.options)
    slice_definitions = slice_definitions_for(analysis.options)
    known = analysis.scan.facts.spacing_known
    place = worst_place(analysis)
    box = lung_box(analysis.axial)
    description = _chart_in_words(analysis)
    columns, rows = content.slice_rows(analysis.slices, slice_definitions, absent_columns(known))
    shown = place.z if analysis.slices else None
    return _template().render(
        title=title,
        research_use=RESEARCH_USE,
        identifiers=content.identifier_facts(analysis),
        identified=content.IDENTIFIED,
        notices=content.sorted_notices(analysis.notices),
        notice_numbers=content.notice_numbers,
        severity_words=content.SEVERITY_WORDS,
        case=content.case_number(analysis),
        case_state=_case_state(analysis),
        key_numbers=content.key_numbers(analysis),
        place=place,
        plane_rows=plane_rows(analysis, place, box),
        window=READING_WINDOW,
        lung_labels=LUNG_LABELS,
        opacity_labels=labels_present(analysis),
        heat_gradient=_heat_gradient(),
        montage=montage(analysis, box),
        montage_gap_mm=MONTAGE_GAP_MM,
        views=views_3d(analysis),
        localization_colour=LOCALIZATION_COLOUR,
        localization_level=LOCALIZATION_LEVEL,
        smallest_seen_mm=SMALLEST_SEEN_MM,
        charts=[
            (css, slice_chart(analysis.slices, analysis.case, shown, width, description, known))
            for css, width in (("wide", CHART_WIDE_PX), ("narrow", CHART_NARROW_PX))
            if analysis.slices
        ],
        pivots=content.pivots(analysis, definitions),
        slice_columns=columns,
        slice_rows=rows,
        definition_groups=(
            ("Measures of regions", tuple(definitions.values())),
            ("Columns of the table of slices", tuple(slice_definitions.values())),
        ),
        pretty_unit=content.pretty_unit,
        facts=content.study_facts(analysis),
        options=content.option_facts(analysis),
        models=analysis.models,
        versions=analysis.versions,
        seconds=analysis.seconds,
        format_number=content.format_number,
    )


def write_report(analysis: Analysis, path: str | os.PathLike[str], *, title: str = DEFAULT_TITLE) -> None:
    """Write the report of an analysis to a file, whole or not at all.

    Parameters
    ----------
    analysis
        The result for one scan.
    path
        Where the file is to be; one that is there is replaced. Its folder must exist.
    title
        Heading of the report.

    Raises
    ------
    InputError
        As `render_report`.
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    text = render_report(analysis, title=title)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # The path may hold a patient's name, so the message leaves it out.
        raise OutputError(
            f"A file that can be written was expected for the report, but the system says: {error.strerror}. "
            "Choose an existing folder with space and the right to write."
        ) from error


def _check(analysis: Analysis) -> None:
    axial = analysis.axial
    shape = axial.geometry.shape_zyx
    for name in ("hu", "lungs", "opacities", "localization"):
        found = getattr(axial, name).shape
        if found != shape:
            raise InputError(
                f"The axial array {name!r} must have the shape of its grid, {shape}, not {found}. "
                "Take the arrays of one analysis."
            )
    if len(analysis.slices) not in (0, shape[0]):
        raise InputError(
            f"The report expects measures of all {shape[0]} slices or of none, but got {len(analysis.slices)}. "
            "Take the slices of the same analysis."
        )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _case_state(analysis: Analysis) -> str:
    """Class of the card with the case decision."""
    return {True: "positive", False: "negative", None: "absent"}[analysis.case.positive]


def _heat_gradient() -> str:
    """Stops of a CSS gradient with the colours of the heat map, from 0 to 1."""
    colours = np.rint(heat_colours(np.linspace(0, 1, 9)) * 255).astype(int)
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours)


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

    known = analysis.scan.facts.spacing_known

    def where(entry: SliceMeasures, area_mm2: float) -> str:
        if not known:
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
