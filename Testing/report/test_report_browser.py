"""The report in a browser: no sideways scrolling on a phone or a desktop, pages of A4 on paper, nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from page_browser import CHROMIUM, DARK, browse, framed
from PIL import Image
from report_maker import make_analysis

from CovidCTLib.report import render_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

A4_PT = (595, 842)

PROBE = """
addEventListener("load", () => {
  const root = document.documentElement, wide = [];
  const inBox = e => e.closest(".scroll");
  for (const e of document.querySelectorAll("body *"))
    if (!inBox(e) && e.getBoundingClientRect().right > root.clientWidth + 1) wide.push(e.tagName + "." + e.className);
  const images = [...document.images];
  const broken = images.filter(i => !i.complete || i.naturalWidth === 0).length;
  const fetched = performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).length;
  const numbers = [root.clientWidth, root.scrollWidth, images.length, broken, fetched];
  const charts = [...document.querySelectorAll(".chart img")].filter(i => i.offsetWidth).map(i => i.className);
  parent.document.title = [...numbers, charts.join("|"), wide.join("|")].join(",");
});
"""


@pytest.fixture(scope="module")
def a_report() -> str:
    return render_report(make_analysis())


@pytest.mark.parametrize(("width", "height", "chart"), [(360, 800, "narrow"), (768, 1024, "wide"), (1280, 900, "wide")])
def test_the_page_never_scrolls_sideways_and_shows_one_chart(
    a_report: str, tmp_path: Path, width: int, height: int, chart: str
) -> None:
    page = tmp_path / "frame.html"
    page.write_text(framed(a_report, PROBE, width, height), encoding="utf-8")
    dumped = browse(tmp_path, "--window-size=1400,1100", "--dump-dom", page.as_uri())
    found = re.search(r"<title>(\d+),(\d+),(\d+),(\d+),(\d+),([^<,]*),([^<]*)</title>", dumped)
    assert found is not None
    client, scroll, images, broken, fetched = (int(part) for part in found.groups()[:5])
    assert client == width
    assert scroll == width
    assert found.group(6) == chart
    assert found.group(7) == ""
    assert images > 13
    assert (broken, fetched) == (0, 0)


def test_it_is_painted_light_and_dark(a_report: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(a_report, encoding="utf-8")
    brightness = []
    for number, extra in enumerate(([], [DARK])):
        picture = tmp_path / f"{number}.png"
        browse(tmp_path, "--window-size=1280,900", *extra, f"--screenshot={picture}", page.as_uri())
        # The margin beside the report shows the page's own colour.
        brightness.append(np.asarray(Image.open(picture).convert("L"))[:, :60].mean())
    assert brightness[0] > 225
    assert brightness[1] < 40


def test_it_prints_on_several_pages_of_a4(a_report: str, tmp_path: Path) -> None:
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(a_report, encoding="utf-8")
    browse(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}", page.as_uri())
    content = paper.read_bytes()
    assert content.startswith(b"%PDF-")
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", content)
    assert 3 <= len(boxes) <= 12
    for box in boxes:
        np.testing.assert_allclose([float(part) for part in box], A4_PT, atol=1)
