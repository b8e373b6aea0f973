"""Segments on the grid of a CT: recognized, resampled, overlaps settled, and what cannot be refused with a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from segment_maker import GGO_BOX, SHAPE_ZYX, a_scan, mask_of, masks

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.segments import GivenSegment, Segmentation, lay_on

GRID = a_scan().geometry


def segmentation(named, geometry=GRID, **told):
    segments = [
        GivenSegment(name, lambda mask=mask: (np.asarray(mask, bool), geometry)) for name, mask in named.items()
    ]
    return Segmentation(tuple(segments), "test", **told)


def codes(labels):
    return [notice.code for notice in labels.notices]


def test_lungs_and_opacities_become_arrays_as_those_of_an_analysis():
    labels = lay_on(segmentation(masks()), a_scan())
    assert np.array_equal(labels.lungs, mask_of("right_lung") + 2 * mask_of("left_lung"))
    assert np.array_equal(labels.opacities, mask_of("ggo") + 2 * mask_of("consolidation"))
    assert labels.effusion is None
    assert labels.lobes is None
    assert not labels.notices


def test_overlaps_go_to_effusion_consolidation_ground_glass_lung_in_this_order_and_are_told():
    named = masks()
    named["consolidation"] = named["consolidation"].copy()
    named["consolidation"][GGO_BOX[0], 5, 3:8] = True
    named["pleural effusion"] = np.zeros(SHAPE_ZYX, bool)
    named["pleural effusion"][3, 5, 3] = named["pleural effusion"][4, 12, 15] = True
    labels = lay_on(segmentation(named), a_scan())
    assert labels.effusion[3, 5, 3]
    assert labels.opacities[3, 5, 3] == 0
    assert labels.lungs[3, 5, 3] == 0
    assert labels.lungs[4, 12, 15] == 0
    assert (labels.opacities[3, 5, 4:8] == 2).all()
    assert (labels.opacities[4, 5, 3:8] == 2).all()
    told = {notice.text.split(" voxels")[0]: notice.text for notice in labels.notices}
    assert codes(labels) == ["segments-overlap"] * 3
    assert "15" in told
    assert "consolidation and ground-glass opacity; they were counted as consolidation" in told["15"]


def test_right_and_left_lung_that_overlap_are_told():
    named = masks()
    named["left_lung"] = named["left_lung"] | (np.arange(SHAPE_ZYX[2]) == 9) & named["right_lung"]
    labels = lay_on(segmentation(named), a_scan())
    assert (labels.lungs[named["right_lung"]] == 1).all()
    assert codes(labels) == ["segments-overlap"]


def test_what_is_not_known_is_listed_and_left_out():
    labels = lay_on(segmentation({**masks(), "liver": mask_of("ggo"), "Müller": mask_of("ggo")}), a_scan())
    assert labels.left_out == ("liver", "Müller")
    assert codes(labels) == ["segments-unknown"]
    assert "'liver', 'Müller'" in labels.notices[0].text


def test_segments_that_are_not_known_are_never_read():
    def never():
        raise AssertionError("read")

    given = segmentation(masks())
    lay_on(replace(given, segments=(*given.segments, GivenSegment("liver", never))), a_scan())


def test_lobes_alone_make_the_lungs():
    right, left = mask_of("right_lung"), mask_of("left_lung")
    rows = np.arange(SHAPE_ZYX[0])[:, None, None]
    named = {"RUL": right & (rows >= 6), "RLL": right & (rows < 6), "LUL": left & (rows >= 6), "LLL": left & (rows < 6)}
    labels = lay_on(segmentation(named), a_scan())
    assert np.array_equal(labels.lungs, right + 2 * left)
    assert set(np.unique(labels.lobes)) == {0, 1, 3, 4, 5}


def test_split_segments_are_put_together():
    named = masks()
    whole = named.pop("ggo")
    first = whole.copy()
    first[:4] = False
    labels = lay_on(
        segmentation({**named, "ground-glass opacity_1": first, "ground-glass opacity_2": whole & ~first}), a_scan()
    )
    assert np.array_equal(labels.opacities == 1, whole)


def test_emptied_segments_mean_none_not_unknown():
    named = {**masks(), "ggo": np.zeros(SHAPE_ZYX, bool), "consolidation": np.zeros(SHAPE_ZYX, bool)}
    labels = lay_on(segmentation(named), a_scan())
    assert labels.opacities is not None
    assert not labels.opacities.any()


def test_opacity_of_either_kind_counts_as_ground_glass_and_is_told():
    labels = lay_on(segmentation({"lungs": mask_of("right_lung"), "infection": mask_of("ggo")}), a_scan())
    assert not labels.kinds_parted
    assert np.array_equal(labels.opacities == 1, mask_of("ggo"))
    assert (labels.lungs[mask_of("right_lung")] == 3).all()


def test_areas_are_those_of_their_name_and_those_asked_for():
    labels = lay_on(segmentation({**masks(), "area A": mask_of("ggo"), "spot": mask_of("ggo")}), a_scan(), ["spot"])
    assert list(labels.areas) == ["area A", "spot"]
    assert labels.left_out == ()
    with pytest.raises(InputError, match="'mine' was expected as an area"):
        lay_on(segmentation(masks()), a_scan(), ["mine"])


def test_two_areas_of_one_name_keep_apart():
    twice = Segmentation(tuple(GivenSegment("area A", lambda: (mask_of("ggo"), GRID)) for _ in range(2)), "test")
    assert list(lay_on(twice, a_scan()).areas) == ["area A", "area A (2)"]


def test_a_part_of_the_grid_is_laid_voxel_by_voxel_without_a_word():
    z, y, x = (slice(1, 11), slice(2, 18), slice(1, 23))
    part = Geometry((10, 16, 22), GRID.spacing_xyz_mm, tuple((GRID.ijk_to_lps @ [1, 2, 1, 1])[:3]))
    labels = lay_on(segmentation({name: mask[z, y, x] for name, mask in masks().items()}, part), a_scan())
    assert np.array_equal(labels.opacities == 1, mask_of("ggo"))
    assert not labels.notices


def test_turned_axes_are_laid_voxel_by_voxel():
    back = Geometry(
        SHAPE_ZYX, GRID.spacing_xyz_mm, tuple((GRID.ijk_to_lps @ [0, 0, SHAPE_ZYX[0] - 1, 1])[:3]),
        (1, 0, 0, 0, 1, 0, 0, 0, -1),
    )  # fmt: skip
    labels = lay_on(segmentation({name: mask[::-1] for name, mask in masks().items()}, back), a_scan())
    assert np.array_equal(labels.opacities == 2, mask_of("consolidation"))
    assert not labels.notices


def test_another_grid_of_the_same_space_is_resampled_and_told():
    fine = Geometry((12, 40, 48), (0.375, 0.4, 2.5), tuple(np.array(GRID.origin_lps_mm) - [0.1875, 0.2, 0]))
    named = {name: mask.repeat(2, axis=1).repeat(2, axis=2) for name, mask in masks().items()}
    labels = lay_on(segmentation(named, fine), a_scan())
    assert codes(labels) == ["segments-resampled"]
    assert "48 x 40 x 12" in labels.notices[0].text
    assert np.array_equal(labels.opacities == 2, mask_of("consolidation"))


def test_what_sticks_out_of_the_ct_is_told():
    taller = Geometry((18, *SHAPE_ZYX[1:]), GRID.spacing_xyz_mm, GRID.origin_lps_mm)
    named = {name: np.concatenate([mask, mask[:6]]) for name, mask in masks().items()}
    labels = lay_on(segmentation(named, taller), a_scan())
    assert codes(labels) == ["segments-outside"]
    assert labels.notices[0].value > 20


def test_a_segmentation_beside_the_ct_is_refused():
    away = Geometry(SHAPE_ZYX, GRID.spacing_xyz_mm, (500.0, 0.0, 0.0))
    with pytest.raises(InputError, match="beside it altogether"):
        lay_on(segmentation(masks(), away), a_scan())


def test_another_frame_of_reference_is_refused():
    scan = replace(a_scan(), frame_of_reference="1.2.3")
    assert lay_on(segmentation(masks(), frame_of_reference="1.2.3"), scan).lungs is not None
    with pytest.raises(InputError, match="names another"):
        lay_on(segmentation(masks(), frame_of_reference="1.2.4"), scan)


def test_lungs_without_air_in_this_ct_are_refused_and_those_with_little_warned_of():
    scan = a_scan()
    dense = np.zeros(SHAPE_ZYX, bool)
    dense[2:10, 17:19, 2:22] = True
    with pytest.raises(InputError, match=r"0\.0 % are aerated"):
        lay_on(segmentation({"right lung": dense}), scan)
    hu = scan.hu.copy()
    hu[mask_of("right_lung") & (np.arange(SHAPE_ZYX[1])[:, None] > 4)] = 30
    labels = lay_on(segmentation({"right lung": mask_of("right_lung")}), replace(scan, hu=hu))
    assert codes(labels) == ["given-lungs-dense"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({}, "it has none"),
        ({"liver": np.ones(SHAPE_ZYX, bool)}, "none of the 1 is known: 'liver'"),
        ({"ggo": np.zeros(SHAPE_ZYX, bool)}, "all of its 1 known segments are empty"),
    ],
)
def test_what_gives_nothing_to_measure_is_refused(named, words):
    with pytest.raises(InputError, match=words):
        lay_on(segmentation(named), a_scan())
