"""The visualiser, and the hooks that draw after tests and validations."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from mmvireid.evaluation import SYSUMetric
from mmvireid.models import transfer_affinity
from mmvireid.registry import HOOKS, VISUALIZERS
from mmvireid.structures import ImageSet, ReIDDataSample, RetrievalResult
from mmvireid.utils.errors import EnvironmentMismatchError, EvaluationError
from mmvireid.visualization import (
    PictureHook,
    ReIDVisualizer,
    TransferGraph,
    draw_affinity,
    graph_of_people,
    ranking_with_graph,
)

CAMERAS = (1, 2, 3, 4, 5, 6)
INFRARED = (3, 6)


@pytest.fixture
def images(tmp_path):
    """Two images of each of six people in every camera of SYSU-MM01."""
    rng = np.random.default_rng(0)
    rows = [(person, camera) for person in range(6) for camera in CAMERAS for _ in range(2)]
    identity, camera = np.array(rows).T
    path = tmp_path / 'image.png'
    Image.fromarray(rng.integers(0, 255, (32, 16, 3), dtype=np.uint8)).save(path)
    features = np.eye(6)[identity] + 0.2 * rng.normal(size=(len(rows), 6))
    features = torch.from_numpy(features / np.linalg.norm(features, axis=1, keepdims=True)).float()
    return ImageSet(dict(base=features, i2r=features.flip(1)), identity, camera,
                    np.isin(camera, INFRARED).astype(int), np.arange(len(rows)),
                    [str(path)] * len(rows))


@pytest.fixture
def metric(images):
    found = SYSUMetric(settings='all_single', num_trials=1, rankings=dict(
        base={}, cift=dict(scorer=dict(
            type='mmvireid.GraphTransfer', graph=dict(num_neighbors=2, tau_het=0.7)))))
    found.images = images
    return found


class Recorder(ModuleType):
    """Stands for TensorBoard's writer; keeps what it is given."""

    def __init__(self):
        super().__init__('torch.utils.tensorboard')
        self.images, self.folders = {}, []
        self.SummaryWriter = self.open

    def open(self, folder):
        self.folders.append(folder)
        return SimpleNamespace(add_image=self.add_image, close=lambda: None)

    def add_image(self, name, image, step, dataformats):
        assert dataformats == 'HWC'
        self.images[name, step] = np.array(image)


def build(folder, *backends):
    """Build a visualiser as the Runner does from a config."""
    init_default_scope('mmvireid')
    return VISUALIZERS.build(dict(
        type='ReIDVisualizer', name=f'test_{folder}', save_dir=str(folder),
        vis_backends=[dict(type=f'{name}VisBackend') for name in backends]))


def test_pictures_reach_all_backends(images, metric, tmp_path, monkeypatch):
    board = Recorder()
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', board)
    visualizer = build(tmp_path, 'Local', 'Tensorboard')
    assert isinstance(visualizer, ReIDVisualizer)
    query, gallery = (images[images.modality == value] for value in (1, 0))
    result = RetrievalResult.from_descriptors(query, gallery, 'base')
    graph = graph_of_people(images, metric.rankings['cift'], people=3, per_modality=2)
    drawn = dict(
        lists=visualizer.add_ranking_lists(
            'lists', {'a': result}, [0, 5], protocol='sysu', topk=3, step=7),
        tsne=visualizer.add_embedding(
            'tsne', images.descriptors['base'], images.modality, images.identity, num_groups=3,
            step=7),
        graphs=visualizer.add_affinity('graphs', {'with': graph, 'without': graph}, step=7))
    assert board.folders == [str(tmp_path / 'vis_data')]
    assert set(board.images) == {(name, 7) for name in drawn}
    for name, picture in drawn.items():
        np.testing.assert_array_equal(board.images[name, 7], np.array(picture))
        with Image.open(tmp_path / 'vis_data' / 'vis_image' / f'{name}_7.png') as saved:
            np.testing.assert_array_equal(np.array(saved), np.array(picture))


def test_an_image_says_who_it_is(tmp_path):
    visualizer = build(tmp_path, 'Local')
    image = np.full((40, 20, 3), (200, 30, 30), np.uint8)
    sample = ReIDDataSample(metainfo=dict(identity=12, camera=3, modality=1))
    for name, options in (('with', {}), ('without', dict(draw_gt=False))):
        visualizer.add_datasample(name, image, sample, step=2, **options)
    folder = tmp_path / 'vis_data' / 'vis_image'
    with Image.open(folder / 'without_2.png') as plain:
        np.testing.assert_array_equal(np.array(plain), image)
    with Image.open(folder / 'with_2.png') as captioned:
        pixels = np.array(captioned)
    np.testing.assert_array_equal(pixels[:40, :20], image)
    assert pixels.shape[0] == 60
    assert pixels.shape[1] > 100  # as wide as its words
    assert pixels[40:].min() < 100  # which are there


def test_without_tensorboard_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(EnvironmentMismatchError, match='pip install tensorboard') as error:
        build(tmp_path, 'Tensorboard')
    assert '\n' not in str(error.value)
    build(tmp_path / 'other', 'Local')


class Sent(list):
    """Stands for a visualiser; keeps what it is sent."""

    def add_image(self, name, image, step):
        self.append((name, image, step))


def runner_of(metric, work_dir):
    evaluator = SimpleNamespace(metrics=[metric])
    return SimpleNamespace(
        test_evaluator=evaluator, val_evaluator=evaluator, visualizer=Sent(), epoch=4,
        work_dir=str(work_dir), logger=SimpleNamespace(info=lambda text: None))


@pytest.mark.parametrize(('kind', 'name', 'options'), [
    ('RankingList', 'ranking_lists/all_single', dict(rankings=['base'], num_queries=2)),
    ('Embedding', 'embedding/base', dict(num_identities=3)),
    ('Affinity', 'affinity/i2r', dict(num_identities=3)),
])
def test_hooks_leave_files_and_tell_the_visualiser(kind, name, options, metric, tmp_path):
    init_default_scope('mmvireid')
    runner = runner_of(metric, tmp_path)
    quiet, eager = (HOOKS.build(dict(type=f'{kind}Hook', on_val=on_val, **options))
                    for on_val in (False, True))
    quiet.after_val_epoch(runner)
    assert runner.visualizer == []
    quiet.after_test_epoch(runner)
    eager.after_val_epoch(runner)
    for (sent, pixels, step), ending, wanted in zip(
            runner.visualizer, ('', '_epoch_004'), (0, 4), strict=True):
        assert (sent, step) == (name.replace('/', '_'), wanted)
        with Image.open(tmp_path / f'{name}{ending}.png') as saved:
            np.testing.assert_array_equal(np.array(saved), pixels)
    if kind == 'RankingList':  # a validation may lack what the test is to show
        HOOKS.build(dict(type='RankingListHook', rankings=['cift_tta'], on_val=True,
                         num_queries=1)).after_val_epoch(runner)
        assert len(runner.visualizer) == 3
        with pytest.raises(EvaluationError, match='no ranking "cift_tta"'):
            HOOKS.build(dict(type='RankingListHook', rankings=['cift_tta'])).draw(metric)
    with pytest.raises(TypeError, match='abstract'):
        PictureHook()


def test_the_graph_is_that_of_the_evaluator(metric, images, tmp_path, monkeypatch):
    from mmvireid.visualization import hooks
    seen = []
    monkeypatch.setattr(hooks, 'draw_affinity', lambda graphs: seen.append(graphs) or Image.new(
        'RGB', (2, 2)))
    hook = hooks.AffinityHook(num_identities=6, max_images=8, title='with CRI')
    hook.after_test_epoch(runner_of(metric, tmp_path))
    graph = seen[0]['with CRI']
    expected = transfer_affinity(
        images.descriptors['i2r'], torch.from_numpy(images.modality == 1), tau_het=0.7,
        num_neighbors=2)
    torch.testing.assert_close(graph.affinity, expected)
    np.testing.assert_array_equal(graph.identity, images.identity)
    with pytest.raises(EvaluationError, match='"cift" needs the descriptor "r2i"'):
        hooks.AffinityHook(query='visible').draw(metric)
    with pytest.raises(EvaluationError, match='none of the rankings base has a graph'):
        ranking_with_graph({'base': metric.rankings['base']})
    with pytest.raises(EvaluationError, match='"r2i": the model gives base, i2r'):
        hooks.EmbeddingHook(descriptor='r2i').draw(metric)
    with pytest.raises(EvaluationError, match='both modalities'):
        graph_of_people(images[images.modality == 1], metric.rankings['cift'])


def test_people_stay_together_in_any_order():
    """The picture depends on the graph, not on the order of its images."""
    identity, is_query = np.array([4, 4, 9, 4, 9]), np.array([False, False, False, True, True])
    affinity = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    affinity[:, is_query] = 0
    shuffled = np.array([3, 2, 4, 0, 1])
    one, other = (
        np.array(draw_affinity({'x': TransferGraph(
            affinity[order][:, order], identity[order], is_query[order])}))
        for order in (np.arange(5), shuffled))
    np.testing.assert_array_equal(one, other)
