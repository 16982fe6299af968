"""Exact neighbours of a set among itself, at the speed that the arithmetic allows.

On CPU three things make it cheaper than a general search, and none makes it approximate:

* the product of a set with itself is symmetric, so each block above the diagonal serves its
  rows and, read by columns, the rows below the diagonal;
* where the processor multiplies bfloat16 natively, blocks are formed in bfloat16. Their error
  is bounded by Cauchy-Schwarz from the rounding errors actually made, and every image whose
  score comes within twice that bound of the k-th best is kept as a candidate; the true
  neighbours are always among them;
* candidates are scored again in float32, and the neighbours are chosen from these scores.

Several processes can share the work: each searches the neighbours of its share of the images
among all, and the lists are gathered.
"""

import numpy as np
import torch
import torch.distributed as torch_dist

from mmvireid.utils.precision import full_precision
from mmvireid.utils.processes import complete_rows, num_processes

from .selection_kernel import merge_block, merge_columns
from .self_search_kernel import collect_columns, collect_rows, score_candidates
from .topk import topk

#: Rows and columns of one block of products: 16 MiB of float32.
BLOCK = 2048
#: Candidates that a row can hold per group; a row with more is searched in float32.
CAPACITY = 512
#: Below this many images blocks are too few for symmetry to pay, or for sharing them out.
SYMMETRY_FROM = 512

Neighbors = tuple[torch.Tensor, torch.Tensor]


def self_topk(features: torch.Tensor,
              k: int,
              *,
              groups: np.ndarray | None = None,
              metric: str = 'inner_product',
              backend: str = 'torch',
              low_precision: bool | None = None,
              distributed: bool = False) -> list[Neighbors]:
    """Find the ``k`` nearest images of each image, in each group apart.

    The result is that of :func:`mmvireid.search.topk` of all images with the images of a
    group; a group is a modality, for example, or a camera.

    With ``distributed`` and several processes, each searches a share of the rows and all
    end with the same lists. Those of ``'torch'`` on CPU are to the last bit what one
    process finds: shares are whole blocks, so the same products are formed. With other
    backends and on a GPU products may round differently in blocks of another size.

    Args:
        features: shape ``(N, D)`` float32, finite, torch (CPU or CUDA).
        k: number of neighbours, the image itself included; a group with fewer images
            gives all of them.
        groups: shape ``(N,)`` int, None for a single group.
        metric: ``'inner_product'`` or ``'l2'`` (squared Euclidean distance).
        backend: a backend of :func:`mmvireid.search.topk`; ``'torch'`` on CPU uses
            symmetry.
        low_precision: whether to form candidates in bfloat16; None where the processor
            does so natively.
        distributed: share the rows out over the processes of ``torch.distributed``. Then
            all of them have to call, with the same arguments; a process that calls alone
            would wait for the others.

    Returns:
        list: for each group, ascending, scores float32 and indices int64 into
        ``features``, both of shape ``(N, min(k, size))``, nearest first, equal scores by
        index.

    Examples:
        The nearest visible image of each image, and the nearest infrared one:

        >>> import numpy as np
        >>> import torch
        >>> from mmvireid.search import self_topk
        >>> features = torch.tensor([[1., 0.], [.8, .6], [0., 1.]])
        >>> found = self_topk(features, k=1, groups=np.array([0, 1, 1]))
        >>> [indices.ravel().tolist() for scores, indices in found]
        [[0, 0, 0], [1, 1, 2]]
    """
    if groups is None:
        members = [np.arange(len(features))]
    else:
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    distributed = distributed and num_processes() > 1 and len(features) >= SYMMETRY_FROM
    if backend == 'torch' and not features.is_cuda and len(features) >= SYMMETRY_FROM:
        if low_precision is None:
            low_precision = multiplies_bfloat16()
        with full_precision(features):
            return _symmetric(features, members, k, metric, low_precision, distributed)
    if distributed:
        return _shared(features, members, k, metric, backend)
    found = []
    for rows in members:
        rows = torch.from_numpy(rows).to(features.device)
        gallery = features if len(rows) == len(features) else features[rows]
        scores, indices = topk(features, gallery, k, metric=metric, backend=backend)
        found.append((scores, rows[indices]))
    return found


def multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for bfloat16 products."""
    return any(
        getattr(torch.cpu, name, bool)()
        for name in ('_is_avx512_bf16_supported', '_is_amx_tile_supported'))


def _shared(features, members, k, metric, backend):
    """Search this process's share of the rows in a general way; gather the lists."""
    num = len(features)
    bounds = _share_bounds(np.arange(num + 1), num_processes())
    rank = torch_dist.get_rank()
    own = slice(bounds[rank], bounds[rank + 1])
    found = []
    for rows in members:
        rows = torch.from_numpy(rows).to(features.device)
        gallery = features if len(rows) == num else features[rows]
        scores = features.new_empty(num, min(k, len(rows)))
        indices = torch.empty(scores.shape, dtype=torch.int64, device=features.device)
        if own.start < own.stop:
            scores[own], nearest = topk(features[own], gallery, k, metric=metric,
                                        backend=backend)
            indices[own] = rows[nearest]
        found.append((scores, indices))
    # After all searches: no process waits for another between two groups.
    for scores, indices in found:
        complete_rows(scores, bounds)
        complete_rows(indices, bounds)
    return found


def _share_bounds(edges, num_shares):
    """Cut rows into shares of about the same size, at some of the given edges."""
    even = np.linspace(edges[0], edges[-1], num_shares + 1)
    return [int(edges[np.abs(edges - cut).argmin()]) for cut in even]


def _symmetric(features, members, k, metric, low_precision, distributed):
    """Search the blocks on and above the diagonal; see the module's text."""
    num = len(features)
    # Group after group, so that a block's columns are of one group.
    order = np.concatenate(members)
    sizes = [len(rows) for rows in members]
    ordered = features
    if not np.array_equal(order, np.arange(num)):
        ordered = features[torch.from_numpy(order)]
    bias = np.zeros(num, np.float32)
    if metric == 'l2':
        bias = -0.5 * ordered.square().sum(1).numpy()
    search = _search_bfloat16 if low_precision else _search_float32
    if distributed:
        # Shares end where blocks end: then every process forms the very products that a
        # single one would, and the result is the same to the last bit.
        edges = np.array([0] + [stop for _, _, stop in _blocks(sizes)])
        bounds = _share_bounds(edges, num_processes())
        rank = torch_dist.get_rank()
        found = search(ordered, bias, sizes, k, range(bounds[rank], bounds[rank + 1]))
        for scores, indices in found:
            complete_rows(torch.from_numpy(scores), bounds)
            complete_rows(torch.from_numpy(indices), bounds)
    else:
        found = search(ordered, bias, sizes, k, range(num))

    # Back to the order of the caller, rows as well as the images that the indices mean.
    result = []
    inverse = torch.empty(num, dtype=torch.int64)
    inverse[torch.from_numpy(order)] = torch.arange(num)
    for scores, indices in found:
        scores = torch.from_numpy(scores)[inverse]
        indices = torch.from_numpy(order[indices])[inverse]
        if metric == 'l2':
            # Searched by q . g - |g|^2 / 2; the distance is |q|^2 minus twice that.
            squares = features.square().sum(1, keepdim=True)
            scores = squares.sub(scores, alpha=2).clamp_(min=0)
        result.append((scores, indices))
    return result


def _blocks(sizes):
    """Yield ``(group, start, stop)`` of consecutive blocks that keep within a group."""
    first = 0
    for group, size in enumerate(sizes):
        for start in range(first, first + size, BLOCK):
            yield group, start, min(start + BLOCK, first + size)
        first += size


def _products(rows, sizes, own):
    """Yield block pairs on and above the diagonal with their float32 products.

    Blocks come in ascending order for a row as for a column, so that entries arrive in the
    order of their index, which is the tie rule of the selection. Only pairs that serve an
    own block are formed; with each come two flags, whether it serves its rows and whether,
    read by columns, it serves those.
    """
    blocks = list(_blocks(sizes))
    # One buffer for all products, in the type of the rows: the system would have to clear
    # fresh memory for each.
    products = rows.new_empty(BLOCK * BLOCK)
    scores = torch.empty(BLOCK * BLOCK)
    for number, upper in enumerate(blocks):
        for right in blocks[number:]:
            serves = upper[1] in own, right != upper and right[1] in own
            if not any(serves):
                continue
            part, images = rows[upper[1]:upper[2]], rows[right[1]:right[2]]
            shape = (len(part), len(images))
            block = products[:shape[0] * shape[1]].view(shape)
            torch.mm(part, images.T, out=block)
            if block.dtype == torch.float32:
                yield upper, right, block.numpy(), *serves
            else:
                wide = scores[:shape[0] * shape[1]].view(shape)
                yield upper, right, wide.copy_(block).numpy(), *serves


def _search_float32(rows, bias, sizes, k, own):
    """Select from float32 blocks directly, for the rows of ``own``, which are whole blocks."""
    found = [(np.full((len(rows), min(k, size)), -np.inf, np.float32),
              np.full((len(rows), min(k, size)), -1, np.int64)) for size in sizes]
    for (group, top, bottom), (other, left, right), block, by_rows, by_columns in _products(
            rows, sizes, own):
        if by_rows:
            scores, indices = found[other]
            merge_block(block, bias[left:right], left, scores[top:bottom], indices[top:bottom])
        if by_columns:
            scores, indices = found[group]
            merge_columns(block, bias[top:bottom], top, scores[left:right], indices[left:right])
    return found


def _search_bfloat16(rows, bias, sizes, k, own):
    """Collect candidates from bfloat16 blocks, then score them in float32."""
    num, dim = rows.shape
    rounded = rows.bfloat16()
    margin = _error_bound(rows, rounded, dim)
    # For each group the state of every row, as self_search_kernel describes it.
    best, cut, count = [], [], []
    scores = [np.empty((num, CAPACITY), np.float32) for _ in sizes]
    indices = [np.empty((num, CAPACITY), np.int32) for _ in sizes]
    for size in sizes:
        best.append(np.full((num, min(k, size)), -np.inf, np.float32))
        cut.append(np.full(num, -np.inf, np.float32))
        count.append(np.zeros(num, np.int64))
    state = list(zip(best, cut, count, scores, indices))
    for (group, top, bottom), (other, left, right), block, by_rows, by_columns in _products(
            rounded, sizes, own):
        if by_rows:
            part = [array[top:bottom] for array in state[other]]
            collect_rows(block, bias[left:right], left, margin[top:bottom], *part)
        if by_columns:
            part = [array[left:right] for array in state[group]]
            collect_columns(block, bias[top:bottom], top, margin[left:right], *part)

    found, first = [], 0
    for size, (_, cuts, counts, approximate, candidates) in zip(sizes, state):
        exact = np.full((num, min(k, size)), -np.inf, np.float32)
        chosen = np.full((num, min(k, size)), -1, np.int64)
        score_candidates(rows.numpy(), bias, cuts, counts, approximate, candidates, exact, chosen)
        # Block by block: the same products, whatever else this process searches.
        for _, start, stop in _blocks(sizes):
            crowded = start + np.flatnonzero(counts[start:stop] < 0)
            if len(crowded):
                _search_rows(rows, bias, crowded, first, size, exact, chosen)
        found.append((exact, chosen))
        first += size
    return found


def _error_bound(rows, rounded, dim):
    """Bound ``|bfloat16 product - exact product|`` of each row with any other row.

    With ``f = r + e``, ``r`` the rounded row, the product of two rows is off by at most
    ``|e_i| |f_j| + |r_i| |e_j|``; accumulating in float32 adds at most ``dim`` units of its
    last place, relative to ``|r_i| |r_j|``; rounding the sum to bfloat16 adds half a unit of
    the last of 8 bits.
    """
    # Of the errors actually made, not the largest that rounding could make: the smaller the
    # bound, the fewer candidates have to be scored again.
    norm, rounded_norm, error = (torch.empty(len(rows)) for _ in range(3))
    for start in range(0, len(rows), BLOCK):
        part, rough = rows[start:start + BLOCK], rounded[start:start + BLOCK].float()
        norm[start:start + BLOCK] = part.norm(dim=1)
        rounded_norm[start:start + BLOCK] = rough.norm(dim=1)
        error[start:start + BLOCK] = rough.sub_(part).norm(dim=1)
    longest, widest, worst = norm.max(), rounded_norm.max(), error.max()
    # Twice dim units: the sum of the products, and whatever order it is formed in.
    accumulated = 2 * dim * 2.0**-24 * rounded_norm * widest
    largest = rounded_norm * widest + accumulated
    # Numbers up to 2^e lie 2^(e - 8) apart in bfloat16, and those at most 2^(e - 9) above
    # round down to 2^e: unit rows, whose largest product is about 1, count as e = 0.
    exponent = torch.ceil(torch.log2((largest / (1 + 2.0**-9)).clamp(min=2.0**-120)))
    last = torch.exp2(exponent - 9)
    # One part in ten thousand for the rounding of the bound, one in a million of the scores
    # for that of the bias added to them.
    bound = error * longest + rounded_norm * worst + accumulated + last
    return (bound * (1 + 1e-4) + 1e-6 * longest * (norm + longest)).numpy()


def _search_rows(rows, bias, wanted, first, size, exact, chosen):
    """Search some rows of a block in float32, those with more candidates than fit."""
    gallery, offset = rows[first:first + size], bias[first:first + size]
    scores = np.full((len(wanted), exact.shape[1]), -np.inf, np.float32)
    indices = np.full((len(wanted), exact.shape[1]), -1, np.int64)
    queries = rows[torch.from_numpy(wanted)]
    for left in range(0, size, 4 * BLOCK):
        block = queries @ gallery[left:left + 4 * BLOCK].T
        merge_block(block.numpy(), offset[left:left + 4 * BLOCK], first + left, scores, indices)
    exact[wanted], chosen[wanted] = scores, indices
