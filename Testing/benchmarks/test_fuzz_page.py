"""The page that tells the result of mutated files, from the log of a run."""

from __future__ import annotations

import fuzz_reading
import pytest

LOG = """\
BUG zip 7: Traceback
  some trace

Seed 1, 40 cases in 12 s, 1 bugs.

| kind | cases | read | read as axial, or listed | refused | bugs |
|---|---|---|---|---|---|
| zip | 40 | 3 | 4 | 32 | 1 |
"""


def test_the_result_of_a_run_goes_between_the_marks_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{fuzz_reading.BEGIN}old\n{fuzz_reading.END}after\n")
    for _ in range(2):
        fuzz_reading.write_page(LOG, page)
        text = page.read_text()
        assert text.startswith("before\n<!--")
        assert text.endswith("-->\nafter\n")
        assert "old" not in text
        assert text.count("| zip | 40 | 3 | 4 | 32 | 1 |\n") == 1
        assert "Seed 1, 40 cases in 12 s, 1 bugs." in text
        assert "- zip, case 7: `Traceback`\n" in text


def test_a_log_without_its_end_is_refused():
    with pytest.raises(SystemExit, match="The log of a finished run was expected"):
        fuzz_reading.result_in(LOG[:60])


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="The page must hold the lines"):
        fuzz_reading.write_page(LOG, page)
    assert page.read_text() == "nothing"


def test_the_real_page_has_its_marks():
    text = fuzz_reading.PAGE.read_text(encoding="utf-8")
    assert text.index(fuzz_reading.BEGIN) < text.index(fuzz_reading.END)
