"""The page that all reports share: head, header, footer, style and the blocks that templates are made of.

A new kind of page takes three steps.

1. A template beside the code that fills it, in a folder ``templates`` of its package (named in ``package-data`` of
   ``pyproject.toml``)::

       {% extends "page.html.j2" %}
       {% import "macros.html.j2" as m %}
       {% block main %}
       {% call m.section("numbers", "Key numbers") %}
       {% call m.legend("Legend of the slices") %}{{ m.swatch("truth", colour, "outline") }}{{ m.heat() }}{% endcall %}
       <div class="grid three">{% for picture in pictures %}{{ m.figure(picture) }}{% endfor %}</div>
       {{ m.number_table("Volumes", [("day", ""), ("volume", "ml")], rows) }}
       {{ m.definitions(quantities) }}
       {% endcall %}
       {% endblock %}

   Blocks: ``identity`` (under the title; empty), ``main``, ``style`` (CSS of this page only; empty). Sections come in
   the order that readers need: warnings, numbers, pictures, charts, tables and definitions, how it was made. Macros, in
   ``macros.html.j2``: ``section``, ``notices``, ``cards`` and ``card``, ``figure``, ``legend`` with ``swatch``
   (``"fill"``, ``"outline"``, ``"dashed"``, ``"glass"``, ``"line"``) and ``heat``, ``facts_table``, ``number_table``,
   ``definitions``, ``networks``. Classes for grids: ``grid two``, ``three``, ``four``, ``views``, ``curves``; on
   paper: ``keep`` (on one page), ``fresh`` (begins one), ``landscape`` (for the widest tables, in browsers).

2. Pictures by `CovidCTLib.report.embedded`: `embed_image` and `embed_figure` take the words for those who do not see
   them, and refuse to go without. CT is painted by `CovidCTLib.report.canvas.paint`, which marks sides
   and scale.

3. ``write_page(render_page("mine.html.j2", title=..., folder=Path(__file__).parent / "templates", ...), path)``; with
   ``pdf=True`` the page stands on paper, too.

Everything is escaped, a name that the template asks for and nobody gave is an error, and the page's policy forbids
scripts and addresses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from CovidCTLib import __version__
from CovidCTLib.report import content
from CovidCTLib.report.canvas import heat_colours
from CovidCTLib.report.file import write_file
from CovidCTLib.units import pretty_unit

RESEARCH_USE = "CovidCT is research software, not a medical device. Every number below says how it was made."
"""Said once on every page, plainly."""

LICENCES = (
    "The program is under the Apache License 2.0; the networks that come with it are under CC BY-NC-SA 4.0, for "
    "non-commercial use."
)
"""Said in the footer of every page."""

ROWS_KEPT = 30
"""Tables up to so many rows stand on one page of paper; longer ones may go on, under the same headings."""

_TEMPLATES = Path(__file__).parent / "templates"
_HEAT_STEPS = 32


def render_page(
    template: str, *, title: str, folder: Path | None = None, models: Sequence[str] = (), **values: Any
) -> str:
    """Fill a template.

    Parameters
    ----------
    template
        File name; the template extends ``page.html.j2``.
    title
        Heading and title of the page; the caller answers for what it says of a patient.
    folder
        Where the template lies; None for those of this package.
    models
        Names and versions of the networks that took part, for the footer; those on the page proper have their hashes.
    values
        Everything else that the template asks for.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.
    """
    page = _environment(folder).get_template(template)
    return page.render(title=title, made_with=tuple(models), **values)


def write_page(text: str, path: str | os.PathLike[str], *, pdf: bool = False) -> None:
    """Write a page to a file, whole or not at all, and as a PDF beside it where that is asked for.

    Parameters
    ----------
    text
        The page.
    path
        Where the file is to be; one that is there is replaced. Its folder must exist.
    pdf
        Whether the page is laid out for paper, too, in a file of the same name that ends in ``.pdf``.

    Raises
    ------
    OutputError
        If a file cannot be written, or the page cannot be laid out for paper.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer (`CovidCTLib.report.pdf.check_pdf_possible`).
    """
    target = Path(path)
    write_file(text.encode("utf-8"), target)
    if pdf:
        # PlutoPrint is there on request only.
        from CovidCTLib.report.pdf import write_pdf

        write_pdf(text, pdf_beside(target))


def pdf_beside(page: Path) -> Path:
    """Where the PDF of a page lies: beside it, under its name."""
    return page.with_suffix(".pdf")


@lru_cache(maxsize=16)
def _environment(folder: Path | None) -> Environment:
    """Make the templates of a folder, and those that all pages share, findable."""
    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES] if folder is None else [folder, _TEMPLATES], encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Macros see these without being given them.
    environment.globals.update(
        version=__version__,
        licences=LICENCES,
        research_use=RESEARCH_USE,
        heat_steps=_heat_steps(),
        rows_kept=ROWS_KEPT,
        severity_words=content.SEVERITY_WORDS,
        notice_numbers=content.notice_numbers,
        pretty_unit=pretty_unit,
        format_number=content.format_number,
    )
    return environment


def _heat_steps() -> tuple[str, ...]:
    """Colours of the heat map from 0 to 1; not as a CSS gradient, which not every maker of PDF can draw."""
    colours = np.rint(heat_colours(np.linspace(0, 1, _HEAT_STEPS)) * 255).astype(int)
    return tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours)
