"""What a segment is: by codes first, then by names, never by a guess."""

from __future__ import annotations

import pytest

from CovidCTLib.labels import LOBE_LABELS
from CovidCTLib.segments.structures import LONGEST_NAME, STRUCTURES, SegmentCode, is_area, shown_name, structure_of

RIGHT, LEFT = "24028007", "7771000"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("right lung", "right_lung"),
        ("Lung_Right", "right_lung"),
        ("lung R", "right_lung"),
        ("Lungs", "lungs"),
        ("lung_upper_lobe_left", "left_upper_lobe"),
        ("lung_middle_lobe_right", "right_middle_lobe"),
        ("RLL", "right_lower_lobe"),
        ("Upper lobe of lung L", "left_upper_lobe"),
        ("ground-glass opacity", "ggo"),
        ("Ground Glass Opacities", "ggo"),
        ("ground-glass opacity_2", "ggo"),
        ("Consolidation", "consolidation"),
        ("lung_covid_infection", "opacity"),
        ("Pleural Effusion", "pleural_effusion"),
    ],
)
def test_segments_are_known_by_their_names(name, key):
    assert structure_of(name, None).key == key


@pytest.mark.parametrize("name", ["liver", "lesion", "lung vessels", "tumour", "", "right", "Segment_1"])
def test_nothing_is_guessed(name):
    assert structure_of(name, None) is None


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (SegmentCode("SCT", "39607008", RIGHT), "right_lung"),
        (SegmentCode("SRT", "T-28000", "G-A101"), "left_lung"),
        (SegmentCode("SCT", "45653009", RIGHT), "right_upper_lobe"),
        (SegmentCode("SCT", "90572001", LEFT), "left_lower_lobe"),
        (SegmentCode("SCT", "72481006"), "right_middle_lobe"),
        (SegmentCode("SCT", "60046008", LEFT), "pleural_effusion"),
        *((SegmentCode(label.type.scheme, label.type.value), label.segment_id) for label in LOBE_LABELS),
    ],
)
def test_codes_come_before_names(code, key):
    assert structure_of("consolidation", code).key == key


def test_a_code_that_is_not_known_leaves_it_to_the_name():
    tissue = SegmentCode("SCT", "85756007")
    assert structure_of("consolidation", tissue).key == "consolidation"
    assert structure_of("anything", tissue) is None
    assert structure_of("anything", SegmentCode("99OTHER", "39607008", RIGHT)) is None


def test_a_lung_whose_code_has_no_side_takes_it_from_the_name():
    lung = SegmentCode("SCT", "39607008")
    assert structure_of("left lung", lung).key == "left_lung"
    assert structure_of("Segment_3", lung).key == "lungs"
    assert structure_of("consolidation", lung).key == "lungs"


def test_every_name_and_code_means_one_structure():
    codes = [code for structure in STRUCTURES for code in structure.codes]
    assert len(codes) == len(set(codes))
    assert all(structure_of(name, None) is structure for structure in STRUCTURES for name in structure.names)
    assert all(structure_of(structure.key, None) is structure for structure in STRUCTURES)


def test_areas_are_told_by_their_first_word():
    assert is_area("area A")
    assert is_area("ROI-3")
    assert is_area("Area")
    assert not is_area("lung area")
    assert not is_area("areal")
    assert not is_area("")


def test_names_are_shown_in_one_short_line():
    assert shown_name(" a\nb\x00c ") == "a b c"
    assert len(shown_name("x" * 200)) == LONGEST_NAME
