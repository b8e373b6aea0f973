"""The repository's files, and what Python files import, read without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "CovidCTLib"
MODULE = ROOT / "CovidCT"

SKIPPED_FOLDERS = {"__pycache__", ".ipynb_checkpoints"}


def files_under(folder: Path) -> Iterator[Path]:
    """All files that belong to a folder, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and not SKIPPED_FOLDERS & set(path.parts):
            yield path


def scripts_under(folder: Path) -> list[Path]:
    """All Python files of a folder."""
    return [path for path in files_under(folder) if path.suffix == ".py"]


def syntax_of(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(tree: ast.AST, package: str = "") -> Iterator[tuple[str, int]]:
    """Dotted names that are imported anywhere in a tree, with the line.

    ``from a import b`` gives ``a.b``, so that a module is named in full; a relative import counts from ``package``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = ".".join(part for part in (package if node.level else "", node.module or "") if part)
            yield from ((f"{home}.{alias.name}", node.lineno) for alias in node.names)


def imports_at_file_scope(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Like `imports_of`, but without imports inside functions and classes."""
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from imports_of(node)


def place(path: Path, line: int) -> str:
    """File and line, as an editor opens them."""
    return f"{path.relative_to(ROOT)}:{line}"
