"""The per-slice chart: a well-formed drawing whose points stand where the numbers say."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest
from report_maker import make_analysis

from CovidCTLib.analysis import Analysis
from CovidCTLib.report.chart import PROBABILITY_HEIGHT, nice_ticks, slice_chart


@pytest.fixture(scope="module")
def an_analysis() -> Analysis:
    return make_analysis()


def draw(analysis: Analysis, width_px: int = 800, description: str = "words") -> ET.Element:
    return ET.fromstring(slice_chart(analysis.slices, analysis.case, 3, width_px, description))


def with_class(chart: ET.Element, css: str) -> list[ET.Element]:
    return [element for element in chart.iter() if css in element.get("class", "").split()]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [(0, 1, 5, (0, 0.5, 1)), (0, 1, 6, (0, 0.2, 0.4, 0.6, 0.8, 1)), (-120, 95, 5, (-100, 0)), (3, 3, 5, (3,))],
)
def test_ticks_are_round_numbers(low: float, high: float, most: int, expected: tuple[float, ...]) -> None:
    assert nice_ticks(low, high, most) == pytest.approx(expected)


def test_the_threshold_and_the_probabilities_share_one_scale(an_analysis: Analysis) -> None:
    chart = draw(an_analysis)
    threshold = float(with_class(chart, "threshold")[0].get("y1", ""))
    dots = with_class(chart, "dot")
    assert len(dots) == sum(entry.probability is not None for entry in an_analysis.slices)
    for dot in dots:
        height = float(dot.get("cy", ""))
        expected = 0.9 if "positive" in dot.get("class", "") else 0.1
        assert threshold - height == pytest.approx((expected - 0.6) * PROBABILITY_HEIGHT, abs=0.2)


def test_every_slice_tells_its_numbers(an_analysis: Analysis) -> None:
    titles = [element.text or "" for element in draw(an_analysis).iter() if element.tag == "title"]
    assert len(titles) == len(an_analysis.slices)
    assert all(re.match(r"Slice \d+, S -?\d+\.\d mm: (probability 0\.\d\d|no lung); lungs ", text) for text in titles)


def test_representative_and_shown_slice_are_marked(an_analysis: Analysis) -> None:
    chart = draw(an_analysis)
    assert len(with_class(chart, "representative-head")) == 1
    assert len(with_class(chart, "shown")) == 2


def test_units_stand_at_the_axes(an_analysis: Analysis) -> None:
    for width in (340, 960):
        text = " ".join(element.text or "" for element in draw(an_analysis, width).iter() if element.tag == "text")
        assert "cm²" in text
        assert "S (mm)" in text
        assert "(0 to 1)" in text


def test_the_line_breaks_where_no_lung_is(an_analysis: Analysis) -> None:
    slices = list(an_analysis.slices)
    slices[20] = dataclasses.replace(slices[20], probability=None)
    assert len(with_class(draw(dataclasses.replace(an_analysis, slices=tuple(slices))), "probability")) == 2


def test_one_slice_without_any_area_can_be_drawn(an_analysis: Analysis) -> None:
    chart = draw(dataclasses.replace(an_analysis, slices=an_analysis.slices[:1]))
    assert "nan" not in ET.tostring(chart, encoding="unicode")


def test_the_description_is_escaped(an_analysis: Analysis) -> None:
    assert draw(an_analysis, description='a "b" <c>').get("aria-label") == 'a "b" <c>'
