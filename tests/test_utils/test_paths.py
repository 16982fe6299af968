"""A path means what it means in a shell."""

import pytest

from mmvireid.utils.errors import ConfigError
from mmvireid.utils.paths import expand_path


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.setenv('STORE', '/mnt/store')
    monkeypatch.delenv('NOTHING', raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'costs $NOTHING').mkdir()
    (tmp_path / '~').mkdir()  # what an older version made of it


@pytest.mark.parametrize(('text', 'path'), [
    ('~/runs/x', '/home/me/runs/x'), ('~', '/home/me'), ('$STORE/a', '/mnt/store/a'),
    ('${STORE}x', '/mnt/storex'), ('$HOME/a,b', '/home/me/a,b'), ('a~b', 'a~b'), ('', ''),
    ('costs $NOTHING', 'costs $NOTHING'), ('price 5$', 'price 5$'),
    ('https://host/~me/$STORE.pth', 'https://host/~me/$STORE.pth'),
])
def test_expansion(text, path):
    assert expand_path(text) == path


def test_a_variable_that_is_not_set():
    with pytest.raises(ConfigError, match='variable NOTHING, which is not set'):
        expand_path('$NOTHING/runs')
