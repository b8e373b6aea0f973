"""The table of quality checks names every code that the library can give, with its severity, and no other."""

from __future__ import annotations

import ast
import json
import re

from repository import LIBRARY, ROOT, place, scripts_under, syntax_of

TABLE = ROOT / "docs" / "quality_checks.md"
MESSAGES = ROOT / "Testing" / "hostile" / "expected_messages.json"
IN_THE_RESULT = {"different-patients"}
"""Refusals that end nothing: a comparison of several patients says first that it is none."""

REFUSING = {"refuse", "_refuse"}
"""Functions that make an error with a notice from a code."""


def severities(call):
    """Severities that a notice may have; the default is ``warn``."""
    given = [entry.value for entry in call.keywords if entry.arg == "severity"] or call.args[2:3]
    found = {node.value for node in ast.walk(given[0]) if isinstance(node, ast.Constant)} if given else {"warn"}
    return found & {"refuse", "warn", "note"}


def codes_in_the_library():
    """Code and severities of every notice that is made anywhere."""
    found, unclear = {}, []
    for path in scripts_under(LIBRARY):
        tree = syntax_of(path)
        inside = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef) and function.name in REFUSING
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
            if name not in {"Notice", *REFUSING} or id(node) in inside:
                continue
            code = node.args[0] if node.args else None
            if not isinstance(code, ast.Constant):
                unclear.append(place(path, node.lineno))
                continue
            found.setdefault(code.value, set()).update({"refuse"} if name in REFUSING else severities(node))
    assert not unclear, f"Write the code of a notice as plain text: {unclear}"
    return found


def codes_in_the_table():
    """Code and severities of every row."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ([a-z, ]+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    codes = [code for code, _ in rows]
    assert len(codes) == len(set(codes)), "A code stands twice in the table"
    return {code: {word.strip() for word in words.split(",")} for code, words in rows}


def test_the_table_of_quality_checks_agrees_with_the_code():
    code, table = codes_in_the_library(), codes_in_the_table()
    assert sorted(code) == sorted(table)
    assert {name: found for name, found in code.items() if found != table[name]} == {}


def pattern_of(text, function):
    """The pattern of a text in the code; a name stands for what the function gave it."""
    if isinstance(text, ast.Name):
        given = [
            node.value for node in ast.walk(function) if isinstance(node, ast.Assign) and names_in(node) == [text.id]
        ]
        text = given[-1]
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".*?" for part in parts)


def names_in(assignment):
    """What an assignment gives values to."""
    return [target.id for target in assignment.targets if isinstance(target, ast.Name)]


def refusals_in_the_library():
    """Code and pattern of the text of every refusal."""
    for path in scripts_under(LIBRARY):
        for function in ast.walk(syntax_of(path)):
            if not isinstance(function, ast.FunctionDef) or function.name in REFUSING:
                continue
            for node in ast.walk(function):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
                if name in REFUSING or (name == "Notice" and "refuse" in severities(node)):
                    yield node.args[0].value, pattern_of(node.args[1], function)


def test_every_refusal_of_a_check_stands_on_the_page_of_bad_inputs():
    messages = [message for _, message in json.loads(MESSAGES.read_text(encoding="utf-8")).values()]
    refusals = [(code, pattern) for code, pattern in refusals_in_the_library() if code not in IN_THE_RESULT]
    assert len(refusals) >= 12
    untried = [code for code, pattern in refusals if not any(re.match(pattern, message) for message in messages)]
    assert untried == []


def test_every_check_of_a_contradiction_is_one_that_the_code_gives():
    page = (ROOT / "docs" / "contradictions.md").read_text(encoding="utf-8")
    codes = {
        code
        for row in re.findall(r"^\|.*\| ([^|]*) \|$", page, re.MULTILINE)
        for code in re.findall(r"`([a-z-]+)`", row)
    }
    assert codes <= set(codes_in_the_library())
    assert len(codes) >= 30
