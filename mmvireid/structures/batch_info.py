"""What a batch knows about its images, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

from mmvireid.utils.errors import ConfigError, InputError

from .data_sample import ReIDDataSample

#: Field -> its name in a data sample, and the value where a sample does not know it.
_IN_SAMPLES = {
    'modality': ('modality', None),
    'label': ('label', -1),
    'index': ('sample_idx', -1),
    'camera': ('camera', 0),
    'view': ('view', 0),
}


@dataclass(frozen=True, eq=False)
class BatchInfo:
    """Say who and what the rows of a batch are.

    A head's loss gets the features of a batch and this, and nothing by another door: a
    supervised loss reads ``label``, one on pseudo labels looks them up by ``index`` and
    ``branch``, one that knows its images from an earlier pass by ``index`` and ``view``.
    A field that is not given says "unknown" in every row.

    Args:
        modality: shape ``(N,)`` int64, 0 visible, 1 infrared.
        label: shape ``(N,)`` int64, the identity 0 .. C-1, -1 where unknown.
        index: shape ``(N,)`` int64, each image's place in the dataset, -1 where unknown.
        camera: shape ``(N,)`` int64, 0 where unknown.
        view: shape ``(N,)`` int64, which view of its image a row is; 0 where there is one.
        branch: the branch of pseudo labels that the batch was drawn from, or the one of several
            networks that it is for; None without.

    Raises:
        InputError: if the fields differ in length.

    Examples:
        >>> import torch
        >>> from mmvireid.structures import BatchInfo
        >>> info = BatchInfo(modality=torch.tensor([1, 0, 0]), label=torch.tensor([4, 4, 7]))
        >>> visible_first = info[info.modality.argsort(stable=True)]
        >>> visible_first.label
        tensor([4, 7, 4])
        >>> visible_first.index  # nobody has said
        tensor([-1, -1, -1])
    """

    modality: Tensor
    label: Tensor | None = None
    index: Tensor | None = None
    camera: Tensor | None = None
    view: Tensor | None = None
    branch: str | None = None

    def __post_init__(self) -> None:
        for name, (_, unknown) in _IN_SAMPLES.items():
            rows = getattr(self, name)
            if rows is None:
                # The only way to set a field of a frozen dataclass.
                object.__setattr__(self, name, torch.full_like(self.modality, unknown))
            elif len(rows) != len(self.modality):
                raise InputError(
                    f'a batch has the modality of {len(self.modality)} rows, but {name} of '
                    f'{len(rows)}')

    @classmethod
    def from_samples(cls, samples: Sequence[ReIDDataSample]) -> 'BatchInfo':
        """Collect what samples know.

        Args:
            samples: N samples, each with its ``modality``.

        Returns:
            N rows in the order of the samples, on the CPU.

        Raises:
            ConfigError: if the samples were drawn from different branches.
        """
        branches = {sample.get('branch') for sample in samples}
        if len(branches) > 1:
            raise ConfigError(
                f'a batch has images of the branches {sorted(map(str, branches))}: set '
                'train_dataloader.batch_size to the number of images that the sampler draws in '
                'a step.')
        return cls(
            branch=branches.pop() if branches else None,
            **{
                name: torch.tensor([int(sample.get(key, unknown)) for sample in samples])
                for name, (key, unknown) in _IN_SAMPLES.items()
            })

    def __len__(self) -> int:
        return len(self.modality)

    def __getitem__(self, rows: Tensor | slice) -> 'BatchInfo':
        """Select or order rows, by an integer tensor, a boolean mask or a slice."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _IN_SAMPLES})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> 'BatchInfo':
        """Copy all rows to a device.

        Args:
            device: where they are needed.
            non_blocking: do not wait for the copy.

        Returns:
            The same rows there.
        """
        return replace(self, **{
            name: getattr(self, name).to(device, non_blocking=non_blocking)
            for name in _IN_SAMPLES
        })

    def gather(self) -> 'BatchInfo':
        """Concatenate the rows of all ranks, rank 0 first.

        All ranks draw from the same branch in the same step, because their samplers take
        the same turns.

        Returns:
            Shape ``(world_size * N,)`` in every field; the rows themselves in a single
            process.
        """
        if get_world_size() == 1:
            return self
        # One message instead of five.
        table = torch.stack([getattr(self, name) for name in _IN_SAMPLES])
        return replace(self, **dict(zip(_IN_SAMPLES, torch.cat(all_gather(table), dim=1))))
