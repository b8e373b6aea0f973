"""Which slices and which place of a scan the report shows."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from report_maker import make_analysis
from sides_phantom import SHAPE, arrays

from CovidCTLib.analysis import SliceMeasures
from CovidCTLib.report.planes import worst_place, worst_slices

NOTHING = SliceMeasures(**dict.fromkeys((field.name for field in fields(SliceMeasures)), 0))


def entry(index, position_mm, ggo_mm2, consolidation_mm2=0.0, probability=None, positive=False):
    """A slice of the table with what orders it."""
    return replace(
        NOTHING, index=index, position_mm=position_mm, ggo_area_mm2=ggo_mm2, consolidation_area_mm2=consolidation_mm2,
        probability=probability, positive=positive,
    )  # fmt: skip


def test_worst_slices_count_both_opacities_and_take_equal_distance_as_far_enough():
    slices: list[SliceMeasures] = [
        entry(0, 0.0, 10.0),
        entry(1, 8.0, 5.0, 10.0),
        entry(2, 15.9, 14.0),
        entry(3, 16.0, 9.0),
        entry(4, 40.0, 0.0),
        entry(5, 60.0, 0.0, positive=True),
    ]
    assert [found.index for found in worst_slices(slices)] == [1, 0, 3, 5]
    assert [found.index for found in worst_slices(slices, count=2)] == [1, 0]


def test_of_equal_opacity_the_more_probable_slice_is_worse_then_the_more_localized():
    first, second = entry(0, 0.0, 10.0, probability=0.2), entry(1, 20.0, 10.0, probability=0.7)
    assert worst_slices([first, second])[0].index == 1
    looked = [replace(first, probability=None, localization_area_mm2=area) for area in (3.0, 9.0)]
    assert worst_slices([looked[0], replace(looked[1], index=7, position_mm=50.0)])[0].index == 7


def test_the_place_falls_back_from_opacity_to_localization_to_lungs_to_the_middle():
    made = arrays()
    analysis = make_analysis(made)
    assert (worst_place(analysis).z, worst_place(analysis).reason) == (12, "the slice with the largest area of opacity")
    heat = np.zeros(SHAPE, np.float32)
    heat[8, 30:32, 50:52] = 0.9
    looked = make_analysis(replace(made, opacities=np.zeros(SHAPE, np.uint8), localization=heat))
    place = worst_place(looked)
    assert (place.z, place.y, place.x) == (8, 30, 50)
    assert place.reason == "the slice with the largest localization, since no opacity was found"
    bare = worst_place(make_analysis(replace(looked.axial, localization=np.zeros(SHAPE, np.float32))))
    # All slices that show both lungs are equal; row and column are the first with most lung.
    assert (bare.y, bare.x) == (10, 36)
    assert bare.reason == "the representative slice, since neither opacity nor localization was found"
    empty = make_analysis(
        replace(looked.axial, lungs=np.zeros(SHAPE, np.uint8), localization=np.zeros(SHAPE, np.float32))
    )
    place = worst_place(replace(empty, slices=()))
    assert (place.z, place.y, place.x) == (10, 20, 30)
    assert place.reason == "the middle slice, since no lung was found"


def test_consolidation_alone_is_where_the_place_is():
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[6, 20:24, 40:44] = 2
    place = worst_place(make_analysis(replace(arrays(), opacities=opacities)))
    assert (place.z, place.y, place.x) == (6, 20, 40)
