"""Explanations of classifiers whose reasons are known, from the choice of slices to the files."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder
from explained_slices import (
    GAIN,
    MIDDLE,
    SLICE,
    LooksAtTheWhole,
    models_of,
    models_that_look_at_the_left_lung,
    models_that_look_at_the_opacity,
    white_analysis,
)
from page_reader import Page
from PIL import Image
from report_maker import make_analysis, make_arrays

from CovidCTLib.analysis import ModelUsed
from CovidCTLib.errors import CancelledError, InputError, OptionsError, OutputError, QualityError
from CovidCTLib.explanation import explain_slices, write_explanation
from CovidCTLib.explanation.explain import check_numbers, choose_slices
from CovidCTLib.explanation.hiding import probability_of
from CovidCTLib.explanation.output import picture_file
from CovidCTLib.explanation.picture import make_panels
from CovidCTLib.explanation.sentences import hiding_sentence, probability_words, slice_sentence
from CovidCTLib.explanation.slice_explanation import METHODS
from CovidCTLib.hu import scale_for_network
from CovidCTLib.results.reading import CT_NOT_STORED


@pytest.fixture(scope="module")
def a_folder(an_explanation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained") / "out"
    write_explanation(an_explanation, folder)
    return folder


def outcomes_of(found):
    return {test.method: test for test in found.tests}


def test_a_classifier_that_looks_at_the_opacity_is_explained_by_it(an_explanation) -> None:
    (found,) = an_explanation.slices
    tests = outcomes_of(found)
    assert list(tests) == [method for method in METHODS if method in tests]
    healthy = float(scale_for_network(np.array([-850], np.int16))[0])
    # The opacity is so large that some random regions of its area hide the small square, too.
    assert tests["opacities"].verdict in ("explains", "unclear")
    assert tests["opacities"].after == pytest.approx(probability_of(GAIN * (healthy - MIDDLE)), abs=1e-3)
    assert tests["grad_cam_28"].verdict == "explains"
    assert "explain it: " in slice_sentence(found)
    assert METHODS["grad_cam_28"] in slice_sentence(found)


def test_lime_finds_the_superpixels_that_the_classifier_looks_at(an_explanation) -> None:
    (found,) = an_explanation.slices
    assert outcomes_of(found)["lime"].verdict == "explains"
    named = found.regions["lime"]
    assert (named & found.opacities).sum() > 0.5 * named.sum()
    assert not named[~found.lungs].any()
    assert not (named & found.against).any()


def test_a_classifier_that_looks_elsewhere_shows_that_the_opacity_explains_nothing(an_analysis) -> None:
    models = models_that_look_at_the_left_lung(an_analysis)
    explanation = explain_slices(an_analysis, [SLICE], samples=60, models=models)
    test = outcomes_of(explanation.slices[0])["opacities"]
    assert test.verdict == "nothing"
    assert test.after == pytest.approx(test.before)
    assert hiding_sentence(test).endswith("It explains nothing.")


def test_a_slice_that_is_white_all_over_cannot_be_tested_and_is_not_called_unexplained() -> None:
    white = white_analysis()
    (found,) = explain_slices(white, [SLICE], samples=60, models=models_of(LooksAtTheWhole(12.0))).slices
    tests = outcomes_of(found)
    assert tests["opacities"].share_percent == pytest.approx(100)
    assert tests["opacities"].after < tests["opacities"].before - 0.1
    assert {tests[name].verdict for name in ("opacities", "grad_cam_14", "grad_cam_28")} == {"too large"}
    assert "takes 100 % of the lung" in hiding_sentence(tests["opacities"])
    assert "cannot be tested, since they take most of the lung: " in slice_sentence(found)


def test_a_slice_of_which_nothing_is_named_stays_unexplained(an_analysis) -> None:
    arrays = dataclasses.replace(an_analysis.axial, opacities=np.zeros_like(an_analysis.axial.opacities))
    bare = dataclasses.replace(an_analysis, axial=arrays)
    (found,) = explain_slices(bare, [SLICE], samples=60, models=models_of(LooksAtTheWhole(-12.0))).slices
    tests = outcomes_of(found)
    assert {test.verdict for name, test in tests.items() if name != "lime"} == {"no region"}
    named = tuple(test for name, test in tests.items() if name != "lime")
    sentence = slice_sentence(dataclasses.replace(found, tests=named))
    assert sentence.endswith("so there was nothing to hide: it stays unexplained.")
    assert hiding_sentence(tests["opacities"]).endswith("no part of the lungs is named, so there is nothing to hide.")


def test_a_normal_slice_has_no_verdict_to_explain_whatever_hiding_does(an_analysis) -> None:
    slices = tuple(dataclasses.replace(entry, positive=False) for entry in an_analysis.slices)
    normal = dataclasses.replace(an_analysis, slices=slices)
    models = models_that_look_at_the_opacity(an_analysis)
    (found,) = explain_slices(normal, [SLICE], samples=60, models=models).slices
    assert {test.verdict for test in found.tests} <= {"not abnormal", "no region"}
    assert "calls this slice not like COVID-19" in slice_sentence(found)
    assert "so there is no verdict to explain; hiding what is named gives" in hiding_sentence(found.tests[0])


def test_each_verdict_has_its_sentence(an_explanation) -> None:
    test = an_explanation.slices[0].tests[0]
    ends = {
        "explains": "What is left is called not like COVID-19: it explains the verdict.",
        "partly": "but the classifier still calls what is left like COVID-19. It explains a part at most.",
        "unclear": "It cannot be told from chance.",
        "too large": "It cannot be tested by hiding.",
        "nothing": "2 of 19 random regions of the same area do as much (0.80 on average, 0.10 at least). "
        "It explains nothing.",
        "no region": "so there is nothing to hide.",
        "not abnormal": "hiding what is named gives 0.20.",
    }
    for verdict, end in ends.items():
        changed = dataclasses.replace(
            test, verdict=verdict, before=0.9, after=0.2, random_mean=0.8, random_lowest=0.1, random_as_low=2
        )
        assert hiding_sentence(changed).endswith(end)
    hardly = dataclasses.replace(test, verdict="partly", before=0.99, after=0.95)
    assert "but by less than 0.1. It explains a part at most." in hiding_sentence(hardly)
    raised = dataclasses.replace(test, verdict="nothing", before=0.8, after=0.9)
    assert "does not lower the probability (0.80 before, 0.90 after). It explains nothing." in hiding_sentence(raised)


def test_the_sentence_of_a_slice_follows_its_best_explanation(an_explanation) -> None:
    found = an_explanation.slices[0]
    nothing = tuple(dataclasses.replace(entry, verdict="nothing") for entry in found.tests)
    large = tuple(dataclasses.replace(entry, verdict="too large") for entry in found.tests)
    unnamed = tuple(dataclasses.replace(entry, verdict="no region") for entry in found.tests)
    words = {tests: slice_sentence(dataclasses.replace(found, tests=tests)) for tests in (nothing, large, unnamed)}
    assert words[nothing].endswith("hiding what they name does no more than hiding any lung.")
    assert "cannot be tested, since they take most of the lung: Grad-CAM at 14 × 14" in words[large]
    assert words[unnamed].endswith("names a part of the lungs, so there was nothing to hide: it stays unexplained.")
    unclear = tuple(dataclasses.replace(entry, verdict="unclear") for entry in found.tests)
    partly = tuple(dataclasses.replace(entry, verdict="partly") for entry in found.tests)
    assert "cannot be told from chance: Grad-CAM" in slice_sentence(dataclasses.replace(found, tests=unclear))
    assert "point at a part" in slice_sentence(dataclasses.replace(found, tests=partly))
    assert "calls this slice not like COVID-19" in slice_sentence(dataclasses.replace(found, positive=False))
    both = tuple(
        dataclasses.replace(entry, verdict="explains") for entry in found.tests if entry.method.startswith("grad_cam_")
    )
    listed = slice_sentence(dataclasses.replace(found, tests=both))
    assert listed.endswith(
        "By the hiding test, these explain it: Grad-CAM at 14 × 14; Grad-CAM at 28 × 28; Grad-CAM, fused."
    )


def test_probabilities_never_read_as_certain() -> None:
    values = (0.0, 0.001, 0.004, 0.5, 0.997, 1.0, None)
    words = [probability_words(value) for value in values]
    assert words == ["under 0.0005", "0.001", "0.004", "0.50", "0.997", "over 0.9995", "–"]


def test_the_worst_slices_are_chosen_with_their_reason(an_analysis) -> None:
    chosen = choose_slices(an_analysis, None, 2)
    areas = [entry.ggo_area_mm2 + entry.consolidation_area_mm2 for entry in an_analysis.slices]
    assert chosen[0][0].index == int(np.argmax(areas))
    assert chosen[0][1] == "largest area of opacity among slices called like COVID-19"
    assert chosen[1][1] == "number 2 by largest area of opacity among slices called like COVID-19"


def test_slices_called_normal_come_only_where_none_is_abnormal(an_analysis) -> None:
    normal = tuple(dataclasses.replace(entry, positive=False) for entry in an_analysis.slices)
    chosen = choose_slices(dataclasses.replace(an_analysis, slices=normal), None, 1)
    assert chosen[0][1] == "largest area of opacity among slices none of which is called like COVID-19"
    one = tuple(dataclasses.replace(entry, positive=entry.index == 8) for entry in an_analysis.slices)
    assert [entry.index for entry, _ in choose_slices(dataclasses.replace(an_analysis, slices=one), None, 3)] == [8]


def test_without_opacity_the_most_probable_slice_is_chosen() -> None:
    healthy = make_analysis(make_arrays(opacity=False, localization=False))
    ((_, reason),) = choose_slices(healthy, None)
    assert reason == "the most probable slice, since none shows opacity or is called like COVID-19"
    positive_only = make_analysis(make_arrays(opacity=False))
    assert choose_slices(positive_only, None, 1)[0][1] == (
        "highest probability among slices called like COVID-19, without opacity"
    )


def test_slices_are_explained_once_and_in_the_order_given(an_analysis) -> None:
    chosen = choose_slices(an_analysis, [20, 16, 20])
    assert [entry.index for entry, _ in chosen] == [20, 16]


@pytest.mark.parametrize("number", [-1, 40])
def test_a_slice_outside_the_scan_is_refused(an_analysis, number) -> None:
    with pytest.raises(OptionsError, match=rf"0 \(at the feet\) to 39 \(at the head\).* {number} is outside"):
        choose_slices(an_analysis, [number])


def test_a_slice_without_lung_is_refused(an_analysis) -> None:
    with pytest.raises(OptionsError, match=r"Slices with lung were expected, but 0 shows none.*from \d+ to \d+"):
        choose_slices(an_analysis, [0])


def test_a_scan_without_lungs_is_refused() -> None:
    empty = make_analysis(make_arrays(lungs=()))
    with pytest.raises(QualityError, match="no slice shows enough lung to be judged"):
        explain_slices(empty)


@pytest.mark.parametrize(
    ("samples", "seed", "worst", "message"),
    [
        (49, 0, 1, "samples must be 50 to 20000 a slice, not 49"),
        (20_001, 0, 1, "not 20001"),
        (100, -1, 1, "seed must be a whole number from 0 to 4294967295, not -1"),
        (100, 2**32, 1, "not 4294967296"),
        (100, 0, 0, "worst slices must be at least 1, not 0"),
    ],
)
def test_numbers_out_of_range_are_refused(samples, seed, worst, message) -> None:
    with pytest.raises(OptionsError, match=message):
        check_numbers(samples, seed, worst)


def test_another_classifier_is_refused(an_analysis) -> None:
    used = ModelUsed("mine", "2", "cd" * 32, "slices")
    other = dataclasses.replace(an_analysis, models=(used,))
    with pytest.raises(InputError, match=r"slice classifier of the analysis was expected \(mine 2\)"):
        explain_slices(other, [SLICE], models=models_that_look_at_the_opacity(an_analysis))


def test_results_without_their_ct_are_refused(an_analysis) -> None:
    stored = dataclasses.replace(an_analysis, notices=(*an_analysis.notices, CT_NOT_STORED))
    with pytest.raises(InputError, match="The CT of the analysis was expected"):
        explain_slices(stored, [SLICE], models=models_that_look_at_the_opacity(an_analysis))


def test_cancel_ends_it(an_analysis) -> None:
    with pytest.raises(CancelledError, match="explanation was cancelled"):
        explain_slices(
            an_analysis, [SLICE], models=models_that_look_at_the_opacity(an_analysis), cancelled=lambda: True
        )


def test_progress_rises_to_the_end(an_analysis) -> None:
    seen = []
    models = models_that_look_at_the_opacity(an_analysis)
    explain_slices(an_analysis, [15, 16], samples=60, models=models, progress=seen.append)
    fractions = [entry.fraction for entry in seen]
    assert fractions == sorted(fractions)
    assert {entry.stage for entry in seen} == {"explaining"}
    assert 0.9 < fractions[-1] <= 1


def test_two_runs_give_the_same_bytes(an_analysis, a_folder, tmp_path) -> None:
    models = models_that_look_at_the_opacity(an_analysis)
    again = explain_slices(an_analysis, [SLICE], samples=60, models=models)
    names = {path.name for path in write_explanation(again, tmp_path / "again")}
    assert names == {"explanation.html", "explanation.json", picture_file(SLICE)}
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (a_folder / name).read_bytes(), name


def test_the_page_holds_all_pictures_with_words(a_folder, an_explanation) -> None:
    html = (a_folder / "explanation.html").read_text(encoding="utf-8")
    page = Page(html)
    images = [element for element in page.elements if element.tag == "img"]
    assert len(images) == len(an_explanation.slices[0].tests) + 3
    assert all(image.attributes["src"].startswith("data:image/") for image in images)
    assert all(f"slice {SLICE}" in image.attributes["alt"] for image in images)
    assert not re.search(r"https?://|<script", html)
    for test in an_explanation.slices[0].tests:
        assert hiding_sentence(test) in html


def test_every_panel_of_a_slice_has_right_and_left_and_the_named_region_on_its_side(
    an_analysis, an_explanation, monkeypatch
) -> None:
    recorder = DrawingRecorder(monkeypatch)
    (found,) = an_explanation.slices
    panels = {panel.title: panel for panel in make_panels(an_analysis, found)}
    pictures = [drawn for drawn in recorder.pictures if drawn.sides()]
    assert [drawn.sides() for drawn in pictures] == [("R", "L")] * (len(panels) - 1)
    # The chart of the hiding tests is no picture of the patient.
    assert "Probability after hiding" in panels
    for drawn in pictures:
        assert drawn.scale_bar() is not None
    # The ball of opacity lies in the right lung, behind the middle: what names it is outlined on the picture's left.
    for title in (METHODS["grad_cam_28"], "Opacities of the U-Net"):
        shown = np.asarray(panels[title].image).astype(int)
        bare = np.asarray(panels["CT"].image).astype(int)
        changed = np.abs(shown - bare).max(axis=2) > 60
        # Beside the colour bar at the right edge.
        changed[:, -60:] = False
        assert changed[:, : shown.shape[1] // 2].sum() > 1.3 * changed[:, shown.shape[1] // 2 :].sum()


def test_the_picture_holds_every_panel(a_folder) -> None:
    with Image.open(a_folder / picture_file(SLICE)) as image:
        assert image.width > 1500
        assert image.height > 500
        assert not image.info
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 500


def test_the_record_says_what_was_hidden_and_what_followed(a_folder, an_explanation) -> None:
    record = json.loads((a_folder / "explanation.json").read_text(encoding="utf-8"))
    (entry,) = record["slices"]
    assert (entry["index"], entry["picture"]) == (SLICE, picture_file(SLICE))
    assert (record["seed"], record["lime_samples"]) == (0, 60)
    for told, test in zip(entry["tests"], an_explanation.slices[0].tests, strict=True):
        assert told["sentence"] == hiding_sentence(test)
        assert told["after"] == test.after


def test_a_full_folder_is_refused(an_explanation, a_folder) -> None:
    with pytest.raises(OutputError, match="must be empty or not exist yet"):
        write_explanation(an_explanation, a_folder)
