"""The mutants are those that they say, keep the lines of their file, and are drawn alike each time."""

from __future__ import annotations

import ast

import pytest
from mutants import mutants_of, sample
from run import NEAREST, ROOT, mutated_files, page

SOURCE = '''"""A module."""

LIMIT_MM = 5.0
"""A limit."""


def area(rows: int, columns: int, spacing: tuple[float, float] = (1.0, 2.0)) -> float:
    """Compute an area."""
    if rows < 1 or columns == 0:
        raise ValueError(f"At least {1} row was expected, not {rows}.")
    total = 0.0
    for side in ("R", "left"):
        total += rows * spacing[0]
        area_of = {"x": -rows}
        area_of["x"] = min(
            rows,
            columns,
        )
    return total if total >= LIMIT_MM else 0.0
'''


@pytest.fixture(scope="module")
def found():
    """All mutants of the source."""
    return mutants_of("a.py", SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT_MM = 5.0", "LIMIT_MM = ⟨6.25⟩"),
        ("rows < 1 or columns == 0", "⟨rows <= 1⟩ or columns == 0"),
        ("rows < 1 or columns == 0", "⟨rows > 1⟩ or columns == 0"),
        ("rows < 1 or columns == 0", "rows < 1 or ⟨columns != 0⟩"),
        ("rows < 1 or columns == 0", "rows < 1 and columns == 0"),
        ("('R', 'left')", "(⟨'L'⟩, 'left')"),
        ("('R', 'left')", "('R', ⟨'right'⟩)"),
        ("total += rows * spacing[0]", "total += ⟨rows / spacing[0]⟩"),
        ("total += rows * spacing[0]", "total += ⟨columns⟩ * spacing[0]"),
        ("total += rows * spacing[0]", "total += rows * spacing[⟨1⟩]"),
        ("total += rows * spacing[0]", "pass"),
        ("area_of = {'x': -rows}", "area_of = {'x': ⟨rows⟩}"),
        ("area_of['x'] = min(rows, columns)", "area_of['x'] = ⟨max⟩(rows, columns)"),
        ("return total if total >= LIMIT_MM else 0.0", "return ⟨0.0 if total >= LIMIT_MM else total⟩"),
        ("return total if total >= LIMIT_MM else 0.0", "return total if ⟨total > LIMIT_MM⟩ else 0.0"),
        ("(1.0, 2.0)", "(1.0, ⟨2.5⟩)"),
    ],
)
def test_small_mistakes_are_made_and_named(found, before, after):
    assert (before, after) in {(mutant.before, mutant.after) for mutant in found}


def test_every_mutant_is_another_program_with_the_same_lines(found):
    assert len({mutant.key for mutant in found}) == len(found)
    same = ast.dump(ast.parse(SOURCE))
    for mutant in found:
        assert ast.dump(ast.parse(mutant.text)) != same, mutant.key
        assert mutant.text.count("\n") == SOURCE.count("\n"), mutant.key
        assert mutant.line <= mutant.last_line


def test_messages_types_and_docstrings_stay(found):
    for mutant in found:
        assert "At least {1} row was expected" in mutant.text
        assert '"""Compute an area."""' in mutant.text
        assert "rows: int, columns: int, spacing: tuple[float, float]" in mutant.text


def test_the_same_mutants_are_drawn_when_other_lines_change(found):
    drawn = {mutant.key for mutant in sample(found, 10)}
    assert len(drawn) == 10
    longer = mutants_of("a.py", f"{SOURCE}\n\nOTHER = 7\n")
    again = {mutant.key for mutant in sample(longer, len(longer))}
    assert drawn < again
    assert drawn == {mutant.key for mutant in sample(found, 10)}
    assert drawn != {mutant.key for mutant in sample(found, 10, seed=1)}


def test_all_parts_that_make_numbers_are_mutated_and_their_tests_exist():
    files = mutated_files()
    assert {f"CovidCTLib/{name}" for name in ("geometry.py", "hu.py", "followup/difference.py")} <= set(files)
    assert sum(file.startswith("CovidCTLib/measures/") for file in files) > 8
    assert all((ROOT / test).exists() for tests in NEAREST.values() for test in tests)
    assert sum(len(mutants_of(file, (ROOT / file).read_text(encoding="utf-8"))) for file in files) > 2000


def test_the_page_counts_what_was_noticed_and_lists_what_lives():
    results = {
        "CovidCTLib/hu.py: a → b": "killed",
        "CovidCTLib/hu.py: a → c": "too slow",
        "CovidCTLib/scan.py: x → y": "lives",
    }
    text = page(results, {"CovidCTLib/scan.py: x → y": "both are the same"})
    assert "| hu.py | 2 | 2 | 0 | 100 % |" in text
    assert "| **all** | 3 | 2 | 1 | 67 % |" in text
    assert "- `CovidCTLib/scan.py: x → y`: both are the same" in text
