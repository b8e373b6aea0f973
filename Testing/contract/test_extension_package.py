"""What Slicer's build and the Extensions Index ask of the extension, tried with CMake itself where it is there."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess

import pytest
from repository import LIBRARY, MODULE, ROOT, files_under

ICON_SIZE = (128, 128)

SCHEMA_TYPES = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
"""Fields of slicer-extension-catalog-entry-schema-v1.0.1.json; no others are allowed."""

REQUIRED = {"$schema", "category", "scm_url"}
TIERS = (1, 3, 5)

SLICER = """
# As SlicerConfig.cmake asks it of every extension, on a computer of 64 bits.
if(NOT "8" EQUAL CMAKE_SIZEOF_VOID_P)
  message(FATAL_ERROR "Mismatch between bitness: 8 and '${CMAKE_SIZEOF_VOID_P}'")
endif()
set(Slicer_INSTALL_SHARE_DIR "share/Slicer-5.12")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/generate.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/cpack.cmake")
"""

USE = r"""
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(M "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(M_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${M_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file IN LISTS M_SCRIPTS M_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "missing: ${file}")
    endif()
    message(STATUS "ships ${M_NAME}/${file}")
  endforeach()
  # Slicer copies everything into one folder, compiles it there, and installs the folder as it is.
  set(built "${CMAKE_BINARY_DIR}/modules")
  set(into "${built}")
  if(M_WITH_SUBDIR)
    get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(into "${built}/${name}")
  endif()
  foreach(file IN LISTS M_SCRIPTS M_RESOURCES)
    get_filename_component(folder "${into}/${file}" DIRECTORY)
    file(COPY "${CMAKE_CURRENT_SOURCE_DIR}/${file}" DESTINATION "${folder}")
    get_filename_component(stem "${file}" NAME_WE)
    if(file MATCHES "\\.py$")
      # Beside the script, as CTK's ctk_compile_python_scripts does, and where Python itself would put it.
      file(WRITE "${folder}/${stem}.pyc" "compiled")
      file(WRITE "${folder}/__pycache__/${stem}.cpython-312.pyc" "compiled")
    endif()
  endforeach()
  if(M_WITH_SUBDIR)
    set(installed "${into}")
  else()
    set(installed "${built}/")
  endif()
  install(DIRECTORY "${installed}" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
    COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endfunction()
function(slicer_add_python_unittest)
  cmake_parse_arguments(T "" "SCRIPT" "" ${ARGN})
  message(STATUS "tests ${T_SCRIPT}")
endfunction()
"""

GENERATE = """
foreach(field HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  message(STATUS "EXTENSION_${field}=${EXTENSION_${field}}")
endforeach()
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """What CMake says of the extension, with a Slicer that only tells what it was given; and the build folder."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("CMake is not installed")
    if shutil.which("c++") is None:
        pytest.skip("there is no C++ compiler, without which Slicer configures no extension")
    folder = tmp_path_factory.mktemp("slicer")
    for name, text in {
        "SlicerConfig.cmake": SLICER,
        "use.cmake": USE,
        "generate.cmake": GENERATE,
        "cpack.cmake": "",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [cmake, "-S", str(ROOT), "-B", str(folder / "build"), f"-DSlicer_DIR={folder}", "-DBUILD_TESTING=ON"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder / "build"


@pytest.fixture(scope="module")
def configured(build):
    return build[0]


def test_terms_of_use_are_installed_and_compiled_files_are_not(build, tmp_path):
    subprocess.run(["cmake", "--install", str(build[1]), "--prefix", str(tmp_path)], check=True, capture_output=True)
    installed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    modules = "lib/Slicer-5.12/qt-scripted-modules"
    assert {"share/Slicer-5.12/CovidCT/LICENSE", "share/Slicer-5.12/CovidCT/NOTICE"} <= installed
    assert {f"{modules}/CovidCT.py", f"{modules}/CovidCTLib/__init__.py"} <= installed
    for network in ("lungs", "opacities", "slices"):
        assert f"{modules}/CovidCTLib/models/files/{network}/LICENSE" in installed
    assert not [name for name in installed if name.endswith(".pyc")]
    scripts = {
        f"{modules}/{name}" for name in re.findall(r"ships (?:CovidCT/(?=CovidCT|Res)|(?=CovidCTLib/))(\S+)", build[0])
    }
    assert scripts <= installed, "removing compiled files must take nothing else along"


def test_cmake_ships_every_file_of_module_and_library(configured):
    shipped = set(re.findall(r"ships (\S+)", configured))
    expected = set()
    for folder in (MODULE, LIBRARY):
        paths = (path for path in files_under(folder) if path.name != "CMakeLists.txt")
        expected |= {f"{folder.name}/{path.relative_to(folder).as_posix()}" for path in paths}
    assert shipped == expected
    assert "tests CovidCT.py" in configured


def test_the_extensions_metadata_is_complete_and_its_pictures_are_in_the_repository(configured):
    told = dict(re.findall(r"EXTENSION_(\w+)=(.*)", configured))
    assert all(value.strip() for value in told.values()), told
    assert told["CATEGORY"] == entry()["category"]
    assert told["DEPENDS"].split() == entry()["build_dependencies"]
    assert "not a medical device" in told["DESCRIPTION"]
    raw = told["HOMEPAGE"].replace("github.com", "raw.githubusercontent.com") + "/main/"
    for url in [told["ICONURL"], *told["SCREENSHOTURLS"].split()]:
        assert url.startswith(raw), url
        assert (ROOT / url.removeprefix(raw)).is_file(), url


def entry():
    """The extension's entry for the Extensions Index."""
    return json.loads((ROOT / "CovidCT.json").read_text(encoding="utf-8"))


def test_the_entry_for_the_index_has_the_types_of_its_schema():
    found = entry()
    assert set(SCHEMA_TYPES) >= set(found) >= REQUIRED
    for name, value in found.items():
        assert type(value) is SCHEMA_TYPES[name], name
    assert found["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert all(isinstance(name, str) for name in found["build_dependencies"])
    assert found["tier"] in TIERS
    assert re.fullmatch(r"https://\S+\.git", found["scm_url"])


def test_the_entrys_file_is_named_as_the_cmake_project():
    project = re.search(r"^project\((\w+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert project
    assert [path.stem for path in ROOT.glob("*.json")] == [project.group(1)]


def test_the_icon_is_a_png_of_the_size_that_slicer_asks_for():
    content = (MODULE / "Resources" / "Icons" / "CovidCT.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", content[16:26])
    assert (width, height) == ICON_SIZE
    # Eight bits a channel, red, green, blue and transparency (PNG specification, 11.2.2).
    assert (depth, kind) == (8, 6)


def test_texts_have_unix_line_ends():
    kinds = {".py", ".txt", ".json", ".md", ".ui", ".toml", ".j2", ".css"}
    paths = [path for folder in (MODULE, LIBRARY, ROOT / "docs") for path in files_under(folder)]
    paths += [ROOT / name for name in ("CMakeLists.txt", "CovidCT.json", "README.md", "LICENSE", "CHANGELOG.md")]
    assert not [path.name for path in paths if path.suffix in kinds and b"\r\n" in path.read_bytes()]
