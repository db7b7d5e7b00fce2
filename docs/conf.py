"""Sphinx configuration: `make docs` builds the site from these pages and the docstrings."""

import implicore

project = "implicore"
author = "the implicore authors"
release = version = implicore.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
root_doc = "index"
html_theme = "furo"
html_title = f"implicore {release}"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_rtype = False

# Shapes such as (voxels, 3) stand in types: they are no references.
suppress_warnings = ["ref.python"]
