"""The gallery index: descriptors, and whose they are."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmvireid.utils.errors import GalleryIndexError, InputError

from ..topk import Array, float_rows
from .exact import ExactSearch
from .faiss_index import TRAINED_KINDS, FaissIndex
from .manifest import Manifest, check_files, has_manifest, read_manifest, write_manifest
from .options import METRICS, SEARCH_OPTIONS, complete_options
from .rows import GalleryRows, Ids, encode_rows
from .segments import Segment, SegmentList, SegmentWriter, file_entry

#: Descriptors that are converted at once while they are added, in elements: 16 MiB.
ADD_BLOCK = 2**22

PathLike = str | Path


class GalleryIndex:
    """Descriptors of a gallery, searched by the nearest.

    There are five kinds. Each can be built in batches, saved, loaded and added to:

    ============ ======================= ==================================================
    kind         result                  where the descriptors are
    ============ ======================= ==================================================
    ``'torch'``  exact                   on disk, written as they are added; a search reads
                                         them block by block
    ``'flat'``   exact                   in faiss's flat index
    ``'ivf'``    approximate, trained    in cells (inverted file); a query visits some
    ``'ivfpq'``  approximate, trained    in cells, as short codes
    ``'hnsw'``   approximate             in a graph that a query walks through
    ============ ======================= ==================================================

    ``'torch'`` needs no faiss and never more memory than one block. The others are in
    memory while they grow, and are mapped from disk once they are loaded.

    An index is made by :meth:`create` or :meth:`load`, not by the class itself. What was
    added is kept only when :meth:`save` returns; until then the folder holds what was saved
    last. One process at a time can add to a folder: of two, the second to save is refused.

    Args:
        manifest: what the index is.
        device: where to search.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.search import GalleryIndex
        >>> index = GalleryIndex.create(dim=2)
        >>> index.add(np.array([[1., 0.], [0., 1.]]), ['a.jpg', 'b.jpg'], camera=[1, 2])
        >>> distances, rows = index.search(np.array([[0., 5.]]), top_k=1)
        >>> index.info(rows).ids[0, 0]
        'b.jpg'
    """

    def __init__(self, manifest: Manifest, device: str | torch.device) -> None:
        self._manifest = manifest
        self._options = dict(manifest.options)
        self._ids = manifest.ids
        self._folder: Path | None = None
        self._stored = False
        self._segments: list[Segment] = []
        self._faiss_files: set[str] = set()
        self._writer: SegmentWriter | None = None
        self._rows: SegmentList | None = None
        self._exact: ExactSearch | None = None
        self._faiss: FaissIndex | None = None
        if manifest.kind == 'torch':
            self._exact = ExactSearch(manifest.dim, manifest.metric, device)
        else:
            self._faiss = FaissIndex(manifest.kind, manifest.dim, manifest.metric, self._options,
                                     device)

    @classmethod
    def create(cls,
               dim: int,
               kind: str = 'torch',
               metric: str = 'cosine',
               *,
               fingerprint: str = '',
               folder: PathLike | None = None,
               device: str | torch.device = 'cpu',
               **options: Any) -> 'GalleryIndex':
        """Make an empty index.

        Args:
            dim: length of the descriptors.
            kind: ``'torch'``, ``'flat'``, ``'ivf'``, ``'ivfpq'`` or ``'hnsw'``.
            metric: ``'cosine'`` (descriptors of any length) or ``'l2'``.
            fingerprint: the model that makes the descriptors, by
                :func:`~mmvireid.search.model_fingerprint`.
            folder: where the index will be saved; rows are written there as they are
                added. None keeps them in memory until they are saved.
            device: where to search: ``'cpu'`` or a CUDA device.
            **options: ``dtype`` (torch: ``'float32'`` or ``'float16'`` on disk),
                ``num_lists`` and ``num_probes`` (ivf, ivfpq: number of cells, and how many
                a query visits, an eighth by default), ``num_codes`` and ``bits`` (ivfpq:
                pieces that a descriptor is cut into, and size of the code of each),
                ``num_links``, ``ef_construction`` and ``ef_search`` (hnsw: links of a row,
                and candidates held while the graph is built and searched).

        Returns:
            GalleryIndex: without rows.

        Raises:
            GalleryIndexError: if an option does not fit, or the folder holds an index.
            EnvironmentMismatchError: if the kind needs faiss and it is not installed.
        """
        if type(dim) is not int or dim < 1:
            raise GalleryIndexError(f'dim must be a whole number from 1, not {dim}.')
        if metric not in METRICS:
            raise GalleryIndexError(
                f'there is no metric "{metric}", choose one of {", ".join(METRICS)}.')
        options = complete_options(kind, dim, options)
        index = cls(Manifest(kind, metric, dim, fingerprint, None, options, [], None), device)
        if folder is not None:
            index._folder = Path(folder)
            if has_manifest(index._folder):
                raise GalleryIndexError(
                    f'{folder} holds an index already: load it to add to it, or choose another '
                    'folder.')
            index._folder.mkdir(parents=True, exist_ok=True)
        return index

    @classmethod
    def load(cls,
             folder: PathLike,
             fingerprint: str | None = None,
             *,
             dim: int | None = None,
             device: str | torch.device = 'cpu',
             verify: bool = True) -> 'GalleryIndex':
        """Open an index that was saved; descriptors are mapped, not read into memory.

        Args:
            folder: where it was saved.
            fingerprint: the model that makes the queries; None does not check it.
            dim: length of the queries; None does not check it.
            device: where to search: ``'cpu'`` or a CUDA device.
            verify: whether to read all files once and compare their checksums. Without
                it, only missing files and wrong sizes are noticed.

        Returns:
            GalleryIndex: ready to be searched and added to.

        Raises:
            GalleryIndexError: if there is no index, it is damaged or incomplete, or it was
                made by another model.
            EnvironmentMismatchError: if the kind needs faiss and it is not installed.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        index = cls(manifest, device)
        index._folder, index._stored = folder, True
        if fingerprint is not None:
            index.require_model(fingerprint)
        if dim is not None:
            index._require_dim('queries', dim)
        check_files(folder, manifest, verify)
        dtype = manifest.options.get('dtype', 'float32')
        index._segments = [Segment.open(folder, entry, manifest.dim, dtype)
                            for entry in manifest.segments]
        if manifest.index is not None:
            index._faiss.load(folder / manifest.index['name'])
            index._require_whole()
        return index

    def __len__(self) -> int:
        return len(self._gallery())

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(kind={self.kind!r}, metric={self.metric!r}, '
                f'dim={self.dim}, rows={len(self)}, folder={str(self._folder)!r})')

    @property
    def dim(self) -> int:
        """Length of the descriptors."""
        return self._manifest.dim

    @property
    def kind(self) -> str:
        """Kind of the index."""
        return self._manifest.kind

    @property
    def metric(self) -> str:
        """``'cosine'`` or ``'l2'``."""
        return self._manifest.metric

    @property
    def fingerprint(self) -> str:
        """The model that made the descriptors, empty where unknown."""
        return self._manifest.fingerprint

    @property
    def folder(self) -> Path | None:
        """Where the index is saved, None while it is in memory alone."""
        return self._folder

    @property
    def options(self) -> dict[str, Any]:
        """Options of the kind; a copy, see :meth:`configure`."""
        return dict(self._options)

    @property
    def needs_training(self) -> bool:
        """Whether :meth:`train` must come before :meth:`add`."""
        return self._faiss is not None and self._faiss.needs_training

    def require_model(self, fingerprint: str) -> None:
        """Check which model made the descriptors.

        Args:
            fingerprint: the model that makes the queries.

        Raises:
            GalleryIndexError: if it is another one, or the index does not know.
        """
        if self.fingerprint == fingerprint:
            return
        where = 'this index' if self._folder is None else f'the index in {self._folder}'
        if not self.fingerprint:
            raise GalleryIndexError(
                f'{where} does not say which model made it: build it again with a fingerprint.')
        raise GalleryIndexError(
            f'{where} was made by another model ({self.fingerprint[:12]}, not '
            f'{fingerprint[:12]}): their descriptors cannot be compared, so build it again.')

    def configure(self, **options: int) -> None:
        """Change how thoroughly a search goes.

        Args:
            **options: ``num_probes`` (ivf, ivfpq) or ``ef_search`` (hnsw).

        Raises:
            GalleryIndexError: if the kind has no such option, or it is fixed once the
                index exists.
        """
        chosen = complete_options(self.kind, self.dim, {**self._options, **options})
        for name in options:
            if name not in SEARCH_OPTIONS:
                raise GalleryIndexError(f'{name} is fixed once an index exists.')
        self._options.update(chosen)

    def train(self, descriptors: Array) -> None:
        """Let an index of kind ``'ivf'`` or ``'ivfpq'`` see what descriptors are like.

        Args:
            descriptors: a random sample of the gallery, shape ``(T, D)``, torch or numpy;
                64 for each cell are plenty.

        Raises:
            GalleryIndexError: if the kind is not trained, or is already, or the sample is
                too small or of other dimensions.
        """
        if self.kind not in TRAINED_KINDS:
            raise GalleryIndexError(f'an index of kind "{self.kind}" needs no training.')
        if not self.needs_training:
            raise GalleryIndexError('this index is trained already: create another one.')
        blocks = [self._prepare(block) for block in self._blocks('descriptors', descriptors)]
        self._faiss.train(np.concatenate([np.empty((0, self.dim), np.float32), *blocks]))

    def reserve(self, num_rows: int) -> None:
        """Say how many rows there will be, before they are added.

        Kinds ``'flat'`` and ``'hnsw'`` then never need more memory than the index itself; a
        faiss that does not know copies what it has into a larger place now and then, and
        needs twice as much for a moment. To other kinds it makes no difference, and it is
        no limit to any.

        Args:
            num_rows: rows that the index will hold in the end.

        Raises:
            GalleryIndexError: if it is no whole number from 0.
        """
        if type(num_rows) is not int or num_rows < 0:
            raise GalleryIndexError(f'num_rows must be a whole number from 0, not {num_rows}.')
        if self._faiss is not None:
            self._faiss.reserve(num_rows)

    def add(self,
            descriptors: Array,
            ids: Ids | None = None,
            *,
            identity: Sequence[int] | None = None,
            camera: Sequence[int] | None = None,
            modality: Sequence[int] | None = None) -> None:
        """Add images; all of them, or none if anything is wrong.

        Args:
            descriptors: shape ``(N, D)`` float, torch or numpy; may be an array mapped
                from a file.
            ids: shape ``(N,)``, names by which a user knows the images: paths, usually, or
                whole numbers. None counts them. A name that is added twice is found twice.
            identity: shape ``(N,)`` int, -1 where unknown.
            camera: shape ``(N,)`` int, 0 where unknown.
            modality: shape ``(N,)`` int, 0 visible, 1 infrared, -1 where unknown.

        Raises:
            GalleryIndexError: if the index is not trained, the lengths do not agree, or
                descriptors are of other dimensions.
            ValueError: if descriptors hold NaN or infinity.
        """
        if self.needs_training:
            raise GalleryIndexError(
                f'an index of kind "{self.kind}" is trained before anything is added.')
        self._require_whole()
        num = 0
        for block in self._blocks('descriptors', descriptors):
            num += len(block)
            # Unit rows always fit; past its largest number float16 would make infinity of them.
            if (self._options.get('dtype') == 'float16' and self.metric == 'l2'
                    and bool((block.abs() > 65504).any())):
                raise GalleryIndexError('descriptors hold values too large for float16.')
        annotations = {'identity': identity, 'camera': camera, 'modality': modality}
        # All that can be wrong is found before the first row is written.
        rows, names, ids_are = encode_rows(num, len(self), ids, annotations)
        if num == 0:
            return
        if self._ids not in (None, ids_are):
            kinds = {'text': 'strings', 'number': 'whole numbers'}
            raise GalleryIndexError(
                f'the ids of this index are {kinds[self._ids]}, so they cannot be '
                f'{kinds[ids_are]} now.')
        if self._folder is None:
            self._add_to_memory(descriptors, rows, names)
        else:
            self._add_to_folder(descriptors, rows, names)
        self._ids, self._rows = ids_are, None

    def search(self,
               queries: Array,
               top_k: int = 10,
               *,
               batch: int = 1024) -> tuple[Array, Array]:
        """Find the nearest gallery rows of each query.

        Args:
            queries: shape ``(Q, D)`` float, torch or numpy.
            top_k: number of rows; a smaller gallery gives all of them.
            batch: queries that are compared at once.

        Returns:
            tuple: distances float32 (one minus the cosine, or the squared Euclidean
            distance), nearest first, and row numbers int64, both of shape
            ``(Q, min(top_k, rows))``, numpy or torch on the CPU as ``queries`` was. An
            approximate index of kind ``'hnsw'`` may find fewer: distance infinity, row -1.

        Raises:
            GalleryIndexError: if the gallery is empty or queries are of other dimensions.
            InputError: if queries hold NaN or infinity, or a number is below 1.
        """
        if top_k < 1 or batch < 1:
            raise InputError(f'top_k and batch must be at least 1, got {top_k} and {batch}')
        gallery = self._gallery()
        if len(gallery) == 0:
            raise GalleryIndexError('the gallery is empty: add descriptors before a search.')
        self._require_whole()
        blocks = [self._prepare(block) for block in self._blocks('queries', queries)]
        rows = torch.from_numpy(np.concatenate([np.empty((0, self.dim), np.float32), *blocks]))
        k = min(top_k, len(gallery))
        if self._exact is not None:
            distances, found = self._exact.search(gallery, rows, k, batch)
        else:
            distances, found = self._faiss.search(rows, k, batch)
        if isinstance(queries, torch.Tensor):
            return distances, found
        return distances.numpy(), found.numpy()

    def info(self, rows: Array | None = None) -> GalleryRows:
        """Return names and annotations.

        Args:
            rows: row numbers of any shape, as :meth:`search` gives them; None for all.

        Returns:
            GalleryRows: arrays of that shape.

        Raises:
            GalleryIndexError: if there is no such row.
        """
        wanted = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        self._require_rows(wanted, lowest=-1)
        return self._gallery().take(wanted, self._ids == 'text')

    def descriptors(self, rows: Array) -> np.ndarray:
        """Return descriptors of some rows, of unit length if the metric is the cosine.

        Args:
            rows: row numbers, shape ``(R,)``.

        Returns:
            np.ndarray: shape ``(R, D)`` float32.

        Raises:
            GalleryIndexError: if there is no such row, or the kind does not keep
                descriptors (``'ivf'``, ``'ivfpq'``).
        """
        wanted = np.asarray(rows, np.int64)
        self._require_rows(wanted, lowest=0)
        if self._exact is None:
            return self._faiss.descriptors(wanted)
        found = np.empty((len(wanted), self.dim), np.float32)
        for segment, places, local in self._gallery().locate(wanted):
            found[places] = segment.descriptors[local]
        return found

    def save(self, folder: PathLike | None = None, *, overwrite: bool = False) -> None:
        """Keep the index on disk; it goes on from there.

        Until this returns, the folder holds what was saved before, also if the process is
        killed meanwhile.

        Args:
            folder: where; None for the folder that it was created with or loaded from.
            overwrite: whether ``folder`` may hold another index, which is lost.

        Raises:
            GalleryIndexError: if there is no folder, or it holds another index, or another
                process saved to it since this one loaded it.
        """
        self._require_whole()
        if folder is None and self._folder is None:
            raise GalleryIndexError('this index has no folder yet: name one to save it to.')
        if folder is None or self._folder is not None and (
                Path(folder).resolve() == self._folder.resolve()):
            self._save_here()
        else:
            self._save_to(Path(folder), overwrite)

    def discard(self) -> None:
        """Delete the files of what was added since the last :meth:`save`.

        For an index that is given up: on a full disk they would be in the way of the next
        one. This object cannot be used any more.
        """
        if self._writer is not None:
            self._writer.discard()
        if self._folder is not None:
            self._delete_unsaved(self._folder, self._segments)

    def _delete_unsaved(self, folder: Path, segments: Sequence[Segment]) -> None:
        """Delete the files of segments, and faiss's, that belong to no saved index."""
        made = self._faiss_files | {
            file['name'] for segment in segments for file in segment.entry['files'].values()}
        # Saving may have failed just after it had made them the index of the folder.
        saved = read_manifest(folder).files() if has_manifest(folder) else []
        for name in made - {file['name'] for file in saved}:
            (folder / name).unlink(missing_ok=True)

    def _save_here(self) -> None:
        """Save what was added since the last time, beside what is there."""
        if self._stored and not self._has_changed():
            return
        found = read_manifest(self._folder).revision if has_manifest(self._folder) else None
        if found != (self._manifest.revision if self._stored else None):
            raise GalleryIndexError(
                f'the index in {self._folder} was saved by another process meanwhile: load it '
                'and add again.')
        if self._writer is not None:
            # What was written beside the saved segments becomes one more of them. That may fail,
            # and be tried again.
            self._segments.append(self._writer.finish())
            self._writer = self._rows = None
        self._commit(self._folder)

    def _has_changed(self) -> bool:
        """Tell whether the index differs from what the folder holds."""
        saved = [segment.entry for segment in self._segments] == self._manifest.segments
        return (not saved or self._writer is not None or self._options != self._manifest.options
                or self._faiss is not None and not self.needs_training and self._faiss.changed)

    def _save_to(self, folder: Path, overwrite: bool) -> None:
        """Save everything to another folder, in a single segment."""
        if has_manifest(folder) and not overwrite:
            raise GalleryIndexError(
                f'{folder} holds an index already: name another folder, or pass overwrite=True.')
        folder.mkdir(parents=True, exist_ok=True)
        gallery, segments, writer = self._gallery(), [], None
        try:
            if len(gallery):
                writer = SegmentWriter(folder, self.dim, self._dtype())
                for segment in gallery.segments:
                    self._copy(segment, writer)
                segments = [writer.finish()]
            self._commit(folder, segments)
        except BaseException:
            if writer is not None and not segments:
                writer.discard()
            self._delete_unsaved(folder, segments)
            raise
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _copy(self, segment: Segment, writer: SegmentWriter) -> None:
        """Copy a segment, block by block."""
        step = max(1, ADD_BLOCK // self.dim)
        for start in range(0, len(segment) if self._exact is not None else 0, step):
            stop = min(start + step, len(segment))
            writer.write_descriptors(segment.descriptors[start:stop])
            segment.release(start, stop)
        writer.write_rows(segment.rows, segment.names)

    def _commit(self, folder: Path, segments: list[Segment] | None = None) -> None:
        """Write faiss's file if it changed, then the manifest, which makes all of it valid."""
        moved = segments is not None
        segments = self._segments if segments is None else segments
        entry = self._manifest.index
        if self._faiss is not None and not self.needs_training and (
                moved or entry is None or self._faiss.changed):
            path = folder / f'{secrets.token_hex(8)}.faiss'
            self._faiss_files.add(path.name)
            self._faiss.write(path)
            entry = file_entry(path)
        manifest = Manifest(self.kind, self.metric, self.dim, self.fingerprint, self._ids,
                            dict(self._options), [segment.entry for segment in segments], entry)
        self._manifest = write_manifest(folder, manifest)
        self._segments, self._rows = list(segments), None
        self._folder, self._stored = folder, True
        if self._faiss is not None:
            self._faiss.changed = False

    def _add_to_memory(self, descriptors: Array, rows: np.ndarray, names: bytes) -> None:
        """Keep rows in memory until they are saved."""
        held = None
        if self._exact is not None:
            held = np.empty((len(rows), self.dim), self._dtype())
        start = 0
        for block in self._blocks('descriptors', descriptors):
            if held is None:
                self._faiss.add(self._prepare(block))
            else:
                held[start:start + len(block)] = self._prepare(block)
            start += len(block)
        self._segments.append(Segment(rows, np.frombuffer(names, np.uint8), held))

    def _add_to_folder(self, descriptors: Array, rows: np.ndarray, names: bytes) -> None:
        """Write rows to the folder, and take them back if anything fails on the way."""
        if self._writer is None:
            self._writer = SegmentWriter(self._folder, self.dim, self._dtype())
        before = self._writer.mark()
        try:
            self._writer.write_rows(rows, names)
            for block in self._blocks('descriptors', descriptors):
                if self._exact is not None:
                    self._writer.write_descriptors(self._prepare(block))
                else:
                    self._faiss.add(self._prepare(block))
        except BaseException:
            # Ctrl-C too: rows without descriptors would shift all that follow.
            self._writer.restore(before)
            self._rows = None
            raise

    def _blocks(self, name: str, array: Array) -> Iterator[torch.Tensor]:
        """Yield finite descriptors of the right length in float32."""
        if not isinstance(array, torch.Tensor):
            array = np.asarray(array)
        if array.ndim != 2:
            raise GalleryIndexError(
                f'{name} must be of shape (rows, dimensions), not {tuple(array.shape)}.')
        self._require_dim(name, array.shape[1])
        step = max(1, ADD_BLOCK // self.dim)
        for start in range(0, len(array), step):
            block = array[start:start + step]
            if isinstance(block, np.ndarray):
                # A copy: the array may be mapped from a file that must not change.
                block = np.array(block, np.float32)
            yield float_rows(name, block).cpu()

    def _prepare(self, block: torch.Tensor) -> np.ndarray:
        """Give descriptors unit length if the metric is the cosine."""
        if self.metric == 'cosine':
            # In double precision, so that it does not depend on the rows around it.
            norm = torch.linalg.vector_norm(block, dim=1, keepdim=True, dtype=torch.float64)
            block = block / norm.clamp_(min=1e-30).float()
        return block.numpy()

    def _gallery(self) -> SegmentList:
        """Return all rows, those not yet saved too."""
        if self._rows is None:
            growing = []
            if self._writer is not None and len(self._writer):
                growing = [self._writer.segment()]
            self._rows = SegmentList([*self._segments, *growing])
        return self._rows

    def _dtype(self) -> str | None:
        """Type of the descriptors in the segments, None where faiss holds them."""
        return self._options['dtype'] if self._exact is not None else None

    def _require_dim(self, name: str, dim: int) -> None:
        """Check the length of descriptors."""
        if dim != self.dim:
            raise GalleryIndexError(
                f'this index holds descriptors of {self.dim} dimensions, but {name} have {dim}.')

    def _require_rows(self, rows: np.ndarray, lowest: int) -> None:
        """Check that rows exist."""
        if rows.size and not (lowest <= rows.min() and rows.max() < len(self)):
            wrong = rows.min() if rows.min() < lowest else rows.max()
            raise GalleryIndexError(f'there is no row {wrong} in an index of {len(self)} rows.')

    def _require_whole(self) -> None:
        """Check that faiss holds one descriptor for each row."""
        if self._faiss is not None and len(self._faiss) != len(self):
            raise GalleryIndexError(
                f'this index holds {len(self._faiss)} descriptors for {len(self)} images, '
                'because adding failed halfway or a file is another one\'s: load it again.')
