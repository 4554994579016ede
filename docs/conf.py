"""Builds the documentation: `make docs`. Warnings are errors, links within it are checked."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the packages of this checkout, whatever is installed

project = "keras-tuner-experiments"
release = version = installed(project)
copyright = "the authors of keras-tuner-experiments, Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["pictures/*"]
keep_warnings = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4  # `page.md#heading` works here as it does on the repository's own pages

default_role = "literal"  # docstrings write `code` with one backtick
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_title = "keras-tuner-experiments"
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
