"""What may follow a scorer: steps from a result to a result with better distances."""

from typing import ClassVar

from mmvireid.registry import RANKERS
from mmvireid.structures import RetrievalResult

from .functional import k_reciprocal_rerank


@RANKERS.register_module()
class KReciprocalReRanking:
    """Re-rank a result by k-reciprocal neighbours (Zhong et al., CVPR 2017).

    Queries and gallery of a trial are encoded together, so the result depends on all
    queries; report it apart from single-image descriptors.

    Args:
        k1: number of neighbours for the k-reciprocal set.
        k2: number of neighbours for query expansion.
        lambda_value: weight of the original distance, in [0, 1].

    Examples:
        >>> from mmvireid.registry import METRICS
        >>> metric = METRICS.build(dict(type='mmvireid.RegDBMetric', rankings=dict(
        ...     base=dict(descriptor='base'),
        ...     re_ranked=dict(descriptor='base', post=[
        ...         dict(type='KReciprocalReRanking', k1=20, k2=6)]))))
        >>> metric.rankings['re_ranked'].transductive
        True
    """

    uses: ClassVar[frozenset[str]] = frozenset({'queries', 'gallery'})

    def __init__(self, k1: int = 20, k2: int = 6, lambda_value: float = 0.3) -> None:
        self.k1, self.k2, self.lambda_value = k1, k2, lambda_value

    def __call__(self, result: RetrievalResult) -> RetrievalResult:
        """Return the result under the re-ranked distance."""
        return result.with_distance(
            k_reciprocal_rerank(
                result.query.descriptors[result.descriptor],
                result.gallery.descriptors[result.descriptor],
                k1=self.k1,
                k2=self.k2,
                lambda_value=self.lambda_value))
