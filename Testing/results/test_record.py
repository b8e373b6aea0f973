"""analysis.json: strict, complete, and without patient data."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from analysis_maker import make_analysis, with_measures

from CovidCTLib.analysis import Measurement
from CovidCTLib.hu import AerationBand
from CovidCTLib.options import Options
from CovidCTLib.results import analysis_json, analysis_record
from CovidCTLib.results.record import NOT_FINITE, write_record


@pytest.fixture
def analysis():
    return make_analysis()


def strictly(text):
    """Parse JSON, refusing NaN and Infinity, which Python's parser would take."""

    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_file_is_strict_json_of_the_record(analysis, tmp_path):
    write_record(tmp_path / "analysis.json", analysis)
    assert strictly((tmp_path / "analysis.json").read_text(encoding="utf-8")) == analysis_record(analysis)


def test_every_measure_and_slice_is_there_with_unit_and_reason(analysis):
    record = strictly(analysis_json(analysis))
    assert [entry["name"] for entry in record["measures"]] == [entry.name for entry in analysis.measures]
    assert record["measures"][0] == {
        "region": "both_lungs",
        "name": "volume_ml",
        "value": pytest.approx(2.304),
        "unit": "ml",
        "reason": None,
    }
    assert record["measures"][-1]["value"] is None
    assert record["measures"][-1]["reason"] == "The region holds no lung."
    assert len(record["slices"]) == len(analysis.slices)
    assert record["slices"][5]["representative"] is True
    assert record["slices"][3]["probability"] == pytest.approx(0.9)
    assert record["slices"][0]["probability"] is None


def test_how_it_was_made_is_there(analysis):
    record = analysis_record(analysis)
    assert record["schema_version"] == 1
    assert record["case"]["positive"] is True
    assert record["case"]["case_threshold"] == 0.2
    assert record["models"] == [{"name": "lungs", "version": "1", "sha256": "ab" * 32, "role": "", "own": False}]
    assert record["seconds"] == {"lungs": 0.5, "opacities": 0.25}
    assert record["versions"] == {"covidct": "0.1.0"}
    assert record["notices"][0]["code"] == "thick-slices"
    assert record["scan"]["kernel"] == "B31f"
    assert record["geometry"]["voxel_volume_mm3"] == pytest.approx(1.5)
    assert record["labels"] == {
        "1": "right lung",
        "2": "left lung",
        "3": "ground-glass opacity",
        "4": "consolidation",
        "5": "pleural effusion",
    }


def test_every_measure_has_its_definition_with_source(analysis):
    record = analysis_record(analysis)
    for entry in record["measures"]:
        definition = record["measure_definitions"][entry["name"]]
        assert definition["definition"]
        assert definition["source"]
    assert set(record["slices"][0]) == set(record["slice_definitions"])


def test_own_aeration_bands_are_defined_and_open_ends_become_null(analysis):
    bands = (AerationBand("thin", -np.inf, -700), AerationBand("dense", -700, np.inf))
    record = strictly(analysis_json(replace(analysis, options=Options(aeration_bands=bands))))
    assert record["options"]["aeration_bands"][0] == {"name": "thin", "low_hu": None, "high_hu": -700}
    assert "aeration_thin_ml" in record["measure_definitions"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_value_that_is_no_number_becomes_null_with_a_reason(analysis, value):
    broken = with_measures(analysis, Measurement("both_lungs", "hu_mean", value, "HU"))
    entry = strictly(analysis_json(broken))["measures"][0]
    assert entry["value"] is None
    assert entry["reason"] == NOT_FINITE


def test_numpys_numbers_become_plain_ones(analysis):
    broken = with_measures(analysis, Measurement("both_lungs", "hu_mean", np.float32(1.5), "HU"))
    assert type(analysis_record(broken)["measures"][0]["value"]) is float


def test_the_study_date_is_there_only_if_the_scan_carries_it(analysis):
    assert analysis_record(analysis)["scan"]["study_date"] is None
    dated = replace(analysis, scan=replace(analysis.scan, facts=replace(analysis.scan.facts, study_date="2020-03-01")))
    assert analysis_record(dated)["scan"]["study_date"] == "2020-03-01"
