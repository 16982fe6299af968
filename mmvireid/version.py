"""Version of mmvireid."""

__version__ = '0.1.0'
