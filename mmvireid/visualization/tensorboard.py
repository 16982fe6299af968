"""MMEngine's backend for TensorBoard, with a word in time where TensorBoard is missing."""

from mmengine.visualization import TensorboardVisBackend as MMEngineTensorboardVisBackend

from mmvireid.registry import VISBACKENDS
from mmvireid.utils.errors import EnvironmentMismatchError


@VISBACKENDS.register_module()
class TensorboardVisBackend(MMEngineTensorboardVisBackend):
    """Write numbers and pictures of a run for TensorBoard.

    TensorBoard is optional. MMEngine's own backend notices that it is missing when it
    writes the first time, with a stack; this one says it when the run is built.

    Args:
        save_dir: folder of the event files.

    Raises:
        EnvironmentMismatchError: if TensorBoard is not installed.
    """

    def __init__(self, save_dir: str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: F401
        except ImportError as error:
            raise EnvironmentMismatchError(
                'TensorboardVisBackend needs the package tensorboard: pip install tensorboard, '
                'or take it out of visualizer.vis_backends.') from error
        super().__init__(save_dir)
