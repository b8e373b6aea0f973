from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from measure_phantoms import make_axial, make_box_lungs

from CovidCTLib.analysis import SliceMeasures
from CovidCTLib.hu import AerationBand
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.definitions import (
    DEFINITIONS,
    NO_UNIT,
    SLICE_DEFINITIONS,
    definitions_for,
    slice_definitions_for,
)
from CovidCTLib.measures.regions import REGIONS
from CovidCTLib.options import Options

UNITS = {"ml", "%", "HU", "g", "cm3", "mm", "mm2", "points", NO_UNIT}
WITHOUT_UNIT = {"hu_skewness", "hu_kurtosis", "readings_dice"}

CUSTOM = Options(
    high_opacity_hu=-150,
    vessel_hu=-450,
    localization_threshold=0.35,
    aeration_bands=(AerationBand("air", float("-inf"), -500), AerationBand("tissue", -500, 100)),
)


@pytest.fixture
def an_axial():
    return make_axial(-800, make_box_lungs())


@pytest.mark.parametrize("entry", [*DEFINITIONS.values(), *SLICE_DEFINITIONS.values()], ids=lambda entry: entry.name)
def test_every_definition_has_label_definition_source_and_a_known_unit(entry):
    assert entry.label.strip()
    assert entry.source.strip()
    assert entry.definition.endswith(".")
    assert entry.unit in UNITS


@pytest.mark.parametrize("definitions", [DEFINITIONS, SLICE_DEFINITIONS])
def test_definitions_are_filed_under_their_names_and_have_labels_of_their_own(definitions):
    assert all(name == entry.name for name, entry in definitions.items())
    assert len({entry.label for entry in definitions.values()}) == len(definitions)


@pytest.mark.parametrize("options", [Options(), CUSTOM], ids=["default", "custom"])
def test_every_measurement_has_a_definition_and_its_unit(an_axial, options):
    definitions = definitions_for(options)
    measures = measure_regions(an_axial, options)
    assert {entry.name for entry in measures} == set(definitions)
    assert {entry.region for entry in measures} == set(REGIONS)
    assert all(entry.unit == definitions[entry.name].unit for entry in measures)
    assert all((entry.unit == NO_UNIT) == (entry.name in WITHOUT_UNIT) for entry in measures)


def test_every_column_of_the_slice_table_is_defined_in_order():
    assert list(SLICE_DEFINITIONS) == [field.name for field in dataclasses.fields(SliceMeasures)]


def test_suffixes_of_names_are_their_units():
    suffixes = {"_ml": "ml", "_percent": "%", "_cm3": "cm3", "_mm": "mm", "_mm2": "mm2", "_g": "g"}
    for entry in (*DEFINITIONS.values(), *SLICE_DEFINITIONS.values()):
        for suffix, unit in suffixes.items():
            if entry.name.endswith(suffix):
                assert entry.unit == unit


def test_the_limits_of_the_options_stand_in_the_sentences():
    custom = definitions_for(CUSTOM)
    assert "at or above -150 HU" in custom["high_opacity_percent"].definition
    assert "under -500 HU" in custom["aeration_air_ml"].definition
    assert "from -500 (inclusive) to 100 HU (exclusive)" in custom["aeration_tissue_percent"].definition
    assert custom["aeration_tissue_ml"].source == "the user's options"
    assert "aeration_emphysema_ml" not in custom
    slices = slice_definitions_for(CUSTOM)
    assert "at or above -450 HU" in slices["vessel_area_mm2"].definition
    assert "at least 0.35" in slices["localization_area_mm2"].definition


def test_a_band_over_everything_is_said_so():
    band = AerationBand("all", -np.inf, np.inf)
    assert "of any HU" in definitions_for(Options(aeration_bands=(band,)))["aeration_all_ml"].definition
    assert "at or above 0 HU" in DEFINITIONS["aeration_vessels_ml"].definition
