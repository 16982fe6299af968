"""Write a network as an ONNX file, and compare it with PyTorch."""

import copy
import inspect
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import Tensor, nn

from mmvireid.models import CrossModalityBackbone, PerModality
from mmvireid.registry import TRANSFORMS
from mmvireid.structures import Modality, ReIDDataSample
from mmvireid.utils.errors import CheckpointError, ConfigError, EnvironmentMismatchError
from mmvireid.utils.files import write_atomically
from mmvireid.version import __version__

from .embedders import (
    build_network,
    describe_network,
    network_fingerprint,
    open_session,
    without_cache,
)
from .image_inputs import read_modality

PathLike = str | os.PathLike


class DescriptorGraph(nn.Module):
    """A re-identifier as a function of tensors alone, ready to be exported.

    Normalising the images is part of it, and so is averaging with the mirror image where
    the config asks for that. Modules that each modality has a copy of are kept for one
    modality only, or, for both, run on all images, of whose results each row takes its
    own: a graph of fixed operations cannot send rows different ways.

    Args:
        model: a network, in evaluation mode; it stays as it is.
        modality: the one whose images it takes; None for both.

    Raises:
        ConfigError: if the backbone decides by modality in a way of its own and both are
            asked for.
    """

    def __init__(self, model: nn.Module, modality: Modality | None = None) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        self.modality = modality
        for backbone in self._backbones():
            if modality is None and not isinstance(backbone, CrossModalityBackbone):
                raise ConfigError(
                    f'a {type(backbone).__name__} is exported for one modality at a time: '
                    'use --modality visible, then --modality infrared.')
        self._batch = _Batch()
        #: Whether the modality of each image has to be given.
        self.needs_modality = self._replace_copies() and modality is None

    def _replace_copies(self) -> bool:
        """Put what can be exported in the place of modality-specific modules; tell if any."""
        found = [n for n, part in self.model.named_modules() if isinstance(part, PerModality)]
        for name in found:
            part = self.model.get_submodule(name)
            chosen = (_EachRow(part, self._batch) if self.modality is None
                      else getattr(part, self.modality.name.lower()))
            parent, _, leaf = name.rpartition('.')
            self.model.get_submodule(parent)._modules[leaf] = chosen
        if found:
            for backbone in self._backbones():
                backbone.modality_specific = ()  # nothing is routed any more
        return bool(found)

    def _backbones(self) -> list[nn.Module]:
        """List the backbones of a model, which may have several re-identifiers as members."""
        return [part.backbone for part in getattr(self.model, 'members', [self.model])]

    def forward(self, images: Tensor, modality: Tensor | None = None) -> tuple[Tensor, ...]:
        """Compute descriptors.

        Args:
            images: as the test pipeline makes them, shape ``(N, 3, H, W)``.
            modality: shape ``(N,)`` int64, 0 visible, 1 infrared; None where it makes no
                difference.

        Returns:
            The values of :meth:`describe`.
        """
        return tuple(self.describe(images, modality).values())

    def describe(self, images: Tensor, modality: Tensor | None = None) -> dict[str, Tensor]:
        """Compute descriptors by name.

        Args:
            images: as in :meth:`forward`.
            modality: as in :meth:`forward`.

        Returns:
            Name -> rows of shape ``(N, D)``.
        """
        preprocessor = self.model.data_preprocessor
        if preprocessor.normalise and images.dtype == torch.uint8:
            images = (images.float() - preprocessor.mean) / preprocessor.std
        if modality is None:
            modality = torch.full(
                (1, ), int(self.modality or 0), dtype=torch.int64).expand(images.shape[0])
        self._batch.modality = modality
        return self.model.describe(images.float(), modality)


class _Batch:
    """The modality of the rows, shape ``(N,)``, for modules that are called with images only."""

    modality: Tensor | None = None


class _EachRow(nn.Module):
    """Both copies of a module on all rows, and each row from that of its modality."""

    def __init__(self, module: PerModality, batch: _Batch) -> None:
        super().__init__()
        self.visible = module.visible
        self.infrared = module.infrared
        self._batch = batch

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run both copies and choose."""
        first = self.visible(x, *args, **kwargs)
        second = self.infrared(x, *args, **kwargs)
        if not isinstance(first, tuple):
            return self._choose(first, second)
        return tuple(
            self._choose(a, b) if isinstance(a, Tensor) else a for a, b in zip(first, second))

    def _choose(self, visible: Tensor, infrared: Tensor) -> Tensor:
        is_visible = self._batch.modality == int(Modality.VISIBLE)
        shape = (-1, *[1] * (visible.ndim - 1))
        return torch.where(is_visible.view(shape), visible, infrared)

    def __getattr__(self, name: str) -> Any:
        """Offer what a trunk reads from its stem."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith('_') or 'visible' not in self._modules:
                raise
            return getattr(self._modules['visible'], name)


def export_onnx(cfg: Config,
                checkpoint: PathLike | None,
                out: PathLike,
                *,
                modality: str = 'both',
                tolerance: float = 1e-3,
                seed: int = 0) -> dict[str, float]:
    """Export the network of a config, and check the file through onnxruntime.

    The file takes ``images``, of shape ``(N, 3, H, W)`` for any N, in RGB, uint8 0 .. 255
    (float32 where the test pipeline of the config normalises by itself), resized as the
    pipeline does it. It gives L2-normalised descriptors by name. For both modalities,
    there is one file: where the network has modules for each modality, a second input
    ``modality``, of shape ``(N,)`` int64 (0 visible, 1 infrared), chooses among them, and
    both copies are computed. For one modality the other's modules are left out, and with
    them that input.

    Args:
        cfg: config with ``model`` and ``test_dataloader``.
        checkpoint: file of the weights; None exports random ones.
        out: file to write.
        modality: ``'both'``, ``'visible'`` or ``'infrared'``.
        tolerance: largest difference from PyTorch in any element of a descriptor.
        seed: of the random images of the comparison.

    Returns:
        Descriptor -> largest absolute difference between onnxruntime and PyTorch, over
        batches of several sizes and modalities.

    Raises:
        EnvironmentMismatchError: if packages for the export are missing.
        CheckpointError: if the weights are missing or another model's, or the exported file
            differs from PyTorch by more than ``tolerance``; it is not written then.
        ConfigError: as :class:`DescriptorGraph`.
    """
    only = None if modality == 'both' else read_modality(modality)
    _require_packages()
    model = build_network(cfg, checkpoint)
    graph = DescriptorGraph(model, only)
    example = _example(cfg)
    notes = dict(
        mmvireid=__version__,
        modality=modality,
        fingerprint=network_fingerprint(model, cfg),
        network=json.dumps(describe_network(cfg)),
        config=Path(cfg.filename).stem if cfg.filename else '')
    content = _to_bytes(graph, example, notes)
    # Checked in a place of its own: a file that is wrong never gets the name.
    draft = Path(out).with_name(f'.{Path(out).name}.draft')
    write_atomically(content, draft)
    try:
        difference = compare_with_torch(draft, model, graph, example, seed)
        largest = max(difference.values())
        if not largest <= tolerance:
            raise CheckpointError(
                f'the exported model differs from PyTorch by {largest:.2e}, more than '
                f'{tolerance:.0e}: nothing was written.')
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)
    return difference


def compare_with_torch(path: PathLike, model: nn.Module, graph: DescriptorGraph, example: Tensor,
                       seed: int = 0) -> dict[str, float]:
    """Run a file beside the network that it came from.

    Args:
        path: the exported file.
        model: the network itself.
        graph: what was exported.
        example: images of shape ``(1, 3, H, W)``, for size and type.
        seed: of the random images.

    Returns:
        Descriptor -> largest absolute difference.
    """
    session = open_session(path, 'cpu')
    generator = torch.Generator().manual_seed(seed)
    modalities = list(Modality) if graph.modality is None else [graph.modality]
    names = [node.name for node in session.get_outputs()]
    difference = dict.fromkeys(names, 0.0)
    for size in (1, 2, 5):
        images = _random_like(example, size, generator)
        modality = torch.tensor([modalities[i % len(modalities)] for i in range(size)])
        feed = {'images': images.numpy(), 'modality': modality.numpy()}
        exported = session.run(names, {n.name: feed[n.name] for n in session.get_inputs()})
        with torch.no_grad():
            prepared = _prepare(model, images)
            wanted = model.describe(prepared, modality)
        for name, rows in zip(names, exported):
            worst = float(np.abs(rows - wanted[name].numpy()).max())
            difference[name] = max(difference[name], worst)
    return difference


def _prepare(model: nn.Module, images: Tensor) -> Tensor:
    """Put images through the data preprocessor, as a batch of a loader."""
    batch = dict(inputs=[image[None] for image in images],
                 data_samples=[ReIDDataSample() for _ in images])
    return model.data_preprocessor(batch)['inputs']


def _example(cfg: Config) -> Tensor:
    """Put a blank picture through the test pipeline, to learn size and type."""
    steps = without_cache(cfg.test_dataloader.dataset.pipeline)
    pipeline = Compose([s if callable(s) else TRANSFORMS.build(s) for s in steps])
    blank = np.zeros((64, 32, 3), np.uint8)
    return pipeline(dict(img=blank, img_path='', modality=0, label=-1))['inputs']


def _random_like(example: Tensor, size: int, generator: torch.Generator) -> Tensor:
    shape = (size, *example.shape[1:])
    if example.dtype == torch.uint8:
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return torch.randn(shape, generator=generator)


def _to_bytes(graph: DescriptorGraph, example: Tensor, notes: dict[str, str]) -> bytes:
    """Export, and give the content of the file."""
    images = torch.cat([example, example])
    inputs: dict[str, Tensor] = {'images': images}
    if graph.needs_modality:
        inputs['modality'] = torch.tensor([0, 1])
    with torch.no_grad():
        names = list(graph.describe(**inputs))
    batch = torch.export.Dim('batch', min=1)
    with warnings.catch_warnings(), _exporter_log_hidden():
        warnings.simplefilter('ignore')
        # The exporter's optimiser takes out additions of small constants, such as that of
        # generalised-mean pooling; onnxruntime optimises by itself when it loads the file.
        program = torch.onnx.export(
            graph, kwargs=inputs, dynamo=True, input_names=list(inputs),
            output_names=names, dynamic_shapes={name: {0: batch} for name in inputs},
            optimize=False, verbose=False)
    proto = program.model_proto
    for node in proto.graph.node:  # stacks, with the paths of this machine
        node.ClearField('metadata_props')
    used = {name for node in proto.graph.node for name in node.input}
    kept = [weight for weight in proto.graph.initializer if weight.name in used]
    del proto.graph.initializer[:]  # classifiers and the like have no part in descriptors
    proto.graph.initializer.extend(kept)
    for key, value in notes.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    return proto.SerializeToString()


@contextmanager
def _exporter_log_hidden() -> Iterator[None]:
    """Keep the exporter's own log, which speaks of its passes, out of the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise EnvironmentMismatchError(
            f'exporting needs the package {error.name}: pip install "mmvireid[deploy]" (from a '
            'clone: pip install -e ".[onedl,deploy]").') from error
    if 'dynamo' not in inspect.signature(torch.onnx.export).parameters:
        raise EnvironmentMismatchError(
            f'exporting needs PyTorch 2.6 or newer, this is {torch.__version__}.')
