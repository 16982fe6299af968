"""CIFT's inference as a step on a retrieval result."""

from typing import Optional

import numpy as np
from torch import Tensor

from mmvireid.registry import TASK_UTILS
from mmvireid.structures import Modality, RetrievalResult

from ..utils import unit_rows
from .affinity import QUERY_MODALITY
from .gallery_graph import transfer_gallery, transfer_queries


@TASK_UTILS.register_module()
class GraphTransfer:
    """Send the gallery's features along CIFT's graph, then rank by cosine.

    The direction follows from the queries: infrared queries use the descriptor and
    graph of 'i2r', visible ones of 'r2i' (CIFT, arXiv 2208.00967, section 3.2). Each
    query forms its own graph with the whole gallery, so no query affects another. The
    outcome is a property of query and gallery set: report it apart from descriptors
    of single images.

    Use it where the protocol forms a gallery, like re-ranking; images that a camera
    rule later removes from a ranking are nodes of the graph nevertheless.

    The settings of the graph are not taken from the model, of which only descriptors
    come this far. The defaults are those of :class:`mmvireid.models.CIFTHead`; a model
    that was trained with others, as by ``model.head.tau_het``, needs them here too, in
    ``rankings`` of the config: ``dict(type='GraphTransfer', tau_het=...)``. The command
    lines warn where they differ.

    Args:
        tau_het: temperature of the queries' edges, as trained.
        tau_hom: temperature of the gallery's edges, as trained.
        num_neighbors: entries kept in a row of the affinity, as trained.
        block_size: rows whose similarities to the gallery are held at once, each 4 MB
            for a million gallery images; None for the choice of the search.
    """

    def __init__(self,
                 tau_het: float = 0.2,
                 tau_hom: float = 0.4,
                 num_neighbors: int = 4,
                 block_size: Optional[int] = None) -> None:
        self.graph = {'tau_het': tau_het, 'tau_hom': tau_hom, 'num_neighbors': num_neighbors}
        self.block_size = block_size

    def __call__(self, result: RetrievalResult) -> RetrievalResult:
        """Rank again after the transfer.

        Args:
            result: queries of one modality and a gallery, both with the descriptor of
                the direction.

        Returns:
            The same images under the cosine distance of transferred features.

        Raises:
            ValueError: if the queries are of both modalities.
            KeyError: if the model has no descriptor for this direction.
        """
        direction = query_direction(result.query.modality)
        for images in (result.query, result.gallery):
            if direction not in images.descriptors:
                raise KeyError(
                    f'the graph of CIFT needs the descriptor "{direction}", the model gives '
                    f'{sorted(images.descriptors)}: use a CIFTHead with this direction')
        gallery = result.gallery.descriptors[direction]
        query = self.query_rows(result.query.descriptors[direction], gallery)
        return result.with_distance(1 - query @ self.gallery_rows(gallery).T)

    def gallery_rows(self, gallery: Tensor) -> Tensor:
        """Compute what all queries are compared with, once for a gallery that stays.

        Args:
            gallery: shape ``(G, D)``, descriptors of the direction.

        Returns:
            Shape ``(G, D)``, unit rows.
        """
        return unit_rows(transfer_gallery(
            gallery, tau_hom=self.graph['tau_hom'], num_neighbors=self.graph['num_neighbors'],
            block_size=self.block_size))

    def query_rows(self, query: Tensor, gallery: Tensor) -> Tensor:
        """Compute what is compared with :meth:`gallery_rows`.

        Args:
            query: shape ``(Q, D)``, descriptors of the direction.
            gallery: shape ``(G, D)``, descriptors of the direction, not transferred.

        Returns:
            Shape ``(Q, D)``, unit rows.
        """
        return unit_rows(transfer_queries(
            query, gallery, tau_het=self.graph['tau_het'],
            num_neighbors=self.graph['num_neighbors'], block_size=self.block_size))


def query_direction(modality: np.ndarray) -> str:
    """Name the direction of transfer for queries of one modality.

    Args:
        modality: shape ``(Q,)``.

    Returns:
        'r2i' for visible queries, 'i2r' for infrared ones.

    Raises:
        ValueError: if there are no queries, or queries of both modalities.
    """
    present = np.unique(modality)
    if len(present) != 1:
        raise ValueError(
            'the graph of CIFT needs queries of one modality, got '
            f'{[Modality(m).name.lower() for m in present]}: search for each modality apart')
    return next(name for name, queries in QUERY_MODALITY.items() if queries == present[0])
