"""Pictures as pages hold them: inside the page, with their size and with words for those who cannot see them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from CovidCTLib.errors import InputError
from CovidCTLib.report.canvas import data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG_PT_PER_INCH = 72
"""Resolution of matplotlib's SVG: one point in it is one CSS pixel on the page."""

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Parameters
    ----------
    source
        ``data:`` URI; nothing is ever fetched.
    alt
        What the picture shows, with numbers.
    title, caption
        What stands under it.
    width, height
        In pixels.

    Raises
    ------
    InputError
        If ``alt`` is empty or ``source`` is no ``data:`` URI.
    """

    source: str
    alt: str
    title: str
    caption: str
    width: int
    height: int

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise InputError(
                "A picture needs words that say what it shows, but its 'alt' is empty. Say it with numbers."
            )
        if not self.source.startswith("data:image/"):
            raise InputError(
                "A picture must lie inside its page, as a 'data:image/' URI, but its source is an address. Embed it "
                "with embed_image or embed_figure."
            )


def embed_image(image: Image.Image, alt: str, title: str, caption: str = "", *, lossless: bool = False) -> Picture:
    """Embed a painted picture.

    Parameters
    ----------
    image
        RGB.
    alt, title, caption
        As in `Picture`.
    lossless
        PNG, for drawings with few colours; otherwise JPEG, for CT.

    Raises
    ------
    InputError
        As `Picture`.
    """
    source = _png(image) if lossless else data_uri(image)
    return Picture(source, alt, title, caption, image.width, image.height)


def embed_figure(figure: Figure, alt: str, title: str, caption: str = "") -> Picture:
    """Embed a figure of matplotlib as SVG; the same figure gives the same bytes.

    Parameters
    ----------
    figure
        One inch of it is 72 CSS pixels. Call this under the style under which the figure was made
        (`CovidCTLib.report.chart.chart_style`), because some of its text is made only now.
    alt, title, caption
        As in `Picture`.

    Raises
    ------
    InputError
        As `Picture`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    drawing = buffer.getvalue()
    # What stands before the drawing names the address of a document type, which nobody needs.
    drawing = drawing[drawing.index(b"<svg") :]
    source = "data:image/svg+xml;base64," + base64.b64encode(drawing).decode("ascii")
    width, height = (round(float(inches) * SVG_PT_PER_INCH) for inches in figure.get_size_inches())
    return Picture(source, alt, title, caption, width, height)


def _png(image: Image.Image) -> str:
    """Encode without loss, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
