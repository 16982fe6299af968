"""The drawing of the package in CONTRIBUTING.md is that of the package."""

import configparser
import re

from commands import ROOT

PACKAGE = ROOT / 'mmvireid'


def drawn():
    """Names of the rooms from top to bottom."""
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    return re.findall(r'^[├└]── (\w+)(?:/|\.py) +\w', text, re.MULTILINE)


def test_every_room_is_drawn_and_no_other():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file()}
    modules = {path.stem for path in PACKAGE.glob('*.py')} - {'__init__', 'version'}
    assert sorted(drawn()) == sorted(rooms | modules)


def test_every_room_has_a_place_in_the_reference():
    pages = ''.join(path.read_text() for path in ROOT.glob('docs/en/api/*.md'))
    documented = re.findall(r'automodule:: mmvireid\.(\w+)', pages)
    assert set(drawn()) == set(documented)


def test_rooms_stand_above_what_they_import():
    """In the order of the layers that import-linter enforces."""
    linter = configparser.ConfigParser()
    linter.read(ROOT / '.importlinter')
    layers = linter['importlinter:contract:layers']['layers'].strip().splitlines()
    order = {}
    for height, layer in enumerate(layers):
        for room in re.findall(r'mmvireid\.(\w+)', layer):
            order.setdefault(room, height)
    heights = [order[room] for room in drawn()]
    assert heights == sorted(heights)
