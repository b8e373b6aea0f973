"""The command that explains, and what it refuses."""

from __future__ import annotations

import json

import pytest
from explained_slices import (
    models_that_look_at_the_opacity,
)

from CovidCTLib.cli.main import main
from CovidCTLib.results import write_results


@pytest.fixture
def stand_ins(monkeypatch, an_analysis):
    """Put stand-ins in place of reading, pipeline and networks."""
    import CovidCTLib.models.store as store
    import CovidCTLib.pipeline as pipeline
    import CovidCTLib.reading as reading

    models = models_that_look_at_the_opacity(an_analysis)
    monkeypatch.setattr(reading, "read_scan", lambda *_, **__: an_analysis.scan)
    monkeypatch.setattr(pipeline, "analyze", lambda *_, **__: an_analysis)
    monkeypatch.setattr(store, "ModelStore", lambda *_, **__: models)


def test_the_command_writes_and_says_what_it_found(stand_ins, tmp_path, capsys) -> None:
    out = tmp_path / "why"
    assert main(["explain", "ct", "-o", str(out), "--slices", "16", "--samples", "60"]) == 0
    assert {path.name for path in out.iterdir()} == {"explanation.html", "explanation.json", "slice_0016.png"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Slice 16 (chosen by number): The classifier calls this slice like COVID-19")
    assert lines[-1] == f"Page: {out / 'explanation.html'}"


def test_the_command_takes_finished_results(stand_ins, monkeypatch, an_analysis, tmp_path, capsys) -> None:
    import CovidCTLib.pipeline as pipeline

    def never(*_given, **_named):
        raise AssertionError("the networks of lungs and opacities ran again")

    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["explain", "ct", "-o", str(first), "--slices", "16", "--samples", "60"]) == 0
    write_results(an_analysis, tmp_path / "done", report=False)
    monkeypatch.setattr(pipeline, "analyze", never)
    words = ["--slices", "16", "--samples", "60", "--results", str(tmp_path / "done")]
    assert main(["explain", "ct", "-o", str(second), *words]) == 0
    told = [
        json.loads((folder / "explanation.json").read_text(encoding="utf-8"))["slices"] for folder in (first, second)
    ]
    assert told[0] == told[1]
    capsys.readouterr()
    assert main(["explain", "ct", "-o", str(tmp_path / "third"), "--results", str(tmp_path / "none")]) == 1
    assert "A folder of results was expected" in capsys.readouterr().err


def test_the_command_puts_the_page_on_paper_too(stand_ins, tmp_path, capsys) -> None:
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    out = tmp_path / "why"
    assert main(["explain", "ct", "-o", str(out), "--slices", "16", "--samples", "60", "--pdf"]) == 0
    assert (out / "explanation.pdf").read_bytes().startswith(b"%PDF-")
    assert capsys.readouterr().out.splitlines()[-1] == f"PDF: {out / 'explanation.pdf'}"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--slices", "99"], 2, "99 is outside the scan"),
        (["--seed", "-3"], 2, "not -3. Correct it"),
        (["--slices", "0"], 2, "Slices with lung were expected"),
        (["--slices", "1", "--worst", "2"], 2, "not allowed with"),
    ],
)
def test_the_command_refuses_in_one_line(stand_ins, tmp_path, capsys, words, code, message) -> None:
    out = tmp_path / "why"
    assert main(["explain", "ct", "-o", str(out), *words]) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()
