"""The per-slice chart: what is drawn stands where the numbers say, with units and legend, in every size the same."""

from __future__ import annotations

import base64
import dataclasses
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from report_maker import make_analysis, make_arrays

from CovidCTLib.analysis import Analysis
from CovidCTLib.labels import CONSOLIDATION, GGO
from CovidCTLib.report.chart import LEAST_TOP_CM2, chart_style, slice_chart, slice_figure
from CovidCTLib.report.html import CHART_NARROW_PX, CHART_WIDE_PX

SHOWN = 3
WIDTHS = (CHART_WIDE_PX, CHART_NARROW_PX)
EVERYTHING = {
    "probability", "like COVID-19", "threshold 0.60", "lungs", "ground-glass opacity", "consolidation",
    "localization", "representative slice", "slice of the pictures",
}  # fmt: skip


@pytest.fixture(scope="module")
def an_analysis() -> Analysis:
    return make_analysis()


def draw(analysis: Analysis, width_px: int = CHART_WIDE_PX, shown: int | None = SHOWN) -> Figure:
    return slice_figure(analysis.slices, analysis.case, shown, width_px)


@pytest.fixture(scope="module")
def a_figure(an_analysis: Analysis) -> Figure:
    return draw(an_analysis)


def paint(figure: Figure) -> RendererAgg:
    """Lay a figure out and draw it."""
    canvas = FigureCanvasAgg(figure)
    with chart_style(round(figure.bbox.width)):
        canvas.draw()
    return canvas.get_renderer()


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [entry for entry in axes.lines if entry.get_label() == label]
    return found


def uprights(axes: Axes) -> list[float]:
    """Where upright lines stand, in mm."""
    return [float(entry.get_xdata()[0]) for entry in axes.lines if len(set(entry.get_xdata())) == 1]


def top_of(axes: Axes, label: str, positions_mm: np.ndarray) -> np.ndarray:
    """Upper border of a filled area at some positions; zero where it is not drawn."""
    (area,) = [entry for entry in axes.collections if entry.get_label() == label]
    assert isinstance(area, PolyCollection)
    tops = dict.fromkeys(positions_mm.tolist(), 0.0)
    for path in area.get_paths():
        for x, y in path.vertices.tolist():
            tops[x] = max(tops[x], y)
    return np.array([tops[x] for x in positions_mm.tolist()])


def svg_of(analysis: Analysis, width_px: int) -> str:
    source = slice_chart(analysis.slices, analysis.case, SHOWN, width_px, "words").source
    head, _, content = source.partition(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(content, validate=True).decode("utf-8")


def test_the_curve_holds_the_probability_of_every_slice_with_lung(an_analysis: Analysis, a_figure: Figure) -> None:
    curve = line(a_figure.axes[0], "probability")
    np.testing.assert_allclose(curve.get_xdata(), [entry.position_mm for entry in an_analysis.slices])
    expected = [np.nan if entry.probability is None else entry.probability for entry in an_analysis.slices]
    assert np.isnan(expected).any()
    np.testing.assert_allclose(curve.get_ydata(), expected)
    assert a_figure.axes[0].get_ylim() == (0, 1)


def test_slices_called_abnormal_are_marked_by_colour_and_by_shape(an_analysis: Analysis, a_figure: Figure) -> None:
    curve, called = (line(a_figure.axes[0], label) for label in ("probability", "like COVID-19"))
    positive = [entry for entry in an_analysis.slices if entry.positive]
    assert len(positive) > 5
    np.testing.assert_allclose(called.get_xdata(), [entry.position_mm for entry in positive])
    np.testing.assert_allclose(called.get_ydata(), 0.9)
    assert called.get_linestyle() == "None"
    assert (called.get_marker(), called.get_markerfacecolor()) != (curve.get_marker(), curve.get_markerfacecolor())
    assert called.get_marker() != curve.get_marker()


def test_the_threshold_is_that_of_the_case(an_analysis: Analysis) -> None:
    case = dataclasses.replace(an_analysis.case, slice_threshold=0.25)
    axes = draw(dataclasses.replace(an_analysis, case=case)).axes[0]
    np.testing.assert_allclose(line(axes, "threshold 0.25").get_ydata(), 0.25)


def test_areas_are_in_square_centimetres_and_opacities_are_stacked(an_analysis: Analysis, a_figure: Figure) -> None:
    axes = a_figure.axes[1]
    slices = an_analysis.slices
    positions = np.array([entry.position_mm for entry in slices])
    ggo = np.array([entry.ggo_area_mm2 for entry in slices]) / 100
    consolidation = np.array([entry.consolidation_area_mm2 for entry in slices]) / 100
    lungs = np.array([entry.lung_area_mm2 for entry in slices]) / 100
    assert consolidation.max() > 1
    np.testing.assert_allclose(top_of(axes, "lungs", positions), lungs)
    np.testing.assert_allclose(top_of(axes, GGO.name, positions), ggo)
    drawn = top_of(axes, CONSOLIDATION.name, positions)
    there = consolidation > 0
    np.testing.assert_allclose(drawn[there], (ggo + consolidation)[there])
    looked = np.nan_to_num(np.asarray(line(axes, "localization").get_ydata(), dtype=float))
    np.testing.assert_allclose(looked, [entry.localization_area_mm2 / 100 for entry in slices])
    assert lungs.max() < axes.get_ylim()[1] < 1.2 * lungs.max()


def test_findings_have_the_colours_that_they_have_in_the_pictures(a_figure: Figure) -> None:
    colours = {entry.get_label(): to_hex(entry.get_facecolor()[0]) for entry in a_figure.axes[1].collections}
    for label in (GGO, CONSOLIDATION):
        assert colours[label.name] == "#{:02x}{:02x}{:02x}".format(*label.colour)


def test_representative_and_shown_slice_are_marked_in_both_axes(an_analysis: Analysis, a_figure: Figure) -> None:
    (representative,) = [entry.position_mm for entry in an_analysis.slices if entry.representative]
    shown = an_analysis.slices[SHOWN].position_mm
    assert representative != shown
    for axes in a_figure.axes:
        assert sorted(uprights(axes)) == pytest.approx(sorted([shown, representative]))
    upper = a_figure.axes[0]
    assert line(upper, "representative slice").get_linestyle() != line(upper, "slice of the pictures").get_linestyle()


def test_no_slice_is_marked_as_shown_where_none_is(an_analysis: Analysis) -> None:
    figure = draw(an_analysis, shown=None)
    assert [len(uprights(axes)) for axes in figure.axes] == [1, 1]
    assert "slice of the pictures" not in {text.get_text() for text in figure.legends[0].get_texts()}


@pytest.mark.parametrize("width", WIDTHS)
def test_axes_have_units_and_directions(an_analysis: Analysis, width: int) -> None:
    upper, lower = draw(an_analysis, width).axes
    assert upper.get_title(loc="left").startswith("Probability")
    assert upper.get_title(loc="left").endswith("(0 to 1)")
    assert lower.get_title(loc="left") == "Area in the slice (cm²)"
    assert re.fullmatch(r"← feet +(Position of the slice, )?S \(mm\) +head →", lower.get_xlabel())
    low, high = lower.get_xlim()
    positions = [entry.position_mm for entry in an_analysis.slices]
    # Positions grow from the feet on the left to the head on the right.
    assert low < min(positions) < max(positions) < high
    assert upper.get_xlim() == (low, high)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_legend_names_everything_and_all_text_is_inside(an_analysis: Analysis, width: int) -> None:
    figure = draw(an_analysis, width)
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == EVERYTHING
    renderer = paint(figure)
    for part in (legend, *figure.axes):
        frame = part.get_tightbbox(renderer)
        assert frame.x0 >= 0
        assert frame.y0 >= 0
        assert frame.x1 <= figure.bbox.width
        assert frame.y1 <= figure.bbox.height
    upper, lower = (axes.get_tightbbox(renderer) for axes in figure.axes)
    assert legend.get_tightbbox(renderer).y0 >= upper.y1
    assert upper.y0 >= lower.y1
    triangle = line(figure.axes[0], "representative slice").get_window_extent(renderer)
    assert triangle.y1 <= legend.get_tightbbox(renderer).y0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "arrays",
    [
        {"opacity": False, "localization": False},
        {"lungs": (), "opacity": False, "localization": False},
        {"shape": (2, 16, 16), "spacing_xyz_mm": (0.5, 0.5, 0.5)},
    ],
    ids=["no opacity", "no lungs", "smallest"],
)
def test_where_nothing_was_found_the_axes_keep_their_room(arrays: dict[str, Any], width: int) -> None:
    figure = draw(make_analysis(make_arrays(**arrays)), width)
    renderer = paint(figure)
    for axes in figure.axes:
        assert axes.get_position().width > 0.75
        assert axes.get_position().height > 0.2
    low, high = figure.axes[1].get_xlim()
    labels = [text for text in figure.axes[1].get_xticklabels() if low <= text.get_position()[0] <= high]
    frames = [text.get_window_extent(renderer) for text in labels]
    assert len(frames) > 1
    assert all(left.x1 < right.x0 for left, right in pairwise(frames))


@pytest.mark.parametrize("width", WIDTHS)
def test_text_is_large_enough_to_read(an_analysis: Analysis, width: int) -> None:
    figure = draw(an_analysis, width)
    paint(figure)
    assert figure.dpi == 72
    texts = [*figure.legends[0].get_texts(), *(text for axes in figure.axes for text in axes.get_xticklabels())]
    assert min(text.get_fontsize() for text in texts) >= 11


def test_the_ground_is_white_in_the_dark_too(a_figure: Figure) -> None:
    assert to_hex(a_figure.get_facecolor(), keep_alpha=True) == "#ffffffff"


def test_the_line_breaks_where_no_lung_is(an_analysis: Analysis) -> None:
    slices = list(an_analysis.slices)
    slices[20] = dataclasses.replace(slices[20], probability=None)
    values = np.asarray(
        line(draw(dataclasses.replace(an_analysis, slices=tuple(slices))).axes[0], "probability").get_ydata()
    )
    assert np.isnan(values[20])
    assert np.isfinite(values[[19, 21]]).all()


def test_slices_in_another_order_give_the_same_chart(an_analysis: Analysis) -> None:
    backwards = dataclasses.replace(an_analysis, slices=an_analysis.slices[::-1])
    assert svg_of(backwards, CHART_WIDE_PX) == svg_of(an_analysis, CHART_WIDE_PX)


@pytest.mark.parametrize("width", WIDTHS)
def test_one_slice_without_any_area_can_be_drawn(an_analysis: Analysis, width: int) -> None:
    single = dataclasses.replace(an_analysis, slices=an_analysis.slices[:1])
    assert single.slices[0].lung_area_mm2 == 0
    axes = draw(single, width).axes[1]
    assert axes.get_ylim() == (0, LEAST_TOP_CM2)
    assert axes.get_xlim()[0] < single.slices[0].position_mm < axes.get_xlim()[1]
    assert "nan" not in svg_of(single, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_is_svg_that_names_no_address(an_analysis: Analysis, width: int) -> None:
    picture = slice_chart(an_analysis.slices, an_analysis.case, SHOWN, width, "words")
    text = svg_of(an_analysis, width)
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") == f"0 0 {picture.width} {picture.height}"
    assert picture.width == width
    assert picture.alt == "words"
    # The names of the two XML languages are all; nothing fetches them.
    assert set(re.findall(r"https?://[^\"'<>\s]*", text)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    links = [value for element in root.iter() for name, value in element.items() if name.endswith("href")]
    assert links
    assert all(value.startswith("#") for value in links)
    assert all(value.startswith("#") for value in re.findall(r"url\(([^)]*)\)", text))
    assert not {element.tag.rpartition("}")[2] for element in root.iter()} & {"metadata", "script", "image", "a"}


def test_settings_of_the_user_do_not_change_it(an_analysis: Analysis) -> None:
    usual = svg_of(an_analysis, CHART_WIDE_PX)
    own = {"font.size": 40, "savefig.bbox": "tight", "svg.fonttype": "none", "svg.hashsalt": "x", "lines.marker": "^"}
    with matplotlib.rc_context(own):
        assert svg_of(an_analysis, CHART_WIDE_PX) == usual
        assert matplotlib.rcParams["font.size"] == 40


def test_drawing_opens_no_window_system() -> None:
    program = "import sys, CovidCTLib.report.chart; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
