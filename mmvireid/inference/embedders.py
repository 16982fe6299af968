"""From a batch of loaded images to descriptors: a network, or its exported file."""

import json
import os
from functools import cached_property
from typing import Any, Protocol

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmvireid.checkpoints import (
    first_names,
    load_weights,
    read_checkpoint,
    training_only_weights,
)
from mmvireid.compat import known_warnings_hidden
from mmvireid.registry import MODELS
from mmvireid.search import model_fingerprint
from mmvireid.structures import Modality
from mmvireid.utils.errors import (
    CheckpointError,
    ConfigError,
    EnvironmentMismatchError,
    InputError,
)

PathLike = str | os.PathLike


class Embedder(Protocol):
    """What the inferencer needs of a model.

    Attributes:
        fingerprint: two embedders share it only if their descriptors can be compared.
    """

    fingerprint: str

    def __call__(self, batch: dict) -> dict[str, Tensor]:
        """Compute descriptors, on the CPU.

        Args:
            batch: what the data loader gives: ``inputs``, a list of N tensors of shape
                ``(1, 3, H, W)``, and ``data_samples``.

        Returns:
            Name -> L2-normalised rows of shape ``(N, D)``.
        """


class TorchEmbedder:
    """A network, run by PyTorch.

    Args:
        cfg: config with ``model``.
        checkpoint: file or address of its weights; None leaves the random weights of an
            untrained network.
        device: where to run; None for the first GPU, or the CPU without one.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or that of another model.
        ConfigError: if the device cannot be used.
    """

    def __init__(self,
                 cfg: Config,
                 checkpoint: PathLike | None = None,
                 device: str | torch.device | None = None) -> None:
        self.device = choose_device(device)
        self.cfg = cfg
        self.model = build_network(cfg, checkpoint).to(self.device)

    @cached_property
    def fingerprint(self) -> str:
        """Name of the network, its weights, and how images come to it."""
        return network_fingerprint(self.model, self.cfg)

    @torch.no_grad()
    def __call__(self, batch: dict) -> dict[str, Tensor]:
        """Compute descriptors, as :class:`Embedder` says."""
        samples = self.model.test_step(batch)
        return {
            name: torch.stack([sample.descriptors[name] for sample in samples]).cpu()
            for name in samples[0].descriptors
        }


class OnnxEmbedder:
    """A file of ``tools/deployment/export_onnx.py``, run by onnxruntime.

    Args:
        path: the file.
        cfg: config that it was exported from.
        device: ``'cuda'`` for a GPU, if this onnxruntime has one; otherwise the CPU.

    Raises:
        EnvironmentMismatchError: if onnxruntime is not installed.
        CheckpointError: if the file is missing, broken, or of another model.
    """

    def __init__(self,
                 path: PathLike,
                 cfg: Config,
                 device: str | torch.device | None = None) -> None:
        path = os.fspath(path)
        if not os.path.isfile(path):
            raise CheckpointError(f'there is no exported model "{path}".')
        self.session = open_session(path, device)
        notes = self.session.get_modelmeta().custom_metadata_map
        if 'mmvireid' not in notes:
            raise CheckpointError(
                f'"{path}" was not written by tools/deployment/export_onnx.py: export the '
                'checkpoint with it.')
        self.path = path
        self.fingerprint: str = notes['fingerprint']
        #: The modality whose images it takes, None for both.
        self.modality: Modality | None = (
            None if notes['modality'] == 'both' else Modality[notes['modality'].upper()])
        _check_same_network(path, json.loads(notes['network']), describe_network(cfg))

    def __call__(self, batch: dict) -> dict[str, Tensor]:
        """Compute descriptors, as :class:`Embedder` says.

        Raises:
            InputError: if an image is of a modality that was not exported.
        """
        modality = torch.tensor([int(sample.modality) for sample in batch['data_samples']])
        if self.modality is not None and bool((modality != self.modality).any()):
            raise InputError(
                f'"{self.path}" was exported for {self.modality.name.lower()} images alone, and '
                f'has no stem for {Modality(1 - self.modality).name.lower()} ones: export with '
                '--modality both.')
        images = torch.cat(list(batch['inputs']))
        wanted = self.session.get_inputs()[0].shape
        if list(images.shape[1:]) != wanted[1:]:
            raise ConfigError(
                f'"{self.path}" was exported for images of shape {tuple(wanted[1:])}, but the '
                f'config makes {tuple(images.shape[1:])}: export again with this config.')
        feed = {'images': images.numpy(), 'modality': modality.numpy()}
        feed = {node.name: feed[node.name] for node in self.session.get_inputs()}
        names = [node.name for node in self.session.get_outputs()]
        return dict(zip(names, map(torch.from_numpy, self.session.run(names, feed))))


def build_network(cfg: Config, checkpoint: PathLike | None = None) -> nn.Module:
    """Build the network of a config for testing, with its weights.

    Nothing is downloaded for the network itself: pre-trained weights would be replaced.
    What the model declares as ``training_only``, such as classifiers, may differ.

    Args:
        cfg: config with ``model``.
        checkpoint: file or address of the weights; None for an untrained network.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or that of another model.
    """
    with known_warnings_hidden():
        model = MODELS.build(cfg.model).eval()
    if checkpoint is not None:
        load_weights(model, read_checkpoint(checkpoint), checkpoint)
    return model


def choose_device(device: str | torch.device | None) -> torch.device:
    """Check a device, or choose one.

    Args:
        device: None for the first GPU, or the CPU without one.

    Returns:
        The device.

    Raises:
        ConfigError: if there is no such device.
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        raise ConfigError(
            f"the device \"{device}\" cannot be used here ({str(error).splitlines()[0]}): choose "
            "device='cpu'.") from error
    return torch.device(device)


def network_fingerprint(model: nn.Module, cfg: Config) -> str:
    """Name a network by all that its descriptors come from.

    Args:
        model: a re-identifier.
        cfg: its config, for the test pipeline, normalisation and flip averaging.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    ignored = training_only_weights(model)
    weights = first_names(
        {name: value for name, value in model.state_dict().items() if name not in ignored}, model)
    parts = describe_network(cfg)
    details = {name: parts[name] for name in ('data_preprocessor', 'test_cfg', 'pipeline')}
    # Its class and size show in the weights; what else it has decides descriptors too.
    if options := {key: value for key, value in parts['head'].items()
                   if key not in ('type', 'in_channels')}:
        details['head'] = options
    return model_fingerprint(weights, json.dumps(details, sort_keys=True))


def describe_network(cfg: Config) -> dict[str, Any]:
    """Say what of a config decides the descriptors, apart from weights.

    Args:
        cfg: config with ``model`` and ``test_dataloader``.

    Returns:
        Part -> its settings as plain values. How it is initialised and trained is left out.
    """
    model = cfg.model
    head = model.get('head', {})
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    head_keys = ('type', 'in_channels', *getattr(kind, 'descriptor_options', ()))
    parts = dict(
        model=model.type,
        num_members=model.get('num_members'),
        backbone=model.get('backbone'),
        neck=model.get('neck'),
        head={key: head.get(key) for key in head_keys},
        data_preprocessor=model.get('data_preprocessor'),
        test_cfg=model.get('test_cfg'),
        pipeline=without_cache(cfg.test_dataloader.dataset.pipeline))
    return json.loads(json.dumps({name: _plain(part) for name, part in parts.items()}))


def without_cache(pipeline: list) -> list:
    """Take the image cache out of a pipeline: it changes no pixel, and writes files.

    Args:
        pipeline: configs of transforms.

    Returns:
        The same without ``cache_dir``.
    """
    return [{key: value for key, value in dict(step).items() if key != 'cache_dir'}
            if isinstance(step, dict) else step for step in pipeline]


def open_session(path: PathLike, device: str | torch.device | None = None) -> Any:
    """Open an exported file.

    Args:
        path: the file.
        device: ``'cuda'`` for a GPU, if this onnxruntime has one; otherwise the CPU.

    Returns:
        A session of onnxruntime.

    Raises:
        EnvironmentMismatchError: if onnxruntime is not installed.
        CheckpointError: if the file cannot be read.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EnvironmentMismatchError(
            'running an exported model needs onnxruntime: pip install "mmvireid[deploy]" (from a '
            'clone: pip install -e ".[onedl,deploy]").') from error
    providers = ['CPUExecutionProvider']
    if device is None or torch.device(device).type == 'cuda':
        providers = [p for p in ('CUDAExecutionProvider', *providers)
                     if p in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(os.fspath(path), providers=providers)
    except Exception as error:  # onnxruntime's errors have no common kind
        raise CheckpointError(
            f'"{path}" is not a complete exported model ({type(error).__name__}): export it '
            'again.') from error


def _plain(value: Any) -> Any:
    """Turn configs into plain values, without what only concerns the start of training."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ('init_cfg', 'non_blocking')}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _check_same_network(path: str, exported: dict, wanted: dict) -> None:
    for part, settings in wanted.items():
        if exported.get(part) != settings:
            raise CheckpointError(
                f'"{path}" was exported from another model: its {part} is '
                f'{json.dumps(exported.get(part))}, that of the config '
                f'{json.dumps(settings)}; give the config that it was exported from.')
