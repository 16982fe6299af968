"""No room knows a method by name but the method's own parts, its configs and its tests."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: What belongs to one method alone, and the packages that export it.
OWN = ['models/graph_transfer', 'models/heads/cift_head.py', 'models/heads/dart_head.py',
       'models/heads/deen_head.py']
EXPORTS = ['models/__init__.py', 'models/heads/__init__.py']
#: Command lines about one method.
EXCEPTIONS = {
    'tools/misc/demo.py': 'the demo of CIFT',
    'tools/misc/demo_unsupervised.py': 'the demo of BMIL',
}
#: Methods are the folders of configs; then what CIFT calls its descriptors.
NAMES = {path.name for path in (ROOT / 'configs').iterdir()
         if (path / 'metafile.yml').is_file()} | {'r2i', 'i2r'}


def defined(path):
    """Public names of the classes and functions of a file."""
    return {node.name for node in ast.parse(path.read_text()).body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != '_'}


def python_files():
    package = ROOT / 'mmvireid'
    own = [package / path for path in (*OWN, *EXPORTS)]
    files = [path for path in package.rglob('*.py')
             if not any(path == one or one in path.parents for one in own)]
    return sorted([*files, *ROOT.glob('tools/**/*.py')])


def words(tree):
    """Yield line and text of all identifiers and texts, but for docstrings."""
    prose = {id(node.value) for node in ast.walk(tree)
             if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in prose:
                yield node.lineno, node.value
            continue
        for field in ('id', 'attr', 'name', 'arg', 'module'):
            text = getattr(node, field, None)
            if isinstance(text, str):
                yield getattr(node, 'lineno', 0), text


def naming(text, names, classes):
    """Whether a text has a method's name in it as a word of its own, or is that of a part."""
    parts = re.split(r'[\W_]+', re.sub(r'(?<=[a-z])(?=[A-Z])', '_', text))
    return bool(names & {part.lower() for part in parts} or classes & set(re.split(r'\W+', text)))


@pytest.fixture(scope='module')
def classes():
    paths = [ROOT / 'mmvireid' / path for path in OWN]
    found = set().union(*(defined(file) for path in paths
                          for file in (path.rglob('*.py') if path.is_dir() else [path])))
    assert {'GraphTransfer', 'CIFTHead'} <= found
    return found


def test_no_room_names_a_method(classes):
    named = {}
    for path in python_files():
        lines = sorted({line for line, text in words(ast.parse(path.read_text()))
                        if naming(text, NAMES, classes)})
        if lines:
            named[str(path.relative_to(ROOT))] = lines
    assert named.keys() == EXCEPTIONS.keys(), named


@pytest.mark.parametrize(('code', 'found'), [
    ('from mmvireid.models import GraphTransfer', True),
    ('kind == "mmvireid.GraphTransfer"', True),
    ('draw(direction="i2r")', True),
    ('path = "configs/cift/x.py"', True),
    ('class BMILTrainer: pass', False),  # one word, no prefix of a longer one
    ('bmil_settings = 3', True),
    ('def f():\n    """Sample as CIFT does."""', False),
    ('swift = "drift"', False),
])
def test_what_counts_as_naming(classes, code, found):
    assert any(naming(text, NAMES, classes) for _, text in words(ast.parse(code))) is found
