"""CIFT's inference as a scorer."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmvireid.evaluation.rankings import CosineGallery, PreparedGallery, Scorer
from mmvireid.registry import RANKERS
from mmvireid.structures import ImageSet, Modality

from ..utils import unit_rows
from .affinity import QUERY_MODALITY, transfer_affinity
from .gallery_graph import transfer_gallery, transfer_queries
from .settings import graph_settings

_DIRECTION = {modality: direction for direction, modality in QUERY_MODALITY.items()}


@RANKERS.register_module()
class GraphTransfer(Scorer):
    """Send the gallery's features along CIFT's graph, then compare by cosine.

    The direction follows from the queries: infrared queries use the descriptor and
    graph of 'i2r', visible ones of 'r2i' (CIFT, arXiv 2208.00967, section 3.2). Each
    query forms its own graph with the whole gallery, so no query affects another. The
    outcome is a property of query and gallery set: report it apart from descriptors
    of single images. Images that a camera rule later removes from a ranking are nodes of the
    graph nevertheless.

    Args:
        graph: ``tau_het``, ``tau_hom`` and ``num_neighbors`` as trained, see
            :class:`GraphSettings`. In a config it is the reference
            ``'${model.head.graph}'``, so that they are written once; None takes the paper's
            values.
        block_size: rows whose similarities to the gallery are held at once, each 4 MB
            for a million gallery images; None for the choice of the search.

    Raises:
        ValueError: for a setting of another name.

    Examples:
        >>> from mmvireid.models import GraphTransfer
        >>> from mmvireid.structures import Modality
        >>> scorer = GraphTransfer(dict(tau_het=0.3))
        >>> scorer.descriptors_for(Modality.INFRARED), scorer.graph['tau_hom']
        (('i2r',), 0.4)
    """

    uses: ClassVar[frozenset[str]] = frozenset({'gallery'})

    def __init__(self,
                 graph: Mapping[str, float] | None = None,
                 block_size: int | None = None) -> None:
        self.graph = graph_settings(graph)
        self.block_size = block_size

    def descriptors_for(self, modality: Modality) -> tuple[str, ...]:
        """Name the descriptor of the direction, ``r2i`` for visible queries."""
        return (_DIRECTION[modality], )

    def prepare(self, gallery: ImageSet, modality: Modality) -> PreparedGallery:
        """Transfer the gallery's features among themselves; no query has a part in it."""
        direction = _DIRECTION[modality]
        rows = gallery.descriptors[direction]

        def query_rows(query: ImageSet) -> Tensor:
            # Queries receive what the gallery was before its own transfer.
            return unit_rows(transfer_queries(
                query.descriptors[direction], rows, tau_het=self.graph['tau_het'],
                num_neighbors=self.graph['num_neighbors'], block_size=self.block_size))

        return CosineGallery(unit_rows(transfer_gallery(
            rows, tau_hom=self.graph['tau_hom'], num_neighbors=self.graph['num_neighbors'],
            block_size=self.block_size)), query_rows)

    def affinity(self, images: ImageSet, modality: Modality) -> Tensor:
        """Compute the graph of a few images, for pictures.

        Args:
            images: N images with the descriptor of the direction.
            modality: the images of this modality are the queries, the others the gallery.

        Returns:
            Shape ``(N, N)``; a row is what an image receives from every other.
        """
        features = images.descriptors[_DIRECTION[modality]].float().cpu()
        return transfer_affinity(
            features, torch.from_numpy(images.modality == modality), **self.graph)
