"""The pages and files for those who carry on agree with the code, and the code keeps to the oldest Python."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import LIBRARY, MODULE, ROOT, scripts_under

import CovidCTLib

OLDEST_PYTHON = (3, 10)
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/releasing.md", "Testing/mutations/README.md")


def project():
    """The table of pyproject.toml; the standard library reads it from 3.11 on."""
    tomllib = pytest.importorskip("tomllib")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def yaml_of(name):
    """A YAML file of the repository."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", [LIBRARY, MODULE, ROOT / "Testing", ROOT / "docs"], ids=lambda folder: folder.name)
def test_every_file_can_be_read_by_the_grammar_of_the_oldest_python(folder):
    scripts = list(scripts_under(folder))
    assert scripts
    for script in scripts:
        ast.parse(script.read_text(encoding="utf-8"), str(script), feature_version=OLDEST_PYTHON)


def test_nothing_newer_than_the_oldest_python_is_used():
    pytest.importorskip("vermin")
    target = "{}.{}-".format(*OLDEST_PYTHON)
    program = "from vermin import main; main()"
    folders = [str(LIBRARY), str(MODULE)]
    command = [sys.executable, "-c", program, f"--target={target}", "--no-tips", "--violations", *folders]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_oldest_python_is_the_same_everywhere():
    table = project()
    name = "{}.{}".format(*OLDEST_PYTHON)
    assert table["project"]["requires-python"] == f">={name}"
    assert table["tool"]["ruff"]["target-version"] == f"py{name.replace('.', '')}"
    assert f"Programming Language :: Python :: {name}" in table["project"]["classifiers"]
    matrix = yaml_of(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(table["project"]["classifiers"]))
    assert matrix["python"] == named
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "windows", "macos"}


def test_the_version_of_the_citation_is_the_librarys():
    citation = yaml_of("CITATION.cff")
    assert citation["version"] == CovidCTLib.__version__
    assert citation["license"] == project()["project"]["license"]
    assert citation["repository-code"] == project()["project"]["urls"]["Homepage"]


def test_the_types_of_the_library_are_for_others_too():
    assert (LIBRARY / "py.typed").exists()
    assert project()["tool"]["setuptools"]["package-data"]["CovidCTLib"] == ["py.typed"]


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_issue_templates_ask_for_what_is_needed_and_warn_of_patients(name):
    template = yaml_of(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert {"name", "description", "body"} <= set(template)
    identifiers = [entry["id"] for entry in template["body"] if "id" in entry]
    assert len(identifiers) == len(set(identifiers))
    assert any(entry.get("validations", {}).get("required") for entry in template["body"])
    if name == "bug":
        assert "patient" in template["body"][0]["attributes"]["value"]


def test_hooks_before_a_commit_have_a_version_each():
    for entry in yaml_of(".pre-commit-config.yaml")["repos"]:
        assert entry["repo"] == "local" or re.fullmatch(r"v\d+\.\d+\.\d+", entry["rev"])
        assert entry["hooks"]


def test_hooks_have_the_rules_of_the_checks():
    (pin,) = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("ruff==")]
    hooks = [hook for entry in yaml_of(".pre-commit-config.yaml")["repos"] for hook in entry["hooks"]]
    assert [hook["additional_dependencies"] for hook in hooks if hook["id"].startswith("ruff")] == [[pin], [pin]]


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page} points to {target}"


def test_files_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {Path(script).name for folder in (LIBRARY, MODULE, ROOT / "Testing") for script in scripts_under(folder)}
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert Path(name).name in names, name
        if "/" in name:
            assert any((home / name).exists() for home in (ROOT, LIBRARY, MODULE)), name


def test_every_layer_stands_on_the_page_of_the_architecture():
    from test_layers import LAYERS

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    left_out = {"__main__", "phantom_anatomy", "phantom_tissues"}
    assert named == {name for layer in LAYERS for name in layer} - left_out


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/releasing.md"])
def test_commands_name_files_that_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for word in re.findall(r"(?:Testing|CovidCTLib|docs)/[\w/.]+", block):
            assert (ROOT / word).exists(), f"{page}: {word}"
