"""The graph of CIFT: who sends features to whom, and how much."""

import torch
from torch import Tensor

from mmvireid.structures import Modality

from ..utils import at_least_float32, unit_rows, without_autocast

#: Direction of transfer -> modality of its queries. 'r2i' searches infrared
#: galleries for visible queries.
QUERY_MODALITY = {'r2i': Modality.VISIBLE, 'i2r': Modality.INFRARED}


def transfer_affinity(features: Tensor,
                      is_query: Tensor,
                      *,
                      tau_het: float = 0.2,
                      tau_hom: float = 0.4,
                      num_neighbors: int = 4,
                      self_edges: bool = True) -> Tensor:
    """Compute the affinity of homogeneous and heterogeneous feature transfer.

    Every query forms a graph of its own together with the whole gallery: a query
    receives from the gallery and from itself, a gallery node from the gallery,
    itself included, and nobody from another query. One masked matrix over all
    nodes therefore equals the graphs of the single queries (CIFT, arXiv
    2208.00967, section 3.2).

    In each row the ``num_neighbors`` largest cosines are kept and weighted by
    ``exp(cosine / temperature)``, normalised to a sum of one. Gradient flows
    through the weights; the choice of neighbours is constant. Neighbours are
    chosen by position, so ties never empty a row, and a row with fewer candidates
    keeps all of them.

    Args:
        features: node features of shape ``(N, D)``, of any length; leading axes, as
            in ``(T, N, D)``, are independent graphs.
        is_query: shape ``(N,)``, True for queries, False for gallery nodes.
        tau_het: temperature of heterogeneous edges, the rows of the queries.
        tau_hom: temperature of homogeneous edges, the rows of the gallery.
        num_neighbors: entries kept in a row, the self edge among them.
        self_edges: False removes the diagonal, which gives the mask of the
            counterfactual graph: ``num_neighbors`` other gallery nodes.

    Returns:
        Affinity of shape ``(N, N)`` (or ``(T, N, N)``), rows receive, columns send.
        A row without any candidate is zero.

    Examples:
        A query and two gallery images. The query receives from both and from itself; the
        gallery images, at right angles, from each other by ``exp(0)``; nobody from the query.

        >>> import torch
        >>> from mmvireid.models import transfer_affinity
        >>> features = torch.tensor([[1., 1.], [2., 0.], [0., 3.]])
        >>> affinity = transfer_affinity(features, is_query=torch.tensor([True, False, False]))
        >>> affinity
        tensor([[0.6838, 0.1581, 0.1581],
                [0.0000, 0.9241, 0.0759],
                [0.0000, 0.0759, 0.9241]])
        >>> transferred = affinity @ features
    """
    is_query = is_query.bool()
    with without_autocast(features):
        # Temperatures of a fifth turn a small error of a cosine into a large one of a weight.
        directions = unit_rows(at_least_float32(features))
        cosine = directions @ directions.transpose(-1, -2)
        allowed = edge_mask(is_query, self_edges=self_edges)
        # A row has one kind of edges: what a query receives is heterogeneous, its own edge
        # included, as the paper's graph of a single query has it.
        temperature = torch.full_like(is_query, tau_hom, dtype=cosine.dtype)
        temperature = temperature.masked_fill(is_query, tau_het)
        return sparse_softmax(cosine, allowed, temperature, num_neighbors)


def edge_mask(is_query: Tensor, *, self_edges: bool = True) -> Tensor:
    """Tell which node may send to which.

    Args:
        is_query: shape ``(N,)`` bool.
        self_edges: whether a node sends to itself.

    Returns:
        Bool of shape ``(N, N)``; entry (i, j) is True if i may receive from j.
    """
    n = len(is_query)
    itself = torch.eye(n, dtype=torch.bool, device=is_query.device)
    from_gallery = (~is_query).expand(n, n)
    return from_gallery | itself if self_edges else from_gallery & ~itself


def sparse_softmax(score: Tensor, allowed: Tensor, temperature: Tensor, k: int) -> Tensor:
    """Normalise the ``k`` largest allowed entries of each row, zero elsewhere.

    Args:
        score: shape ``(..., N, M)``.
        allowed: bool of shape ``(N, M)``.
        temperature: divides the scores of each row, shape ``(N,)``.
        k: entries kept in a row.

    Returns:
        Weights of the shape of ``score``; each row sums to one, or to zero where
        nothing is allowed.
    """
    # A row with fewer than k candidates is filled up with entries of minus infinity, which get
    # weight zero below.
    masked = score.masked_fill(~allowed, -torch.inf)
    value, column = masked.topk(min(k, score.shape[-1]), dim=-1)
    weight = softmax_of_kept(value, temperature[:, None])
    # The columns are integers without gradient; it flows through the weights alone.
    return torch.zeros_like(score).scatter(-1, column, weight)


def softmax_of_kept(value: Tensor, temperature: Tensor) -> Tensor:
    """Take the softmax of the finite entries of each row.

    Entries are dropped by selection: were they multiplied by zero, one infinite or
    undefined score would spoil its row, and with it the gradient of all rows.

    Args:
        value: shape ``(..., K)``; entries of minus infinity are not there.
        temperature: of a shape that broadcasts against ``value``.

    Returns:
        Weights of the shape of ``value``.
    """
    kept = value > -torch.inf
    # The lowest finite number, not minus infinity: a row without any entry would be
    # infinity minus infinity in the softmax. It comes out even there, and is cleared last.
    lowest = torch.finfo(value.dtype).min
    logit = (value.masked_fill(~kept, 0) / temperature).masked_fill(~kept, lowest)
    return logit.softmax(-1).masked_fill(~kept, 0)
