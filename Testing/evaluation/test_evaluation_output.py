"""Files, page and command of an evaluation."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from drawing_recorder import DrawingRecorder
from stand_ins import StandInStore, make_judge, write_judged_folder

from CovidCTLib.cli.main import main
from CovidCTLib.errors import OptionsError, OutputError
from CovidCTLib.evaluation import judges as judges_module
from CovidCTLib.evaluation.command import terminal_tables
from CovidCTLib.evaluation.definitions import QUANTITIES, quantity_of
from CovidCTLib.evaluation.evaluate import Evaluation, evaluate
from CovidCTLib.evaluation.examples import (
    FOUND_COLOUR,
    TRUTH_COLOUR,
    Contours,
    Example,
    WorstExamples,
    draw_example,
    slice_with_most,
)
from CovidCTLib.evaluation.figures import Figure, Row
from CovidCTLib.evaluation.output import evaluation_record, write_evaluation
from CovidCTLib.evaluation.page import ROWS_ON_PAGE, figure_row, format_value, render_page
from CovidCTLib.evaluation.plots import draw_curves
from CovidCTLib.evaluation.published import PUBLISHED, compare
from CovidCTLib.evaluation.statistics import EXACT, Estimate
from CovidCTLib.labelled_data.arguments import same_patient_pairs
from CovidCTLib.labelled_data.layout import find_cases


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_judged_folder(tmp_path_factory.mktemp("evaluation") / "data")


@pytest.fixture(scope="module")
def opacities(data: Path) -> Evaluation:
    judge = make_judge("opacities", {"patients": ["case_0"], "cases": ["case_0"]})
    return evaluate("opacities", find_cases(data), [judge])


@pytest.fixture(scope="module")
def slices(data: Path) -> Evaluation:
    return evaluate("slices", find_cases(data), [make_judge("slices")])


class _Page(HTMLParser):
    """Collects what a page names and whether its elements close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)
        if tag == "img":
            self.sources.append(values["src"] or "")
            self.alts.append(values["alt"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def an_example(badness: float) -> Example:
    hu = np.full((40, 60), -1000)
    hu[5:35, 10:50] = 40
    square = np.zeros((40, 60), bool)
    square[10:20, 20:30] = True
    return Example(badness, f"case {badness}", "words", hu, Contours(square, np.roll(square, 3, 1)), (2.0, 1.0))


def test_the_record_is_strict_json_and_explains_what_is_undefined(opacities: Evaluation) -> None:
    record = json.loads(json.dumps(evaluation_record(opacities), allow_nan=False))
    assert record["task"] == "opacities"
    assert record["models"][0]["patients_in_training"] == ["case_0"]
    for figure in record["figures"]:
        assert None not in (figure["value"], figure["low"], figure["high"]) or figure["reason"]
    for row in record["cases"]:
        assert set(row["undefined"]) == {name for name, value in row["values"].items() if value is None}
    assert {figure["name"] for figure in record["figures"]} <= set(record["definitions"])
    assert record["interval"] == {**record["interval"], "draws": 2000, "percent": 95.0, "seed": 0}
    for figure in record["figures"]:
        assert (figure["interval"] in record["interval"]["methods"]) == (figure["low"] is not None)
    assert {figure["interval"] for figure in record["figures"]} >= {"bootstrap over patients", None}


def test_numbers_that_are_not_finite_become_null_with_a_reason(slices: Evaluation) -> None:
    odd = Figure("volumes", "volume", "auc", Estimate(float("nan"), 0.1, float("inf"), method=EXACT), 1, "cases", 1)
    row = Row("a", "", "volumes", "a", "judged", "m", values={"auc": float("nan")})
    record = evaluation_record(replace(slices, figures=(odd,), rows=(row,)))
    assert record["figures"][0]["value"] is None
    assert record["figures"][0]["high"] is None
    assert record["figures"][0]["interval"] is None
    assert record["figures"][0]["reason"] == "the computed value is not a finite number"
    assert record["cases"][0]["undefined"] == {"auc": "the computed value is not a finite number"}


def test_all_files_appear_at_once_in_a_new_folder(opacities: Evaluation, tmp_path: Path) -> None:
    write_evaluation(opacities, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["cases.csv", "evaluation.html", "evaluation.json"]
    with (tmp_path / "out" / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(opacities.rows)
    case_0 = next(row for row in rows if row["case"] == "case_0")
    assert case_0["status"] == "seen in training"
    assert float(case_0["infection_dice"]) > 0.5
    assert next(row for row in rows if row["case"] == "normal_0")["infection_dice"] == ""
    with pytest.raises(OutputError, match="must be empty or not exist yet"):
        write_evaluation(opacities, tmp_path / "out")


def test_the_page_stands_on_paper_too_where_that_is_asked_for(opacities: Evaluation, tmp_path: Path) -> None:
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    write_evaluation(opacities, tmp_path / "out", pdf=True)
    assert (tmp_path / "out" / "evaluation.pdf").read_bytes().startswith(b"%PDF-")


def test_the_page_is_whole_and_fetches_nothing(opacities: Evaluation, slices: Evaluation) -> None:
    for evaluation in (opacities, slices):
        text = render_page(evaluation)
        page = _Page(text)
        assert page.open == []
        assert all(source.startswith("data:image/") for source in page.sources)
        assert all(page.alts)
        assert "http" not in text.replace("http-equiv", "")
        assert "<script" not in text
    assert len(_Page(render_page(slices)).sources) == 2


def test_the_page_shows_figures_published_figures_and_seen_cases(opacities: Evaluation) -> None:
    text = render_page(opacities)
    assert "infection (GGO + consolidation): pooled Dice" in text
    assert "Semi-Inf-Net" in text
    assert "no: seen in training by every model" in text
    assert "doi:10.2196/26151" in text
    assert "95 % interval, bootstrap over patients unless exact</th>" in text
    assert "Exact: 95 % interval of a proportion of patients; Clopper and Pearson 1934" in text


def test_a_long_table_shows_volumes_and_the_worst_slices(opacities: Evaluation) -> None:
    many = [
        Row("set", f"{k:03d}", "set", "p", "judged", "m", values={"infection_dice": k / 1000})
        for k in range(400, 0, -1)
    ]
    volume = Row("whole", "", "volumes", "w", "judged", "m", values={"infection_dice": 0.99})
    text = render_page(replace(opacities, rows=(*many, volume)))
    assert f"The worst {ROWS_ON_PAGE} of 401 rows" in text
    assert ">whole<" in text
    assert ">set 001<" in text
    assert ">set 200<" not in text


def test_every_figure_and_column_has_a_definition(opacities: Evaluation, slices: Evaluation) -> None:
    for evaluation in (opacities, slices):
        for name in {f.name for f in evaluation.figures} | {n for row in evaluation.rows for n in row.values}:
            assert quantity_of(name).definition
    assert all(name in QUANTITIES for entry in PUBLISHED for _, name in entry.beside)


def test_published_figures_stand_beside_the_nearest_own_ones(opacities: Evaluation) -> None:
    entries = compare("opacities", opacities.figures)
    assert len(entries) == 10
    auc = next(entry for entry in PUBLISHED if entry.task == "cases")
    assert auc.what == "COVID against non-COVID, AUC"
    semi = next(e for e in entries if e.published.system == "Semi-Inf-Net" and e.published.what == "infection, Dice")
    assert [(f.group, f.name) for f in semi.measured] == [("photos", "infection_dice")]
    assert semi.published.value == 0.739


def test_values_are_written_for_people() -> None:
    assert format_value(None) == "–"
    assert (format_value(True), format_value(7), format_value(0.12345)) == ("yes", "7", "0.123")
    assert (format_value(123.4, "ml"), format_value(1.234, "ml")) == ("123", "1.23")
    row = figure_row(Figure("g", "volume", "auc", Estimate(None, reason="why not"), 0, "cases", 0))
    assert (row.value, row.interval, row.of) == ("–", "why not", "–")
    row = figure_row(Figure("g", "volume", "infection_volume_error_ml", Estimate(5.0, 4.0, 6.0), 1, "cases", 1))
    assert (row.value, row.interval, row.of) == ("5.00 ml", "4.00 to 6.00", "1 case of 1 patient")
    row = figure_row(Figure("g", "volume", "sensitivity", Estimate(1.0, 0.5, 1.0, method=EXACT), 2, "cases", 2, "few"))
    assert (row.interval, row.of) == ("0.500 to 1.000, exact", "2 cases of 2 patients (few)")


def test_the_worst_examples_are_kept_worst_first() -> None:
    worst = WorstExamples(keep=2)
    for badness in (0.2, 0.9, 0.5):
        worst.add("volumes", an_example(badness))
    worst.add("volumes", None)
    assert [example.badness for example in worst.groups()["volumes"]] == [0.9, 0.5]


def test_the_slice_with_most_is_found() -> None:
    mask = np.zeros((5, 4, 4), bool)
    assert slice_with_most(mask) == 2
    mask[3, :2] = True
    assert slice_with_most(mask) == 3


def test_pictures_keep_their_proportions_and_show_what_is_drawn() -> None:
    picture = draw_example(an_example(0.5))
    # 30 rows of 2 mm by 40 columns of 1 mm are left of it.
    assert picture.height / picture.width == pytest.approx(60 / 40, rel=0.02)
    assert picture.alt == "Axial slice, case 0.5: words; truth 100 pixels, prediction 100 pixels."
    nominal = draw_example(replace(an_example(0.5), has_scale=False))
    assert nominal.alt == picture.alt
    assert nominal.source != picture.source
    bare = draw_example(replace(an_example(0.5), contours=Contours(), photograph=True))
    assert bare.alt == "Axial slice, case 0.5: words."


def test_an_example_has_its_sides_scale_and_contours_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = DrawingRecorder(monkeypatch)
    draw_example(an_example(0.5))
    (drawn,) = recorder.pictures
    assert drawn.sides() == ("R", "L")
    # Rows 5 to 35 of 2 mm and columns 10 to 50 of 1 mm are shown, 480 pixels high.
    length_mm, length_px = drawn.scale_bar() or (0, 0)
    assert length_px / length_mm == pytest.approx(8)
    truth = next(np.array(points) for points, colour in drawn.lines if colour == TRUTH_COLOUR)
    np.testing.assert_allclose(truth.min(axis=0), ((20 - 10) * 8, (10 - 5) * 16), atol=8)
    np.testing.assert_allclose(truth.max(axis=0), ((30 - 10) * 8, (20 - 5) * 16), atol=8)
    found = np.concatenate([np.array(points) for points, colour in drawn.lines if colour == FOUND_COLOUR])
    assert found[:, 0].min() == pytest.approx((23 - 10) * 8, abs=8)
    recorder.pictures.clear()
    draw_example(replace(an_example(0.5), photograph=True))
    assert recorder.pictures[0].sides() == ()
    assert recorder.pictures[0].scale_bar() is None


def test_curves_are_drawn_the_same_each_time(slices: Evaluation) -> None:
    first, again = (draw_curves(slices.curves, "slices") for _ in range(2))
    assert [picture.title for picture in first] == ["ROC, slices", "Calibration, slices"]
    assert first == again


@pytest.fixture
def stand_in_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges_module, "ModelStore", StandInStore)


@pytest.mark.usefixtures("stand_in_models")
def test_the_command_judges_and_says_where_everything_is(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "cases", str(data), "-o", str(out), "--same-patient", "case_0=case_1"]
    assert main([*command, "--models", str(tmp_path / "run")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "case_0: 1 row" in said
    assert "RADLogics" in said
    assert "That is too few to set a threshold for practice" in said
    assert said.endswith("open evaluation.html in a browser.")
    record = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert record["curves"]["case_threshold"]["recommended"] == pytest.approx(0.25)
    assert str(tmp_path) not in json.dumps(record)
    assert "Case threshold" in (out / "evaluation.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("stand_in_models")
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "A folder of cases was expected at"),
        ("empty", "No case was found"),
        ("full", "must be empty or not exist yet"),
    ],
)
def test_folders_that_cannot_be_used_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    given, out = {"missing": tmp_path / "gone", "empty": tmp_path / "empty", "full": data}[what], tmp_path / "out"
    if what == "full":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    assert main(["evaluate", "lungs", str(given), "-o", str(out)]) == 1
    assert message in capsys.readouterr().err


def test_pairs_of_scans_are_read() -> None:
    assert same_patient_pairs(["a=b", "c=d"]) == [("a", "b"), ("c", "d")]
    for wrong in ("a", "=b", "a="):
        with pytest.raises(OptionsError, match="takes two names as A=B"):
            same_patient_pairs([wrong])


def test_the_terminals_tables_hold_all_figures(opacities: Evaluation) -> None:
    own, published = terminal_tables(opacities)
    assert own.row_count == len(opacities.figures)
    assert published.row_count == 10
