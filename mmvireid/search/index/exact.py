"""Exact search through descriptors on disk, block by block."""

import warnings
from collections.abc import Iterator

import numpy as np
import torch

from ..torch_backend import select_stable, torch_topk
from .segments import SegmentList

#: Descriptors read at once, in elements: 64 MiB of float32 on CPU, 1 GiB on CUDA.
CPU_BLOCK, CUDA_BLOCK = 2**24, 2**28


class ExactSearch:
    """Compare queries with every row, one block of rows after another.

    Each block is read once for all queries. On a GPU the rows stay after the first search
    if they fill at most half of what is free; otherwise they are sent block by block.

    Args:
        dim: length of the descriptors.
        metric: ``'cosine'`` (rows are unit vectors) or ``'l2'``.
        device: where to multiply.
    """

    def __init__(self, dim: int, metric: str, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self._metric = {'cosine': 'inner_product', 'l2': 'l2'}[metric]
        block = CUDA_BLOCK if self.device.type == 'cuda' else CPU_BLOCK
        # Products with rows of a round length take a quarter less time on CPU.
        self._block = max(1, block // dim // 64 * 64)
        self._resident: list[tuple[int, torch.Tensor]] = []

    def search(self, gallery: SegmentList, queries: torch.Tensor, k: int,
               batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the nearest rows of each query; at equal distance the lower row comes first.

        Args:
            gallery: G rows.
            queries: shape ``(Q, D)`` float32.
            k: number of rows, at most G.
            batch: queries per product, rounded up to a power of two.

        Returns:
            tuple: distances (one minus the cosine, or squared Euclidean) and rows, both of
            shape ``(Q, k)``.
        """
        queries = queries.to(self.device)
        batch = 1 << (max(1, min(batch, len(queries))) - 1).bit_length()
        # Larger is nearer in both metrics from here on.
        best = queries.new_empty(len(queries), 0)
        rows = torch.empty(len(queries), 0, dtype=torch.int64, device=self.device)
        for first, block in self._blocks(gallery):
            scores, found = torch_topk(queries, block.float(), min(k, len(block)), self._metric,
                                       batch)
            if self._metric == 'l2':
                scores = -scores
            best = torch.cat([best, scores], 1)
            rows = torch.cat([rows, found + first], 1)
            # Rows of earlier blocks stand first, so that equal scores stay in order.
            best, chosen = select_stable(best, min(k, best.shape[1]))
            rows = rows.gather(1, chosen)
        distances = -best if self._metric == 'l2' else (1 - best).clamp_(min=0)
        return distances.cpu(), rows.cpu()

    def _blocks(self, gallery: SegmentList) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the number of the first row and the rows, on the device."""
        kept = sum(len(block) for _, block in self._resident)
        yield from self._resident
        keep = self._fits_on_device(gallery)
        for start in range(kept, len(gallery), self._block):
            stop = min(start + self._block, len(gallery))
            block = _as_tensor(gallery.descriptors(start, stop)).to(self.device)
            if keep:
                self._resident.append((start, block))
            yield start, block
            gallery.release(start, stop)

    def _fits_on_device(self, gallery: SegmentList) -> bool:
        """Tell whether the rows may stay on the device."""
        if self.device.type != 'cuda':
            return False
        held = sum(block.nbytes for _, block in self._resident)
        free = torch.cuda.mem_get_info(self.device)[0] + held
        return sum(segment.descriptors.nbytes for segment in gallery.segments) <= free // 2


def _as_tensor(block: np.ndarray) -> torch.Tensor:
    """Share an array's memory although it may be mapped read-only: it is only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='The given NumPy array is not writable')
        return torch.from_numpy(block)
