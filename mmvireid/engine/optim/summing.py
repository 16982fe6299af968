"""One update from the summed losses of several batches."""

from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor

from mmvireid.registry import OPTIM_WRAPPERS


class _Summing:
    """Add up the gradients of ``accumulative_counts`` batches.

    MMEngine averages them, which stands for one large batch. Here each batch brings the
    loss of another branch, and the method's loss is their sum.
    """

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Leave the loss as it is.

        Args:
            loss: of one batch.

        Returns:
            The same.
        """
        return loss


@OPTIM_WRAPPERS.register_module()
class SummingOptimWrapper(_Summing, OptimWrapper):
    """Update the weights once every ``accumulative_counts`` batches, by their summed loss.

    With ``accumulative_counts`` as the number of branches this is BMIL's total loss as the
    paper writes it (arXiv 2512.07760); the released code makes one update per branch.

    Args:
        **kwargs: those of :class:`mmengine.optim.OptimWrapper`.
    """


@OPTIM_WRAPPERS.register_module()
class AmpSummingOptimWrapper(_Summing, AmpOptimWrapper):
    """The same with mixed precision.

    Args:
        **kwargs: those of :class:`mmengine.optim.AmpOptimWrapper`.
    """
