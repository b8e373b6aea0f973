"""Bad inputs over every entry point: one line that says what was expected, what was found, and what to do."""

from __future__ import annotations

import os

import bad_nodes
import pytest
from bad_inputs import tried
from bad_inputs_page import PAGE, TABLE, WITHOUT_SLICER, page, read_messages

MESSAGES = read_messages()

LONGEST_MESSAGE = 400
"""Characters of a message that a person still reads; those of argparse list all choices."""


def holds(case, folder):
    """Try a row and hold what comes out against what is expected."""
    outcome = tried(case, folder)
    end, message = MESSAGES[case.name]
    assert (outcome.end, outcome.message) == (end, message)
    assert not outcome.trace, "more than the one line was said"
    assert outcome.left == (), "something was left behind or changed"


@pytest.mark.skipif(os.name != "posix", reason="pipes, links and long paths are made the POSIX way")
@pytest.mark.parametrize("case", WITHOUT_SLICER, ids=lambda case: case.name)
def test_a_bad_input_gives_one_line_and_leaves_nothing(case, tmp_path):
    holds(case, tmp_path)


@pytest.mark.parametrize("case", bad_nodes.ROWS, ids=lambda case: case.name)
def test_a_bad_node_gives_one_line_without_its_name(case, tmp_path):
    pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
    holds(case, tmp_path)


def test_a_batch_tells_one_line_a_bad_case_without_its_name(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
    pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")
    source, lines = tmp_path / "in", []
    (source / "Jane Doe").mkdir(parents=True)
    (source / "Jane Doe" / "a.dcm").touch()
    (source / "Jane\nDoe.nii.gz").touch()
    (source / "Jane Doe.zip").write_text("no archive")
    (source / "loop").symlink_to(source, target_is_directory=True)
    failures = bad_nodes.analyzed_folder(source, tmp_path / "out", lines.append)
    assert len(failures) == 4
    # The last line counts them, and names the table.
    assert lines.pop() == "0 of 4 CTs analyzed. cases.csv says which file is which case."
    for number, (line, failure) in enumerate(zip(lines, failures, strict=True), start=1):
        assert line == f"Case {number} of 4: failed. {failure}"
        assert "was expected" in failure
        assert failure.endswith(".")
        assert "made a mistake" not in failure
        assert "Jane" not in line
        assert "\n" not in line
    # The table alone tells which file each was.
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cases.csv"]


def test_the_table_covers_every_entry_point_with_at_least_80_inputs():
    entries = {case.entry for case in TABLE}
    names = ("analyze", "series", "demo", "train", "evaluate", "models", "photos")
    names += ("explain", "compare", "followup", "report", "cohort", "batch", "measure")
    commands = {f"covidct {name}" for name in names}
    calls = {"analyze()", "Options()", "Geometry()", "read_scan()", "write_results()", "ModelStore()"}
    assert (
        commands | calls | {"scanFromVolumeNode()", "addAnalysisToScene()", "CovidCTLogic.analyzeFolder()"} <= entries
    )
    assert len(TABLE) == len({case.name for case in TABLE}) >= 80
    assert set(MESSAGES) == {case.name for case in TABLE}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_one_line_of_whole_sentences(name):
    _, message = MESSAGES[name]
    assert "\n" not in message
    assert 40 <= len(message) <= LONGEST_MESSAGE
    assert message.endswith((".", "'."))
    assert "CovidCT made a mistake" not in message


def test_the_page_in_the_docs_is_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(MESSAGES), "run python Testing/hostile/bad_inputs_page.py"
