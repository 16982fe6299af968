"""What plugs into MMEngine's Runner."""

from .hooks import *  # noqa: F403
