"""What is said once, and not in each epoch."""

import logging


class LogOnce:
    """Log a warning the first time that it comes up.

    Python's own warnings would not do: they are shown again whenever a library has changed a
    filter, as several do all the time.

    Args:
        logger: where it is logged.

    Examples:
        >>> import logging
        >>> from mmvireid.utils.log_once import LogOnce
        >>> warn_once = LogOnce(logging.getLogger('mmvireid'))
        >>> for epoch in range(3):
        ...     warn_once('there are few images')  # logged in the first epoch alone
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged: set[str] = set()

    def __call__(self, sentence: str) -> None:
        """Log a sentence, unless it was logged before.

        Args:
            sentence: the warning.
        """
        if sentence not in self._logged:
            self._logged.add(sentence)
            self._logger.warning(sentence)
