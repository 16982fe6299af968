"""Names of networks that are trained side by side."""


def member_names(number: int) -> tuple[str, ...]:
    """Name the members of a group of networks, the same in samplers, models and records.

    Args:
        number: how many there are.

    Returns:
        A name for each.

    Examples:
        >>> from mmvireid.structures import member_names
        >>> member_names(2)
        ('member_1', 'member_2')
    """
    return tuple(f'member_{i + 1}' for i in range(number))
