"""A page as a PDF on sheets of A4, made by PlutoPrint without a browser and without a network."""

from __future__ import annotations

import io
import os
from pathlib import Path

from CovidCTLib.errors import CovidCTError, OutputError
from CovidCTLib.report.file import write_file

_NO_PLACE = "about:blank"
"""Address of a page that lies nowhere."""


def check_pdf_possible() -> None:
    """Check, before any work, that PDFs can be made on this computer.

    Raises
    ------
    CovidCTError
        If the package ``plutoprint`` is missing or cannot be loaded.
    """
    try:
        import plutoprint  # noqa: F401
    except ImportError as error:
        raise CovidCTError(
            "A PDF needs the package PlutoPrint, which is not there or does not load on this computer. Install it, "
            "or open the page in a browser and print it to a PDF.",
            hint="'pip install \"covidct[pdf]\"' installs it.",
        ) from error


def pdf_of(page: str) -> bytes:
    """Lay a page out for paper.

    Parameters
    ----------
    page
        HTML as `CovidCTLib.report.page.render_page` makes it; its style says size (A4), margins and page breaks.

    Returns
    -------
    bytes
        The PDF. Nothing outside the page is read: whatever it might name, addresses and files are refused.

    Raises
    ------
    CovidCTError
        As `check_pdf_possible`.
    OutputError
        If the page cannot be laid out.
    """
    check_pdf_possible()
    import plutoprint

    class Nothing(plutoprint.ResourceFetcher):
        """Refuses whatever does not lie in the page itself."""

        def fetch_url(self, url: str) -> plutoprint.ResourceData:
            """Give an empty resource."""
            return plutoprint.ResourceData(b"", "text/plain")

    book = plutoprint.Book(plutoprint.PAGE_SIZE_A4)
    book.custom_resource_fetcher = Nothing()
    stream = io.BytesIO()
    try:
        # Links inside the page need an address to be resolved against, or each of them is complained of.
        book.load_html(page, base_url=_NO_PLACE)
        book.write_to_pdf_stream(stream)
    except (plutoprint.Error, MemoryError) as error:
        raise OutputError(
            "The page could not be laid out as a PDF. Open it in a browser, and print it to a PDF there."
        ) from error
    return stream.getvalue()


def write_pdf(page: str, path: str | os.PathLike[str]) -> None:
    """Write a page as a PDF file, whole or not at all.

    Parameters
    ----------
    page
        As in `pdf_of`.
    path
        Where the file is to be; one that is there is replaced. Its folder must exist.

    Raises
    ------
    CovidCTError
        As `pdf_of`; and if the file cannot be written.
    """
    write_file(pdf_of(page), Path(path))
