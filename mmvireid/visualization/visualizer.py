"""Pictures of re-identification for the backends of a run: files, TensorBoard, others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from PIL import Image, ImageDraw, ImageFont

from mmvireid.registry import VISUALIZERS
from mmvireid.structures import Modality, ReIDDataSample, RetrievalResult

from .affinity import TransferGraph, draw_affinity
from .embedding import Array, draw_embedding
from .figure import INK
from .ranking_list import draw_ranking_lists


@VISUALIZERS.register_module()
class ReIDVisualizer(Visualizer):
    """MMEngine's visualiser, which also draws what a re-identifier finds.

    What is drawn goes to all ``vis_backends`` of the config: a ``LocalVisBackend`` writes
    ``<work_dir>/<time>/vis_data/vis_image/<name>_<step>.png``, a ``TensorboardVisBackend``
    shows it under *Images*. Hooks of a config send their pictures there by themselves
    (:class:`RankingListHook`, :class:`EmbeddingHook`, :class:`AffinityHook`,
    :class:`ClusteringPlotHook`); the methods here are for scripts and hooks of one's own.

    Args:
        name: name of the instance.
        image: picture to draw on with MMEngine's methods, uint8 RGB of shape ``(H, W, 3)``.
        vis_backends: where pictures, numbers and the config go.
        save_dir: folder of the backends; None with backends that need none.
        **kwargs: further arguments of :class:`mmengine.visualization.Visualizer`.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.visualization import ReIDVisualizer
        >>> visualizer = ReIDVisualizer()
        >>> features = np.random.default_rng(0).normal(size=(40, 8))
        >>> picture = visualizer.add_embedding(
        ...     'tsne', features, modality=np.arange(40) % 2, groups=np.arange(40) // 8)
        >>> picture.size
        (900, 800)
    """

    def __init__(self,
                 name: str = 'visualizer',
                 image: np.ndarray | None = None,
                 vis_backends: Sequence[Any] | None = None,
                 save_dir: str | None = None,
                 **kwargs: Any) -> None:
        super().__init__(name, image, vis_backends, save_dir, **kwargs)

    def add_picture(self, name: str, picture: Image.Image, step: int = 0) -> None:
        """Send a picture to all backends.

        Args:
            name: what it shows; a part of file names, so without slashes.
            picture: of any mode of Pillow.
            step: epoch or iteration that it belongs to.
        """
        self.add_image(name, np.array(picture.convert('RGB')), step=step)

    @master_only
    def add_ranking_lists(self, name: str, results: Mapping[str, RetrievalResult],
                          queries: Sequence[int], *, protocol: str, step: int = 0,
                          **options: Any) -> Image.Image:
        """Draw ranking lists and send them to all backends.

        Args:
            name: as in :meth:`add_picture`.
            results: name of a method -> its result; all on the same queries.
            queries: rows of the queries to draw.
            protocol: ``'sysu'``, ``'regdb'`` or ``'llcm'``.
            step: as in :meth:`add_picture`.
            **options: further arguments of :func:`draw_ranking_lists`.

        Returns:
            The picture.
        """
        return self._log_and_return(
            name, draw_ranking_lists(results, queries, protocol=protocol, **options), step)

    @master_only
    def add_embedding(self, name: str, features: Array, modality: np.ndarray,
                      groups: np.ndarray, *, step: int = 0, **options: Any) -> Image.Image:
        """Draw a t-SNE embedding and send it to all backends.

        Args:
            name: as in :meth:`add_picture`.
            features: shape ``(N, D)`` float.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared.
            groups: shape ``(N,)`` int, identity or cluster, negative for none.
            step: as in :meth:`add_picture`.
            **options: further arguments of :func:`draw_embedding`.

        Returns:
            The picture.
        """
        return self._log_and_return(
            name, draw_embedding(features, modality, groups, **options), step)

    @master_only
    def add_affinity(self, name: str, graphs: Mapping[str, TransferGraph], *,
                     step: int = 0) -> Image.Image:
        """Draw graphs of rankings beside one another and send them to all backends.

        Args:
            name: as in :meth:`add_picture`.
            graphs: title -> graph, for example of a model with and of one without
                counterfactual relation intervention.
            step: as in :meth:`add_picture`.

        Returns:
            The picture.
        """
        return self._log_and_return(name, draw_affinity(graphs), step)

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: ReIDDataSample | None = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: int = 0,
                       step: int = 0) -> None:
        """Send one image with a line that says who it is, as MMEngine's hooks ask for.

        Args:
            name: as in :meth:`add_picture`.
            image: uint8 RGB of shape ``(H, W, 3)``.
            data_sample: its annotations.
            draw_gt: whether to write identity, camera and modality below the image.
            draw_pred: no difference: a descriptor has no picture of its own.
            show: whether to open a window.
            wait_time: seconds until the window closes, 0 for never.
            step: as in :meth:`add_picture`.
        """
        picture = Image.fromarray(image)
        if draw_gt and data_sample is not None:
            picture = _with_caption(picture, _describe(data_sample))
        if show:
            self.show(np.array(picture), win_name=name, wait_time=wait_time)
        self.add_picture(name, picture, step)

    def _log_and_return(self, name: str, picture: Image.Image, step: int) -> Image.Image:
        self.add_picture(name, picture, step)
        return picture


def _describe(sample: ReIDDataSample) -> str:
    """Say what is known of an image."""
    words = []
    if sample.get('identity', -1) >= 0:
        words.append(f'identity {sample.identity}')
    if sample.get('camera', 0) > 0:
        words.append(f'camera {sample.camera}')
    if 'modality' in sample:
        words.append(Modality(sample.modality).name.lower())
    return ', '.join(words)


def _with_caption(picture: Image.Image, words: str) -> Image.Image:
    """Write words below a picture, as wide as they are."""
    font = ImageFont.load_default(size=12)
    canvas = Image.new(
        'RGB', (max(picture.width, int(font.getlength(words)) + 4), picture.height + 20), 'white')
    canvas.paste(picture.convert('RGB'), (0, 0))
    ImageDraw.Draw(canvas).text((2, picture.height + 3), words, fill=INK, font=font)
    return canvas
