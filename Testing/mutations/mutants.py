"""Small wrong changes of source text, made from its syntax tree: a sign, a limit, a side, a line left out.

A mutant keeps the lines of its file, so that what a test runs can be looked up by line. Text of docstrings, types,
imports, messages and `__all__` is left alone: changing it changes nothing that is computed.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_OPERATORS: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.Mult(),
    ast.Pow: ast.Mult(),
    ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(),
    ast.LShift: ast.RShift(),
    ast.RShift: ast.LShift(),
}
_NAMES = {
    "min": "max",
    "max": "min",
    "argmin": "argmax",
    "argmax": "argmin",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "ceil": "floor",
    "RIGHT": "LEFT",
    "LEFT": "RIGHT",
    "rows": "columns",
    "columns": "rows",
    "height": "width",
    "width": "height",
    "low_hu": "high_hu",
    "high_hu": "low_hu",
    "OPACITY_GGO": "OPACITY_CONSOLIDATION",
    "OPACITY_CONSOLIDATION": "OPACITY_GGO",
}
"""Names whose exchange is a likely slip."""

_LETTERS = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S", "right": "left", "left": "right"}
"""The patient's sides, and the words for them."""

_SMALLEST_STEP = 1.25
"""Factor by which a decimal number is changed."""


@dataclass(frozen=True)
class Mutant:
    """One wrong change.

    Parameters
    ----------
    path
        File, relative to the root of the repository.
    line, last_line
        First and last line of the changed piece, from 1.
    before, after
        The changed piece of source, in one line each.
    text
        The whole file with the change.
    number
        Counts changes that read alike in one file, from 1.
    """

    path: str
    line: int
    last_line: int
    before: str
    after: str
    text: str
    number: int = 1

    @property
    def key(self) -> str:
        """What names the mutant from run to run; the line's number is not part of it."""
        again = "" if self.number == 1 else f" (number {self.number})"
        return f"{self.path}: {self.before} → {self.after}{again}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Make all mutants of a file, from its first line to its last.

    Parameters
    ----------
    path
        Name of the file, for the mutants' names.
    source
        Its text.
    """
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    whole = source.encode()
    found = []
    for shown, node, after in _changes(ast.parse(source)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        # Lines must not move: what is shorter is filled up with line ends inside brackets, or with comments after it.
        lost = whole[begin:end].count(b"\n")
        is_expression = isinstance(node, ast.expr)
        new = (f"({after}" + "\n" * lost + ")" if is_expression else after + "\n" * lost).encode()
        text = (whole[:begin] + new + whole[end:]).decode()
        try:
            compile(text, path, "exec")
        except SyntaxError:
            continue
        before_text = ast.unparse(shown).replace("\n", " ")
        found.append(
            Mutant(
                path,
                node.lineno,
                node.end_lineno or node.lineno,
                _short(before_text),
                _short(_with(shown, node, after)),
                text,
            )
        )
    found.sort(key=lambda mutant: (mutant.line, mutant.key))
    seen = Counter[str]()
    numbered = []
    for mutant in found:
        seen[mutant.key] += 1
        numbered.append(replace(mutant, number=seen[mutant.key]))
    return numbered


def _short(text: str) -> str:
    return " ".join(text.split())


def _with(shown: ast.AST, node: ast.AST, after: str) -> str:
    """The shown piece of source with one node of it changed."""
    if shown is node:
        return after

    class _Exchange(ast.NodeTransformer):
        def visit(self, found: ast.AST) -> ast.AST:
            if found is node:
                return ast.Name(f"⟨{after}⟩", ast.Load())
            return super().visit(found)

    # Only the outermost statement is copied: the tree itself must stay as it is.
    return ast.unparse(_Exchange().visit(_copied(shown, node))).replace("\n", " ")


def _copied(shown: ast.AST, kept: ast.AST) -> ast.AST:
    """Copy a tree, but for one node that stays itself."""
    return copy.deepcopy(shown, {id(kept): kept})


def sample(mutants: list[Mutant], count: int, seed: int = 0) -> list[Mutant]:
    """Draw mutants by a checksum of what they change, and keep their order.

    The same ones are drawn as long as their own lines stay the same, whatever else changes in the files.

    Parameters
    ----------
    mutants
        To draw from.
    count
        How many; all where there are not more.
    seed
        Of the drawing.
    """
    ranked = sorted(mutants, key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
    chosen = {mutant.key for mutant in ranked[:count]}
    return [mutant for mutant in mutants if mutant.key in chosen]


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST, str]]:
    """Give each change as the statement or expression to show, the node to replace, and its new source."""
    for statement in _statements(tree):
        yield from _left_out(statement)
        for shown, node in _expressions(statement):
            for after in _other(node):
                yield shown, node, after


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements that compute something."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, (ast.Import, ast.ImportFrom, ast.Raise)):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node


def _left_out(statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.AST, str]]:
    """Leave a statement out whose absence is no syntax error and no missing name."""
    in_place = isinstance(statement, (ast.AugAssign, ast.Expr, ast.Continue, ast.Break)) or (
        isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript)
    )
    if in_place:
        yield statement, statement, "pass"


_Pair = tuple[ast.AST, ast.AST]


def _expressions(statement: ast.stmt) -> Iterator[_Pair]:
    """Expressions of a statement's own, not of statements inside it, without types and messages."""
    heads: list[ast.AST] = []
    for name, value in ast.iter_fields(statement):
        if name in ("annotation", "returns", "decorator_list", "type_params", "bases", "args"):
            if name == "args" and isinstance(value, ast.arguments):
                heads += [entry for entry in (*value.defaults, *value.kw_defaults) if entry is not None]
            continue
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, ast.expr):
                heads.append(entry)
    for head in heads:
        # Short statements are shown whole, long ones (with blocks) by their head alone.
        shown = statement if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)) else head
        for node in _inside(head):
            yield shown, node


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Notice", "refuse", "cast"):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _inside(child)


def _other(node: ast.AST) -> Iterator[str]:
    """Wrong sources in place of an expression."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator in _COMPARISONS[type(node.ops[0])]:
            yield f"{ast.unparse(node.left)} {operator} {ast.unparse(node.comparators[0])}"
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        if not any(isinstance(side, (ast.JoinedStr, ast.Tuple, ast.List)) for side in (node.left, node.right)):
            yield ast.unparse(ast.BinOp(node.left, _OPERATORS[type(node.op)], node.right))
    elif isinstance(node, ast.BoolOp):
        yield ast.unparse(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        for value in node.values:
            yield ast.unparse(ast.BoolOp(node.op, [other for other in node.values if other is not value] * 2))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.IfExp):
        yield ast.unparse(ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Constant):
        yield from _other_constant(node.value)
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.unparse(ast.Attribute(node.value, _NAMES[node.attr], ast.Load()))
    elif isinstance(node, ast.Name) and node.id in _NAMES and isinstance(node.ctx, ast.Load):
        yield _NAMES[node.id]


def _other_constant(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, int):
        yield repr(value + 1)
    elif isinstance(value, float):
        yield repr(value * _SMALLEST_STEP if value else 1.0)
    elif isinstance(value, str) and value in _LETTERS:
        yield repr(_LETTERS[value])
