"""One copy of a module for each modality."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mmvireid.structures import Modality
from mmvireid.utils.errors import InputError, UsageError

NAMES = tuple(modality.name.lower() for modality in Modality)


class ModalityRoute:
    """Rows of the current batch, by modality.

    A trunk calls its modules with images only, so the modality of the rows waits
    here, where all :class:`PerModality` of a backbone look it up. The rows are found
    once a batch. It stays until the next batch, because activation checkpointing
    runs modules again during backward.
    """

    def __init__(self) -> None:
        self.num_rows: int | None = None
        #: The modality of all rows, None in a mixed batch.
        self.only: Modality | None = None
        self._counts: list[int] = []
        # Rows in the order visible, infrared, and the way back; None where they come so.
        self._order: Tensor | None = None
        self._back: Tensor | None = None

    def set(self, modality: Tensor, device: torch.device) -> None:
        """Route the rows of the next batch.

        Args:
            modality: shape ``(N,)``, 0 visible, 1 infrared. On the CPU nobody waits for a
                GPU.
            device: where the images are.

        Raises:
            InputError: if a modality is neither 0 nor 1.
        """
        modality = modality.cpu()
        strange = set(modality.tolist()) - set(Modality)
        if strange:
            raise InputError(
                f'there are modality-specific modules for {list(NAMES)} (0, 1), but the batch '
                f'has images of modality {sorted(strange)}')
        self.num_rows = len(modality)
        self._counts = [int((modality == m).sum()) for m in Modality]
        present = [m for m in Modality if self._counts[m]]
        self.only = present[0] if len(present) == 1 else None
        self._order = self._back = None
        # Batches of training come visible first and are only cut in two, without a copy.
        if bool((modality.diff() < 0).any()):
            order = modality.argsort(stable=True)
            self._order = order.to(device, non_blocking=True)
            # Where row i went is where it is fetched from: the inverse of a permutation.
            self._back = order.argsort().to(device, non_blocking=True)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Take the rows of each modality.

        Args:
            x: shape ``(N, ...)``.

        Returns:
            One tensor for each modality; views of ``x`` if visible rows come first.
        """
        return (x if self._order is None else x[self._order]).split(self._counts)

    def merge(self, parts: Sequence[Tensor]) -> Tensor:
        """Undo :meth:`split`.

        Args:
            parts: one tensor for each modality.

        Returns:
            Shape ``(N, ...)``.
        """
        x = torch.cat(tuple(parts))
        return x if self._back is None else x[self._back]


class PerModality(nn.Module):
    """Send visible rows through one copy of a module and infrared rows through another.

    A checkpoint of a trunk without copies (ImageNet weights) loads into both: its keys
    lack the name of the modality.

    Args:
        module: becomes the visible copy; the infrared copy starts equal to it.
        route: rows of the batch, shared by all modules of a backbone.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from mmvireid.models import PerModality
        >>> from mmvireid.models.backbones.per_modality import ModalityRoute
        >>> route = ModalityRoute()
        >>> scale = PerModality(nn.Linear(1, 1, bias=False), route)
        >>> _ = nn.init.constant_(scale.visible.weight, 2)
        >>> _ = nn.init.constant_(scale.infrared.weight, 5)
        >>> route.set(modality=torch.tensor([1, 0, 1]), device='cpu')
        >>> scale(torch.ones(3, 1)).flatten().tolist()
        [5.0, 2.0, 5.0]
    """

    def __init__(self, module: nn.Module, route: ModalityRoute) -> None:
        super().__init__()
        self.visible = module
        self.infrared = deepcopy(module)
        self._route = route

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run each row through the copy of its modality and restore the order.

        Args:
            x: shape ``(N, ...)``.
            *args: further arguments, the same for both copies.
            **kwargs: further arguments, the same for both copies.

        Returns:
            What the module returns, a tensor whose rows are those of ``x``, or a tuple
            of such tensors and of values that do not depend on the images.

        Raises:
            UsageError: if the rows of ``x`` are not those of the batch.
        """
        route = self._route
        if route.num_rows != len(x):
            raise UsageError(
                f'the batch has the modality of {route.num_rows} rows, but a modality-specific '
                f'{type(self.visible).__name__} got {len(x)}: only modules that see the images '
                'of the batch row by row can be modality-specific')
        if route.only is not None:
            return self._copy(route.only)(x, *args, **kwargs)
        parts = [self._copy(m)(rows, *args, **kwargs) for m, rows in zip(Modality, route.split(x))]
        if isinstance(parts[0], tuple):
            return tuple(
                route.merge(values) if isinstance(values[0], Tensor) else values[0]
                for values in zip(*parts))
        return route.merge(parts)

    def start_equal(self) -> None:
        """Give the infrared copy the weights of the visible one."""
        self.infrared.load_state_dict(self.visible.state_dict())

    def _copy(self, modality: Modality) -> nn.Module:
        return getattr(self, NAMES[modality])

    def __getattr__(self, name: str) -> Any:
        """Offer what a trunk reads from its stem, such as the size of its output."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith('_') or 'visible' not in self._modules:
                raise
            return getattr(self._modules['visible'], name)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        for key in list(state_dict):
            name = key[len(prefix):]
            if key.startswith(prefix) and name.split('.')[0] not in NAMES:
                value = state_dict.pop(key)
                for modality in NAMES:
                    state_dict[f'{prefix}{modality}.{name}'] = value
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
