"""The example notebook runs from start to end, and what stands in it is what it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "example.ipynb"

LARGEST_BYTES = 1_000_000
"""Size of the notebook with its outputs."""

nbformat = pytest.importorskip("nbformat", reason="nbformat reads the notebook (pip install nbclient)")


@pytest.fixture(scope="module")
def a_notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds_of(cell):
    """Kinds of a cell's outputs; pictures are kept as PNG alone, and a stream may come in several parts."""
    kinds = {kind for output in cell.outputs for kind in output.get("data", {output.output_type: ""})}
    return kinds - {"image/jpeg"}


def test_the_notebook_was_executed_in_order_without_errors(a_notebook):
    nbformat.validate(a_notebook)
    cells = code_cells(a_notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert NOTEBOOK.stat().st_size < LARGEST_BYTES


def test_the_notebook_names_no_folder_of_its_makers(a_notebook):
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not [word for word in ("/home/", "/work/", "/root/", "/tmp/") if word in text]


def test_the_notebook_gives_the_same_kinds_of_output_again(a_notebook, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient executes the notebook (pip install nbclient)")
    pytest.importorskip("ipykernel", reason="the notebook needs a kernel (pip install ipykernel)")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    again = nbformat.from_dict(a_notebook)
    for cell in code_cells(again):
        cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(
        again, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for before, after in zip(code_cells(a_notebook), code_cells(again), strict=True):
        assert kinds_of(before) == kinds_of(after), before.source
    assert not list(tmp_path.iterdir())
