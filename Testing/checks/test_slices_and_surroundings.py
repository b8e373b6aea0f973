"""Order and jumps of slices, and what lies around the lungs, measured by closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks.stack import check_stack
from CovidCTLib.checks.surroundings import check_surroundings
from CovidCTLib.errors import QualityError


def stack_of(values):
    """Slices whose pictures are a gradient with so many HU more each."""
    gradient = np.linspace(-900, 0, 16, dtype=np.float32)[None, None] * np.ones((1, 16, 1), np.float32)
    return np.rint(gradient + np.asarray(values, np.float32)[:, None, None]).astype(np.int16)


def test_even_slices_give_no_notice():
    assert check_stack(stack_of(range(0, 200, 10)), 3.0) == ()


@pytest.mark.parametrize(("jump", "told"), [(17, False), (18, True)])
def test_a_jump_is_told_above_one_point_seven_times_what_is_usual(jump, told):
    steps = np.full(19, 10.0)
    steps[8] = jump
    found = check_stack(stack_of(np.concatenate([[0], np.cumsum(steps)])), 3.0)
    assert [notice.code for notice in found] == (["slice-jump"] if told else [])
    if told:
        assert found[0].value == pytest.approx(1.8)
        assert found[0].text.startswith(
            "Between slices 8 and 9 (counted from the feet, from 0) the whole picture changes 1.8"
        )
        assert "other places" not in found[0].text


def test_the_worst_of_several_jumps_is_named_and_the_others_are_counted():
    steps = np.full(29, 10.0)
    steps[[5, 15, 25]] = 20, 40, 20
    (found,) = check_stack(stack_of(np.concatenate([[0], np.cumsum(steps)]) - 200), 3.0)
    assert found.value == pytest.approx(4.0)
    assert "Between slices 15 and 16" in found.text
    assert "and so at 2 other places" in found.text


def test_empty_slices_at_the_ends_are_passed_over_and_places_count_from_the_feet():
    steps = np.full(19, 10.0)
    steps[8] = 40
    hu = stack_of(np.concatenate([[0], np.cumsum(steps)]))
    padded = np.concatenate([np.full((3, 16, 16), -1024, np.int16), hu, np.full((2, 16, 16), -1024, np.int16)])
    (found,) = check_stack(padded, 3.0)
    assert "Between slices 11 and 12" in found.text


def test_copied_and_empty_slices_inside_are_counted():
    hu = stack_of(range(0, 200, 10))
    hu[5], hu[9] = hu[4], -1024
    found = {notice.code: notice for notice in check_stack(hu, 3.0)}
    assert (found["copied-slices"].value, found["empty-slices"].value) == (1.0, 1.0)
    assert found["copied-slices"].limit == 0.0


def test_fewer_than_eight_slices_are_not_compared():
    hu = stack_of(range(0, 80, 10))
    hu[3] = hu[2]
    assert len(check_stack(hu, 3.0)) >= 1
    assert check_stack(hu[:7], 3.0) == ()


@pytest.mark.parametrize(("swapped", "refused"), [(3, False), (6, True)])
def test_slices_out_of_order_are_refused_under_seventy_percent(swapped, refused):
    order = np.arange(24)
    for k in range(swapped):
        order[[4 * k, 4 * k + 1]] = order[[4 * k + 1, 4 * k]]
    hu = stack_of(np.arange(24) * 30.0 - 500)[order]
    if refused:
        with pytest.raises(QualityError, match="at least 70 % between their likes") as caught:
            check_stack(hu, 3.0)
        assert caught.value.notice is not None
        assert caught.value.notice.limit == 70.0
        # Thin slices are compared at every third mm, where these are in order again.
    else:
        check_stack(hu, 3.0)


def test_slices_that_are_nearly_alike_have_no_order():
    order = np.random.default_rng(0).permutation(24)
    check_stack(stack_of(np.arange(24) * 1.0)[order], 3.0)


SPACING = (3.0, 2.0, 2.0)


def chest_of(edge_px=1, blood=45, spine_hu=300, spine_rows=(44, 50), airway=("above", 3.0)):
    """Two box lungs with edges that rise over so many pixels, blood between them, a spine, and a windpipe."""
    hu = np.full((60, 64, 96), 40, np.float32)
    hu[:, :4] = hu[:, -4:] = -1000
    lungs = np.zeros(hu.shape, np.uint8)
    for label, (first, last) in ((1, (14, 34)), (2, (62, 82))):
        lungs[5:55, 12:52, first:last] = label
        rise = np.clip((np.arange(96)[None] + 0.5 - first) / edge_px + 0.5, 0, 1) * np.clip(
            (last - np.arange(96)[None] - 0.5) / edge_px + 0.5, 0, 1
        )
        hu[5:55, 12:52] -= 890 * rise
    hu[5:55, 16:40, 36:60] = blood
    hu[:, spine_rows[0] : spine_rows[1], 45:51] = spine_hu
    end, area_cm2 = airway
    pixels = round(area_cm2 * 100 / 4)
    part = slice(40, 60) if end == "above" else slice(0, 20)
    airway_box = hu[part, 42 : 42 + 6, 38:58]
    flat = airway_box.reshape(len(airway_box), -1)
    flat[:, :pixels] = -1000
    hu[part, 42 : 42 + 6, 38:58] = flat.reshape(airway_box.shape)
    return np.rint(hu).astype(np.int16), lungs


def told(hu, lungs, **options):
    return {notice.code: notice for notice in check_surroundings(hu, lungs, SPACING, **options)}


def test_sharp_edges_plain_blood_and_a_spine_behind_are_in_order():
    assert told(*chest_of()) == {}


@pytest.mark.parametrize(("edge_px", "blurred"), [(2, False), (5, True)])
def test_the_width_of_edges_is_that_of_the_ramp(edge_px, blurred):
    found = told(*chest_of(edge_px=edge_px))
    assert ("blurred" in found) is blurred
    if blurred:
        # 890 HU over five pixels of 2 mm.
        assert found["blurred"].value == pytest.approx(10, rel=0.1)
        assert found["blurred"].limit == pytest.approx(5.6)


@pytest.mark.parametrize(("blood", "enhanced"), [(110, False), (111, True), (250, True)])
def test_blood_is_measured_between_the_lungs(blood, enhanced):
    found = told(*chest_of(blood=blood))
    assert ("contrast-enhanced" in found) is enhanced
    if enhanced:
        assert (found["contrast-enhanced"].value, found["contrast-enhanced"].severity) == (blood, "note")


def test_a_spine_in_front_of_the_middle_is_told():
    found = told(*chest_of(spine_rows=(14, 20)))
    # A bone block is 4 pixels wide, so that the spine's 6 x 6 pixels hold one of its full density.
    assert found["front-back-doubtful"].value == pytest.approx(260, abs=5)
    assert found["front-back-doubtful"].limit == 30.0
    # Without true air nothing is said of blood; turned over neither.
    assert "contrast-enhanced" not in found


@pytest.mark.parametrize(
    ("airway", "cut", "doubtful"),
    [
        (("below", 1.2), False, True),
        # With no windpipe above at all, half a cm2 is enough.
        (("below", 0.8), False, True),
        (("below", 0.4), False, False),
        (("below", 1.2), True, False),
        (("above", 1.2), False, False),
    ],
)
def test_a_windpipe_below_and_none_above_is_told(airway, cut, doubtful):
    found = told(*chest_of(airway=airway), cut_at_apex=cut)
    assert ("head-feet-doubtful" in found) is doubtful
    if doubtful:
        assert found["head-feet-doubtful"].value == pytest.approx(airway[1])


def test_with_one_lung_or_exchanged_sides_nothing_is_said_of_the_surroundings():
    hu, lungs = chest_of(edge_px=5)
    assert told(hu, np.where(lungs == 1, lungs, 0)) == {}
    assert told(hu, np.choose(lungs, [0, 2, 1]).astype(np.uint8)) == {}


def test_edges_blood_and_windpipe_are_looked_for_where_the_lungs_are():
    hu, lungs = chest_of(edge_px=5, blood=200)
    moved = [np.roll(array, (3, 2, -4), axis=(0, 1, 2)) for array in (hu, lungs)]
    before, after = told(hu, lungs), told(*moved)
    assert set(before) == set(after) == {"blurred", "contrast-enhanced"}
    assert after["contrast-enhanced"].value == before["contrast-enhanced"].value
