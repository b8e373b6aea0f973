# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Sentences of the scene package that a user reads go through Slicer's translation."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import refusalOfVolumeNode, scan, texts

SCENE_PACKAGE = Path(scan.__file__).parent


def test_a_refusal_is_translated_with_what_was_found(scene, monkeypatch):
    german = {
        "Choose a chest CT: a scalar volume is needed, but this is a {node} node.": "Kein Volumen, sondern {node}.",
        "Choose a chest CT: no volume is selected.": "Es ist nichts gewählt.",
    }
    monkeypatch.setattr(scan, "_", lambda text: german[text])
    assert refusalOfVolumeNode(None) == "Es ist nichts gewählt."
    node = scene.AddNewNodeByClass("vtkMRMLModelNode", "Doe^Jane")
    assert refusalOfVolumeNode(node) == "Kein Volumen, sondern Model."


def test_slicers_own_translation_is_taken_where_it_is_there(monkeypatch):
    i18n = ModuleType("slicer.i18n")
    i18n.tr = str.upper
    monkeypatch.setitem(sys.modules, "slicer.i18n", i18n)
    assert importlib.reload(texts).tr("heat map") == "HEAT MAP"
    monkeypatch.setitem(sys.modules, "slicer.i18n", None)
    assert importlib.reload(texts).tr("heat map") == "heat map"


def refused(tree):
    """What a file gives to the errors that it raises."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from node.exc.args


@pytest.mark.parametrize("path", sorted(SCENE_PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_sentence_is_raised_untranslated(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = [argument.lineno for argument in refused(tree) if isinstance(argument, ast.Constant | ast.JoinedStr)]
    assert plain == [], f"{path.name}: put these sentences into _(...), what is found into .format(...)"
