"""Which training labels are probably right, found anew before each epoch."""

import copy
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmvireid.clustering import clean_probabilities
from mmvireid.registry import HOOKS, TRANSFORMS
from mmvireid.structures import BatchInfo, Modality, member_names
from mmvireid.utils.errors import ConfigError, UsageError
from mmvireid.utils.processes import main_process_computes
from mmvireid.utils.wrappers import unwrap_model


@HOOKS.register_module()
class CleanProbabilityHook(Hook):
    """Tell each network, before each epoch, which labels to trust.

    One pass over the training set gives the loss of each view of each image, and
    :func:`mmvireid.clustering.clean_probabilities` the probability that its label is right, for
    visible and infrared images apart. Of several networks that are trained side by side
    (:class:`mmvireid.models.CoTeachingReIdentifier`) each is told by the one after it, so that
    none confirms its own mistakes; a single network is told by itself. The head takes the
    probabilities by ``set_confidence`` and gives losses by ``image_losses``
    (:class:`mmvireid.models.DARTHead`).

    As released, the pass runs in training mode, with augmentation: batch normalisation uses
    the batch, and its running statistics move. So batches are as in training: visible and
    infrared images in equal shares, shuffled. Ranks share the images; the mixtures are fitted on
    the main process.

    Everything is a function of the weights, the seed and the epoch, so a resumed run finds the
    same probabilities. Checkpoints hold those of the last epoch as ``clean_probabilities``, for
    whoever wants to look at them. Where labels were made wrong on purpose
    (:class:`mmvireid.datasets.LabelNoise`), the log says how much of that was found; this is
    the only use of true labels.

    Args:
        begin: first epoch with probabilities, from 0; the epochs before it are the warm-up, in
            which nothing is done.
        mode: state of the networks in the pass. ``'train'`` as released, or ``'eval'``.
        pipeline: transforms of an image; None for those of training.
        batch_size: images at a time on each rank, half of them visible; None for that of
            training.
        num_workers: data-loading processes of each rank; None for as many as in training.
        threshold: probability below which a label counts as found in the log.
        mixture: further arguments of :func:`mmvireid.clustering.clean_probabilities`.

    Raises:
        ConfigError: before training, if a head cannot give losses or take probabilities.
    """

    # Before the timer, which would count the pass as waiting for data.
    priority = 'HIGH'

    def __init__(self,
                 begin: int = 1,
                 mode: Literal['train', 'eval'] = 'train',
                 pipeline: Sequence[dict] | None = None,
                 batch_size: int | None = None,
                 num_workers: int | None = None,
                 threshold: float = 0.5,
                 mixture: dict | None = None) -> None:
        if mode not in ('train', 'eval'):
            raise ConfigError(f"mode of CleanProbabilityHook is 'train' or 'eval', not {mode!r}")
        self.begin = begin
        self.mode = mode
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.threshold = threshold
        self.mixture = mixture or {}
        #: Network -> its probabilities of the current epoch, shape ``(V, N)``; NaN where an
        #: image has no such view or no label.
        self.probabilities: dict[str, np.ndarray] = {}
        self._loader: DataLoader | None = None

    def before_train(self, runner: Runner) -> None:
        """Check that the heads fit."""
        for member in _members(runner):
            for method in ('image_losses', 'set_confidence'):
                if not hasattr(member.head, method):
                    raise ConfigError(
                        f'CleanProbabilityHook needs a head with {method}, and '
                        f'{type(member.head).__name__} has none: use a head that has, or take '
                        'the hook out of default_hooks.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Find the probabilities of this epoch, and hand each network its neighbour's."""
        if runner.epoch < self.begin:
            return
        members = _members(runner)
        losses = self._losses(runner, members)
        dataset = runner.train_dataloader.dataset
        modality = np.asarray(dataset.modalities)

        def fit() -> dict[str, np.ndarray]:
            return {name: self._probabilities(table, modality)
                    for name, table in zip(member_names(len(members)), losses)}

        self.probabilities = main_process_computes(fit)
        found = [torch.from_numpy(table) for table in self.probabilities.values()]
        for member, table in zip(members, found[1:] + found[:1]):
            # Nothing is drawn that has no probability.
            member.head.set_confidence(table.nan_to_num(0.0))
        self._report(runner, modality, np.asarray(dataset.labels) != dataset.true_labels)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the probabilities of the last epoch."""
        checkpoint['clean_probabilities'] = {
            name: torch.from_numpy(table) for name, table in self.probabilities.items()
        }

    @torch.no_grad()
    def _losses(self, runner: Runner, members: list[torch.nn.Module]) -> list[np.ndarray]:
        """Compute the loss of each view of each image, ``(V, N)``, for each network."""
        if self._loader is None:
            self._loader = self._build_loader(runner)
        self._loader.sampler.seed = runner.seed
        self._loader.sampler.set_epoch(runner.epoch)
        model = unwrap_model(runner.model)
        model.train(self.mode == 'train')
        num = len(self._loader.dataset)
        # Sums of the losses of each network, then how often a view was seen: an image may come
        # twice, where the other modality has more images.
        device = next(model.parameters()).device
        table = torch.zeros(len(members) + 1, 0, num, dtype=torch.float64, device=device)
        for batch in self._loader:
            data = model.data_preprocessor(batch, True)
            info = BatchInfo.from_samples(data['data_samples'])
            here = info.to(device)
            missing = int(info.view.max()) + 1 - table.shape[1]
            if missing > 0:
                table = torch.cat([table, table.new_zeros(len(table), missing, num)], 1)
            for row, member in enumerate(members):
                features = member.extract_feat(data['inputs'], info.modality)
                values = member.head.image_losses(features, here).to(table)
                table[row].index_put_((here.view, here.index), values, accumulate=True)
            table[-1].index_put_(
                (here.view, here.index), torch.ones_like(values), accumulate=True)
        # Each rank has filled in its own images. Ranks see the same numbers of views, because
        # each has images of both modalities.
        all_reduce(table)
        *sums, seen = table.cpu().numpy()
        unseen = (seen[0] == 0) & (np.asarray(self._loader.dataset.labels) >= 0)
        if unseen.any():
            raise UsageError(f'{int(unseen.sum())} training images have no loss')
        with np.errstate(invalid='ignore'):
            return [total / seen for total in sums]

    def _probabilities(self, losses: np.ndarray, modality: np.ndarray) -> np.ndarray:
        """Fit a mixture for each modality."""
        probabilities = np.full_like(losses, np.nan)
        for which in Modality:
            columns = np.flatnonzero((modality == which) & ~np.isnan(losses[0]))
            if not len(columns):
                continue
            # An infrared image may have fewer views than a visible one.
            lines = np.flatnonzero(~np.isnan(losses[:, columns[0]]))
            block = np.ix_(lines, columns)
            probabilities[block] = clean_probabilities(losses[block], **self.mixture)
        return probabilities

    def _report(self, runner: Runner, modality: np.ndarray, wrong: np.ndarray) -> None:
        """Log how many labels are doubted, and how many of the wrong ones."""
        lines, curves = [f'Labels of epoch {runner.epoch + 1} that are probably wrong'], {}
        for name, table in self.probabilities.items():
            # A label is doubted by the mean of its views.
            known = ~np.isnan(table[0])
            seen = ~np.isnan(table)
            mean = np.where(seen, table, 0).sum(0) / seen.sum(0).clip(1)
            doubted = known & (mean < self.threshold)
            for which in Modality:
                own = known & (modality == which)
                if not own.any():
                    continue
                key = f'{name} {which.name.lower()}'
                text = f'{key:<20}{doubted[own].sum():>8} of {own.sum()}'
                curves[f'clean/{name}_{which.name.lower()}/doubted'] = 100 * doubted[own].mean()
                if wrong.any():
                    found = 100 * doubted[own & wrong].mean() if (own & wrong).any() else 0.0
                    alarms = 100 * doubted[own & ~wrong].mean() if (own & ~wrong).any() else 0.0
                    text += (f', {found:.1f} % of the {(own & wrong).sum()} wrong ones and '
                             f'{alarms:.1f} % of the right ones')
                    curves[f'clean/{name}_{which.name.lower()}/found'] = found
                    curves[f'clean/{name}_{which.name.lower()}/false_alarms'] = alarms
                lines.append(text)
        runner.logger.info('\n'.join(lines))
        runner.visualizer.add_scalars(
            {key: float(value) for key, value in curves.items()}, step=runner.epoch + 1)

    def _build_loader(self, runner: Runner) -> DataLoader:
        """Make a loader of the training dataset with batches of both modalities."""
        # The list of images comes from the training dataset; folders are not read again.
        training = runner.train_dataloader
        dataset = copy.copy(training.dataset)
        if self.pipeline is not None:
            dataset.pipeline = Compose([TRANSFORMS.build(t) for t in self.pipeline])
        size = self.batch_size or training.batch_size
        workers = training.num_workers if self.num_workers is None else self.num_workers
        half = max(size // 2, 1)
        return runner.build_dataloader(
            dict(
                dataset=dataset,
                batch_size=2 * half,
                num_workers=workers,
                worker_init_fn=dict(type='mmvireid.seed_worker'),
                sampler=dict(
                    type='mmvireid.CrossModalityShuffledSampler',
                    num_visible=half,
                    num_infrared=half)),
            seed=runner.seed)


def _members(runner: Runner) -> list[torch.nn.Module]:
    """List the networks of a model, which may be several."""
    model = unwrap_model(runner.model)
    return list(getattr(model, 'members', [model]))
