"""The table of quality checks names every code that the library can give, with its severity, and no other."""

from __future__ import annotations

import ast
import re

from repository import LIBRARY, ROOT, place, scripts_under, syntax_of

TABLE = ROOT / "docs" / "quality_checks.md"
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
