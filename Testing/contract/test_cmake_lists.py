"""A file that a CMake list forgets does not ship with the extension, and nobody notices; so the lists are held here."""

from __future__ import annotations

import json
import re

import pytest
from repository import LIBRARY, MODULE, ROOT, files_under

LISTS = {"MODULE_PYTHON_SCRIPTS": True, "MODULE_PYTHON_RESOURCES": False}
"""Name of the list, and whether it holds the Python files or all others."""


def listed(folder, name):
    """Entries of ``set(NAME ...)`` in a folder's CMakeLists.txt, in their order."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"^set\({name}\n(.*?)^\s*\)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{folder.name}/CMakeLists.txt has no list {name}"
    return found.group(1).split()


def present(folder, scripts):
    """Files of a folder that must ship, relative to it."""
    paths = (path for path in files_under(folder) if path.name != "CMakeLists.txt")
    return [path.relative_to(folder).as_posix() for path in paths if (path.suffix == ".py") == scripts]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("folder", [MODULE, LIBRARY], ids=lambda folder: folder.name)
def test_the_list_names_every_file_and_no_other(folder, name):
    entries, files = listed(folder, name), present(folder, LISTS[name])
    problems = [f"add:    {entry}" for entry in files if entry not in entries]
    problems += [f"remove: {entry}" for entry in entries if entry not in files]
    assert not problems, f"In {folder.name}/CMakeLists.txt, {name}:\n" + "\n".join(problems)
    assert entries == sorted(entries), f"Sort {name} in {folder.name}/CMakeLists.txt"


def test_the_library_installs_as_a_package_of_its_own():
    text = (LIBRARY / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "set(MODULE_NAME CovidCTLib)" in text
    assert "WITH_SUBDIR" in text


def test_the_extension_holds_module_and_library():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^add_subdirectory\((\w+)\)", text, re.MULTILINE) == ["CovidCT", "CovidCTLib"]
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in text


def test_the_extensions_version_is_the_librarys():
    import CovidCTLib

    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(r"^project\((\w+) VERSION ([\d.]+)", text, re.MULTILINE)
    assert found
    assert found.groups() == ("CovidCT", CovidCTLib.__version__)
    assert f"## [{CovidCTLib.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_entry_for_the_extensions_index_keeps_to_its_schema():
    entry = json.loads((ROOT / "CovidCT.json").read_text(encoding="utf-8"))
    allowed = {
        "$schema",
        "build_dependencies",
        "build_subdirectory",
        "category",
        "enabled",
        "scm_revision",
        "scm_url",
        "tier",
    }
    assert {"$schema", "category", "scm_url"} <= set(entry) <= allowed
    assert "slicer-extension-catalog-entry-schema-v1.0.1" in entry["$schema"]
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["tier"] in (1, 3, 5)
