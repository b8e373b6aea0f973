"""Segmentations in files: Slicer's, labelmaps, folders of masks; and every bad one with its line."""

from __future__ import annotations

import numpy as np
import pytest
from segment_maker import SHAPE_ZYX, a_scan, mask_of, masks, segment_keys, terminology, write_masks, write_volume

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.results.nifti_file import write_nifti
from CovidCTLib.results.segmentation_file import write_segmentation
from CovidCTLib.segments import lay_on, read_segmentation
from CovidCTLib.segments.mapping import LARGEST_TABLE_BYTES, mapping_from_words, read_colour_table

RIGHT = "24028007"


def laid(path, labels=None):
    return lay_on(read_segmentation(path, labels), a_scan())


def flat_labels():
    """Lungs under opacities give way, as in a labelmap."""
    labels = np.zeros(SHAPE_ZYX, np.uint8)
    for value, mask in enumerate(masks().values(), start=1):
        labels[mask] = value
    return labels


def test_our_own_segmentation_comes_back(tmp_path):
    from analysis_maker import make_analysis

    analysis = make_analysis()
    write_segmentation(tmp_path / "a.seg.nrrd", analysis)
    labels = laid(tmp_path / "a.seg.nrrd")
    assert np.array_equal(labels.lungs, analysis.lungs)
    assert np.array_equal(labels.opacities, analysis.opacities)
    assert labels.given_as == "Slicer segmentation"
    assert not labels.notices


def test_lobes_and_areas_come_back_from_our_own_segmentation(tmp_path):
    from dataclasses import replace

    from analysis_maker import make_analysis

    lobes = np.where(mask_of("right_lung"), np.uint8(3), np.uint8(0)) + np.where(
        mask_of("left_lung"), np.uint8(4), np.uint8(0)
    )
    analysis = replace(make_analysis(), lobes=lobes, areas={"area Ä": mask_of("ggo")})
    write_segmentation(tmp_path / "a.seg.nrrd", analysis)
    labels = laid(tmp_path / "a.seg.nrrd")
    assert np.array_equal(labels.lobes, lobes)
    assert np.array_equal(labels.areas["area Ä"], mask_of("ggo"))


def test_a_single_layer_and_old_keys_are_read(tmp_path):
    keys = segment_keys(
        {
            "ID": "Segment_1",
            "Name": "any",
            "LabelValue": 1,
            "Layer": 0,
            "Tags": terminology("39607008", modifier=RIGHT),
        },
        {"ID": "Segment_2", "Name": "left lung", "LabelValue": 2, "Layer": 0, "Tags": "Other:x|"},
        {"ID": "Segment_3", "Name": "anything", "LabelValue": 3, "Layer": 0, "Tags": terminology("50196008")},
    )
    labels = laid(write_volume(tmp_path / "a.seg.nrrd", flat_labels(), keys=keys))
    assert np.array_equal(labels.opacities == 1, mask_of("ggo"))
    assert (labels.lungs == 1).any()
    assert (labels.lungs == 2).any()
    old = segment_keys({"ID": "S1", "Name": "Lungs"})
    labels = laid(write_volume(tmp_path / "b.seg.nrrd", mask_of("right_lung").astype(np.uint8), keys=old))
    assert (labels.lungs == 3).any()


def test_keys_that_point_nowhere_are_refused(tmp_path):
    keys = segment_keys({"ID": "S", "Name": "Lungs", "LabelValue": 1, "Layer": 4})
    with pytest.raises(InputError, match="in the 1 layers of the file"):
        laid(write_volume(tmp_path / "a.seg.nrrd", flat_labels(), keys=keys))


def test_fractional_segmentations_are_refused(tmp_path):
    keys = {**segment_keys({"ID": "S", "Name": "Lungs"}), "Segmentation_MasterRepresentation": "Fractional labelmap"}
    with pytest.raises(InputError, match="fractional"):
        laid(write_volume(tmp_path / "a.seg.nrrd", flat_labels(), keys=keys))
    with pytest.raises(InputError, match="fractional"):
        laid(write_volume(tmp_path / "b.nii.gz", flat_labels() * np.float32(0.5)), {"right_lung": 1})


def test_surfaces_are_refused(tmp_path):
    (tmp_path / "a.seg.vtm").write_text("<VTKFile/>")
    with pytest.raises(InputError, match="holds surfaces"):
        laid(tmp_path / "a.seg.vtm")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_labelmaps_with_a_mapping_are_read(tmp_path, ending):
    mapping = mapping_from_words(["lung_right=1", "lung_left=2", "ggo=3", "consolidation=4"])
    labels = laid(write_volume(tmp_path / f"a{ending}", flat_labels()), mapping)
    assert np.array_equal(labels.opacities, mask_of("ggo") + 2 * mask_of("consolidation"))
    assert not labels.notices


def test_labels_out_of_the_mapping_are_told_with_their_voxels(tmp_path):
    path = write_volume(tmp_path / "a.nii.gz", flat_labels())
    labels = laid(path, {"right_lung": 1, "left_lung": 2})
    (notice,) = labels.notices
    assert notice.code == "labels-unknown"
    assert f"3 ({mask_of('ggo').sum()} voxels)" in notice.text


def test_a_labelmap_without_a_mapping_is_refused_but_for_our_own(tmp_path):
    with pytest.raises(InputError, match="numbers only") as refused:
        laid(write_volume(tmp_path / "a.nii.gz", flat_labels()))
    assert "--labels" in refused.value.hint
    write_nifti(tmp_path / "b.nii.gz", flat_labels(), a_scan().geometry, "CovidCT labelmap")
    assert np.array_equal(laid(tmp_path / "b.nii.gz").opacities == 2, mask_of("consolidation"))


def test_negative_values_are_no_labels(tmp_path):
    with pytest.raises(InputError, match="goes down to -1024"):
        laid(write_volume(tmp_path / "a.nii.gz", flat_labels().astype(np.int16) - 1024), {"right_lung": 1})


def test_colour_files_are_refused(tmp_path):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.zeros((*SHAPE_ZYX, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="this file has 3"):
        laid(tmp_path / "a.nrrd", {"right_lung": 1})
    sitk.WriteImage(sitk.Image([4, 4, 4, 2], sitk.sitkUInt8), str(tmp_path / "b.nii.gz"))
    with pytest.raises(InputError, match="4 dimensions"):
        laid(tmp_path / "b.nii.gz", {"right_lung": 1})


def test_masks_as_totalsegmentator_writes_them_are_read_whatever_their_value(tmp_path):
    named = {
        "lung_upper_lobe_left": mask_of("left_lung"),
        "lung_lower_lobe_right": 255 * mask_of("right_lung").astype(np.uint8),
    }
    folder = write_masks(tmp_path / "masks", {**named, "liver": mask_of("ggo")})
    (folder / "statistics.json").write_text("{}")
    labels = laid(folder)
    assert np.array_equal(labels.lungs, mask_of("right_lung") + 2 * mask_of("left_lung"))
    assert labels.left_out == ("liver",)


def test_masks_that_cannot_be_used_are_refused_without_their_names(tmp_path):
    two = mask_of("right_lung") + 3 * mask_of("left_lung").astype(np.uint8)
    with pytest.raises(InputError, match="right lung holds values from 1 to 3"):
        laid(write_masks(tmp_path / "two", {"lung_right": two}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds none"):
        laid(tmp_path / "empty")
    folder = write_masks(tmp_path / "cut", {"lung_right": mask_of("right_lung")})
    whole = (folder / "lung_right.nii.gz").read_bytes()
    (folder / "lung_right.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        laid(folder)


def test_what_is_no_segmentation_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        read_segmentation(tmp_path / "nothing")
    (tmp_path / "a.txt").write_text("x" * 400)
    with pytest.raises(InputError, match="of another type"):
        read_segmentation(tmp_path / "a.txt")


@pytest.mark.parametrize("word", ["right_lung", "right_lung=", "=1", "right_lung=0", "right_lung=1.5"])
def test_words_of_another_form_are_refused(word):
    with pytest.raises(OptionsError, match="form name=number"):
        mapping_from_words([word])


def test_mappings_name_known_structures_once():
    assert mapping_from_words(["area A=7", "ggo=3"]) == {"area A": 7, "ggo": 3}
    with pytest.raises(OptionsError, match="'liver' is no structure"):
        mapping_from_words(["liver=5"])
    with pytest.raises(OptionsError, match="repeats one"):
        mapping_from_words(["ggo=3", "consolidation=3"])


@pytest.mark.parametrize(
    "text",
    [
        "# Color table file\n0 background 0 0 0 0\n1 right_lung 86 180 233 255\n3 ggo 1 2 3 255\n",
        '0 0 0 0 0 0 0 "Clear Label"\n1 255 0 0 1 1 1 "right lung"\n3 0 255 0 1 1 1 "ggo"\n',
        "value,name\n0,background\n1,right lung\n3,ggo\n",
    ],
)
def test_colour_tables_of_slicer_and_itk_snap_and_csv_are_read(tmp_path, text):
    path = tmp_path / "table.txt"
    path.write_text(text, encoding="utf-8")
    assert sorted(read_colour_table(path).values()) == [1, 3]


def test_tables_that_are_none_are_refused(tmp_path):
    path = tmp_path / "table.txt"
    with pytest.raises(InputError, match="system refuses"):
        read_colour_table(path)
    for content, words in ((b"\xff\xfe\x00", "UTF-8"), (b"hello\n", "no line is one"), (b"", "no line is one")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_colour_table(path)
    path.write_bytes(b" " * (LARGEST_TABLE_BYTES + 1))
    with pytest.raises(InputError, match="larger than any"):
        read_colour_table(path)
