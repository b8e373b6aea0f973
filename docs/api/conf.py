"""The reference of the library, made from its docstrings.

    python -m sphinx -W --keep-going -b html docs/api build/api

Needs ``pip install -e '.[docs,cohort,spark,cloud,dicom,archive]'``; -W makes an error of every warning.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import CovidCTLib

project = "CovidCT"
author = "The CovidCT contributors"
copyright = "The CovidCT contributors, Apache-2.0"
version = release = CovidCTLib.__version__

extensions = ["sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
apidoc_modules = [
    {
        "path": "../../CovidCTLib",
        "destination": "modules",
        "separate_modules": True,
        "module_first": True,
        "max_depth": 2,
        "exclude_patterns": ["**/__main__.py"],
    }
]
autodoc_default_options = {"members": True, "undoc-members": False, "member-order": "bysource"}
# Types live in the signatures and are shown there, by the short names of the source.
autodoc_typehints = "signature"
autodoc_type_aliases = {}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False
# A name in single backticks is a name of this library: shown as code, linked where it is known.
default_role = "any"
nitpicky = False
# Types are written by their short names, which attributes may have, too (`bytes`, `type`): those get no link.
suppress_warnings = ["ref.any", "ref.python"]

html_theme = "alabaster"
html_theme_options = {
    "description": "From a chest CT to lungs, opacities, localization and Corona Score.",
    "show_related": True,
}
