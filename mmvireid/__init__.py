"""mmvireid: visible-infrared person re-identification on MMEngine."""

from .compat import (
    check_engine_family,
    hide_known_warnings,
    say_in_one_sentence,
    use_atomic_writes,
)
from .utils.errors import EnvironmentMismatchError
from .version import __version__

try:
    check_engine_family()
except EnvironmentMismatchError:
    say_in_one_sentence(EnvironmentMismatchError)
    raise
hide_known_warnings()
use_atomic_writes()

__all__ = ['__version__']
