"""Packaging entry; the metadata lives in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithConfigs(build_py):
    """Put configs and tools into the package, as ``.mim``, where OpenMMLab looks for them.

    An editable installation needs no copy: its package lies beside them.
    """

    def run(self) -> None:
        """Build the package, then copy."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmvireid' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        ignored = shutil.ignore_patterns('__pycache__', '*.pyc')
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, target / folder, ignore=ignored)
        shutil.copy(ROOT / 'model-index.yml', target)


setup(cmdclass={'build_py': BuildWithConfigs})
