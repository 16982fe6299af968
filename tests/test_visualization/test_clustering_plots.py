"""Pictures of a clustering, and the hook that draws them."""

import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from PIL import Image

from mmvireid.clustering import BalancedNeighbors, PlainNeighbors, jaccard_distance
from mmvireid.registry import HOOKS
from mmvireid.structures import ClusteringEpoch
from mmvireid.utils.errors import ClusteringError
from mmvireid.visualization import (
    draw_distance_histograms,
    draw_embedding,
    pair_histograms,
)
from mmvireid.visualization.distance_histograms import ACROSS, WITHIN
from mmvireid.visualization.embedding import COLOURS, choose_images, embed

RULES = dict(plain=PlainNeighbors(k1=8, k2=2), corrected=BalancedNeighbors(k1=8, k2=2))


def two_clouds(num_people=10, num_images=8, gap=1.0, seed=0):
    """Make features of people seen in two modalities that lie apart by an offset."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(num_people), 2 * num_images)
    modality = np.tile(np.repeat([0, 1], num_images), num_people)
    features = (rng.normal(size=(num_people, 16))[identity]
                + gap * rng.normal(size=(2, 16))[modality]
                + 0.2 * rng.normal(size=(len(identity), 16)))
    return features.astype(np.float32), modality, identity


def colours_of(picture):
    """Give the colours of a picture, written as in a style sheet."""
    return {f'#{r:02x}{g:02x}{b:02x}' for _, (r, g, b) in picture.getcolors(1 << 24)}


def naive_counts(distance, modality, identities, rows, edges):
    """Count pairs one by one; at distance 1 apart from the bins."""
    counts, at_one = np.zeros((2, 2, len(edges) - 1), int), np.zeros((2, 2), int)
    for i in rows:
        for j in range(len(modality)):
            if i == j or identities[i] < 0 or identities[j] < 0:
                continue
            kind = (int(identities[i] != identities[j]), int(modality[i] != modality[j]))
            if distance[i, j] == 1:
                at_one[kind] += 1
            else:
                counts[kind] += np.histogram(distance[i, j], edges)[0]
    return counts, at_one


@pytest.mark.parametrize('num_images', [1000, 20])
def test_pairs_are_counted_as_one_by_one(num_images):
    features, modality, identity = two_clouds(6, 6)
    order = np.random.default_rng(1).permutation(len(features))
    features, modality, identity = features[order], modality[order], identity[order]
    identity[:5] = -1  # nobody knows who they are
    found = pair_histograms(features, modality, identity, num_images=num_images, num_bins=20,
                            seed=3, **RULES)
    rows = np.random.default_rng(3).choice(72, min(72, num_images), replace=False)
    for name, given in (('jaccard', None), ('modality_aware', modality)):
        sparse = jaccard_distance(features, k1=8, k2=2, modality=given)
        dense = np.ones(sparse.shape)
        filled = sparse.tocoo()
        dense[filled.row, filled.col] = filled.data
        counts, at_one = naive_counts(dense, modality, identity, rows, found[name].edges)
        np.testing.assert_array_equal(found[name].counts, counts)
        np.testing.assert_array_equal(found[name].at_one, at_one)
        same_across = [dense[i, j] for i in rows for j in range(72)
                       if identity[i] == identity[j] >= 0 and modality[i] != modality[j]]
        assert found[name].means[0, 1] == pytest.approx(np.mean(same_across))

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = found['cosine']
    counts, _ = naive_counts(1 - unit @ unit.T, modality, identity, rows, cosine.edges)
    np.testing.assert_array_equal(cosine.totals, counts.sum(-1))
    # A distance on the border of two bins may fall into either.
    assert np.abs(cosine.counts - counts).sum() <= 2


def test_without_identities_all_pairs_are_of_one_kind():
    features, modality, identity = two_clouds()
    known = pair_histograms(features, modality, identity, num_images=30, **RULES)
    unknown = pair_histograms(features, modality, num_images=30, **RULES)
    for name in known:
        assert unknown[name].counts.shape == (1, 2, 40)
        np.testing.assert_array_equal(unknown[name].totals[0], known[name].totals.sum(0))
        np.testing.assert_allclose(unknown[name].sums[0], known[name].sums.sum(0))


def test_the_correction_brings_a_person_together():
    found = pair_histograms(
        *two_clouds(), plain=PlainNeighbors(16, 2), corrected=BalancedNeighbors(16, 2))
    before, after = found['jaccard'].means, found['modality_aware'].means
    assert before[0, 1] - before[0, 0] > 0.5  # the modality gap
    assert after[0, 1] - after[0, 0] < 0.5 * (before[0, 1] - before[0, 0])
    assert (after[1] > 0.9).all()  # different people stay apart


def test_both_modalities_are_needed_for_distances():
    features, modality, identity = two_clouds()
    with pytest.raises(ValueError, match='two images of each modality'):
        pair_histograms(features, np.zeros_like(modality), identity)
    with pytest.raises(ValueError, match='same length'):
        pair_histograms(features, modality, identity[1:])


def test_histograms_have_a_row_for_each_kind_of_people():
    features, modality, identity = two_clouds()
    known = pair_histograms(features, modality, identity, **RULES)
    two_rows = draw_distance_histograms(known, eps=0.6)
    one_row = draw_distance_histograms(pair_histograms(features, modality, **RULES))
    assert two_rows.width == one_row.width
    assert two_rows.height > 1.5 * one_row.height
    assert {WITHIN, ACROSS} <= colours_of(two_rows) & colours_of(one_row)
    assert two_rows != draw_distance_histograms(known)  # eps is a line


def test_identities_seen_in_both_modalities_are_chosen_first():
    groups = np.array([0] * 9 + [1] * 9 + [2] * 9 + [-1] * 9)
    modality = np.array([0] * 9 + [1] * 9 + [0] * 5 + [1] * 4 + [0] * 9)
    rows = choose_images(groups, modality, 1, 3, seed=0)
    assert groups[rows].tolist() == [2] * 6
    assert modality[rows].tolist() == [0] * 3 + [1] * 3
    every = choose_images(groups, modality, 10, 100, seed=0)
    assert every.tolist() == list(range(27))
    assert len(choose_images(np.full(4, -1), np.zeros(4), 10, 100, seed=0)) == 0


def test_people_stay_together_in_the_plane():
    features, _, identity = two_clouds(5, 10, gap=0)
    points = embed(features, seed=0)
    np.testing.assert_array_equal(points, embed(8 * features, seed=0))  # directions only
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (identity[distance.argmin(1)] == identity).mean() > 0.95


def test_an_embedding_shows_colours_and_markers():
    features, modality, identity = two_clouds(4, 5)
    picture = draw_embedding(features, modality, identity, num_groups=3)
    assert set(COLOURS[:3]) <= colours_of(picture)
    assert COLOURS[3] not in colours_of(picture)
    assert picture == draw_embedding(
        torch.from_numpy(features), modality, identity, num_groups=3)
    assert picture != draw_embedding(features, 1 - modality, identity, num_groups=3)
    with pytest.raises(ValueError, match='at least 5 images'):
        draw_embedding(features, modality, np.where(np.arange(40) < 4, 0, -1))


class Noisy(BaseModel):
    """A model whose every step depends on the global random numbers."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, *inputs, mode='tensor'):
        noise = torch.rand(3) + random.random() + np.random.rand()
        return dict(loss=(self.weight * noise * sum(inputs).mean()).sum())


class StandIn(Hook):
    """Leaves what PseudoLabelHook leaves; identities are known in odd epochs."""

    priority = 'HIGH'

    def __init__(self):
        self.last_clustering = None

    def before_train_epoch(self, runner):
        features, modality, identity = two_clouds(6, 8, seed=runner.epoch)
        self.last_clustering = ClusteringEpoch(
            runner.epoch, torch.from_numpy(features), modality,
            dict(intra=2 * identity + modality, cross=identity),
            identity if runner.epoch % 2 else np.full_like(identity, -1))


def train(work_dir, *hooks, epochs=3):
    runner = Runner(
        Noisy(),
        str(work_dir),
        train_dataloader=dict(
            dataset=[torch.full((3, ), float(i)) for i in range(4)], batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=True)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=None),
        custom_hooks=list(hooks),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        randomness=dict(seed=0),
        experiment_name=f'pictures_{work_dir.name}',
        default_scope='mmvireid')
    runner.train()
    # Whoever has drawn a number more, or less, ends in another state.
    return (runner.model.weight.tolist(), torch.rand(2).tolist(), np.random.rand(),
            random.random())


def test_the_hook_draws_and_leaves_the_training_as_it_is(tmp_path):
    hook = HOOKS.build(dict(type='ClusteringPlotHook', interval=2, num_identities=4,
                            plain=dict(type='PlainNeighbors', k1=8, k2=2),
                            corrected=dict(type='ReweightedNeighbors', k1=8, k2=2), eps=0.6))
    with_pictures = train(tmp_path / 'with', StandIn(), hook)
    assert with_pictures == train(tmp_path / 'without', StandIn())
    folder = tmp_path / 'with' / 'clustering'
    assert sorted(path.name for path in folder.iterdir()) == [
        f'epoch_{epoch}_{name}.png' for epoch in ('001', '003')
        for name in ('distances', 'embedding')
    ]
    with Image.open(folder / 'epoch_003_embedding.png') as picture:
        assert picture.mode == 'RGB'
    shown = {path.name for path in (tmp_path / 'with').rglob('vis_image/*.png')}
    assert 'clustering_distances_3.png' in shown


def test_colours_are_clusters_where_nobody_knows_identities(monkeypatch):
    from mmvireid.visualization import clustering_plot_hook
    seen = []
    monkeypatch.setattr(
        clustering_plot_hook, 'draw_embedding',
        lambda features, modality, groups, *, group_name, **_: seen.append((groups, group_name)))
    features, modality, identity = two_clouds(6, 8)
    labels = dict(intra=2 * identity + modality, cross=identity)
    unknown = ClusteringEpoch(0, torch.from_numpy(features), modality, labels)
    first_stage = ClusteringEpoch(
        0, torch.from_numpy(features), modality, dict(intra=labels['intra']))
    known = ClusteringEpoch(0, torch.from_numpy(features), modality, labels, identity)
    for branch, found in ((None, unknown), ('intra', unknown), ('cross', first_stage),
                          (None, known)):
        HOOKS.build(dict(type='ClusteringPlotHook', branch=branch)).draw(found)
    assert [name for _, name in seen] == [
        'cluster of branch "cross"', 'cluster of branch "intra"', 'cluster of branch "intra"',
        'true identity'
    ]
    assert seen[1][0] is labels['intra']


def test_pictures_need_a_clustering(tmp_path):
    with pytest.raises(ClusteringError, match='has no PseudoLabelHook'):
        train(tmp_path / 'alone', dict(type='ClusteringPlotHook'))
    first = dict(type='ClusteringPlotHook', priority='VERY_HIGH')
    with pytest.raises(ClusteringError, match='lower priority'):
        train(tmp_path / 'early', StandIn(), first)
