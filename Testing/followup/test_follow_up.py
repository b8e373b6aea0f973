"""Follow-up of phantoms with known growth and shrinkage, and of what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from analysis_maker import make_analysis
from follow_up_phantoms import ball_ml

from CovidCTLib.analysis import Measurement
from CovidCTLib.errors import CancelledError, InputError, OptionsError
from CovidCTLib.followup import LeftOut, Study, follow_up, parse_date, patient_key, stated_date
from CovidCTLib.followup import course as course_module
from CovidCTLib.followup.registration import Registration
from CovidCTLib.results.reading import CT_NOT_STORED
from CovidCTLib.scan import Identifiers, ScanFacts

VOXEL_ERROR = 0.12
"""Relative error of a ball's volume that voxels of 6.5 x 4.6 x 4.6 mm make, moved once by nearest neighbour."""


def with_value(analysis, name, value, reason=None):
    """The same analysis with another value of both lungs."""
    others = tuple(m for m in analysis.measures if (m.region, m.name) != ("both_lungs", name))
    return replace(analysis, measures=(*others, Measurement("both_lungs", name, value, "ml", reason)))


def codes(result):
    return [notice.code for notice in result.notices]


def test_growth_and_shrinkage_have_the_volumes_that_were_painted(laid_on):
    volumes = laid_on.comparisons[0].difference.volumes_ml
    right, left = volumes["right_lung"], volumes["left_lung"]
    assert right["persistent"] == pytest.approx(ball_ml(20), rel=VOXEL_ERROR)
    assert right["new"] == pytest.approx(ball_ml(30) - ball_ml(20), rel=VOXEL_ERROR)
    assert right["resolved"] <= 0.05 * ball_ml(20)
    assert left["resolved"] == pytest.approx(ball_ml(14), rel=0.2)
    assert (left["new"], left["persistent"]) == (0, 0)
    for change, value in volumes["both_lungs"].items():
        assert value == pytest.approx(right[change] + left[change])


def test_lungs_that_breathed_differently_are_laid_upon_each_other(laid_on):
    found = laid_on.comparisons[0].registration
    assert found.dice_before < 0.95
    assert found.dice > 0.96
    assert found.folded_percent == 0
    assert found.by_hu


def test_studies_are_ordered_by_their_dates_whatever_the_order_given(laid_on):
    assert [(point.number, point.days) for point in laid_on.points] == [(2, 0), (1, 10)]
    assert laid_on.comparisons[0].study == 1


def test_rows_hold_the_change_from_the_first_study(laid_on):
    rows = {(row.study, row.region, row.measure): row for row in laid_on.rows}
    row = rows[1, "right_lung", "opacity_volume_ml"]
    first = rows[2, "right_lung", "opacity_volume_ml"]
    assert row.change == pytest.approx(row.value - first.value)
    assert row.change_percent == pytest.approx(100 * row.change / first.value)
    assert (first.change, first.change_percent) == (0, 0)
    gone = rows[1, "left_lung", "opacity_volume_ml"]
    assert (gone.value, gone.change_percent) == (0, -100)


def test_series_have_a_value_a_study_for_each_lung(laid_on):
    assert [entry.measure for entry in laid_on.series] == [
        "corona_score_cm3", "opacity_volume_ml", "opacity_percent", "ggo_volume_ml", "consolidation_volume_ml",
    ]  # fmt: skip
    for entry in laid_on.series:
        assert entry.days == (0, 10)
        assert set(entry.lines) == {"both_lungs", "right_lung", "left_lung"}
        assert all(len(values) == 2 for values in entry.lines.values())
    volumes = laid_on.series[1].lines
    assert volumes["both_lungs"][1] == pytest.approx(volumes["right_lung"][1] + volumes["left_lung"][1])


def test_the_change_is_told_absolute_and_relative():
    before, after = make_analysis(), make_analysis()
    before = with_value(before, "opacity_volume_ml", 20.0)
    after = with_value(after, "opacity_volume_ml", 30.0)
    for name, old, new in (("ggo_volume_ml", 10.0, 0.0), ("consolidation_volume_ml", 0.0, 5.0)):
        before, after = with_value(before, name, old), with_value(after, name, new)
    after = with_value(after, "corona_score_cm3", None, "the spacing is not known")
    result = follow_up([Study(before, date(2020, 3, 1)), Study(after, date(2020, 3, 2))], register=False)
    told = result.sentences[2]
    assert "The opacity volume of both lungs rose from 20 ml to 30 ml (+10 ml; +50 %)." in told
    assert "The volume of ground-glass opacity of both lungs fell from 10 ml to 0 ml (−10 ml; −100 %)." in told
    assert (
        "The volume of consolidation of both lungs rose from 0 ml to 5 ml (+5 ml; no relative change, as there was "
        "none at first)." in told
    )
    assert "The Corona Score of both lungs cannot be compared: the spacing is not known." in told
    assert any("percentage of opacity of both lungs did not change" in line for line in told)


@pytest.mark.parametrize(("new", "verb"), [(193.0, "hardly changed,"), (182.0, "fell"), (202.0, "rose")])
def test_no_rise_or_fall_is_told_of_a_change_smaller_than_the_error(new, verb):
    before = with_value(make_analysis(), "consolidation_volume_ml", 192.0)
    after = with_value(make_analysis(), "consolidation_volume_ml", new)
    result = follow_up([Study(before, date(2020, 3, 1)), Study(after, date(2020, 3, 2))], register=False)
    assert any(
        line.startswith(f"The volume of consolidation of both lungs {verb} from 192 ml to {new:g} ml (")
        for line in result.sentences[2]
    )


def test_a_measure_that_was_not_made_is_undefined_with_its_reason():
    bare = replace(make_analysis(), measures=())
    result = follow_up([Study(bare, date(2020, 3, 1)), Study(bare, date(2020, 3, 2))], register=False)
    assert all(row.value is None and row.reason == "this analysis did not measure it" for row in result.rows)
    assert all("cannot be compared" in line for line in result.sentences[2])


def test_one_study_alone_is_refused(small_studies):
    with pytest.raises(
        InputError, match=r"needs at least 2 studies that can be used, but there is only one\. Give more"
    ):
        follow_up(small_studies[:1])
    with pytest.raises(
        InputError, match=r"but there is none\. Study 1 was left out: it is damaged\. Give more studies"
    ):
        follow_up([], left_out=[LeftOut(1, "it is damaged.")])


def test_two_studies_of_the_same_number_are_refused(small_studies):
    with pytest.raises(InputError, match=r"needs a number of its own, but two have the same"):
        follow_up([replace(study, number=1) for study in small_studies])


def test_the_same_date_twice_is_said_and_keeps_the_order_given(small_studies):
    same = [replace(study, date=date(2020, 3, 1)) for study in small_studies[:2]]
    result = follow_up(same, register=False)
    assert [point.number for point in result.points] == [1, 2]
    told = next(notice for notice in result.notices if notice.code == "same-date")
    assert "Studies 1 and 2 have the same date" in told.text


def test_one_scan_given_twice_is_said(small_studies):
    result = follow_up(small_studies, register=False)
    told = [notice.text for notice in result.notices if notice.code == "same-scan"]
    assert len(told) == 3
    assert told[0].startswith("Studies 2 and 1 show the same lungs and opacities in every voxel")
    axial = small_studies[0].analysis.axial
    opacities = axial.opacities.copy()
    opacities[np.nonzero(axial.lungs)[0][0]] ^= 1
    other = replace(small_studies[0].analysis, axial=replace(axial, opacities=opacities))
    studies = [replace(small_studies[0], analysis=other), small_studies[1]]
    assert "same-scan" not in codes(follow_up(studies, register=False))


@pytest.mark.parametrize(
    ("today", "told"),
    [
        (None, None),
        (date(2020, 3, 21), None),
        (date(2020, 3, 20), None),
        (date(2020, 3, 19), "Study 3 has a date in the future, so the days"),
        (date(2020, 3, 9), "Studies 1 and 3 have dates in the future, so the days"),
    ],
)
def test_a_date_more_than_a_day_ahead_is_said(small_studies, today, told):
    result = follow_up(small_studies, register=False, today=today)
    texts = [notice.text for notice in result.notices if notice.code == "future-date"]
    assert len(texts) == (told is not None)
    assert all(text.startswith(told) for text in texts)


def test_different_patients_are_warned_of_by_hash_alone(small_studies):
    keys = [patient_key(Identifiers(patient_id=name), b"salt") for name in ("A1", "a 1", "B2")]
    assert keys[0] == keys[1] != keys[2]
    studies = [replace(study, patient=key) for study, key in zip(small_studies, keys, strict=True)]
    result = follow_up(studies, register=False)
    assert result.notices[0].code == "different-patients"
    assert "2 different patient numbers" in result.notices[0].text
    assert keys[0] not in str(result.notices)
    assert "different-patients" not in codes(follow_up(studies[:2], register=False))


def test_a_patient_hash_needs_its_salt_and_a_number():
    someone = Identifiers(patient_id="A1")
    assert patient_key(someone, b"one") != patient_key(someone, b"two")
    assert patient_key(None, b"one") is None
    assert patient_key(Identifiers(), b"one") is None
    assert patient_key(Identifiers(patient_id=" "), b"one") is None


def test_studies_of_unknown_patients_are_noted(small_studies):
    assert "patients-not-compared" in codes(follow_up(small_studies, register=False))


def test_other_networks_or_limits_are_warned_of(small_studies):
    other = replace(small_studies[1].analysis, models=())
    result = follow_up([small_studies[0], replace(small_studies[1], analysis=other)], register=False)
    assert "different-networks" in codes(result)
    assert "different-networks" not in codes(follow_up(small_studies, register=False))


def test_other_slice_distances_are_warned_of(small_studies):
    axial = small_studies[0].analysis.axial
    thick = replace(axial, geometry=replace(axial.geometry, spacing_xyz_mm=(0.75, 0.8, 5.0)))
    other = replace(small_studies[0].analysis, axial=thick)
    told = follow_up([small_studies[1], replace(small_studies[0], analysis=other)], register=False).notices
    assert next(notice for notice in told if notice.code == "different-slice-distance").value == 2


def test_lungs_of_another_size_are_warned_of(small_studies):
    other = with_value(small_studies[1].analysis, "volume_ml", 1.26 * 2.3)
    one = with_value(small_studies[0].analysis, "volume_ml", 2.3)
    studies = [replace(small_studies[0], analysis=one), replace(small_studies[1], analysis=other)]
    told = next(n for n in follow_up(studies, register=False).notices if n.code == "different-lung-volume")
    assert told.value == pytest.approx(1.26)
    same = [replace(study, analysis=one) for study in small_studies]
    assert "different-lung-volume" not in codes(follow_up(same, register=False))


def test_studies_left_out_are_told_with_the_result(small_studies):
    result = follow_up(small_studies, register=False, left_out=[LeftOut(4, "it is damaged.")])
    assert result.left_out == (LeftOut(4, "it is damaged."),)
    assert "Study 4 was left out: it is damaged." in [notice.text for notice in result.notices]


def test_without_registration_there_is_no_map_and_a_reason(small_studies):
    result = follow_up(small_studies, register=False)
    assert [entry.reason for entry in result.comparisons] == ["registration was not asked for"] * 2


@pytest.mark.parametrize(
    ("dice", "folded", "reason"),
    [
        (0.899, 0.0, "the lungs overlap too little after registration (Dice 0.90, at least 0.9 is asked for)"),
        (0.95, 1.5, "the registration turns 1.5 % of the lungs inside out, which no tissue does"),
    ],
)
def test_a_registration_that_cannot_be_stood_behind_gives_no_map(small_studies, monkeypatch, dice, folded, reason):
    found = Registration(None, 0.5, dice, folded, True)
    monkeypatch.setattr(course_module, "register_lungs", lambda *args, **kwargs: found)
    comparison = follow_up(small_studies[:2]).comparisons[0]
    assert comparison.difference is None
    assert comparison.registration is found
    assert comparison.reason.startswith(reason)


def test_a_study_without_lungs_or_spacing_gives_no_map_and_a_reason(small_studies):
    analysis = small_studies[0].analysis
    empty = replace(analysis, axial=replace(analysis.axial, lungs=np.zeros_like(analysis.axial.lungs)))
    nominal = replace(analysis, axial=replace(analysis.axial, spacing_known=False))
    for other, words in ((empty, "but one shows none"), (nominal, "where the spacing of both studies is known")):
        result = follow_up([small_studies[1], replace(small_studies[0], analysis=other)])
        assert words in result.comparisons[0].reason


def test_studies_without_their_ct_are_said(small_studies):
    analysis = small_studies[0].analysis
    bare = replace(analysis, notices=(*analysis.notices, CT_NOT_STORED))
    result = follow_up([small_studies[1], replace(small_studies[0], analysis=bare)], register=False)
    assert "ct-not-stored" in codes(result)


def test_progress_runs_to_its_end_and_a_cancel_ends_it(small_studies):
    told = []
    follow_up(small_studies, register=False, progress=told.append)
    assert [(entry.stage, entry.fraction) for entry in told] == [("comparing", 0), ("comparing", 0.5), ("comparing", 1)]
    with pytest.raises(CancelledError, match=r"The follow-up was cancelled; nothing was changed\."):
        follow_up(small_studies, cancelled=lambda: True)


def test_dates_are_days_of_the_calendar():
    assert parse_date("2020-03-01") == parse_date(" 20200301 ") == date(2020, 3, 1)
    for text in ("2020-02-30", "1.3.2020", "", "2020-3-1"):
        with pytest.raises(OptionsError, match=r"must be a day of the calendar as YYYY-MM-DD"):
            parse_date(text)


def test_a_scan_states_its_date_in_its_facts_or_its_identifiers():
    scan = make_analysis().scan
    assert stated_date(scan) is None
    assert stated_date(replace(scan, facts=ScanFacts(study_date="2020-03-01"))) == date(2020, 3, 1)
    assert stated_date(replace(scan, identifiers=Identifiers(study_date="20200302"))) == date(2020, 3, 2)
    assert stated_date(replace(scan, facts=ScanFacts(study_date="nonsense"))) is None


def test_labels_that_were_corrected_by_hand_are_told(small_studies):
    assert "labels-by-hand" not in codes(follow_up(small_studies, register=False))
    own = small_studies[1].analysis
    corrected = replace(own, provenance=replace(own.provenance, opacities="corrected"))
    result = follow_up([small_studies[0], replace(small_studies[1], analysis=corrected)], register=False)
    (notice,) = [notice for notice in result.notices if notice.code == "labels-by-hand"]
    assert "opacities corrected by hand" in notice.text
    assert "study 2" in notice.text
