"""Pictures of each clustering: who lies where, and what the correction does."""

from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmvireid.registry import HOOKS, TASK_UTILS
from mmvireid.structures import ClusteringEpoch
from mmvireid.utils.errors import ClusteringError, ConfigError
from mmvireid.utils.processes import main_process_computes

from .distance_histograms import draw_distance_histograms
from .embedding import draw_embedding
from .pair_distances import pair_histograms
from .ranking_list import save_picture


@HOOKS.register_module()
class ClusteringPlotHook(Hook):
    """Draw the features that pseudo labels are made from.

    Two pictures an epoch: ``epoch_001_embedding.png``, a t-SNE embedding of some
    identities coloured by identity and marked by modality, and
    ``epoch_001_distances.png``, distances within a modality and across the two, before and
    after the correction for modalities. Epochs count from 1, as in ``clustering.json``. The
    pictures also go to the visualiser of the run.

    Where identities are unknown, the embedding is coloured by cluster. Nothing is drawn
    from the random numbers of the training: it ends with the same weights as without this
    hook. The distances are computed anew, on all images, which takes about as long as two
    more clusterings; ``interval`` makes it rarer.

    Args:
        interval: draw the first epoch and then each that many epochs later.
        num_identities: how many identities, or clusters, to embed.
        max_images: images to embed at most of one identity and modality.
        num_images: images whose distances to all others are counted.
        branch: the branch whose clusters give colours where identities are unknown; the
            last of the epoch when None, or when the epoch does not have this one.
        out_dir: folder for the pictures; ``<work_dir>/clustering`` when None.
        eps: DBSCAN's radius, drawn as a line; no line when None.
        plain: config of the neighbour rule before the correction; None for
            :class:`mmvireid.clustering.PlainNeighbors` with its defaults.
        corrected: config of the rule after it; None for
            :class:`mmvireid.clustering.BalancedNeighbors` with its defaults.
        backend: see :func:`mmvireid.clustering.jaccard_distance`.
        seed: decides which identities and images are shown.

    Raises:
        ClusteringError: if no hook of the run makes pseudo labels before this one.
    """

    # After the hook that clusters; before the timer, which would count the drawing as
    # waiting for data.
    priority = 'ABOVE_NORMAL'
    only_watches = True

    def __init__(self,
                 interval: int = 1,
                 num_identities: int = 12,
                 max_images: int = 30,
                 num_images: int = 500,
                 branch: str | None = None,
                 out_dir: str | None = None,
                 eps: float | None = None,
                 plain: dict | None = None,
                 corrected: dict | None = None,
                 backend: str = 'torch',
                 seed: int = 0) -> None:
        if interval < 1:
            raise ConfigError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.num_identities = num_identities
        self.max_images = max_images
        self.num_images = num_images
        self.branch = branch
        self.out_dir = out_dir
        self.eps = eps
        self.plain = TASK_UTILS.build(plain or dict(type='PlainNeighbors'))
        self.corrected = TASK_UTILS.build(corrected or dict(type='BalancedNeighbors'))
        self.backend = backend
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Look for the clustering before hours are spent.

        Raises:
            ClusteringError: if no hook makes pseudo labels.
        """
        if not any(hasattr(hook, 'last_clustering') for hook in runner.hooks):
            raise ClusteringError(
                'ClusteringPlotHook draws what PseudoLabelHook finds, and this config has no '
                'PseudoLabelHook: switch the pictures off, or train a method that clusters.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Draw, on the main process; the others wait as long as that takes.

        Raises:
            ClusteringError: if this epoch has not been clustered yet.
        """
        if runner.epoch % self.interval:
            return
        found = next(hook.last_clustering for hook in runner.hooks
                     if hasattr(hook, 'last_clustering'))
        if found is None:
            raise ClusteringError(
                'ClusteringPlotHook runs before the first clustering: give it a lower priority '
                'than the hook that clusters.')
        main_process_computes(lambda: self._write(runner, found))

    def _write(self, runner: Runner, found: ClusteringEpoch) -> None:
        """Write the pictures and hand them to the visualiser."""
        folder = Path(self.out_dir or Path(runner.work_dir) / 'clustering')
        epoch = found.epoch + 1
        for name, picture in self.draw(found).items():
            path = save_picture(picture, folder / f'epoch_{epoch:03d}_{name}.png')
            runner.visualizer.add_image(f'clustering_{name}', np.asarray(picture), step=epoch)
        runner.logger.info(f'pictures of the clustering: {path.parent}')

    def draw(self, found: ClusteringEpoch) -> dict[str, Image.Image]:
        """Draw both pictures of a clustering.

        Args:
            found: features and labels.

        Returns:
            dict: ``'embedding'`` and ``'distances'``.
        """
        identities = found.identities
        if identities is not None and (identities < 0).all():
            identities = None
        groups, group_name = identities, 'true identity'
        if groups is None:
            branch = self.branch if self.branch in found.labels else list(found.labels)[-1]
            groups, group_name = found.labels[branch], f'cluster of branch "{branch}"'
        when = f'at the start of epoch {found.epoch + 1}'
        embedding = draw_embedding(
            found.features,
            found.modality,
            groups,
            group_name=group_name,
            num_groups=self.num_identities,
            max_images=self.max_images,
            seed=self.seed,
            title=f'Features of the training images {when}')
        histograms = pair_histograms(
            found.features,
            found.modality,
            identities,
            num_images=self.num_images,
            seed=self.seed,
            plain=self.plain,
            corrected=self.corrected,
            backend=self.backend)
        distances = draw_distance_histograms(
            histograms, eps=self.eps, title=f'Distances of training images {when}')
        return dict(embedding=embedding, distances=distances)
