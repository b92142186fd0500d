"""Sphinx settings. `sphinx-build -W -b html docs docs/_build/html`; warnings are errors."""

import re

project = "equijax"
author = "The equijax developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "equijax"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def skip(app, what, name, obj, skipped, options):
    """Leave out fields that hold functions of others, such as activations."""
    return True if what == "class" and callable(obj) and not obj.__module__.startswith("equijax") else None


def signature(app, what, name, obj, options, arguments, returned):
    """Leave out what every flax module takes."""
    return (re.sub(r",? ?parent: .*\)$", ")", arguments), returned) if what == "class" and arguments else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-signature", signature)
