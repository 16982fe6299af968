"""How Sphinx builds the documentation; ``make docs`` does it."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / '_ext'))

from mmvireid.version import __version__  # noqa: E402

project = 'mmvireid'
copyright = '2026, the authors of mmvireid'
author = 'the authors of mmvireid'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'repository_pages',
    'model_zoo',
    'mathml',
]

myst_enable_extensions = ['dollarmath', 'tasklist']
myst_heading_anchors = 4
exclude_patterns = ['_build']

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented_params'
# Registered classes are built from configs: their bases in MMEngine say little there.
autodoc_default_options = {'members': True, 'show-inheritance': False}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_math_renderer = 'mathml'
html_theme = 'furo'
html_title = 'mmvireid'
html_static_path = ['../_static']
html_copy_source = False
html_show_sphinx = False
templates_path = []
