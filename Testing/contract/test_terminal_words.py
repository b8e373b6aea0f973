"""Messages that reach Slicer's panel say nothing of the terminal: there is no ``-o`` to correct there."""

from __future__ import annotations

import ast
import re

from repository import LIBRARY, MODULE, ROOT, place, scripts_under, syntax_of

TERMINAL_ONLY = {"archive", "cli", "cohort", "comparison", "evaluation", "labelled_data", "photos", "training"}
"""Parts of the library that Slicer never calls; of the terminal's commands it runs those of `COMMANDS`."""

COMMANDS = ("analyze.py", "batch.py", "explain.py", "main.py", "arguments.py")
"""Files of the terminal whose refusals reach Slicer; what else they hold is help for the terminal."""

WORDS = re.compile(r"(?<![\w.-])-o\b|(?<![\w-])--[a-z][a-z-]+|\bcovidct [a-z]|\bpip install\b")

NOT_REACHED = {
    "CovidCTLib/dicom_results/reading_back.py": "read back by the terminal's report and follow-up",
    "CovidCTLib/dicom_results/study.py": "DICOM results, which only the terminal writes",
    "CovidCTLib/models/card.py": "a page about a network, which Slicer shows nowhere",
    "CovidCTLib/reading/identifiers.py": "said where identifiers were asked for, which only the terminal can",
    "CovidCTLib/reading/label_file.py": "masks of pictures, for making a volume of them",
    "CovidCTLib/report/content.py": "said where identifiers were asked for, which only the terminal can",
    "CovidCTLib/cli/analyze.py": "refuses two options that Slicer does not give",
}
"""Files with texts that cannot reach Slicer."""

HINT = "hint"
"""Argument of an error that the terminal alone shows."""


def texts_of(tree):
    """Texts of a tree with their lines, docstrings and hints left out."""
    hints = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == HINT
        for inner in ast.walk(keyword.value)
    }
    lone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in hints | lone:
            yield node.value, node.lineno


def wrong_in(path, trees):
    """Texts with words of the terminal."""
    if path.relative_to(ROOT).as_posix() in NOT_REACHED:
        return []
    return [f"{place(path, line)}: {text!r}" for tree in trees for text, line in texts_of(tree) if WORDS.search(text)]


def test_no_text_of_the_parts_that_work_in_slicer_speaks_of_the_terminal():
    paths = [path for path in scripts_under(LIBRARY) if path.relative_to(LIBRARY).parts[0] not in TERMINAL_ONLY]
    paths += scripts_under(MODULE / "CovidCTScene")
    wrong = [entry for path in paths for entry in wrong_in(path, [syntax_of(path)])]
    assert not wrong, "\n".join(wrong)


def test_no_refusal_of_the_commands_that_slicer_runs_speaks_of_the_terminal():
    wrong = []
    for name in COMMANDS:
        path = LIBRARY / "cli" / name
        tree = syntax_of(path)
        raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
        named = {name.id for node in raises for name in ast.walk(node) if isinstance(name, ast.Name)}
        assigned = [(node, node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
        constants = [node for node, target in assigned if isinstance(target, ast.Name) and target.id in named]
        assert raises or name == "batch.py"
        wrong += wrong_in(path, [*raises, *(node for node in constants if "HINT" not in ast.dump(node.targets[0]))])
    assert not wrong, "\n".join(wrong)


def shown_texts(tree):
    """Texts that the panel shows: those that are translated, and those that are raised."""
    for node in ast.walk(tree):
        translated = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
        if translated or isinstance(node, ast.Raise):
            yield node


def test_no_text_of_the_panel_speaks_of_the_terminal():
    paths = [MODULE / "CovidCT.py", *scripts_under(MODULE / "CovidCTModule"), *scripts_under(MODULE / "CovidCTPanel")]
    wrong = [entry for path in paths for entry in wrong_in(path, list(shown_texts(syntax_of(path))))]
    window = (MODULE / "Resources" / "UI" / "CovidCT.ui").read_text(encoding="utf-8")
    wrong += [text for text in re.findall(r"<string[^>]*>([^<]*)</string>", window) if WORDS.search(text)]
    assert not wrong, "\n".join(wrong)
