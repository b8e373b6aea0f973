"""The page of bad inputs in the docs, and the messages that the tests expect.

``python Testing/hostile/bad_inputs_page.py`` writes ``docs/bad_inputs.md`` from the table; with ``--messages`` it tries
every input first and writes ``expected_messages.json`` anew, for a person to read before it is kept.
"""

# The folders of the makers are put on the path first, so that the script runs by itself.
# ruff: noqa: E402
from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "bad_inputs.md"
MESSAGES = HERE / "expected_messages.json"

if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent / name) for name in ("results", "reading", "models", "scene", "panel", "hostile")]
    sys.path.insert(0, str(ROOT))

import bad_archives
import bad_calls
import bad_chests
import bad_cohorts
import bad_commands
import bad_nodes
import bad_scans
import bad_segmentations
import bad_studies
import bad_training
from bad_inputs import BadInput, tried

WITHOUT_SLICER = (
    *bad_scans.ROWS,
    *bad_chests.ROWS,
    *bad_commands.ROWS,
    *bad_training.ROWS,
    *bad_studies.ROWS,
    *bad_cohorts.ROWS,
    *bad_archives.ROWS,
    *bad_segmentations.ROWS,
    *bad_calls.ROWS,
)
TABLE: tuple[BadInput, ...] = (*WITHOUT_SLICER, *bad_nodes.ROWS)

_HEAD = """\
# Bad inputs and what CovidCT says to them

Every row is a test (`Testing/hostile/test_bad_inputs.py`): the input is given to its entry point, and the message must
be exactly this one, in one line, without a trace of the program. Commands end with the code in the column *end* (1
failed, 2 wrong arguments), calls of the library raise the error named there. Nothing is left in the output folder or
among temporary files, and nothing that was there is changed; only a training that had read its cases keeps its log and
its cache of slices. `<folder>` stands for the folder of the input: where a message names a path, it is the one that the
user gave.

This page is made by `python Testing/hostile/bad_inputs_page.py`; a test holds it against the table.
"""


def page(messages: Mapping[str, tuple[int | str, str]]) -> str:
    """Write the table as Markdown."""
    lines = [_HEAD]
    for entry in dict.fromkeys(case.entry for case in TABLE):
        lines += [f"## `{entry}`", "", "| input | end | message |", "|---|---|---|"]
        for case in TABLE:
            if case.entry == entry:
                end, message = messages[case.name]
                lines.append(f"| {case.what} | {end} | {_cell(message)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def try_all() -> dict[str, tuple[int | str, str]]:
    """Try every input that can be tried here."""
    found = {}
    cases = TABLE if importlib.util.find_spec("slicer") else WITHOUT_SLICER
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = tried(case, Path(folder))
            except Exception as error:  # noqa: BLE001 - the person at the terminal wants all of them
                sys.stderr.write(f"{case.name}: {type(error).__name__}: {error}\n")
                continue
        found[case.name] = (outcome.end, outcome.message)
        if outcome.trace or outcome.left:
            sys.stderr.write(f"{case.name}: {outcome}\n")
    return found


def read_messages() -> dict[str, tuple[int | str, str]]:
    """Read what each input must end with: exit code or error, and the message."""
    content = json.loads(MESSAGES.read_text(encoding="utf-8"))
    return {name: (end, message) for name, (end, message) in content.items()}


def main() -> None:
    """Write the page, and the messages if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", action="store_true", help="try every input and write the messages anew")
    if parser.parse_args().messages:
        MESSAGES.write_text(json.dumps(try_all(), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(read_messages()), encoding="utf-8")


if __name__ == "__main__":
    main()
