"""The index of an image, and why it was drawn."""


class BranchIndex(int):
    """An index into a dataset that knows from which branch of pseudo labels it was drawn.

    Where several networks take turns (:class:`mmvireid.datasets.CoTeachingSampler`), the branch
    is the name of the one that trains.

    A sampler gives these to the data loader, which hands them on to the dataset, in
    another process if there are workers; :class:`CrossModalityDataset` writes the branch
    into the image's annotations, and it reaches the loss with its image. So nobody has to
    count batches to know which branch one belongs to. Everywhere else it is a number.

    Args:
        index: place of the image in the dataset.
        branch: name of the branch.

    Examples:
        >>> from mmvireid.datasets import BranchIndex
        >>> index = BranchIndex(7, 'cross')
        >>> index.branch, index + 1
        ('cross', 8)
    """

    branch: str

    def __new__(cls, index: int, branch: str) -> 'BranchIndex':
        """Make a number with a name."""
        self = super().__new__(cls, index)
        self.branch = branch
        return self

    def __getnewargs__(self) -> tuple[int, str]:
        """Say how to make a copy, which is how it reaches another process."""
        return int(self), self.branch
