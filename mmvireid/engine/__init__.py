"""What plugs into MMEngine's Runner."""

from .extractors import *  # noqa: F403
from .hooks import *  # noqa: F403
from .optim import *  # noqa: F403
from .runner import ReIDRunner  # noqa: F401
