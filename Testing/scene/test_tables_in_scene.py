"""What a clinician reads in the tables: columns, headings, units, empty cells; and what scripts find there."""

# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import csv
import re
from dataclasses import fields, replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, measure_words, tables
from scene_analysis import made_analysis
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.analysis import SliceMeasures
from CovidCTLib.hu import AerationBand
from CovidCTLib.measures.definitions import DEFINITIONS, definitions_for, slice_definitions_for
from CovidCTLib.measures.regions import REGIONS
from CovidCTLib.options import Options

PLAIN_UNIT = re.compile(r"\b(cm|mm)[23]\b")


@pytest.fixture
def nodes(scene, volume_node, analysis):
    """The results in the scene."""
    return addAnalysisToScene(scene, volume_node, analysis)


def names_of(node):
    """Names of the columns."""
    return [node.GetColumnName(column) for column in range(node.GetNumberOfColumns())]


def titles_of(node):
    """What the header shows, as Slicer 5.12 puts it together."""
    shown = []
    for name in names_of(node):
        unit = node.GetColumnUnitLabel(name)
        shown.append((node.GetColumnTitle(name) or name) + (f" [{unit}]" if unit else ""))
    return shown


def cells_of(node):
    """Every cell as Slicer shows it."""
    table = node.GetTable()
    rows = range(table.GetNumberOfRows())
    return [[table.GetValue(row, column).ToString() for column in range(table.GetNumberOfColumns())] for row in rows]


def test_the_columns_that_a_clinician_wants_come_first(nodes):
    assert titles_of(nodes.slices)[:10] == [
        "slice",
        "position (mm)",
        "like COVID-19 (1 yes, 0 no)",
        "probability (%)",
        "opacity (%)",
        "opacity (cm²)",
        "ground glass (mm²)",
        "consolidation (mm²)",
        "localization (mm²)",
        "lung (mm²)",
    ]
    assert titles_of(nodes.measures)[:5] == ["region", "measure", "value", "unit", "reason"]
    assert names_of(nodes.measures)[-2:] == ["region_id", "measure_id"]


def test_scripts_find_every_column_by_the_name_of_its_field(nodes):
    expected = {field.name for field in fields(SliceMeasures)} | {"probability_percent", "opacity_area_cm2"}
    assert set(names_of(nodes.slices)) == expected
    assert len(names_of(nodes.slices)) == len(expected)


def test_every_heading_has_one_unit_at_most_and_no_underscore(nodes):
    for node in (nodes.slices, nodes.measures, nodes.chartValues):
        for title in titles_of(node):
            assert len(re.findall(r"\((?:mm|mm²|cm²|cm³|ml|%)\)|\[", title)) <= 1, title
            assert "_" not in title
            assert not PLAIN_UNIT.search(title)


def test_no_cell_and_no_tooltip_says_nan_or_a_plain_exponent(nodes):
    for node in (nodes.slices, nodes.measures):
        for row in cells_of(node):
            # The names for scripts are what they are.
            shown = [cell for name, cell in zip(names_of(node), row, strict=True) if not name.endswith("_id")]
            assert not any(cell in ("nan", "(invalid)") or PLAIN_UNIT.search(cell) for cell in shown), row
        for name in names_of(node):
            assert not PLAIN_UNIT.search(node.GetColumnDescription(name))


def test_a_line_break_or_a_bracket_would_spoil_the_saved_descriptions_and_the_tooltips(nodes):
    for node in (nodes.slices, nodes.measures):
        for name in names_of(node):
            assert not set("\n\t<>&") & set(node.GetColumnDescription(name)), name
            assert node.GetColumnTitle(name), "with a title the tooltip is rich text, whose lines Qt breaks"


def test_undefined_values_are_empty_in_an_exported_table_and_come_back_empty(tmp_path, scene, nodes, analysis):
    assert any(entry.probability is None for entry in analysis.slices)
    node = nodes.slices
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(str(tmp_path / "slices.csv"))
    assert storage.WriteData(node)
    with (tmp_path / "slices.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    told = [line["probability_percent"] for line in lines]
    expected = [None if entry.probability is None else 100 * entry.probability for entry in analysis.slices]
    assert ["" if value is None else pytest.approx(value) for value in expected] == [
        text if text == "" else float(text) for text in told
    ]
    fresh = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fresh.AddDefaultStorageNode()
    fresh.GetStorageNode().SetFileName(str(tmp_path / "slices.csv"))
    assert fresh.GetStorageNode().ReadData(fresh)
    assert cells_of(fresh) == cells_of(node)
    assert titles_of(fresh) == titles_of(node)


def test_columns_of_which_all_is_defined_stay_numbers_and_the_chart_has_numbers_always(nodes, analysis):
    positions = vtk_to_numpy(nodes.slices.GetTable().GetColumnByName("position_mm"))
    np.testing.assert_allclose(positions, [entry.position_mm for entry in analysis.slices])
    drawn = vtk_to_numpy(nodes.chartValues.GetTable().GetColumnByName("probability_percent"))
    missing = [entry.probability is None for entry in analysis.slices]
    np.testing.assert_array_equal(np.isnan(drawn), missing)
    assert nodes.chartValues.GetTable().GetNumberOfRows() == nodes.slices.GetTable().GetNumberOfRows()


def test_lengths_and_areas_are_empty_where_the_spacing_is_not_known(scene, volume_node, analysis):
    facts = replace(analysis.scan.facts, spacing_known=False)
    unknown = replace(analysis, scan=replace(analysis.scan, facts=facts))
    nodes = addAnalysisToScene(scene, volume_node, unknown)
    for name in ("position_mm", "opacity_area_cm2", "lung_area_mm2"):
        column = nodes.slices.GetTable().GetColumnByName(name)
        assert {column.GetValue(row) for row in range(column.GetNumberOfValues())} == {""}
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == 1


def test_a_large_number_has_no_exponent_and_a_small_one_its_digits():
    assert [tables.numberText(value) for value in (5234567.8, -1e6, 12.3456789, 0.00123456789, 6.0, 0.0)] == [
        "5234568",
        "-1000000",
        "12.3457",
        "0.00123457",
        "6",
        "0",
    ]


def test_every_region_measure_and_column_has_words_of_its_own(monkeypatch):
    assert {region: measure_words.regionWords(region) for region in REGIONS} == dict(REGIONS)
    assert {name: measure_words.measureWords(name, "?") for name in DEFINITIONS} == {
        name: entry.label for name, entry in DEFINITIONS.items()
    }
    assert all(measure_words.sliceWords(name, "?") != "?" for name in slice_definitions_for(Options()))
    assert measure_words.regionWords("lobe_7") == "lobe_7"
    assert measure_words.measureWords("new_measure", "what it is called") == "what it is called"
    assert measure_words.sliceWords("new_column", "what it is called") == "what it is called"
    own = Options(aeration_bands=(AerationBand("my band", -900, -800),))
    for name, entry in definitions_for(own).items():
        assert measure_words.measureWords(name, "?") == entry.label


@pytest.fixture
def untranslated():
    """Words that are not kept from before, and not kept for later: Slicer's language changes only when it starts."""
    kept = [value for value in vars(measure_words).values() if hasattr(value, "cache_clear")]
    assert kept
    for words in kept:
        words.cache_clear()
    yield
    for words in kept:
        words.cache_clear()


@pytest.mark.usefixtures("untranslated")
def test_regions_measures_and_headings_are_translated(scene, volume_node, monkeypatch, geometry):
    for module in (measure_words, tables):
        monkeypatch.setattr(module, "_", lambda text: f"<{text}>")
    nodes = addAnalysisToScene(scene, volume_node, made_analysis(geometry))
    table = nodes.measures.GetTable()
    assert table.GetValueByName(1, "region").ToString() == "<both lungs>"
    assert table.GetValueByName(1, "measure").ToString() == "<Corona Score>"
    assert table.GetValueByName(1, "measure_id").ToString() == "corona_score_cm3"
    assert nodes.slices.GetColumnTitle("position_mm") == "<position> (mm)"
    assert nodes.measures.GetColumnTitle("value") == "<value>"


class EarlierTableNode:
    """A table node of Slicer 5.10, which knows long names and the older name of the header's switch."""

    def __init__(self):
        self.long_names, self.descriptions, self.calls = {}, {}, []

    def AddColumn(self, column):
        self.calls.append(column.GetName())

    def SetColumnLongName(self, name, text):
        self.long_names[name] = text

    def SetColumnDescription(self, name, text):
        self.descriptions[name] = text

    def SetUseColumnNameAsColumnHeader(self, on):
        self.calls.append(on)

    def SetLocked(self, on):
        self.calls.append(on)


def test_an_earlier_slicer_gets_the_titles_as_long_names(analysis):
    node = EarlierTableNode()
    tables.fillSliceTable(node, analysis)
    assert node.long_names["position_mm"] == "position (mm)"
    assert node.calls[-2:] == [True, True]
    assert node.calls[:2] == ["index", "position_mm"]
    assert "Lung pixels" in node.descriptions["lung_area_mm2"]
