"""Documents, terms, docstrings and commands agree with the code."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
import subprocess
import sys

import pytest
from pydicom.uid import JPEGLosslessSV1
from repository import LIBRARY, MODULE, ROOT, files_under, imports_of, place, scripts_under, syntax_of

from CovidCTLib.cli.main import build_parser
from CovidCTLib.followup.result import CHANGE_LABELS
from CovidCTLib.labels import LABELS
from CovidCTLib.results.segmentation_file import TERMINOLOGY_CONTEXT

README = (ROOT / "README.md").read_text(encoding="utf-8")

NOT_NEEDED_IN_SLICER = {
    "Pillow": "photos",
    "filelock": "comes with torch; without it, nothing is locked",
    "rich": "terminal",
}
SHIPPED_BY_SLICER = {"SimpleITK", "numpy", "pydicom", "pyjpegls", "scipy"}
"""What an official Slicer 5.12 has of the dependencies."""

IMPORT_NAMES = {"pyjpegls": "jpeg_ls", "scikit-image": "skimage", "Jinja2": "jinja2", "Pillow": "PIL"}
"""Name to import of a package that is called otherwise."""


def coded(entry):
    """Scheme, value and meaning of an entry in the terminology file."""
    return entry["CodingSchemeDesignator"], entry["CodeValue"], entry["CodeMeaning"]


def expected(code):
    """The same of a label's code."""
    return code.scheme, code.value, code.meaning


def test_the_terminology_file_holds_exactly_the_librarys_labels():
    terms = json.loads((MODULE / "Resources" / "CovidCT.term.json").read_text(encoding="utf-8"))
    assert terms["SegmentationCategoryTypeContextName"] == TERMINOLOGY_CONTEXT
    found = set()
    for category in terms["SegmentationCodes"]["Category"]:
        for kind in category["Type"]:
            for modifier in kind.get("Modifier", [None]):
                colour = tuple((modifier or kind)["recommendedDisplayRGBValue"])
                found.add((coded(category), coded(kind), coded(modifier) if modifier else None, colour))
    assert found == {
        (
            expected(label.category),
            expected(label.type),
            expected(label.modifier) if label.modifier else None,
            label.colour,
        )
        for label in (*LABELS, *CHANGE_LABELS.values())
    }


def public_definitions(body):
    """Public functions and classes of a file, methods of public classes included."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body)


def test_everything_public_in_the_library_has_a_docstring():
    bare = []
    for path in scripts_under(LIBRARY):
        tree = syntax_of(path)
        bare += [] if ast.get_docstring(tree) else [place(path, 1)]
        bare += [
            f"{place(path, node.lineno)} {node.name}"
            for node in public_definitions(tree.body)
            if not ast.get_docstring(node)
        ]
    assert not bare, "\n".join(bare)


def test_files_stay_small_enough_to_read():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*scripts_under(LIBRARY), *scripts_under(MODULE)]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def commands_of_readme():
    """Each line of the README's shell blocks."""
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def covidct_calls():
    """The arguments of every call of ``covidct`` in the README."""
    parts = (part for line in commands_of_readme() for part in line.split("&&"))
    words = (shlex.split(part) for part in parts)
    return [call[1:] for call in words if call and call[0].rsplit("/", 1)[-1] == "covidct"]


@pytest.mark.parametrize("arguments", covidct_calls(), ids=" ".join)
def test_the_terminal_understands_every_call_in_the_readme(arguments):
    assert callable(build_parser().parse_args(arguments).run)


def test_the_readme_shows_how_to_analyze_and_try():
    assert {call[0] for call in covidct_calls()} >= {"analyze", "demo"}


def test_the_readmes_python_example_is_valid_and_uses_public_names():
    import CovidCTLib

    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "CovidCTLib":
                assert {alias.name for alias in node.names} <= set(CovidCTLib.__all__)


def test_the_readmes_test_command_is_what_the_clean_machine_runs():
    install, run = "pip install -c constraints.txt -e '.[test]'", "Testing/run"
    assert any(install in line and line.endswith(f"&& {run}") for line in commands_of_readme())
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "install --quiet -c constraints.txt -e '.[test]'" in script
    assert script.rstrip().endswith(run)
    for path in (ROOT / ".ci" / "run", ROOT / "Testing" / "run"):
        assert path.stat().st_mode & 0o100, f"{path.name} must be executable"


def test_links_in_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)#\s]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert "docs/report.png" in local
    missing = [target for target in local if not (ROOT / target).exists()]
    assert not missing


def test_the_readme_says_what_it_must():
    for words in (
        "not a medical device",
        "Apache-2.0",
        "CC BY-NC-SA 4.0",
        "non-commercial research",
        "MedSeg",
        "Radiopaedia",
        "coronacases",
        "COVID-19-CT-Seg",
        "COVID-SemiSeg",
        "COVID-CT-MD",
        "Finding lungs in CT",
    ):
        assert words in README, words


def test_the_panel_installs_what_the_analysis_needs_and_slicer_lacks():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block
    dependencies = [entry.split(";")[0].strip() for entry in re.findall(r'"([^"]+)"', block.group(1))]
    panel = runpy.run_path(str(MODULE / "CovidCTPanel" / "requirements.py"))
    installed = [*panel["REQUIREMENTS"].values(), f"torch{panel['PYTORCH_REQUIREMENT']}"]
    elsewhere = SHIPPED_BY_SLICER | set(NOT_NEEDED_IN_SLICER)
    needed = [entry for entry in dependencies if re.split(r"[<>=!~ ]", entry)[0] not in elsewhere]
    assert sorted(installed) == sorted(needed)


def in_slicer():
    """Names to import of what an official Slicer has, or has once the panel has installed what it asks for."""
    panel = runpy.run_path(str(MODULE / "CovidCTPanel" / "requirements.py"))
    return {*panel["REQUIREMENTS"], "torch", *(IMPORT_NAMES.get(name, name) for name in SHIPPED_BY_SLICER)}


ANALYSIS = ("batch", "checks", "explanation", "followup", "lungs", "measures", "models", "opacities", "reading")
ANALYSIS += ("report", "results", "segments", "slices", "pipeline.py", "provenance.py", "stages.py", "work.py")
"""Parts of the library that work in Slicer."""

OPTIONAL = {"plutoprint": "a PDF is asked for, and then installed"}
"""Packages that these parts import where they are there."""


def test_what_reads_and_analyzes_imports_only_what_slicer_has_then():
    allowed = in_slicer() | set(OPTIONAL) | set(sys.stdlib_module_names) | {"CovidCTLib", "PIL"}
    paths = [path for path in scripts_under(LIBRARY) if path.relative_to(LIBRARY).parts[0] in ANALYSIS]
    assert len(paths) > len(ANALYSIS)
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in paths
        for name, line in imports_of(syntax_of(path))
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


DECODABLE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from pydicom.pixels import get_decoder
from pydicom.uid import AllTransferSyntaxes
for syntax in AllTransferSyntaxes:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        continue
    if decoder.is_available:
        print(syntax)
"""
"""Prints every transfer syntax that pydicom can decode without some packages."""


def decodable(absent):
    """Transfer syntaxes that can be decoded without some packages."""
    program = f"ABSENT = {sorted(absent)!r}\n{DECODABLE}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_the_panel_installs_decodes_every_dicom_that_the_terminal_does():
    plugins = {"gdcm", "jpeg_ls", "libjpeg", "openjpeg", "pylibjpeg", "rle"}
    everything = decodable(set())
    assert JPEGLosslessSV1 in everything
    assert decodable(plugins - in_slicer()) == everything
    official = decodable(plugins - {IMPORT_NAMES["pyjpegls"]})
    assert JPEGLosslessSV1 not in official, "an official Slicer alone cannot"


def test_the_panel_asks_only_for_what_is_missing():
    panel = runpy.run_path(str(MODULE / "CovidCTPanel" / "requirements.py"))
    assert panel["missingRequirements"](lambda name, requirement: True) == ()
    assert panel["missingRequirements"](lambda name, requirement: name != "monai") == ("monai>=1.4",)
    assert panel["isImportable"]("json")
    assert not panel["isImportable"]("no_such_package_anywhere")


@pytest.mark.parametrize(("document", "torch"), [("README.md", {"torch"}), ("docs/tutorial.md", set())])
def test_what_was_downloaded_can_be_removed_as_the_documents_say(document, torch):
    panel = runpy.run_path(str(MODULE / "CovidCTPanel" / "requirements.py"))
    downloaded = [*panel["REQUIREMENTS"].values(), *panel["PDF_REQUIREMENTS"].values()]
    (named,) = re.findall(r'pip_uninstall\("([^"]+)"\)', (ROOT / document).read_text(encoding="utf-8"))
    # In the tutorial torch is removed by the module that installed it.
    assert set(named.split()) == {re.split(r"[<>=]", entry)[0] for entry in downloaded} | torch


def test_text_files_have_unix_line_ends():
    suffixes = {".py", ".md", ".txt", ".json", ".toml", ".ui", ".j2", ".csv"}
    folders = [LIBRARY, MODULE, ROOT / "Testing"]
    files = [path for folder in folders for path in files_under(folder) if path.suffix in suffixes]
    assert not [path.name for path in [*files, *ROOT.glob("*.md")] if b"\r" in path.read_bytes()]


def test_names_say_what_they_hold():
    """Names that fit everything: write what was found, known, or said, and what kind of place it is."""
    vague = {"found", "known", "told", "place", "places"}
    used = [
        f"{place(path, node.lineno)}: {name}"
        for path in (*scripts_under(LIBRARY), *scripts_under(MODULE / "CovidCTScene"))
        for node in ast.walk(syntax_of(path))
        for name in (getattr(node, "id", None), getattr(node, "arg", None), getattr(node, "name", None))
        if name in vague and not isinstance(node, ast.keyword)
    ]
    assert not used, used
