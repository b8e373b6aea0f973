"""Measuring given and corrected labels: the same way as an analysis, with what a reader must know of it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analysis_maker import SHAPE_ZYX, all_orientations, make_analysis, volume_of
from segment_maker import GGO_BOX, RIGHT_BOX, a_scan, mask_of, masks

from CovidCTLib import checks
from CovidCTLib.errors import InputError, Notice, OptionsError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.labels import LOBE_LABELS
from CovidCTLib.options import Options
from CovidCTLib.pipeline import measure
from CovidCTLib.provenance import RECOMPUTED_CODES
from CovidCTLib.results import analysis_record, read_analysis, write_results
from CovidCTLib.segments import GivenLabels

VOXEL_ML = 0.75 * 0.8 * 2.5 / 1000


@pytest.fixture
def before():
    """An analysis whose numbers are those of its voxels."""
    return measure(a_scan(), masks(), before=make_analysis())


def codes(analysis):
    return [notice.code for notice in analysis.notices]


def lobes_of(analysis, *missing):
    lobes = np.zeros(SHAPE_ZYX, np.uint8)
    z = np.arange(SHAPE_ZYX[0])[:, None, None]
    for value, (low, high) in enumerate(((8, 10), (5, 8), (2, 5), (6, 10), (2, 6)), start=1):
        side = 1 if value <= 3 else 2
        if value not in missing:
            lobes[(analysis.lungs == side) & (z >= low) & (z < high)] = value
    return lobes


def test_volumes_are_those_of_the_masks(before):
    for region, name, box in (("right_lung", "volume_ml", RIGHT_BOX), ("both_lungs", "ggo_volume_ml", GGO_BOX)):
        assert before.measure(region, name).value == pytest.approx(volume_of(box) * VOXEL_ML, rel=1e-12)


def test_measuring_again_what_was_not_changed_gives_every_number_to_the_last_digit(before):
    again = measure(a_scan(), masks(), before=before)
    assert again.measures == before.measures
    assert again.slices == before.slices
    assert again.provenance == replace(before.provenance, given_as="masks")


def test_an_edit_and_its_undo_give_the_old_numbers(before):
    edited = {**masks(), "ggo": masks()["ggo"] & (np.arange(SHAPE_ZYX[2]) > 5)}
    changed = measure(a_scan(), edited, before=before)
    assert changed.measure("both_lungs", "ggo_volume_ml").value < before.measure("both_lungs", "ggo_volume_ml").value
    assert changed.provenance.opacities == "corrected"
    assert "opacities corrected by hand" in changed.provenance.words
    assert codes(changed)[0] == "segments-corrected"
    undone = measure(a_scan(), masks(), before=before)
    assert undone.measures == before.measures


def test_nothing_runs_where_everything_is_there(before):
    class Never:
        def __getattr__(self, name):
            raise AssertionError(name)

    assert measure(a_scan(), masks(), before=before, models=Never()).models == before.models


def test_an_effusion_that_was_added_counts_and_takes_from_the_lungs(before):
    fluid = np.zeros(SHAPE_ZYX, bool)
    fluid[2:4, 12:18, 2:6] = True
    found = measure(a_scan(), {**masks(), "pleural_effusion": fluid}, before=before)
    assert found.measure("both_lungs", "pleural_effusion_volume_ml").value == pytest.approx(fluid.sum() * VOXEL_ML)
    assert not (found.lungs > 0)[fluid].any()
    assert "segments-overlap" in codes(found)
    assert "no-pleural-effusion" not in codes(found)
    assert found.provenance.effusion == "corrected"


def test_that_a_volume_of_effusion_is_rough_holds_until_it_is_corrected(before):
    fluid = np.zeros(SHAPE_ZYX, bool)
    fluid[2:4, 12:18, 2:6] = True
    of_effusion = {**masks(), "pleural_effusion": fluid}
    with_fluid = measure(a_scan(), of_effusion, before=before)
    rough = Notice("rough-effusion", "The volume of pleural effusion is rough.", "note")
    by_network = replace(before.provenance, effusion="network")
    found = replace(with_fluid, provenance=by_network, notices=(*before.notices, rough))
    assert "rough-effusion" in codes(measure(a_scan(), of_effusion, before=found))
    of_effusion["pleural_effusion"] = fluid & (np.arange(SHAPE_ZYX[2]) > 3)
    again = measure(a_scan(), of_effusion, before=found)
    assert again.provenance.effusion == "corrected"
    assert "rough-effusion" not in codes(again)


def test_opacity_beyond_the_lungs_counts_as_lung_and_is_told(before):
    ggo = mask_of("ggo")
    ggo[4, 5:9, 1:3] = True
    found = measure(a_scan(), {**masks(), "ggo": ggo}, before=before)
    assert "opacity-beyond-lungs" in codes(found)
    assert (found.lungs[4, 5:9, 1:3] == 1).all()
    lost = {**masks(), "ggo": np.ones(SHAPE_ZYX, bool) & (np.arange(SHAPE_ZYX[0]) == 0)[:, None, None]}
    assert "opacity-outside-lungs" in codes(measure(a_scan(), lost, before=before))


def test_lobes_have_every_measure_and_their_score(before):
    lobes = lobes_of(before)
    found = measure(a_scan(), GivenLabels(before.lungs, before.opacities, lobes=lobes), before=before)
    for label in LOBE_LABELS:
        volume = found.measure(label.segment_id, "volume_ml").value
        assert volume == pytest.approx((lobes == label.value).sum() * VOXEL_ML)
    opacity = (before.opacities > 0) & (lobes == 3)
    share = 100 * opacity.sum() / (lobes == 3).sum()
    assert found.measure("right_lower_lobe", "opacity_percent").value == pytest.approx(share)
    points = [found.measure(label.segment_id, "lobar_severity").value for label in LOBE_LABELS]
    assert found.measure("both_lungs", "lobar_severity_0_25").value == sum(points)
    assert "lobes-differ" not in codes(found)
    assert found.provenance.lobes == "given"


def test_four_lobes_are_measured_and_the_score_says_so(before):
    labels = GivenLabels(before.lungs, before.opacities, lobes=lobes_of(before, 2))
    found = measure(a_scan(), labels, before=before)
    score = found.measure("both_lungs", "lobar_severity_0_25")
    assert score.value is None
    assert score.reason.startswith("4 of 5 lobes are given; they have ")
    assert found.measure("right_middle_lobe", "volume_ml").reason == "this lobe was not given"
    assert {"lobes-missing", "lobes-differ"} <= set(codes(found))


def test_areas_are_measured(before):
    area = np.zeros(SHAPE_ZYX, bool)
    area[3:6, 5:9, 3:12] = True
    labels = GivenLabels(before.lungs, before.opacities, areas={"area A": area})
    found = measure(a_scan(), labels, before=before)
    values = {entry.name: entry.value for entry in found.measures if entry.region == "area:area A"}
    assert values["area_volume_ml"] == pytest.approx(area.sum() * VOXEL_ML)
    assert values["area_hu_mean"] == pytest.approx(a_scan().hu[area].mean())
    assert values["area_hu_sd"] == pytest.approx(a_scan().hu[area].std())
    assert values["area_ggo_volume_ml"] == pytest.approx(volume_of(GGO_BOX) * VOXEL_ML)
    assert values["area_opacity_percent"] == pytest.approx(100 * volume_of(GGO_BOX) / (area & (before.lungs > 0)).sum())


def test_an_empty_area_has_a_reason(before):
    labels = GivenLabels(before.lungs, before.opacities, areas={"area A": np.zeros(SHAPE_ZYX, bool)})
    found = measure(a_scan(), labels, before=before)
    assert found.measure("area:area A", "area_volume_ml").reason == "the area holds no voxel"


@pytest.mark.parametrize("direction", all_orientations()[::7])
def test_every_axis_order_gives_the_same_numbers(direction, before):
    analysis = make_analysis(direction)
    grid = CanonicalGrid(analysis.scan.geometry)
    named = {name: grid.give_back(mask.astype(np.uint8)) for name, mask in masks().items()}
    found = measure(analysis.scan, named, before=analysis)
    assert [entry.value for entry in found.measures] == [entry.value for entry in before.measures]
    assert np.array_equal(found.lungs, analysis.lungs)


def test_provenance_goes_through_record_and_folder(before, tmp_path):
    area = mask_of("ggo")
    labels = GivenLabels(
        before.lungs, np.zeros(SHAPE_ZYX, np.uint8), lobes=lobes_of(before), areas={"area A": area}, left_out=("liver",)
    )
    found = measure(a_scan(), labels, before=before)
    record = analysis_record(found)
    assert record["provenance"]["words"] == found.provenance.words
    assert record["regions"]["area:area A"] == "area A"
    assert "lobar_severity" in record["measure_definitions"]
    assert "corrections by hand" in record["measure_definitions"]["ggo_volume_ml"]["definition"]
    write_results(found, tmp_path / "out", report=False)
    back = read_analysis(tmp_path / "out")
    assert back.provenance == found.provenance
    assert np.array_equal(back.lobes, found.lobes)
    assert back.measures == found.measures
    assert "corrected by hand" in (tmp_path / "out" / "measures.csv").read_text(encoding="utf-8")


def test_options_of_the_classifier_cannot_change_without_it(before):
    with pytest.raises(OptionsError, match="slice_threshold must be that of the analysis before"):
        measure(a_scan(), masks(), Options(slice_threshold=0.9), before=before)
    found = measure(a_scan(), masks(), Options(high_opacity_hu=-700), before=before)
    assert found.options.high_opacity_hu == -700


def test_an_analysis_of_another_ct_and_masks_of_another_shape_are_refused(before):
    scan = a_scan()
    moved = replace(scan, geometry=replace(scan.geometry, origin_lps_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="lies elsewhere"):
        measure(moved, masks(), before=before)
    with pytest.raises(InputError, match=r"but one has \(2, 2, 2\)"):
        measure(scan, {"ggo": np.zeros((2, 2, 2))}, before=before)
    with pytest.raises(InputError, match="one array has"):
        measure(scan, GivenLabels(lungs=np.zeros((2, 2, 2), np.uint8)), before=before)


def test_notices_that_are_found_again_are_those_of_the_checks_of_lungs_and_readings():
    folder = Path(checks.__file__).parent
    text = "".join((folder / name).read_text() for name in ("chest.py", "surroundings.py", "agreement.py"))
    found = set(re.findall(r'(?:Notice|refuse)\(\s*"([a-z-]+)"', text))
    assert found
    assert found <= RECOMPUTED_CODES


def test_no_network_is_loaded_to_measure_again():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:];\n"
        "from analysis_maker import make_analysis\n"
        "from segment_maker import a_scan, masks\n"
        "import CovidCTLib.checks.chest as chest; chest.MIN_LUNG_VOLUME_ML = 0.1\n"
        "from CovidCTLib.pipeline import measure\n"
        "measure(a_scan(), masks(), before=make_analysis())\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[1] / "results"), str(here.parents[2])]
    assert subprocess.run([sys.executable, "-c", code, *paths], check=False).returncode == 0
