"""Feature transfer for a whole gallery, without its dense affinity."""

import torch
from torch import Tensor

from mmvireid.search import topk

from ..utils import at_least_float32, unit_rows
from .affinity import softmax_of_kept


@torch.no_grad()
def transfer_features(query: Tensor,
                      gallery: Tensor,
                      *,
                      tau_het: float = 0.2,
                      tau_hom: float = 0.4,
                      num_neighbors: int = 4,
                      block_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Send the gallery's features along the graph of CIFT.

    The result equals ``transfer_affinity(nodes, is_query) @ nodes`` on all nodes, but a
    row of that matrix has ``num_neighbors`` entries, so only these are ever kept: memory
    is ``block_size x G`` instead of ``(Q + G) ** 2``. No query affects the gallery or
    another query.

    Args:
        query: shape ``(Q, D)``.
        gallery: shape ``(G, D)``.
        tau_het: temperature of the queries' edges.
        tau_hom: temperature of the gallery's edges.
        num_neighbors: entries kept in a row, the self edge among them.
        block_size: rows whose similarities to the gallery are held at once; None for the
            choice of :func:`mmvireid.search.topk`.

    Returns:
        Transferred queries of shape ``(Q, D)`` and gallery of shape ``(G, D)``.

    Raises:
        ValueError: if the gallery is empty, or a feature is not finite.

    Examples:
        >>> import torch
        >>> from mmvireid.models import transfer_affinity, transfer_features
        >>> query, gallery = torch.rand(2, 8), torch.rand(20, 8)
        >>> query_out, gallery_out = transfer_features(query, gallery)
        >>> nodes = torch.cat([query, gallery])
        >>> dense = transfer_affinity(nodes, is_query=torch.arange(22) < 2) @ nodes
        >>> torch.allclose(torch.cat([query_out, gallery_out]), dense, atol=1e-5)
        True
    """
    return (transfer_queries(query, gallery, tau_het=tau_het, num_neighbors=num_neighbors,
                             block_size=block_size),
            transfer_gallery(gallery, tau_hom=tau_hom, num_neighbors=num_neighbors,
                             block_size=block_size))


@torch.no_grad()
def transfer_gallery(gallery: Tensor,
                     *,
                     tau_hom: float = 0.4,
                     num_neighbors: int = 4,
                     block_size: int | None = None) -> Tensor:
    """Send the gallery's features along the graph; the queries have no part in it.

    Args:
        gallery: shape ``(G, D)``.
        tau_hom: temperature of the gallery's edges.
        num_neighbors: entries kept in a row, the self edge among them.
        block_size: as in :func:`transfer_features`.

    Returns:
        Shape ``(G, D)``.

    Raises:
        ValueError: if the gallery is empty, or a feature is not finite.
    """
    gallery = at_least_float32(gallery)
    # Every node is among its own neighbours, at cosine one: the self edge comes with the search.
    direction = unit_rows(gallery)
    cosine, column = topk(direction, direction, num_neighbors, chunk_size=block_size)
    return _messages(softmax_of_kept(cosine, cosine.new_tensor(tau_hom)), column, gallery)


@torch.no_grad()
def transfer_queries(query: Tensor,
                     gallery: Tensor,
                     *,
                     tau_het: float = 0.2,
                     num_neighbors: int = 4,
                     block_size: int | None = None) -> Tensor:
    """Send the gallery's features to the queries.

    Args:
        query: shape ``(Q, D)``.
        gallery: shape ``(G, D)``, as the model gives it, not transferred.
        tau_het: temperature of the queries' edges.
        num_neighbors: entries kept in a row, the self edge among them.
        block_size: as in :func:`transfer_features`.

    Returns:
        Shape ``(Q, D)``.

    Raises:
        ValueError: if the gallery is empty, or a feature is not finite.
    """
    query, gallery = at_least_float32(query), at_least_float32(gallery)
    gallery_direction, query_direction = unit_rows(gallery), unit_rows(query)
    cosine, column = topk(query_direction, gallery_direction, num_neighbors, chunk_size=block_size)
    # A query is in no gallery, so its self edge joins the found ones here. It stands first and
    # the sort is stable, so a gallery image that equals the query comes after it.
    itself = query_direction.float().square().sum(1, keepdim=True)
    cosine, position = torch.cat([itself, cosine], dim=1).sort(
        stable=True, dim=1, descending=True)
    cosine, position = cosine[:, :num_neighbors], position[:, :num_neighbors]
    weight = softmax_of_kept(cosine, cosine.new_tensor(tau_het))
    # Position 0 is the query itself, so a neighbour's column stands one further on.
    is_self = position == 0
    column = column.gather(1, (position - 1).clamp(min=0))
    # Clamped columns of the self edge fetch any gallery image; its weight here is zero.
    query_out = _messages(weight.masked_fill(is_self, 0), column, gallery)
    return query_out + (weight * is_self).sum(1, keepdim=True) * query


def _messages(weight: Tensor, column: Tensor, features: Tensor) -> Tensor:
    """Sum weighted rows, one neighbour after another: ``(B, K, D)`` never exists."""
    out = weight[:, :1] * features[column[:, 0]]
    for k in range(1, weight.shape[1]):
        out = torch.addcmul(out, weight[:, k:k + 1].to(out.dtype), features[column[:, k]])
    return out
