"""The pages that explain the papers: their code prints what they say, their figures exist."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FIGURES, STATIC = ROOT / 'docs/figures', ROOT / 'docs/_static'
each_page = pytest.mark.parametrize('page', ['cift', 'bmil'])


@each_page
def test_code_prints_what_the_page_says(page, capsys):
    text = (ROOT / f'docs/en/{page}.md').read_text()
    pairs = re.findall(r'```python\n(.*?)```\n\n```text\n(.*?)```', text, re.DOTALL)
    assert len(pairs) == 2
    for code, printed in pairs:
        exec(compile(code, page, 'exec'), {})
        assert capsys.readouterr().out.rstrip() == printed.rstrip()


@pytest.fixture
def script(page, monkeypatch):
    """Load the script of a page as a module."""
    monkeypatch.syspath_prepend(FIGURES)
    spec = importlib.util.spec_from_file_location(f'figures_of_{page}', FIGURES / f'{page}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_page
def test_a_script_draws_every_figure_of_its_page(page, script):
    shown = re.findall(r'\]\(\.\./_static/(\w+)\.png\)', (ROOT / f'docs/en/{page}.md').read_text())
    assert sorted(shown) == sorted(script.FIGURES)
    for name in shown:
        path = STATIC / f'{name}.png'
        assert path.stat().st_size < 200_000
        with Image.open(path) as picture:
            corner = picture.convert('RGB').getpixel((0, 0))
            assert corner == (255, 255, 255)  # legible on a dark page


@pytest.mark.parametrize(('page', 'name'), [
    ('cift', 'cift_graph'), ('bmil', 'bmil_neighbours'), ('bmil', 'bmil_prototypes')])
def test_figures_are_drawn(page, name, script, tmp_path, monkeypatch):
    monkeypatch.setattr('sys.argv', [page, name, '--out', str(tmp_path)])
    script.draw_all(script.FIGURES)
    drawn, = tmp_path.iterdir()
    new, committed = (np.asarray(Image.open(path).convert('L'), dtype=float)
                      for path in (drawn, STATIC / drawn.name))
    # Another matplotlib may place a letter elsewhere; ink as a whole stays where it is.
    assert np.abs(new - committed).mean() < 0.25 * (255 - committed).mean()
