"""``covidct measure``: segments of earlier results, and corrected ones, give the numbers that they should."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from CovidCTLib.cli.main import main
from CovidCTLib.dicom_results import write_dicom
from CovidCTLib.errors import InputError
from CovidCTLib.hu import bands_between
from CovidCTLib.labels import CONSOLIDATION, GGO, LEFT_LUNG, PLEURAL_EFFUSION, RIGHT_LUNG
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.segments import NO_LOCALIZATION_REASON, OF_LOCALIZATION, measure_segments
from CovidCTLib.options import Options
from CovidCTLib.results import SEGMENTATION_FILE, write_results


def masks_of(analysis):
    """The segments of an analysis, by label."""
    return {
        RIGHT_LUNG: analysis.lungs == 1,
        LEFT_LUNG: analysis.lungs == 2,
        GGO: analysis.opacities == 1,
        CONSOLIDATION: analysis.opacities == 2,
    }


def table_of(folder):
    with (folder / "measures.csv").open(encoding="utf-8", newline="") as file:
        return {(row["region"], row["measure"]): row for row in csv.DictReader(file)}


def value_of(measures, region, name):
    (entry,) = [entry for entry in measures if (entry.region, entry.name) == (region, name)]
    return entry.value


def test_segments_give_the_measures_of_their_analysis_but_for_the_localization(an_analysis):
    expected = measure_regions(an_analysis.axial, Options())
    measures = measure_segments(an_analysis.scan, masks_of(an_analysis), Options())
    assert len(measures) == len(expected)
    for entry, other in zip(measures, expected, strict=True):
        if entry.name in OF_LOCALIZATION:
            assert entry.value is None
            assert entry.reason in (NO_LOCALIZATION_REASON, other.reason)
        else:
            assert entry == other
    assert value_of(measures, "both_lungs", "volume_ml") > 0


def test_what_lies_over_one_another_is_counted_once(an_analysis):
    voxel_ml = an_analysis.scan.geometry.voxel_volume_mm3 / 1000
    masks = masks_of(an_analysis)
    before = measure_segments(an_analysis.scan, masks, Options())
    fluid = np.zeros_like(masks[GGO])
    k, j, i = (int(values[0]) for values in np.nonzero(masks[RIGHT_LUNG]))
    fluid[k, j, i : i + 2] = True
    assert masks[RIGHT_LUNG][fluid].all()
    after = measure_segments(an_analysis.scan, {**masks, PLEURAL_EFFUSION: fluid}, Options())
    lost = value_of(before, "right_lung", "volume_ml") - value_of(after, "right_lung", "volume_ml")
    assert lost == pytest.approx(2 * voxel_ml)
    assert value_of(after, "right_lung", "pleural_effusion_volume_ml") == pytest.approx(2 * voxel_ml)
    # Consolidation that covers all of the ground glass leaves none.
    dense = measure_segments(an_analysis.scan, {**masks, CONSOLIDATION: masks[GGO] | masks[CONSOLIDATION]}, Options())
    assert value_of(dense, "both_lungs", "ggo_volume_ml") == 0
    assert value_of(dense, "both_lungs", "opacity_volume_ml") == value_of(before, "both_lungs", "opacity_volume_ml")


def test_segments_without_lungs_or_of_another_grid_are_refused(an_analysis):
    masks = masks_of(an_analysis)
    with pytest.raises(InputError, match="right or the left lung was expected, with its standard code"):
        measure_segments(an_analysis.scan, {GGO: masks[GGO]}, Options())
    with pytest.raises(InputError, match=r"voxels \(z, y, x\) were expected, but '.*' has"):
        measure_segments(an_analysis.scan, {**masks, GGO: masks[GGO][1:]}, Options())
    one = measure_segments(an_analysis.scan, {LEFT_LUNG: masks[LEFT_LUNG]}, Options())
    assert value_of(one, "right_lung", "volume_ml") is None
    assert value_of(one, "left_lung", "volume_ml") > 0


@pytest.mark.parametrize("source", ["file", "folder", "seg.nrrd"])
def test_the_command_measures_our_own_segments(an_analysis, ct_folder, results, tmp_path, capsys, source):
    given = {"file": results / "segmentation.dcm", "folder": results, "seg.nrrd": tmp_path / "own" / SEGMENTATION_FILE}
    if source == "seg.nrrd":
        write_results(an_analysis, tmp_path / "own", report=False)
    assert main(["measure", str(ct_folder), str(given[source]), "-o", str(tmp_path / "out")]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["measures.csv"]
    table = table_of(tmp_path / "out")
    for entry in measure_regions(an_analysis.axial, Options()):
        row = table[entry.region, entry.name]
        if entry.name in OF_LOCALIZATION:
            assert row["value"] == ""
            assert row["reason"]
        elif entry.value is None:
            assert row["value"] == ""
        elif entry.name != "pleural_effusion_volume_ml":
            assert float(row["value"]) == pytest.approx(entry.value, rel=1e-8)
    said = capsys.readouterr().out
    assert "Both lungs:" in said
    assert "SECRET" not in said


def test_a_corrected_segment_and_other_limits_change_the_numbers(an_analysis, ct_folder, tmp_path):
    opacities = np.where(an_analysis.opacities == 2, 0, an_analysis.opacities).astype(np.uint8)
    write_dicom(replace(an_analysis, opacities=opacities), tmp_path / "corrected")
    words = ["measure", str(ct_folder), str(tmp_path / "corrected" / "segmentation.dcm")]
    limits = [-900, -700, -300, 50]
    assert (
        main([*words, "-o", str(tmp_path / "a"), "--aeration-limits", *map(str, limits), "--high-opacity", "-600"]) == 0
    )
    table = table_of(tmp_path / "a")
    assert float(table["both_lungs", "consolidation_volume_ml"]["value"]) == 0
    options = Options(high_opacity_hu=-600, aeration_bands=bands_between(limits))
    masks = {**masks_of(an_analysis), CONSOLIDATION: np.zeros(opacities.shape, bool)}
    for entry in measure_segments(an_analysis.scan, masks, options):
        if entry.value is not None:
            assert float(table[entry.region, entry.name]["value"]) == pytest.approx(entry.value, rel=1e-8)


def test_folders_without_one_analysis_and_files_that_are_no_seg_are_refused(ct_folder, results, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["measure", str(ct_folder), str(ct_folder), "-o", out]) == 1
    assert "SR and SEG of one analysis of CovidCT was expected, but it holds 0" in capsys.readouterr().err
    two = tmp_path / "two"
    for name in "ab":
        shutil.copytree(results, two / name)
    report = pydicom.dcmread(two / "b" / "measurements.dcm")
    report.SOPInstanceUID += "1"
    report.save_as(two / "b" / "measurements.dcm")
    assert main(["measure", str(ct_folder), str(two), "-o", out]) == 1
    assert "but it holds 2" in capsys.readouterr().err
    assert main(["measure", str(ct_folder), str(results / "measurements.dcm"), "-o", out]) == 1
    assert "A binary or label map segmentation was expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
