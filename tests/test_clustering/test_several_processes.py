"""Two processes cluster as one does, and no one gives up while the main one computes."""

import time
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist
from reference.features import clustered_apart, people

from mmvireid.clustering import (
    BalancedNeighbors,
    CameraNeighbors,
    JaccardDBSCAN,
    NeighborSoftMemories,
    PlainNeighbors,
    ProgressiveGraphMatching,
    clusterers,
    jaccard_distance,
)
from mmvireid.registry import LABELLERS
from mmvireid.search import self_search, self_topk
from mmvireid.structures import ImageSet
from mmvireid.utils import processes
from mmvireid.utils.processes import main_process_computes

pytestmark = pytest.mark.slow

#: Time-out of the default group and what the main process takes, seconds.
TIMEOUT, COMPUTING = 1, 2.5


def small_blocks(setattr):
    """Make a few dozen images fill many blocks, and some rows hold too many candidates."""
    setattr(self_search, 'BLOCK', 16)
    setattr(self_search, 'SYMMETRY_FROM', 2)
    setattr(self_search, 'CAPACITY', 24)


def clustered(distributed=None):
    """Neighbours and labels, by name; with None as a user calls who knows of no processes."""
    option = {} if distributed is None else {'distributed': distributed}
    features, modality, _ = people(6, num_ids=13, visible=9, infrared=5, noise=0.4)
    order = np.random.default_rng(0).permutation(len(features))
    features, modality = torch.from_numpy(features[order]), modality[order]
    found = {}
    for backend, low_precision in (('torch', False), ('torch', True), ('faiss', None)):
        for name, groups in (('plain', None), ('grouped', modality)):
            for metric in ('inner_product', 'l2'):
                lists = self_topk(features, 7, groups=groups, metric=metric, backend=backend,
                                  low_precision=low_precision, **option)
                found[f'lists {backend} {low_precision} {name} {metric}'] = [
                    part.clone() for pair in lists for part in pair]
    subset = np.flatnonzero(np.arange(len(features)) % 3)
    for aware in (False, True):
        distance = jaccard_distance(features, k1=12, k2=4, modality=modality if aware else None,
                                    **option)
        found[f'distance {aware}'] = [torch.from_numpy(distance.toarray())]
        rule = BalancedNeighbors if aware else PlainNeighbors
        cluster = JaccardDBSCAN(eps=0.55, neighbors=rule(k1=12, k2=4), **option)
        for rows in (None, subset):
            labels = cluster(features, modality, rows)
            found[f'labels {aware} {rows is None}'] = [torch.from_numpy(labels)]
    cluster = JaccardDBSCAN(eps=0.55, neighbors=CameraNeighbors(k1_inter=8), **option)
    labels = cluster(features, cameras=np.arange(len(features)) % 3)
    found['labels of cameras'] = [torch.from_numpy(labels)]
    return found


def matched(seed):
    """Partners and first prototypes; features of another process may be a little different."""
    rng = np.random.default_rng(0)
    modality = np.repeat([0, 1], [40, 24])
    clusters = np.where(modality == 0, rng.integers(-1, 8, 64), rng.integers(8, 13, 64))
    features = rng.standard_normal((64, 5)) + 0.3 * np.random.default_rng(seed).random((64, 5))
    images = ImageSet(
        dict(base=torch.from_numpy(features)), modality=modality, camera=modality + 1,
        identity=np.full(64, -1), sample_idx=np.arange(64))
    found = {}
    for associate, plan, refine in (
            ('ProgressiveGraphMatching', 'MatchedMemories', []),
            ('OptimalTransportMatching', 'HybridMemories', [dict(type='PrototypeCalibration')]),
            ('VoteMatching', 'AggregatedMemories', [])):
        label = LABELLERS.build(dict(
            type='ClusterLabeller', associate=dict(type=associate), plan=dict(type=plan),
            refine=refine,
            partition=dict(type='IntraModalityClustering', visible=dict(type='JaccardDBSCAN'))))
        made = label.from_clusters(images, clusters, 0)
        found[plan] = [torch.from_numpy(made.joined), made.terms[0].targets,
                       torch.tensor(list(made.notes.values()))]
    return found


def softened():
    """Soft targets and weights, of neighbours that the processes search together."""
    images, clusters = clustered_apart(4, num_visible=9, num_infrared=7)
    plan = NeighborSoftMemories(num_neighbors=6)
    match = ProgressiveGraphMatching()(images, clusters)
    found = {}
    for epoch in (0, 1):
        for term in plan(images, clusters, clusters, match, epoch).terms:
            found[f'{term.loss} {epoch}'] = [
                term.targets, torch.from_numpy(term.soft_targets.toarray()), term.image_weights]
    return found


def start(rank, folder, name):
    torch_dist.init_process_group(
        'gloo', init_method=f'file://{folder}/{name}', rank=rank, world_size=2)


def pairs_searched(setattr):
    """Return a list that grows by the pairs of images that each block of products serves."""
    products, pairs = self_search._products, []

    def record(*args):
        for upper, right, block, by_rows, by_columns in products(*args):
            pairs.append(block.size * (by_rows + by_columns))
            yield upper, right, block, by_rows, by_columns

    setattr(self_search, '_products', record)
    return pairs


def set_default_timeout():
    # Afterwards: a process that comes late must not fail at the start.
    set_timeout = getattr(torch_dist, 'set_timeout', None)
    if set_timeout is None:
        set_timeout = torch_dist.distributed_c10d._set_pg_timeout
    set_timeout(timedelta(seconds=TIMEOUT), torch_dist.group.WORLD)


def worker(rank, folder):
    torch.set_num_threads(1)
    small_blocks(setattr)
    # What the test itself could hang on ends after ten minutes.
    processes.MAIN_PROCESS_TIMEOUT = timedelta(minutes=10)
    report = {}
    start(rank, folder, 'first')
    if rank == 1:
        report['alone'] = clustered(distributed=False)
    pairs = pairs_searched(setattr)
    report['together'] = clustered(distributed=True)
    report['pairs'] = sum(pairs)
    report['matched'] = matched(seed=rank)
    report['softened'] = softened()
    if rank == 1:
        clusterers.dbscan_labels = None  # not for this process to call
    cluster = JaccardDBSCAN(neighbors=PlainNeighbors(k1=12, k2=4))
    report['labels by default'] = cluster(people(1)[0])

    # A notebook may end its processes and start others.
    torch_dist.destroy_process_group()
    start(rank, folder, 'second')
    set_default_timeout()
    if rank == 1:
        default = torch_dist.broadcast(torch.zeros(1), 0, async_op=True)

    def slow():
        time.sleep(COMPUTING)
        return np.array([rank, -1, 5])

    report['slow'] = main_process_computes(slow)
    if rank == 1:
        try:
            default.wait()
        except RuntimeError as error:
            report['default group'] = str(error)

    def fail():
        raise ValueError('three images are missing')

    for name, function in (('fails', fail), ('cannot be sent', lambda: fail)):
        try:
            main_process_computes(function)
        except Exception as error:
            report[name] = f'{type(error).__name__}: {error}'
    report['after'] = main_process_computes(lambda: rank)
    torch_dist.barrier(group=processes.patient_group())
    torch.save(report, f'{folder}/rank{rank}.pth')
    processes.leave_process_group()


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    """What two processes found, rank 0 first."""
    folder = tmp_path_factory.mktemp('processes')
    torch.multiprocessing.start_processes(
        worker, args=(str(folder), ), nprocs=2, start_method='forkserver')
    return [torch.load(folder / f'rank{rank}.pth', weights_only=False) for rank in range(2)]


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, parts in expected.items():
        for part, wanted in zip(found[name], parts, strict=True):
            if 'faiss' in name and part.is_floating_point():
                torch.testing.assert_close(part, wanted, atol=2e-6, rtol=0, msg=name)
            else:
                assert torch.equal(part, wanted), name


def test_two_processes_find_what_one_finds(reports, monkeypatch):
    small_blocks(monkeypatch.setattr)
    pairs = pairs_searched(monkeypatch.setattr)
    expected = clustered()
    for report in reports:
        assert_same(report['together'], expected)
    assert_same(reports[1]['alone'], expected)
    assert expected['labels True True'][0].max() > 3
    # Each process searched the rows of its share, about half.
    assert sum(report['pairs'] for report in reports) == sum(pairs)
    assert max(report['pairs'] for report in reports) < 0.6 * sum(pairs)


def test_partners_are_those_of_the_main_process(reports):
    expected = matched(seed=0)
    for report in reports:
        assert_same(report['matched'], expected)


def test_targets_are_softened_as_by_one_process(reports, monkeypatch):
    small_blocks(monkeypatch.setattr)
    expected = softened()
    for report in reports:
        assert_same(report['softened'], expected)


def test_the_main_process_alone_clusters_by_density(reports):
    # Without a word about processes: the default of the class is to work together.
    expected = JaccardDBSCAN(neighbors=PlainNeighbors(k1=12, k2=4))(people(1)[0])
    for report in reports:
        np.testing.assert_array_equal(report['labels by default'], expected)


def test_waiting_outlasts_the_default_group(reports):
    # The default group did give up meanwhile.
    assert 'imed out' in reports[1]['default group']
    for report in reports:
        np.testing.assert_array_equal(report['slow'], [0, -1, 5])


def test_an_error_of_the_main_process_reaches_all(reports):
    assert reports[0]['fails'] == 'ValueError: three images are missing'
    assert reports[1]['fails'] == (
        'MainProcessError: ValueError on the main process: three images are missing')
    assert 'on the main process' in reports[1]['cannot be sent']
    assert [report['after'] for report in reports] == [0, 0]


def test_one_process_computes_by_itself():
    assert main_process_computes(lambda: 'result') == 'result'
    with pytest.raises(ZeroDivisionError):
        main_process_computes(lambda: 1 / 0)
