"""The planes that the report shows: chosen where the disease is worst, cut in the radiological convention."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from report_maker import make_analysis, make_arrays

from CovidCTLib.analysis import Analysis
from CovidCTLib.report.planes import cut, lung_box, opacity_area_mm2, position_mm, worst_place, worst_slices


@pytest.fixture(scope="module")
def an_analysis() -> Analysis:
    return make_analysis()


def test_the_place_lies_in_the_ball_of_opacity(an_analysis: Analysis) -> None:
    place = worst_place(an_analysis)
    assert an_analysis.axial.opacities[place.z, place.y, place.x] > 0
    areas = [opacity_area_mm2(entry) for entry in an_analysis.slices]
    assert areas[place.z] == max(areas)
    assert (place.along("axial"), place.along("coronal"), place.along("sagittal")) == (place.z, place.y, place.x)


def test_without_findings_the_representative_slice_is_shown() -> None:
    analysis = make_analysis(make_arrays(opacity=False, localization=False))
    place = worst_place(analysis)
    assert analysis.slices[place.z].representative
    assert "representative" in place.reason


def test_without_measured_slices_the_middle_one_is_shown(an_analysis: Analysis) -> None:
    assert worst_place(dataclasses.replace(an_analysis, slices=())).z == 20


def test_worst_slices_are_sorted_and_keep_their_distance(an_analysis: Analysis) -> None:
    chosen = worst_slices(an_analysis.slices, count=3, gap_mm=10.0)
    areas = [opacity_area_mm2(entry) for entry in chosen]
    assert len(chosen) == 3
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == max(opacity_area_mm2(entry) for entry in an_analysis.slices)
    positions = sorted(entry.position_mm for entry in chosen)
    assert np.diff(positions).min() >= 10.0


def test_a_positive_slice_without_opacity_is_among_the_worst() -> None:
    chosen = worst_slices(make_analysis(make_arrays(opacity=False)).slices)
    assert chosen
    assert all(entry.positive for entry in chosen)


def test_no_slice_is_worst_where_nothing_was_found() -> None:
    assert worst_slices(make_analysis(make_arrays(opacity=False, localization=False)).slices) == ()


def test_the_box_holds_the_lungs_and_the_margin() -> None:
    axial = make_arrays()
    axial.lungs[:] = 0
    axial.opacities[:] = 0
    axial.lungs[10:20, 30:40, 50:60] = 1
    assert lung_box(axial, margin_mm=0) == (slice(10, 20), slice(30, 40), slice(50, 60))
    assert lung_box(axial, margin_mm=6) == (slice(8, 22), slice(27, 43), slice(47, 63))


def test_the_box_ends_at_the_scan_and_is_all_of_it_without_lungs() -> None:
    assert lung_box(make_arrays(), margin_mm=1000) == (slice(0, 40), slice(0, 96), slice(0, 96))
    empty = make_arrays(lungs=(), opacity=False)
    assert lung_box(empty) == (slice(0, 40), slice(0, 96), slice(0, 96))


def test_planes_have_right_on_the_left_front_on_the_left_and_the_head_up() -> None:
    axial = make_arrays(opacity=False)
    axial.opacities[35, 20, 10] = 3  # near the head, in front, on the right
    whole = (slice(None), slice(None), slice(None))
    for name, index, expected in (("axial", 35, (20, 10)), ("coronal", 20, (4, 10)), ("sagittal", 10, (4, 20))):
        plane = cut(axial, name, index, whole)  # type: ignore[arg-type]
        assert tuple(int(part[0]) for part in np.nonzero(plane.opacities)) == expected
    assert cut(axial, "axial", 0, whole).sides == ("R", "L")
    assert cut(axial, "sagittal", 0, whole).sides == ("A", "P")
    assert cut(axial, "coronal", 0, whole).pixel_mm == (4.0, 2.0)


def test_positions_are_those_of_the_patient() -> None:
    axial = make_arrays()
    assert position_mm(axial, "axial", 4) == pytest.approx(-80 + 4 * 4)
    assert position_mm(axial, "coronal", 10) == pytest.approx(-96 + 10 * 2)
    assert position_mm(axial, "sagittal", 1) == pytest.approx(-96 + 2)


def test_without_findings_the_planes_go_through_the_right_lung_where_there_is_no_other(an_analysis):
    arrays = an_analysis.axial
    nothing = np.zeros_like(arrays.opacities)
    right = np.where(arrays.lungs == 1, 1, 0).astype(np.uint8)
    bare = dataclasses.replace(
        an_analysis,
        axial=dataclasses.replace(
            arrays, lungs=right, opacities=nothing, localization=nothing.astype(arrays.localization.dtype)
        ),
        slices=(),
    )
    place = worst_place(bare)
    plane = right[place.z] > 0
    assert (place.y, place.x) == (int(np.argmax(plane.sum(axis=1))), int(np.argmax(plane.sum(axis=0))))
    assert plane.any()
    assert place.x < plane.shape[1] // 2
