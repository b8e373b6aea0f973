"""The page that all reports share, and the pictures in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from page_reader import Page
from PIL import Image

from CovidCTLib import __version__
from CovidCTLib.errors import InputError, Notice, OutputError
from CovidCTLib.report.embedded import Picture, embed_figure, embed_image
from CovidCTLib.report.page import ROWS_KEPT, render_page, write_page

TEMPLATE = """{% extends "page.html.j2" %}
{% import "macros.html.j2" as m %}
{% block main %}
{% call m.section("numbers", "Key numbers", paper="keep") %}
{{ m.notices(notices, calm="All calm.") }}
{% call m.cards() %}{{ m.card("Size", "5", "cm³", state="absent") }}{% endcall %}
{% call m.legend("Legend") %}{{ m.swatch("truth", (1, 2, 3), "dashed") }}{{ m.heat() }}{% endcall %}
{{ m.figure(picture, "tile") }}
{{ m.facts_table("Facts", [("kernel", "<B70f>")]) }}
{{ m.number_table("Volumes", [("day", ""), ("volume", "cm3")], rows) }}
{{ m.definitions(quantities) }}
{{ m.networks(networks) }}
{% endcall %}
{% endblock %}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.html.j2").write_text(TEMPLATE, encoding="utf-8")
    return tmp_path


def fill(folder: Path, **changes: object) -> Page:
    values: dict[str, object] = {
        "title": "A & B",
        "models": ["lungs 1", "slices 2"],
        "notices": ["a plain note", Notice("thick", "Thick slices.", "warn", 6.0, 5.0, "mm")],
        "picture": embed_image(Image.new("RGB", (8, 6)), "black, 8 x 6 pixels", "Black"),
        "rows": [("1", "2")],
        "quantities": [type("Q", (), {"label": "volume", "unit": "cm3", "definition": "d", "source": "s"})()],
        "networks": [("lungs 1", "ab" * 32)],
    }
    return Page(render_page("mine.html.j2", folder=folder, **{**values, **changes}))


def test_blocks_of_a_template_outside_the_package_are_laid_out(folder: Path) -> None:
    page = fill(folder)
    assert page.all("title")[0].text == page.all("h1")[0].text == "A & B"
    assert [e.attributes.get("class") for e in page.all("section")] == ["keep"]
    assert "a plain note" in page.text
    assert "found 6 mm, limit 5 mm" in page.text
    assert "<B70f>" in page.text
    assert "volume (cm³)" in page.text
    assert "ab" * 32 in page.text
    assert [e.attributes["class"] for e in page.all("span") if "swatch" in e.attributes.get("class", "")] == [
        "swatch dashed"
    ]
    assert page.all("footer")[0].text.strip().startswith(f"Made by CovidCT {__version__} with lungs 1, slices 2.")


def test_without_notices_it_is_calm_and_without_networks_it_says_so(folder: Path) -> None:
    page = fill(folder, notices=[], networks=[], models=())
    assert "All calm." in page.text
    assert "No network took part." in page.text
    assert f"Made by CovidCT {__version__}. " in page.text


@pytest.mark.parametrize(("count", "kept"), [(ROWS_KEPT, True), (ROWS_KEPT + 1, False)])
def test_only_short_tables_are_kept_on_one_sheet(folder: Path, count: int, kept: bool) -> None:
    (box,) = [e for e in fill(folder, rows=[("1", "2")] * count).all("div") if e.attributes.get("role") == "region"]
    assert ("keep" in box.attributes["class"].split()) is kept


def test_what_a_template_asks_for_and_nobody_gave_is_an_error(folder: Path) -> None:
    with pytest.raises(UndefinedError, match="picture"):
        render_page("mine.html.j2", folder=folder, title="t", notices=[])


def test_a_picture_needs_words() -> None:
    with pytest.raises(InputError, match="A picture needs words that say what it shows, but its 'alt' is empty"):
        embed_image(Image.new("RGB", (8, 6)), " ", "Black")


def test_a_picture_lies_in_its_page() -> None:
    with pytest.raises(InputError, match="must lie inside its page, as a 'data:image/' URI, but its source is an addr"):
        Picture("picture.png", "words", "title", "", 8, 6)


def test_drawings_can_be_kept_without_loss_and_figures_as_vectors() -> None:
    drawing = embed_image(Image.new("RGB", (8, 6)), "black", "Black", lossless=True)
    assert drawing.source.startswith("data:image/png;base64,")
    assert (drawing.width, drawing.height) == (8, 6)
    figure = Figure(figsize=(2, 1))
    one, other = (embed_figure(figure, "an empty figure", "Empty") for _ in range(2))
    assert one == other
    assert one.source.startswith("data:image/svg+xml;base64,")
    assert (one.width, one.height) == (144, 72)


def test_a_page_goes_to_its_file_whole_or_not_at_all(tmp_path: Path) -> None:
    write_page("<p>", tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OutputError, match="A file that can be written was expected for the report"):
        write_page("<p>", tmp_path / "nowhere" / "page.html")
