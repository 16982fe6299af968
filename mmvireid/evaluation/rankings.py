"""Rankings: a scorer, prepared once for a gallery, and what is done with its distances.

A config lists rankings by name, in ``test_evaluator.rankings``:

.. code-block:: python

    rankings = dict(
        base=dict(descriptor='base'),                       # cosine of one descriptor
        re_ranked=dict(descriptor='base', post=[dict(type='KReciprocalReRanking')]),
        own=dict(scorer=dict(type='MyScorer', power=2)))    # anything registered in RANKERS

:func:`build_rankings` makes a :class:`Ranking` of each. The metric ranks many galleries drawn
from the same images (:meth:`Ranking.rank_trials`); inferencer and stored galleries keep one
gallery and search it often (:meth:`Ranking.prepare`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from mmvireid.registry import RANKERS, TASK_UTILS
from mmvireid.search import topk
from mmvireid.structures import ImageSet, Modality, RetrievalResult
from mmvireid.utils.cosine import cosine_distance
from mmvireid.utils.errors import ConfigError, EvaluationError
from mmvireid.utils.references import is_reference

from .functional.distance import trial_distances

#: What, besides the two images, may decide their distance -> its words in tables.
USES = {
    'queries': 'all queries',
    'gallery': 'whole gallery',
    'cameras': 'cameras',
    'extra_views': 'several views',
}
#: What a step that does not say what it uses is taken to use.
_UNSTATED = frozenset({'queries', 'gallery'})

#: From a result to the same images under another distance. Its attribute ``uses``, a set of
#: keys of :data:`USES`, says what the new distance depends on.
PostProcessor = Callable[[RetrievalResult], RetrievalResult]


class Nearest(NamedTuple):
    """What is nearest to each query.

    Attributes:
        distance: shape ``(Q, K)``, nearest first.
        rows: shape ``(Q, K)`` int64, rows of the gallery; -1 where fewer were found.
    """

    distance: Tensor
    rows: Tensor


class PreparedGallery(ABC):
    """A gallery that any number of queries of one modality can be compared with."""

    @abstractmethod
    def distance(self, query: ImageSet) -> Tensor:
        """Compare queries with the whole gallery.

        Args:
            query: Q queries of the modality that the gallery was prepared for.

        Returns:
            Shape ``(Q, G)``, smaller is nearer.
        """

    def nearest(self, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images; at equal distance the earlier row comes first.

        Args:
            query: as in :meth:`distance`.
            k: number of images.

        Returns:
            Distances and rows, both of shape ``(Q, min(k, G))``.
        """
        distance, rows = self.distance(query).sort(dim=1, stable=True)
        return Nearest(distance[:, :k], rows[:, :k])


class CosineGallery(PreparedGallery):
    """Rows of unit length, compared by cosine; a search never forms the whole matrix.

    Args:
        rows: shape ``(G, D)``, unit rows of the gallery.
        query_rows: gives the unit rows of queries, shape ``(Q, D)``.
    """

    def __init__(self, rows: Tensor, query_rows: Callable[[ImageSet], Tensor]) -> None:
        self.rows = rows
        self.query_rows = query_rows

    def distance(self, query: ImageSet) -> Tensor:
        """Compute the cosine distance of the rows, of shape ``(Q, G)``."""
        return cosine_distance(self.query_rows(query), self.rows)

    def nearest(self, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images block by block, as :class:`PreparedGallery` says."""
        score, rows = topk(self.query_rows(query), self.rows, k)
        return Nearest(1 - score, rows)


class Scorer(ABC):
    """Say how far the images of a gallery are from queries.

    A class of your own is registered in :data:`mmvireid.registry.RANKERS` and named as
    ``scorer`` of a ranking. What of a gallery is the same for all queries is computed in
    :meth:`prepare`, once for a gallery that stays.

    A scorer that sends features along a graph may show it: it defines
    ``affinity(images, modality) -> Tensor`` of shape ``(N, N)``, where a row is what an image
    receives from every other and the images of ``modality`` are the queries. Pictures ask
    whether :attr:`affinity` is there.
    """

    #: What else than the two images decides their distance: keys of :data:`USES`.
    uses: ClassVar[frozenset[str]] = frozenset()
    #: The descriptor whose cosine is all that is compared, whatever the queries: then an index
    #: on disk can serve the ranking. None if there is more to it.
    single_descriptor: str | None = None
    #: The graph between images, for pictures; None where there is none.
    affinity: Callable[[ImageSet, Modality], Tensor] | None = None

    @abstractmethod
    def descriptors_for(self, modality: Modality) -> tuple[str, ...]:
        """Name the descriptors that are compared for queries of a modality.

        Args:
            modality: of the queries.

        Returns:
            At least one name; the first is the one that re-ranking starts from.
        """

    @abstractmethod
    def prepare(self, gallery: ImageSet, modality: Modality) -> PreparedGallery:
        """Compute what all queries of a modality share.

        Args:
            gallery: G images with the descriptors of :meth:`descriptors_for`.
            modality: of the queries to come.

        Returns:
            The gallery, ready for queries.
        """

    def trial_distances(self, query: ImageSet, images: ImageSet, galleries: Sequence[np.ndarray],
                        modality: Modality) -> Iterator[Tensor]:
        """Compare the same queries with several galleries.

        Here each gallery is prepared by itself; a scorer that can share work among
        overlapping galleries does.

        Args:
            query: Q queries of one modality.
            images: all images that a gallery may draw from.
            galleries: for each trial the rows of ``images`` in its gallery, shape ``(G,)``.
            modality: of the queries.

        Yields:
            Distances of shape ``(Q, G)`` of one trial.
        """
        for rows in galleries:
            yield self.prepare(images[rows], modality).distance(query)


@RANKERS.register_module()
class CosineScorer(Scorer):
    """Compare one descriptor of the query with one of the gallery image, by cosine.

    In a config ``dict(descriptor='base')`` is short for
    ``dict(scorer=dict(type='CosineScorer', descriptor='base'))``.

    Args:
        descriptor: its name, or one for each modality of the queries, as in
            ``dict(visible='own', infrared='other')``.
    """

    def __init__(self, descriptor: str | Mapping[str, str] = 'base') -> None:
        self.single_descriptor = descriptor if isinstance(descriptor, str) else None
        self.by_modality = {
            modality: descriptor if isinstance(descriptor, str)
            else descriptor[modality.name.lower()] for modality in Modality
        }

    def descriptors_for(self, modality: Modality) -> tuple[str, ...]:
        """Name the one descriptor that is compared."""
        return (self.by_modality[modality], )

    def prepare(self, gallery: ImageSet, modality: Modality) -> PreparedGallery:
        """Take the rows as they are."""
        name = self.by_modality[modality]
        return CosineGallery(gallery.descriptors[name], lambda query: query.descriptors[name])

    def trial_distances(self, query: ImageSet, images: ImageSet, galleries: Sequence[np.ndarray],
                        modality: Modality) -> Iterator[Tensor]:
        """Share one product among all trials, as galleries overlap."""
        name = self.by_modality[modality]
        return trial_distances(query.descriptors[name], images.descriptors[name], galleries)


@dataclass(frozen=True, eq=False)
class Ranking:
    """One way to rank galleries.

    Args:
        name: its name, as in metrics and on command lines.
        scorer: gives the distances.
        post: post-processors of the result, applied in order.

    Examples:
        >>> from mmvireid.evaluation import KReciprocalReRanking
        >>> from mmvireid.evaluation.rankings import CosineScorer, Ranking
        >>> plain = Ranking('base', CosineScorer('base'))
        >>> again = Ranking('re_ranked', CosineScorer('base'), [KReciprocalReRanking()])
        >>> plain.transductive, again.transductive
        (False, True)
        >>> again.label
        're_ranked (all queries, whole gallery)'
    """

    name: str
    scorer: Scorer
    post: Sequence[PostProcessor] = ()

    # ------------------------------------------------------- what it says of itself
    @property
    def uses(self) -> frozenset[str]:
        """What else than the two images decides their distance, keys of :data:`USES`."""
        return self.scorer.uses.union(*(getattr(step, 'uses', _UNSTATED) for step in self.post))

    @property
    def transductive(self) -> bool:
        """Whether other queries have a part in what is found for one."""
        return 'queries' in self.uses

    @property
    def label(self) -> str:
        """The name, for tables and pictures, with what it uses besides the two images."""
        words = ', '.join(words for use, words in USES.items() if use in self.uses)
        return f'{self.name} ({words})' if words else self.name

    @property
    def single_descriptor(self) -> str | None:
        """The descriptor whose cosine is all that is compared; None if there is more to it."""
        return None if self.post else self.scorer.single_descriptor

    @property
    def descriptors(self) -> set[str]:
        """All descriptors that it needs, whatever the queries."""
        return {name for modality in Modality for name in self.scorer.descriptors_for(modality)}

    # --------------------------------------------------------------------- ranking
    def rank_trials(self, query: ImageSet, images: ImageSet,
                    galleries: Sequence[np.ndarray]) -> Iterator[RetrievalResult]:
        """Rank several galleries that are drawn from the same images.

        Args:
            query: Q queries.
            images: all images that a gallery may draw from.
            galleries: for each trial the rows of ``images`` in its gallery, shape ``(G,)``.

        Yields:
            The result of each trial, after all post-processors.

        Raises:
            EvaluationError: if a descriptor is missing, or the queries are of both modalities
                and each has a descriptor of its own.
        """
        modality = self._check(query, images)
        distances = self.scorer.trial_distances(query, images, galleries, modality)
        for rows, distance in zip(galleries, distances):
            yield self._post_process(query, images[rows], distance, modality)

    def prepare(self, gallery: ImageSet) -> 'RankedGallery':
        """Take a gallery that stays.

        Args:
            gallery: G images with descriptors.

        Returns:
            The gallery, ready for queries of any modality.
        """
        return RankedGallery(self, gallery)

    def affinity(self, images: ImageSet, modality: Modality) -> Tensor:
        """Show who sends features to whom, where the scorer has a graph.

        Args:
            images: N images of both modalities, with descriptors.
            modality: the images of this modality are the queries.

        Returns:
            Shape ``(N, N)``; a row is what an image receives from every other.

        Raises:
            EvaluationError: if there is no graph, or a descriptor is missing.
        """
        if self.scorer.affinity is None:
            raise EvaluationError(f'the ranking "{self.name}" has no graph to draw: choose a '
                                  'model and a ranking with one.')
        self._check(images[images.modality == modality], images)
        return self.scorer.affinity(images, modality)

    def _check(self, query: ImageSet, images: ImageSet) -> Modality:
        """Find the modality of the queries, and make sure that the descriptors are there."""
        present = [Modality(int(value)) for value in np.unique(query.modality)]
        needed = {self.scorer.descriptors_for(modality) for modality in present or Modality}
        if len(needed) > 1:
            raise EvaluationError(
                f'the ranking "{self.name}" compares other descriptors for each modality of the '
                'queries, but these are visible and infrared: rank each modality by itself.')
        for name in next(iter(needed)):
            for found in (query, images):
                if name not in found.descriptors:
                    raise EvaluationError(
                        f'the ranking "{self.name}" needs the descriptor "{name}", but there is '
                        f'{", ".join(sorted(found.descriptors)) or "none"}: choose another '
                        'ranking or model, or index the gallery for this ranking.')
            dims = [found.descriptors[name].shape[1] for found in (images, query)]
            if dims[0] != dims[1]:
                raise EvaluationError(
                    f'the gallery has descriptors of {dims[0]} dimensions, the queries of '
                    f'{dims[1]}: index the gallery with the same model.')
        return present[0] if present else Modality.VISIBLE

    def _post_process(self, query: ImageSet, gallery: ImageSet, distance: Tensor,
                      modality: Modality) -> RetrievalResult:
        result = RetrievalResult(
            query, gallery, distance, self.scorer.descriptors_for(modality)[0])
        for step in self.post:
            result = step(result)
        return result


class RankedGallery:
    """A gallery that one ranking searches; it is prepared when a modality first asks.

    Args:
        ranking: how it is ranked.
        gallery: G images with descriptors.
    """

    def __init__(self, ranking: Ranking, gallery: ImageSet) -> None:
        self.ranking = ranking
        self.gallery = gallery
        self._prepared: dict[Modality, PreparedGallery] = {}

    def rank(self, query: ImageSet) -> RetrievalResult:
        """Compare queries with the whole gallery.

        Args:
            query: Q queries.

        Returns:
            The result, after all post-processors.

        Raises:
            EvaluationError: as :meth:`Ranking.rank_trials`.
        """
        modality, prepared = self._prepare(query)
        return self.ranking._post_process(
            query, self.gallery, prepared.distance(query), modality)

    def nearest(self, query: ImageSet, k: int) -> Nearest:
        """Find the nearest images; only post-processors need the whole matrix of distances.

        Args:
            query: Q queries.
            k: number of images.

        Returns:
            Distances and rows, both of shape ``(Q, min(k, G))``.

        Raises:
            EvaluationError: as :meth:`Ranking.rank_trials`.
        """
        if not self.ranking.post:
            return self._prepare(query)[1].nearest(query, k)
        distance, rows = self.rank(query).distance.sort(dim=1, stable=True)
        return Nearest(distance[:, :k], rows[:, :k])

    def _prepare(self, query: ImageSet) -> tuple[Modality, PreparedGallery]:
        modality = self.ranking._check(query, self.gallery)
        if modality not in self._prepared:
            self._prepared[modality] = self.ranking.scorer.prepare(self.gallery, modality)
        return modality, self._prepared[modality]


def build_rankings(entries: Mapping[str, Mapping] | None = None) -> dict[str, Ranking]:
    """Build the rankings of a config.

    Args:
        entries: name -> ``dict(descriptor=..., post=[...])`` or ``dict(scorer=dict(type=...),
            post=[...])``. ``descriptor`` is short for a :class:`CosineScorer`; ``post`` are
            configs of post-processors. None or nothing is the descriptor ``base``.

    Returns:
        Name -> ranking, in the order of the config.

    Raises:
        ConfigError: if an entry cannot be understood.

    Examples:
        >>> from mmvireid.evaluation.rankings import build_rankings
        >>> rankings = build_rankings(dict(
        ...     base=dict(descriptor='base'),
        ...     re_ranked=dict(descriptor='base', post=[dict(type='KReciprocalReRanking')])))
        >>> [(name, sorted(ranking.uses)) for name, ranking in rankings.items()]
        [('base', []), ('re_ranked', ['gallery', 'queries'])]
    """
    rankings = {}
    for name, entry in (entries or {'base': {}}).items():
        unknown = set(entry) - {'descriptor', 'scorer', 'post'}
        if unknown or {'descriptor', 'scorer'} <= set(entry):
            raise ConfigError(
                f'the ranking "{name}" takes descriptor or scorer, and post, not '
                f'{", ".join(entry)}.')
        post = entry.get('post') or ()
        if isinstance(post, Mapping):
            raise ConfigError(f'post of the ranking "{name}" is a list of dicts with a type.')
        scorer = _build(name, entry.get('scorer') or dict(
            type='CosineScorer', descriptor=entry.get('descriptor', 'base')), scores=True)
        rankings[name] = Ranking(name, scorer, [_build(name, step, scores=False) for step in post])
    return rankings


def _build(ranking: str, config: Mapping[str, Any], scores: bool) -> Any:
    """Build the scorer of a ranking, or one of its post-processors."""
    if not isinstance(config, Mapping) or 'type' not in config:
        raise ConfigError(f'the ranking "{ranking}" needs a dict with a type for each scorer and '
                          f'step, not {config!r}.')
    kind = config['type']
    # Post-processors were registered in TASK_UTILS before they had a registry of their own.
    found = [(registry, part) for registry in (RANKERS, TASK_UTILS)
             if (part := registry.get(kind) if isinstance(kind, str) else kind) is not None]
    if not found:
        raise ConfigError(
            f'there is no scorer or post-processor "{kind}"; registered in RANKERS are '
            f'{", ".join(sorted(RANKERS.module_dict))}.')
    registry, part = found[0]
    if scores and not hasattr(part, 'prepare'):
        raise ConfigError(
            f'{kind} gives no distances by itself: in the ranking "{ranking}" name it in post, '
            'after a descriptor or a scorer.')
    if not scores and hasattr(part, 'prepare'):
        raise ConfigError(
            f'{kind} gives distances and changes none: in the ranking "{ranking}" write '
            f'scorer=dict(type="{kind}", ...) in place of descriptor and post.')
    for key, value in config.items():
        if is_reference(value):
            raise ConfigError(
                f'"{key}" of {kind} is still "{value}", which stands for another key of the '
                'config: read the config with mmvireid.config.load_config, or fill in a Config '
                'that was read otherwise by mmvireid.config.apply_options(cfg, {}).')
    return registry.build(dict(config))
