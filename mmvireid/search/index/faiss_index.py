"""faiss's indexes: flat, inverted file, inverted file with product codes, and graph."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmvireid.utils.errors import EnvironmentMismatchError, GalleryIndexError
from mmvireid.utils.files import described_write_errors

from ..faiss_backend import require_faiss

#: Kinds that must see descriptors before they can hold any.
TRAINED_KINDS = ('ivf', 'ivfpq')


class FaissIndex:
    """Build, search and store one of faiss's indexes.

    Args:
        kind: ``'flat'``, ``'ivf'``, ``'ivfpq'`` or ``'hnsw'``.
        dim: length of the descriptors.
        metric: ``'cosine'`` (rows are unit vectors) or ``'l2'``.
        options: options of the kind, complete; the number of lists is filled in by
            :meth:`train`.
        device: ``'cpu'`` or a CUDA device, which takes a faiss with GPU support.

    Raises:
        EnvironmentMismatchError: if faiss is not installed, or cannot use the device.
        GalleryIndexError: if the kind does not run on the device.
    """

    def __init__(self, kind: str, dim: int, metric: str, options: dict[str, Any],
                 device: str | torch.device) -> None:
        faiss = require_faiss()
        self._faiss, self._kind, self._dim, self._metric = faiss, kind, dim, metric
        self._options = options
        self._faiss_metric = faiss.METRIC_L2 if metric == 'l2' else faiss.METRIC_INNER_PRODUCT
        self._device, self._resources = torch.device(device), None
        if self._device.type == 'cuda':
            if not hasattr(faiss, 'StandardGpuResources'):
                raise EnvironmentMismatchError(
                    'this faiss has no GPU support: pip install faiss-gpu-cu12 in its place, or '
                    "use device='cpu'.")
            if kind == 'hnsw':
                raise GalleryIndexError("an index of kind \"hnsw\" runs on device='cpu' alone.")
            self._resources = faiss.StandardGpuResources()
        self._index: Any = None
        # File that the index was read from, and whether it is still mapped.
        self._source: Path | None = None
        self._mapped = False
        #: Whether the index differs from its file.
        self.changed = True
        if kind == 'flat':
            self._index = self._to_device(faiss.IndexFlat(dim, self._faiss_metric))
        elif kind == 'hnsw':
            self._index = faiss.IndexHNSWFlat(dim, options['num_links'], self._faiss_metric)
            self._index.hnsw.efConstruction = options['ef_construction']

    def __len__(self) -> int:
        return 0 if self._index is None else self._index.ntotal

    @property
    def needs_training(self) -> bool:
        """Whether descriptors must be seen before any can be added."""
        return self._index is None

    def train(self, descriptors: np.ndarray) -> None:
        """Choose cells, and codes where there are any, by k-means.

        Without ``num_lists``, the number of cells is four times the square root of the
        number of descriptors, and at most one per 39, what faiss asks for.

        Args:
            descriptors: shape ``(T, D)`` float32.

        Raises:
            GalleryIndexError: if there are too few.
        """
        faiss, options = self._faiss, self._options
        num = len(descriptors)
        lists = options['num_lists'] or max(1, min(int(4 * math.sqrt(num)), num // 39))
        needed = max(lists, 2**options.get('bits', 0))
        if num < needed:
            raise GalleryIndexError(
                f'an index of kind "{self._kind}" with these options is trained on at least '
                f'{needed} descriptors, not {num}.')
        cells = faiss.IndexFlat(self._dim, self._faiss_metric)
        if self._kind == 'ivf':
            index = faiss.IndexIVFFlat(cells, self._dim, lists, self._faiss_metric)
        else:
            index = faiss.IndexIVFPQ(cells, self._dim, lists, options['num_codes'],
                                     options['bits'], self._faiss_metric)
        index = self._to_device(index)
        index.train(descriptors)
        options['num_lists'] = lists
        self._index, self.changed = index, True

    def add(self, block: np.ndarray) -> None:
        """Add rows; an index that is mapped is read into memory first.

        Args:
            block: shape ``(B, D)`` float32.
        """
        self._read_into_memory()
        self.changed = True
        self._index.add(block)

    def reserve(self, num_rows: int) -> None:
        """Make room, where an index is one piece that would be copied whenever it grows.

        Args:
            num_rows: rows that the index will hold.
        """
        if self._kind not in ('flat', 'hnsw') or self._resources is not None:
            return
        self._read_into_memory()
        flat = self._index
        if self._kind == 'hnsw':
            flat = self._faiss.downcast_index(self._index.storage)
            # Links of the lowest level, and a little for the few rows on higher ones.
            links = self._index.hnsw.cum_nb_neighbors(1) + 2
            _reserve(self._index.hnsw.neighbors, num_rows * links)
        _reserve(flat.codes, num_rows * flat.code_size)

    def _read_into_memory(self) -> None:
        """Read an index that is mapped into memory."""
        if self._mapped:
            self._index = self._to_device(self._read(self._source, 0))
            self._mapped = False

    def search(self, queries: torch.Tensor, k: int,
               batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the nearest rows that the index sees.

        A query whose cells hold fewer than ``k`` rows visits all cells.

        Args:
            queries: shape ``(Q, D)`` float32.
            k: number of rows, at most all.
            batch: queries per call.

        Returns:
            tuple: distances (one minus the cosine, or squared Euclidean, from the codes
            where the index holds codes) and rows, both of shape ``(Q, k)``; infinity and
            -1 where a graph was left before ``k`` rows were met.
        """
        distances = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), batch):
            part = queries[start:start + batch].numpy()
            scores, found = self._index.search(part, k, params=self._search_parameters(k))
            short = (found < 0).any(1)
            if short.any() and self._kind in TRAINED_KINDS:
                everything = self._faiss.SearchParametersIVF(nprobe=self._options['num_lists'])
                scores[short], found[short] = self._index.search(part[short], k,
                                                                 params=everything)
            distances[start:start + batch], rows[start:start + batch] = scores, found
        if self._metric == 'cosine':
            distances = 1 - distances
        distances = np.maximum(distances, 0)
        distances[rows < 0] = np.inf
        return torch.from_numpy(distances), torch.from_numpy(rows)

    def descriptors(self, rows: np.ndarray) -> np.ndarray:
        """Return descriptors as they were added.

        Args:
            rows: shape ``(R,)`` int64.

        Returns:
            np.ndarray: shape ``(R, D)`` float32.

        Raises:
            GalleryIndexError: if the index does not hold them in a form to be read.
        """
        if self._kind in TRAINED_KINDS:
            raise GalleryIndexError(
                f'an index of kind "{self._kind}" does not give descriptors back; those of kind '
                '"torch", "flat" and "hnsw" do.')
        return self._index.reconstruct_batch(rows)

    def write(self, path: Path) -> None:
        """Write the index to a file.

        Args:
            path: the file.

        Raises:
            WorkDirError: if that fails.
        """
        if self._mapped:
            # It is its file, and need not come into memory to be copied.
            with described_write_errors(path):
                shutil.copyfile(self._source, path)
            self._source = path
            return
        index = self._index
        if self._resources is not None:
            index = self._faiss.index_gpu_to_cpu(index)
        # Faiss itself takes a file for complete whose last bytes the disk has refused.
        refused: list[OSError] = []
        with described_write_errors(path), open(path, 'wb') as file:

            def put(data: bytes) -> None:
                try:
                    file.write(data)
                except OSError as error:
                    refused.append(error)
                    raise

            try:
                self._faiss.write_index(index, self._faiss.PyCallbackIOWriter(put))
            except RuntimeError as error:  # faiss's own, which has lost ours
                raise (refused or [error])[0] from None
            file.flush()
            os.fsync(file.fileno())

    def load(self, path: Path) -> None:
        """Map an index that was written, or bring it to the GPU.

        Args:
            path: the file.

        Raises:
            GalleryIndexError: if faiss cannot read it, or it is of another shape.
        """
        faiss = self._faiss
        # The newer flag maps every kind, the older the cells of inverted files.
        flag = getattr(faiss, 'IO_FLAG_MMAP_IFC', faiss.IO_FLAG_MMAP)
        on_cpu = self._resources is None
        self._index = self._to_device(self._read(path, flag if on_cpu else 0))
        self._source, self._mapped, self.changed = path, on_cpu, False

    def _read(self, path: Path, flags: int) -> Any:
        """Read a file and check that it is an index of these descriptors."""
        try:
            index = self._faiss.read_index(str(path), flags)
        except RuntimeError as error:
            raise GalleryIndexError(
                f'{path} cannot be read by faiss {self._faiss.__version__}.') from error
        if index.d != self._dim:
            raise GalleryIndexError(
                f'{path} holds descriptors of {index.d} dimensions, not {self._dim}.')
        return index

    def _to_device(self, index: Any) -> Any:
        """Copy an index to the GPU if one is used."""
        if self._resources is None:
            return index
        return self._faiss.index_cpu_to_gpu(self._resources, self._device.index or 0, index)

    def _search_parameters(self, k: int) -> Any:
        """Return how much of the index a search visits."""
        if self._kind in TRAINED_KINDS:
            lists = self._options['num_lists']
            probes = min(lists, self._options['num_probes'] or max(1, lists // 8))
            return self._faiss.SearchParametersIVF(nprobe=probes)
        if self._kind == 'hnsw':
            return self._faiss.SearchParametersHNSW(efSearch=max(k, self._options['ef_search']))
        return None


def _reserve(vector: Any, size: int) -> None:
    """Give a vector of faiss the capacity for ``size`` elements; its content stays.

    faiss shows Python no ``reserve``, but a vector that shrinks keeps what it has allocated.
    """
    vector = getattr(vector, 'owned_data', vector)  # faiss before 1.10 has it bare
    held = vector.size()
    if size > held:
        vector.resize(size)
        vector.resize(held)
