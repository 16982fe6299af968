"""mmvireid: visible-infrared person re-identification on MMEngine."""

from .compat import drop_missing_plot_backend, require_engine
from .version import __version__

require_engine()
# Nothing else could be imported with it.
drop_missing_plot_backend()

__all__ = ['__version__']
