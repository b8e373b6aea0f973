"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from repository import LIBRARY, MODULE, ROOT, imports_at_file_scope, imports_of, place, scripts_under, syntax_of

LAYERS = (
    {"units"},
    {"errors"},
    {"geometry", "hu", "labels", "writing"},
    {"framing", "options", "phantom_tissues", "pure_air", "scan"},
    {"analysis", "phantom_anatomy"},
    {"checks", "phantom"},
    {"models"},
    {"lungs", "measures", "opacities", "photos", "reading", "slices"},
    {"labelled_data", "segments"},
    {"provenance", "work"},
    {"stages"},
    {"pipeline", "report", "training"},
    {"results"},
    {"comparison", "dicom_results", "evaluation", "explanation", "followup"},
    {"archive", "cohort"},
    {"batch"},
    {"cli"},
    {"__main__"},
)
"""The library's modules and packages from the bottom to the top; each may import only what lies in a lower layer."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

PACKAGE_ITSELF = "__init__"
"""``CovidCTLib`` itself: its version is for all; its other names load on first use."""

APPLICATION = {"ctk", "qt", "slicer", "vtk", "vtkmodules"}

SHIPPED_BY_SLICER = {"SimpleITK", "numpy", "scipy", *APPLICATION}
ARRAYS = {"SimpleITK", "numpy", "scipy"}
OWN = {"CovidCTLib", "CovidCTModule", "CovidCTPanel", "CovidCTScene"}

NETWORK_MODULES = {"aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "urllib", "urllib3", "wget"}
NETWORK_WORDS = ("load_state_dict_from_url", "torch.hub", "urlopen", "snapshot_download", "telemetry", "analytics.")


def top_of(path):
    """The module or package right under the library that a file belongs to."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def library_part(name):
    """The module or package of the library that a dotted name lies in."""
    first = name.split(".")[1] if "." in name else PACKAGE_ITSELF
    return first if (LIBRARY / first).is_dir() or (LIBRARY / f"{first}.py").is_file() else PACKAGE_ITSELF


def test_every_part_of_the_library_has_its_layer():
    unknown = {top_of(path) for path in scripts_under(LIBRARY)} - set(RANK) - {PACKAGE_ITSELF}
    assert not unknown, f"Put these into LAYERS in {__file__}: {sorted(unknown)}"


def test_imports_inside_the_library_go_down_only():
    wrong = []
    for path in scripts_under(LIBRARY):
        own = top_of(path)
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        for name, line in imports_of(syntax_of(path), package):
            if name.split(".")[0] != "CovidCTLib":
                continue
            part = library_part(name)
            if part in (own, PACKAGE_ITSELF) or own == PACKAGE_ITSELF:
                continue
            if RANK[part] >= RANK[own]:
                wrong.append(f"{place(path, line)} ({own}) imports {name}, which is not below it")
    assert not wrong, "\n".join(wrong)


def file_of(name):
    """The library's file that an imported name lies in, a package's ``__init__`` for the package's own names."""
    parts = name.split(".")[1:]
    while parts:
        path = LIBRARY.joinpath(*parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        parts.pop()
    return LIBRARY / "__init__.py"


def imports_between_files():
    """The library's files with those that each imports, at file scope, inside functions and for types alike."""
    edges = {}
    for path in scripts_under(LIBRARY):
        # The library's own __init__ loads its names on first use, from everywhere.
        if path == LIBRARY / "__init__.py":
            continue
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        names = [name for name, _ in imports_of(syntax_of(path), package) if name.split(".")[0] == "CovidCTLib"]
        edges[path] = {file_of(name) for name in names} - {path, LIBRARY / "__init__.py"}
    return edges


def circles_in(edges):
    """What is left after files that import nothing left, or that nothing left imports, are taken away."""
    left = {file: set(imported) for file, imported in edges.items()}
    while True:
        imported = set().union(*left.values()) if left else set()
        kept = {file: used & left.keys() for file, used in left.items() if used & left.keys() and file in imported}
        if kept == left:
            return kept
        left = kept


def test_no_files_of_the_library_import_each_other_in_a_circle():
    left = circles_in(imports_between_files())
    wrong = [
        f"{file.relative_to(ROOT)} imports {', '.join(sorted(str(other.relative_to(ROOT)) for other in others))}"
        for file, others in sorted(left.items())
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"a"}}, {"a", "b"}),
        ({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b", "e"}, "e": {"f"}, "f": set()}, {"b", "c", "d"}),
    ],
)
def test_a_circle_is_seen_however_many_files_it_has(edges, circle):
    assert set(circles_in(edges)) == circle


def test_the_library_knows_nothing_of_slicer():
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in scripts_under(LIBRARY)
        for name, line in imports_of(syntax_of(path))
        if name.split(".")[0] in APPLICATION | {"CovidCT", "CovidCTModule", "CovidCTPanel", "CovidCTScene"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "forbidden", "allowed"),
    [
        ("CovidCTScene", {"qt", "ctk", "CovidCTPanel", "CovidCTModule", "CovidCT"}, set()),
        (
            "CovidCTPanel",
            {*ARRAYS, "vtk", "vtkmodules", "slicer", "CovidCTScene", "CovidCTModule", "CovidCT"},
            {"slicer.i18n.tr"},
        ),
        ("CovidCTModule", {*ARRAYS, "qt", "ctk", "vtk", "vtkmodules", "CovidCT"}, set()),
    ],
)
def test_scene_and_panel_keep_to_their_own_toolkits(package, forbidden, allowed):
    scripts = scripts_under(MODULE / package)
    assert scripts
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in scripts
        for name, line in imports_of(syntax_of(path))
        if name.split(".")[0] in forbidden and name not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_the_module_imports_at_file_scope_only_what_slicer_ships():
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in scripts_under(MODULE)
        for name, line in imports_at_file_scope(syntax_of(path))
        if name.split(".")[0] not in SHIPPED_BY_SLICER | OWN | set(sys.stdlib_module_names)
    ]
    assert not wrong, "\n".join(wrong)


def test_slicer_finds_exactly_one_module_in_the_module_folder():
    assert [path.name for path in MODULE.glob("*.py")] == ["CovidCT.py"]


def used_of(module, tree):
    """Names that a file takes from an imported module."""
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == module}


def test_nothing_is_sent_or_fetched_over_the_network():
    wrong = []
    for path in [*scripts_under(LIBRARY), *scripts_under(MODULE)]:
        tree = syntax_of(path)
        # A computer's own name is asked of no network.
        local = {"socket"} if used_of("socket", tree) <= {"gethostname"} else set()
        for name, line in imports_of(tree):
            if name.split(".")[0] in NETWORK_MODULES - local:
                wrong.append(f"{place(path, line)} imports {name}")
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path.relative_to(ROOT)} holds {word!r}" for word in NETWORK_WORDS if word in text]
    assert not wrong, "\n".join(wrong)


def loaded_after(statements):
    """Names of the packages that Python holds after it ran some statements."""
    told = "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    program = f"import sys\n{statements}\n{told}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


HEAVY = {"matplotlib", "monai", "pandas", "skimage", "torch"}


def test_importing_the_library_is_cheap():
    assert not loaded_after("import CovidCTLib") & (HEAVY | {"numpy", "SimpleITK", "pydicom"})


def test_the_terminals_help_loads_no_network_library():
    program = (
        "from CovidCTLib.cli.main import main\n"
        "for words in (['--help'], ['analyze', '--help'], ['train', '--help']):\n"
        "    assert main(words) == 0, words"
    )
    assert not loaded_after(program) & HEAVY


def test_the_modules_scene_layer_loads_nothing_that_slicer_lacks():
    pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
    program = f"sys.path.insert(0, {str(MODULE)!r})\nimport CovidCTScene"
    assert not loaded_after(program) & (HEAVY | {"pydicom", "jinja2", "rich"})
