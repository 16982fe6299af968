"""mmvireid: visible-infrared person re-identification on MMEngine."""

from .compat import require_engine
from .version import __version__

require_engine()

__all__ = ['__version__']
