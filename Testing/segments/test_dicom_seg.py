"""DICOM segmentations: our own and those of others, and earlier results in a study measured again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")
pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install 'covidct[pdf]')")

import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom_results"))

from study_maker import analyzed, write_ct

from CovidCTLib.dicom_results import read_dicom_results, write_dicom
from CovidCTLib.errors import InputError
from CovidCTLib.pipeline import measure
from CovidCTLib.reading import read_scan
from CovidCTLib.segments import GivenLabels, lay_on, read_segmentation


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A CT with its DICOM results; gives folder of the CT, folder of the results, and the analysis."""
    folder = tmp_path_factory.mktemp("study")
    write_ct(folder / "ct")
    analysis = analyzed(folder / "ct")
    # The numbers of `make_analysis` are made up; a study holds those that were measured.
    analysis = measure(analysis.scan, {"right_lung": analysis.lungs == 1, "left_lung": analysis.lungs == 2,
                                       "ggo": analysis.opacities == 1, "consolidation": analysis.opacities == 2},
                       before=analysis)  # fmt: skip
    write_dicom(analysis, folder / "dicom")
    return folder / "ct", folder / "dicom", analysis


def seg_in(folder):
    return next(
        path for path in sorted(folder.iterdir()) if pydicom.dcmread(path, stop_before_pixels=True).Modality == "SEG"
    )


def changed(path, tmp_path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(tmp_path / "changed.dcm")
    return tmp_path / "changed.dcm"


def test_our_own_segmentation_comes_back_voxel_by_voxel(study):
    ct, results, analysis = study
    labels = lay_on(read_segmentation(results), read_scan(ct))
    assert labels.given_as == "DICOM SEG"
    assert np.array_equal(labels.lungs, analysis.lungs)
    assert np.array_equal(labels.opacities, analysis.opacities)
    assert not labels.notices


def test_a_study_measured_again_gives_the_same_numbers(study):
    ct, results, analysis = study
    scan = read_scan(ct)
    again = measure(scan, read_segmentation(results), before=read_dicom_results(results, scan))
    assert again.measures == analysis.measures
    assert again.slices == analysis.slices
    assert again.provenance.slices == "before"


def test_label_maps_are_read(study, tmp_path):
    ct, _, analysis = study
    write_dicom(analysis, tmp_path / "dicom", kind="labelmap")
    labels = lay_on(read_segmentation(tmp_path / "dicom"), read_scan(ct))
    assert np.array_equal(labels.lungs, analysis.lungs)
    assert np.array_equal(labels.opacities, analysis.opacities)


def test_a_single_file_is_read(study):
    ct, results, analysis = study
    assert np.array_equal(lay_on(read_segmentation(seg_in(results)), read_scan(ct)).lungs, analysis.lungs)


def test_segments_are_known_by_their_codes_whatever_they_are_called(study, tmp_path):
    ct, results, analysis = study

    def rename(dataset):
        for item in dataset.SegmentSequence:
            item.SegmentLabel = "liver"

    path = changed(seg_in(results), tmp_path, rename)
    assert np.array_equal(lay_on(read_segmentation(path), read_scan(ct)).opacities, analysis.opacities)


def _elsewhere(dataset):
    dataset.FrameOfReferenceUID = "1.2.3.4"


def _fractional(dataset):
    dataset.SegmentationType = "FRACTIONAL"


def _cut(dataset):
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


def _uneven(dataset):
    position = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient
    position[0] = float(position[0]) + 0.4


@pytest.mark.parametrize(
    ("change", "words"),
    [(_elsewhere, "names another"), (_fractional, "FRACTIONAL"), (_cut, "damaged"), (_uneven, "mm off")],
)
def test_what_cannot_be_used_is_refused(study, tmp_path, change, words):
    ct, results, _ = study
    with pytest.raises(InputError, match=words):
        lay_on(read_segmentation(changed(seg_in(results), tmp_path, change)), read_scan(ct))


def test_segmentations_of_several_scans_in_one_folder_are_refused(study, tmp_path):
    _, results, _ = study
    pydicom.dcmread(seg_in(results)).save_as(tmp_path / "one.dcm")
    changed(seg_in(results), tmp_path, _elsewhere)
    with pytest.raises(InputError, match="several frames of reference"):
        read_segmentation(tmp_path)


def test_lobes_and_areas_go_into_dicom_results_and_lobes_come_back(study, tmp_path):
    ct, _, analysis = study
    z = np.arange(analysis.lungs.shape[0])[:, None, None]
    lobes = np.where(analysis.lungs == 1, np.where(z < 6, np.uint8(3), np.uint8(1)), np.uint8(0))
    lobes[analysis.lungs == 2] = 4
    labels = GivenLabels(
        analysis.lungs, analysis.opacities, lobes=lobes, areas={"area A": np.asarray(analysis.opacities == 1)}
    )
    given = measure(analysis.scan, labels, before=analysis)
    write_dicom(given, tmp_path / "dicom")
    back = lay_on(read_segmentation(tmp_path / "dicom"), read_scan(ct))
    assert np.array_equal(back.lobes, lobes)
    assert np.array_equal(back.lungs, analysis.lungs)
    restored = read_dicom_results(tmp_path / "dicom", read_scan(ct))
    assert restored.measures == given.measures
    assert restored.provenance == given.provenance
