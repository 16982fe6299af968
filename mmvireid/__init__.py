"""mmvireid: visible-infrared person re-identification on MMEngine."""

from .compat import (
    check_engine_family,
    hide_known_warnings,
    print_without_stack,
    use_atomic_writes,
)
from .utils.errors import EnvironmentMismatchError
from .version import __version__

try:
    check_engine_family()
except EnvironmentMismatchError:
    print_without_stack(EnvironmentMismatchError)
    raise
hide_known_warnings()
use_atomic_writes()

__all__ = ['__version__']
