"""What an ordinary installation carries besides the package."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip('setuptools')


@pytest.mark.slow
def test_a_wheel_carries_configs_and_tools(repo_root, tmp_path):
    source, built = tmp_path / 'source', tmp_path / 'built'
    for name in ('mmvireid', 'configs', 'tools'):
        shutil.copytree(repo_root / name, source / name,
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE',
                 'model-index.yml'):
        shutil.copy(repo_root / name, source)
    subprocess.run([sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', built],
                   cwd=source, check=True, capture_output=True, timeout=300)
    assert (built / 'mmvireid' / 'inference' / 'inferencer.py').is_file()
    carried = built / 'mmvireid' / '.mim'
    assert (carried / 'model-index.yml').is_file()
    for folder in ('configs', 'tools'):
        names = [{path.relative_to(root) for path in root.rglob('*')
                  if path.is_file() and '__pycache__' not in path.parts}
                 for root in (repo_root / folder, carried / folder)]
        assert names[0] == names[1]
