"""Search people in one's own pictures."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmvireid.config import apply_options, as_list, check_single_run, load_config
from mmvireid.evaluation.rankings import Ranking, build_rankings
from mmvireid.registry import INFERENCERS, TRANSFORMS
from mmvireid.search import GalleryIndex
from mmvireid.structures import ImageSet, Modality, RetrievalResult
from mmvireid.utils.errors import CheckpointError, ConfigError, InputError
from mmvireid.visualization import draw_ranking_lists, save_picture

from .embedders import OnnxEmbedder, TorchEmbedder, without_cache
from .galleries import (
    Gallery,
    MemoryGallery,
    StoredGallery,
    cut_results,
    merge_results,
    stored_descriptor,
)
from .image_inputs import ImageInput, Images, ModalityLike, collect_images
from .model_zoo import find_model
from .stored_index import index_fingerprint, write_index

PathLike = str | os.PathLike


@INFERENCERS.register_module()
class VIReIDInferencer:
    """Embed pictures of people, keep a gallery, and find queries in it.

    Images go through the test pipeline of the config, so descriptors are those that
    ``tools/test.py`` compares. How a gallery is ranked is chosen by name among the
    ``rankings`` of the config's ``test_evaluator``.

    Args:
        config_or_name: config file, the name of a model in a metafile, such as
            ``cift_r50_120e_sysu``, or a config.
        checkpoint: file or address of the weights; an ``.onnx`` file of
            ``tools/deployment/export_onnx.py`` is run by onnxruntime. None takes the weights
            that the metafile names.
        device: where to run; None for the first GPU, or the CPU without one.
        allow_untrained: whether there may be no checkpoint; descriptors of random weights
            are good for trying things.
        cfg_options: changes of the config, dotted key -> value.

    Raises:
        ConfigError: if there is no such config or model, or an option does not fit.
        CheckpointError: if there are no weights, or they are broken or another model's.

    Examples:
        >>> from mmvireid.apis import VIReIDInferencer
        >>> inferencer = VIReIDInferencer(
        ...     'cift_r50_120e_sysu', 'epoch_120.pth')           # doctest: +SKIP
        >>> inferencer.index('gallery/', modality='visible')     # doctest: +SKIP
        >>> result, = inferencer.search(
        ...     'night.jpg', top_k=5, modality='infrared')       # doctest: +SKIP
        >>> result.gallery.img_path, result.distance[0]          # doctest: +SKIP
    """

    def __init__(self,
                 config_or_name: str | os.PathLike | Config,
                 checkpoint: PathLike | None = None,
                 device: str | torch.device | None = None,
                 *,
                 allow_untrained: bool = False,
                 cfg_options: dict | None = None) -> None:
        self.cfg, weights = read_config(config_or_name, cfg_options)
        checkpoint = checkpoint or weights
        if checkpoint is None and not allow_untrained:
            raise CheckpointError(
                'there is no checkpoint, and an untrained network finds nobody: give the weights '
                'of this model, or allow_untrained=True to try things.')
        if str(checkpoint).endswith('.onnx'):
            self.embedder = OnnxEmbedder(checkpoint, self.cfg, device)
        else:
            self.embedder = TorchEmbedder(self.cfg, checkpoint, device)
        steps = without_cache(self.cfg.test_dataloader.dataset.pipeline)
        self.pipeline = Compose([s if callable(s) else TRANSFORMS.build(s) for s in steps])
        evaluators = as_list(self.cfg.get('test_evaluator') or [])
        self._rankings = build_rankings(evaluators[0].get('rankings') if evaluators else None)
        #: What :meth:`search` looks through, None before :meth:`index`.
        self.gallery: Gallery | None = None

    @property
    def rankings(self) -> tuple[str, ...]:
        """Names of the ways to rank; the first is taken unless another is named."""
        return tuple(self._rankings)

    # ------------------------------------------------------------- descriptors
    def extract(self,
                images: Images,
                modality: ModalityLike = None,
                batch_size: int = 64,
                **options: Any) -> dict[str, Tensor]:
        """Compute the descriptors of images.

        Args:
            images: as in :meth:`embed`.
            modality: as in :meth:`embed`.
            batch_size: as in :meth:`embed`.
            **options: further arguments of :meth:`embed`.

        Returns:
            Name -> L2-normalised rows of shape ``(N, D)``, float32, on the CPU, in the order
            of the images. ``base`` always exists.

        Raises:
            InputError: as :meth:`embed`.
            DatasetError: as :meth:`embed`.
        """
        return dict(self.embed(images, modality, batch_size, **options).descriptors)

    def embed(self,
              images: Images,
              modality: ModalityLike = None,
              batch_size: int = 64,
              *,
              descriptors: Sequence[str] | None = None,
              num_workers: int = 0,
              progress: bool = False) -> ImageSet:
        """Compute the descriptors of images, and keep what is known of each.

        Args:
            images: an image file; a folder, for all images in it and below it, sorted by
                path; a list file with the columns path, identity, camera, modality; an
                array, uint8 RGB of shape ``(H, W, 3)`` or grey of shape ``(H, W)``; or
                several of these, mixed. An array of shape ``(N, H, W, 3)`` is N images.
            modality: ``'visible'`` or ``'infrared'`` for all, or one for each entry of
                ``images``, or the path of a list file to look them up in. Images of a list
                file need none.
            batch_size: images that go through the network at once.
            descriptors: names of those to keep; None keeps all.
            num_workers: processes that load images; 0 loads them in this one.
            progress: draw a progress bar.

        Returns:
            The images in order, with descriptors, identity (-1 where unknown), camera (0
            where unknown), modality, and path (empty for an array).

        Raises:
            InputError: if an input cannot be understood, or its modality is unknown.
            DatasetError: if a file is no image, or a list is malformed.
        """
        inputs = collect_images(images, modality)
        kept: dict[str, Tensor] = {}
        start = 0
        for batch in self._batches(inputs, batch_size, num_workers, progress):
            for name, rows in _choose(batch, descriptors).items():
                if name not in kept:  # filled in place: never two copies of a gallery
                    kept[name] = rows.new_empty(len(inputs), rows.shape[1])
                kept[name][start:start + len(rows)] = rows
                stop = start + len(rows)
            start = stop
        columns = {
            name: np.array([getattr(image, name) for image in inputs], dtype=np.int64)
            for name in ('identity', 'camera', 'modality')
        }
        return ImageSet(kept, sample_idx=np.arange(len(inputs)),
                        img_path=[image.path for image in inputs], **columns)

    def _batches(self, inputs: Sequence[ImageInput], batch_size: int, num_workers: int,
                 progress: bool) -> Iterator[dict[str, Tensor]]:
        """Yield the descriptors of one batch after another."""
        if batch_size < 1:
            raise InputError(f'batch_size must be at least 1, not {batch_size}.')
        loader = DataLoader(
            _Loaded(inputs, self.pipeline), batch_size, collate_fn=pseudo_collate,
            num_workers=num_workers)
        title = f'embedding {len(inputs)} images'
        batches = track(loader, title, total=len(loader)) if progress else loader
        for batch in batches:
            yield self.embedder(batch)

    # ------------------------------------------------------------------ search
    def index(self,
              gallery: Images | ImageSet,
              modality: ModalityLike = None,
              batch_size: int = 64,
              *,
              ranking: str | None = None,
              path: PathLike | None = None,
              kind: str = 'torch',
              index_options: dict | None = None,
              num_workers: int = 0,
              progress: bool = False) -> Gallery:
        """Take a gallery, which later searches look through.

        In memory only descriptors and annotations are kept, no pictures. With ``path`` the
        descriptors go to a :class:`mmvireid.search.GalleryIndex` there as they are computed;
        it serves rankings that compare one descriptor, and is opened again by
        :meth:`load_index`.

        Args:
            gallery: images as in :meth:`embed`, or what :meth:`embed` gave.
            modality: as in :meth:`embed`.
            batch_size: as in :meth:`embed`.
            ranking: keep only what this ranking needs; None keeps all descriptors, or with
                ``path`` that of the first ranking.
            path: folder of a new index on disk; None for memory.
            kind: kind of the index on disk: ``'torch'`` (exact), or faiss's ``'flat'``
                (exact), ``'ivf'``, ``'ivfpq'`` and ``'hnsw'``.
            index_options: options of the kind, see
                :meth:`mmvireid.search.GalleryIndex.create`.
            num_workers: as in :meth:`embed`.
            progress: as in :meth:`embed`.

        Returns:
            The gallery, also kept as :attr:`gallery`.

        Raises:
            InputError: if there is no image, or as :meth:`embed`.
            ConfigError: if there is no such ranking, or it cannot be stored.
            GalleryIndexError: if the folder holds an index, or an option does not fit.
        """
        if path is not None:
            if isinstance(gallery, ImageSet):
                raise InputError('an index on disk is made of images: give them, not an ImageSet.')
            descriptor = stored_descriptor(self.ranking(ranking))
            inputs = collect_images(gallery, modality)

            def embed(images: Sequence[ImageInput]) -> Iterator[Tensor]:
                for batch in self._batches(images, batch_size, num_workers, progress):
                    yield _choose(batch, [descriptor])[descriptor]

            index = write_index(
                path, inputs, embed, kind=kind, options=index_options or {},
                fingerprint=index_fingerprint(self.embedder.fingerprint, descriptor))
            self.gallery = StoredGallery(index, descriptor)
            return self.gallery
        wanted = None if ranking is None else sorted(self.ranking(ranking).descriptors)
        if not isinstance(gallery, ImageSet):
            gallery = self.embed(gallery, modality, batch_size, descriptors=wanted,
                                 num_workers=num_workers, progress=progress)
        if not len(gallery):
            raise InputError('the gallery has no image.')
        self.gallery = MemoryGallery(gallery)
        return self.gallery

    def load_index(self, path: PathLike, ranking: str | None = None,
                   **options: Any) -> Gallery:
        """Open a gallery that :meth:`index` wrote to disk.

        Args:
            path: its folder.
            ranking: the ranking that it was made for; None for the first.
            **options: further arguments of :meth:`mmvireid.search.GalleryIndex.load`, such
                as ``device``.

        Returns:
            The gallery, also kept as :attr:`gallery`.

        Raises:
            ConfigError: if there is no such ranking, or it cannot be stored.
            GalleryIndexError: if there is no index, it is damaged, or it was made by another
                model or for another descriptor.
        """
        descriptor = stored_descriptor(self.ranking(ranking))
        fingerprint = index_fingerprint(self.embedder.fingerprint, descriptor)
        self.gallery = StoredGallery(GalleryIndex.load(path, fingerprint, **options), descriptor)
        return self.gallery

    def search(self,
               queries: Images | ImageSet,
               top_k: int = 10,
               modality: ModalityLike = None,
               batch_size: int = 64,
               *,
               ranking: str | None = None,
               num_workers: int = 0,
               progress: bool = False) -> list[RetrievalResult]:
        """Find the gallery images nearest to each query.

        Args:
            queries: images as in :meth:`embed`, or what :meth:`embed` gave.
            top_k: images of each result; a smaller gallery gives all of them.
            modality: of the queries, as in :meth:`embed`.
            batch_size: as in :meth:`embed`.
            ranking: one of :attr:`rankings`; None for the first.
            num_workers: as in :meth:`embed`.
            progress: as in :meth:`embed`.

        Returns:
            One result a query, in order; ``result.gallery`` holds the images found, nearest
            first (``img_path``; ``sample_idx`` is the row in the gallery), and
            ``result.distance[0]`` their distances. Descriptors stay where they are.

        Raises:
            InputError: if there is no gallery yet, ``top_k`` is below 1, or as
                :meth:`embed`.
            ConfigError: if there is no such ranking.
            EvaluationError: if queries or gallery lack a descriptor of the ranking.
        """
        chosen = self.ranking(ranking)
        if self.gallery is None:
            raise InputError('there is no gallery to search: call index(gallery) first.')
        if top_k < 1:
            raise InputError(f'top_k must be at least 1, not {top_k}.')
        if not isinstance(queries, ImageSet):
            queries = self.embed(queries, modality, batch_size, num_workers=num_workers,
                                 progress=progress)
        nearest: list = [None] * len(queries)
        names = [''] * len(queries)
        for value in Modality:
            rows = np.flatnonzero(queries.modality == value)
            if len(rows):
                found = self.gallery.nearest(chosen, queries[rows], top_k)
                for row, *pair in zip(rows, found.distance, found.rows):
                    nearest[row], names[row] = pair, chosen.scorer.descriptors_for(value)[0]
        return cut_results(queries, self.gallery, nearest, names)

    def visualize(self,
                  results: Sequence[RetrievalResult],
                  out: PathLike | None = None,
                  *,
                  pictures: Sequence[np.ndarray] | None = None,
                  title: str = '') -> Image.Image:
        """Draw queries and what was found for them.

        Frames are green for the same identity, red for another, and grey where identities
        are unknown. An image that was given as an array is drawn as an empty box: only its
        descriptor is kept.

        Args:
            results: what :meth:`search` gave.
            out: file to save the picture to; None for none.
            pictures: for each query its array, where queries had no path.
            title: line above the picture.

        Returns:
            The picture, RGB.

        Raises:
            InputError: if there is no result, or ``pictures`` are not as many.
        """
        if not results:
            raise InputError('there is no result to draw.')
        if pictures is not None and len(pictures) != len(results):
            raise InputError(f'{len(results)} results came with {len(pictures)} pictures.')
        merged = merge_results(results)
        with tempfile.TemporaryDirectory() as folder:
            if pictures is not None:
                names = merged.query.img_path
                for row, array in enumerate(pictures):
                    if not names[row]:
                        names[row] = str(Path(folder) / f'{row}.png')
                        Image.fromarray(array).save(names[row])
            picture = draw_ranking_lists(
                {'': merged}, np.arange(len(results)), protocol='regdb',
                topk=max(len(result.gallery) for result in results), title=title or 'Search')
        if out is not None:
            save_picture(picture, out)
        return picture

    def ranking(self, name: str | None = None) -> Ranking:
        """Look a ranking up.

        Args:
            name: one of :attr:`rankings`; None for the first.

        Returns:
            The ranking, which says of itself what it compares.

        Raises:
            ConfigError: if there is none of this name.
        """
        if name is None:
            name = self.rankings[0]
        if name not in self._rankings:
            raise ConfigError(
                f'there is no ranking "{name}"; this config has {", ".join(self.rankings)}.')
        return self._rankings[name]


class _Loaded(Dataset):
    """Images, loaded and transformed when they are asked for."""

    def __init__(self, inputs: Sequence[ImageInput], pipeline: Compose) -> None:
        self.inputs = inputs
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict:
        image = self.inputs[index]
        results = dict(
            img_path=image.path, sample_idx=index, identity=image.identity, label=-1,
            camera=image.camera, modality=image.modality)
        if image.array is not None:
            results['img'] = image.array
        return self.pipeline(results)


def read_config(config_or_name: str | os.PathLike | Config,
                options: dict | None) -> tuple[Config, str | None]:
    """Read a config by its path or its name.

    Args:
        config_or_name: config file, the name of a model in a metafile, or a config.
        options: changes, dotted key -> value.

    Returns:
        The config, and the weights that the metafile names, None where there are none.

    Raises:
        ConfigError: if there is no such config or model, or an option does not fit.
    """
    weights = None
    if isinstance(config_or_name, Config):
        check_single_run(config_or_name)
        cfg = Config(config_or_name.to_dict())
        apply_options(cfg, options or {})
    else:
        path: PathLike = config_or_name
        if not os.path.isfile(path) and not str(path).endswith('.py'):
            model = find_model(str(path))
            path, weights = model.config, model.weights
        cfg = load_config(path, options)
    for key in ('model', 'test_dataloader'):
        if not cfg.get(key):
            raise ConfigError(f'the config has no {key}, which says how images are embedded.')
    return cfg, weights


def _choose(batch: dict[str, Tensor], names: Sequence[str] | None) -> dict[str, Tensor]:
    """Keep the descriptors that were asked for."""
    missing = sorted(set(names or ()) - set(batch))
    if missing:
        raise InputError(
            f'the model gives no descriptor "{missing[0]}"; it gives {", ".join(batch)}.')
    return {name: batch[name] for name in names or batch}
