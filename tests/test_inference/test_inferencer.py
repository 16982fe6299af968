"""Embed, index, search and draw."""

import shutil

import numpy as np
import pytest
import torch
from inference_models import STEMS, write_checkpoint
from mmengine.runner import Runner
from PIL import Image

from mmvireid.apis import InputError, VIReIDInferencer
from mmvireid.config import load_config
from mmvireid.structures import RetrievalResult
from mmvireid.utils.errors import (
    CheckpointError,
    ConfigError,
    EvaluationError,
    GalleryIndexError,
    MMVIReIDError,
)
from mmvireid.visualization.ranking_list import RIGHT, UNKNOWN, WRONG


@pytest.fixture(scope='module')
def tested(tiny_config, weights, tmp_path_factory):
    """The metric of a test by MMEngine's Runner, as tools/test.py makes it."""
    cfg = load_config(tiny_config, work_dir=str(tmp_path_factory.mktemp('run')))
    cfg.load_from = str(weights)
    runner = Runner.from_cfg(cfg)
    runner.test()
    return runner.test_evaluator.metrics[0]


def test_descriptors_are_those_of_the_test(inferencer, tested):
    images = tested.images
    found = inferencer.extract(images.img_path, images.modality.tolist(), batch_size=7)
    assert set(found) == {'base', 'r2i', 'i2r'}
    for name, rows in found.items():
        torch.testing.assert_close(rows, images.descriptors[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize('ranking', ['backbone', 'k_reciprocal', 'cift'])
def test_rankings_are_those_of_the_test(inferencer, tested, ranking):
    """Also CIFT's graph, whose outcome depends on the gallery as a whole."""
    wanted = tested.first_result('all_single', ranking)
    inferencer.index(wanted.gallery.img_path, 'visible', ranking=ranking)
    found = inferencer.search(
        wanted.query.img_path, len(wanted.gallery), 'infrared', ranking=ranking)
    assert len(found) == len(wanted.query)
    for row, result in enumerate(found):
        distance = wanted.distance[row][torch.from_numpy(result.gallery.sample_idx)]
        torch.testing.assert_close(result.distance[0], distance, atol=1e-5, rtol=0)
        assert (result.distance[0].diff() >= 0).all()
        assert result.query.img_path == [wanted.query.img_path[row]]
        assert result.gallery.img_path == [
            wanted.gallery.img_path[i] for i in result.gallery.sample_idx]


def test_everything_that_is_an_image(inferencer, footage, array):
    """One batch of a path, a folder, a list, an RGB and a grey array."""
    day, night = footage / 'day', footage / 'night'
    picture = array(day / '0.png')
    grey = np.array(Image.open(night / '1.png').convert('L'))
    images = inferencer.embed(
        [str(day / '0.png'), night, footage / 'query.csv', picture, grey],
        ['visible', 'ir', None, 0, 1], batch_size=4)
    assert len(images) == 1 + 4 + 4 + 1 + 1
    assert images.modality.tolist() == [0, *[1] * 8, 0, 1]
    rows = images.descriptors['base']
    torch.testing.assert_close(rows[9], rows[0], atol=1e-6, rtol=0)  # the array is the file
    torch.testing.assert_close(rows[1:5], rows[5:9], atol=1e-6, rtol=0)  # the list, the folder
    assert (images.identity[:5] == -1).all()
    assert (images.identity[5:9] > 0).all()
    assert images.camera[5:9].tolist() == [3] * 4
    assert images.img_path[9] == ''
    batch = inferencer.extract(np.stack([picture] * 3), 'visible')['base']
    torch.testing.assert_close(batch, rows[[0, 0, 0]], atol=1e-6, rtol=0)


def test_modality_from_a_list(inferencer, footage):
    names = sorted((footage / 'night').iterdir())
    looked_up = inferencer.embed(names, footage / 'query.csv')
    assert looked_up.modality.tolist() == [1] * 4
    assert (looked_up.identity > 0).all()
    with pytest.raises(InputError, match='does not name the image'):
        inferencer.embed(footage / 'day' / '0.png', str(footage / 'query.csv'))


def test_each_modality_has_its_stem(tiny_config, stem_weights, footage):
    inferencer = VIReIDInferencer(tiny_config, stem_weights, 'cpu', cfg_options=STEMS)
    path = footage / 'day' / '0.png'
    mixed = inferencer.extract([path, path], ['visible', 'infrared'])['base']
    assert (mixed[0] - mixed[1]).abs().max() > 1e-3
    for row, modality in enumerate(('visible', 'infrared')):
        alone = inferencer.extract(path, modality)['base']
        torch.testing.assert_close(alone[0], mixed[row], atol=1e-5, rtol=0)


def test_search_of_both_modalities_at_once(inferencer, footage):
    """CIFT's graph has a direction for each; results come in the order of the queries."""
    inferencer.index(footage / 'gallery.csv')
    paths = [footage / 'night' / '0.png', footage / 'day' / '1.png', footage / 'night' / '2.png']
    modality = ['infrared', 'visible', 'infrared']
    results = inferencer.search(paths, 3, modality, ranking='cift')
    assert [type(result) for result in results] == [RetrievalResult] * 3
    assert [result.query.img_path[0] for result in results] == [str(path) for path in paths]
    assert [result.descriptor for result in results] == ['i2r', 'r2i', 'i2r']
    for path, kind, result in zip(paths, modality, results):
        alone, = inferencer.search(path, 3, kind, ranking='cift')
        torch.testing.assert_close(alone.distance, result.distance, atol=1e-5, rtol=0)
    itself = inferencer.search(paths[1], 100, 'visible')[0]
    assert len(itself.gallery) == 6
    assert itself.gallery.img_path[0] == str(paths[1])
    assert itself.distance[0, 0] == pytest.approx(0, abs=1e-5)


def test_a_gallery_keeps_descriptors_only(inferencer, footage, array):
    gallery = inferencer.index([array(path) for path in sorted((footage / 'day').iterdir())],
                               'visible', ranking='backbone')
    assert set(gallery.images.descriptors) == {'base'}
    assert set(gallery.images.img_path) == {''}
    result, = inferencer.search(footage / 'night' / '0.png', 2, 'infrared')
    assert not result.gallery.descriptors
    with pytest.raises(EvaluationError, match='"cift" needs the descriptor "i2r", but there'):
        inferencer.search(footage / 'night' / '0.png', 2, 'infrared', ranking='cift')


def test_a_gallery_on_disk(inferencer, tiny_config, tmp_path, footage):
    queries = inferencer.embed(footage / 'query.csv')
    inferencer.index(footage / 'gallery.csv')
    wanted = inferencer.search(queries, 4)
    inferencer.index(footage / 'gallery.csv', batch_size=4, path=tmp_path / 'index')
    other = VIReIDInferencer(
        tiny_config, write_checkpoint(tiny_config, tmp_path / 'same.pth'), 'cpu')
    for user in (inferencer, other):  # the same weights, from another file
        user.load_index(tmp_path / 'index')
        for first, second in zip(wanted, user.search(queries, 4), strict=True):
            assert first.gallery.img_path == second.gallery.img_path
            assert first.gallery.identity.tolist() == second.gallery.identity.tolist()
            torch.testing.assert_close(first.distance, second.distance, atol=1e-5, rtol=0)
    assert other.gallery.index.info([0]).ids[0] == str((footage / 'day' / '0.png').absolute())
    with pytest.raises(ConfigError, match='needs the whole gallery in memory'):
        inferencer.search(queries, 4, ranking='cift')
    for options in ({'model.test_cfg.flip': True},
                    {'test_dataloader.dataset.pipeline.0.size': (64, 32)}):
        changed = VIReIDInferencer(
            tiny_config, tmp_path / 'same.pth', 'cpu', cfg_options=options)
        with pytest.raises(GalleryIndexError, match='made by another model'):
            changed.load_index(tmp_path / 'index')


def test_pictures(inferencer, footage, array, tmp_path):
    inferencer.index(footage / 'gallery.csv')
    path = tmp_path / 'new' / 'found.png'
    picture = inferencer.visualize(inferencer.search(footage / 'query.csv', 3), path)
    with Image.open(path) as saved:
        assert saved.size == picture.size

    def colours(image):
        return {'#{:02x}{:02x}{:02x}'.format(*rgb): n for n, rgb in image.getcolors(1 << 24)}

    assert min(colours(picture)[RIGHT], colours(picture)[WRONG]) > 1000
    assert colours(picture).get(UNKNOWN, 0) < 100

    query = array(footage / 'night' / '0.png')
    results = inferencer.search(query, 3, 'infrared')
    blank = inferencer.visualize(results)
    drawn = inferencer.visualize(results, pictures=[query])
    # Nobody is right or wrong where identities are unknown; the legend alone names both.
    assert colours(blank)[UNKNOWN] > 1000 > 4 * colours(blank)[WRONG]
    assert colours(blank) != colours(drawn)
    with pytest.raises(InputError, match='1 results came with 2 pictures'):
        inferencer.visualize(results, pictures=[query, query])
    with pytest.raises(InputError, match='no result'):
        inferencer.visualize([])


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize(('images', 'modality', 'words'), [
    ([], 'visible', 'the list of images is empty'),
    ('nowhere.jpg', 'visible', 'no image or folder "nowhere.jpg"'),
    (7, 'visible', None),
    ([7], 'visible', 'image 0 is a int'),
    (np.zeros((3, 64, 32), np.uint8), 'visible', r'shape \(3, 64, 32\)'),
    (np.zeros((64, 32, 3), np.float32), 'visible', 'type float32'),
    (np.zeros((0, 32, 3), np.uint8), 'visible', 'give uint8 RGB'),
    (np.zeros((64, 32, 3), np.uint8), 'thermal', 'no stem for images of modality "thermal"'),
    (np.zeros((64, 32, 3), np.uint8), 2, 'no stem for images of modality "2"'),
    (np.zeros((64, 32, 3), np.uint8), 'nowhere.csv', 'no list file "nowhere.csv"'),
    (np.zeros((64, 32, 3), np.uint8), None, 'nobody said whether image 0'),
    (np.zeros((64, 32, 3), np.uint8), ['visible', 'visible'], '1 images were given with 2'),
])
def test_input_that_is_none(inferencer, images, modality, words):
    if words is None:
        with pytest.raises(TypeError):
            inferencer.embed(images, modality)
        return
    with pytest.raises(InputError, match=words):
        inferencer.embed(images, modality)


def test_files_that_are_no_images(inferencer, footage, tmp_path):
    (tmp_path / 'notes.jpg').write_text('no image')
    with pytest.raises(MMVIReIDError, match=r'notes.jpg" is not an image file'):
        inferencer.embed(tmp_path / 'notes.jpg', 'visible')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(InputError, match='holds no image'):
        inferencer.index(tmp_path / 'empty', 'visible')
    (tmp_path / 'list.csv').write_text('path,identity,modality\n')
    with pytest.raises(MMVIReIDError, match='names no image'):
        inferencer.index(tmp_path / 'list.csv')
    with pytest.raises(InputError, match='says the modality of its images'):
        inferencer.embed(footage / 'gallery.csv', 'visible')


def test_search_that_cannot_be(inferencer, footage):
    query = footage / 'night' / '0.png'
    with pytest.raises(InputError, match='call index'):
        inferencer.search(query, modality='infrared')
    with pytest.raises(InputError, match='the gallery has no image'):
        inferencer.index(inferencer.embed(footage / 'gallery.csv')[:0])
    images = inferencer.embed(footage / 'gallery.csv')
    inferencer.index(images)
    with pytest.raises(InputError, match='top_k must be at least 1'):
        inferencer.search(query, 0, 'infrared')
    with pytest.raises(ConfigError, match='this config has backbone, k_reciprocal, cift'):
        inferencer.search(query, 1, 'infrared', ranking='bmil')
    short = {name: rows[:, :9] for name, rows in images.descriptors.items()}
    object.__setattr__(images, 'descriptors', short)
    with pytest.raises(EvaluationError, match='9 dimensions, the queries of 64'):
        inferencer.search(query, 1, 'infrared')


def test_weights_that_do_not_fit(tiny_config, weights, stem_weights, tmp_path):
    with pytest.raises(CheckpointError, match='an untrained network finds nobody'):
        VIReIDInferencer(tiny_config)
    assert VIReIDInferencer(tiny_config, device='cpu', allow_untrained=True).rankings[0] == (
        'backbone')
    with pytest.raises(CheckpointError, match='made by another model'):
        VIReIDInferencer(tiny_config, stem_weights, 'cpu')
    with pytest.raises(CheckpointError, match='there is no checkpoint "nowhere.pth"'):
        VIReIDInferencer(tiny_config, 'nowhere.pth')
    broken = tmp_path / 'broken.pth'
    broken.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match='is not a complete checkpoint'):
        VIReIDInferencer(tiny_config, broken)
    torch.save([1, 2], broken)
    with pytest.raises(CheckpointError, match='holds no parameters'):
        VIReIDInferencer(tiny_config, broken)
    with pytest.raises(ConfigError, match='the device "cuda:77" cannot be used'):
        VIReIDInferencer(tiny_config, weights, 'cuda:77')


def test_a_classifier_of_other_people_does_not_matter(tiny_config, weights, footage, inferencer):
    """Descriptors do not come from it."""
    other = VIReIDInferencer(
        tiny_config, weights, 'cpu', cfg_options={'model.head.num_classes': 77})
    query = footage / 'night' / '0.png'
    torch.testing.assert_close(other.extract(query, 'infrared'),
                               inferencer.extract(query, 'infrared'))
    assert other.embedder.fingerprint == inferencer.embedder.fingerprint


# --------------------------------------------------------------- named models
def test_models_have_names(monkeypatch, repo_root, tmp_path):
    from mmvireid.apis import find_model, zoo_models
    assert find_model('cift_r50_120e_sysu').config == (
        repo_root / 'configs/cift/cift_r50_120e_sysu.py')
    assert {path.stem for path in repo_root.glob('configs/*/*_r50*.py')
            if path.parent.name != '_base_'} <= set(zoo_models())
    with pytest.raises(ConfigError, match='did you mean cift_r50_120e_sysu'):
        VIReIDInferencer('cift_r50_sysu')
    with pytest.raises(ConfigError, match='there is no config file "nowhere.py"'):
        VIReIDInferencer('nowhere.py')

    # An installation without the clone: the configs travel inside the package.
    package = tmp_path / 'site-packages' / 'mmvireid'
    shutil.copytree(repo_root / 'configs', package / '.mim' / 'configs')
    monkeypatch.setattr('mmvireid.__file__', str(package / '__init__.py'))
    assert find_model('agw_r50_81e_sysu').config.is_relative_to(package)
    shutil.rmtree(package)
    with pytest.raises(ConfigError, match='has no configs'):
        find_model('agw_r50_81e_sysu')


def test_methods_without_identities_work_alike(array, footage):
    inferencer = VIReIDInferencer('bmil_r18_demo', device='cpu', allow_untrained=True)
    picture = array(footage / 'day' / '0.png')
    images = inferencer.embed([picture, picture], torch.tensor([0, 1]))
    assert images.descriptors['base'].norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    inferencer.index(images)
    assert len(inferencer.search(picture, modality='visible')[0].gallery) == 2


def test_a_name_may_bring_its_weights(monkeypatch, tiny_config, weights, footage):
    from mmvireid.inference import ZooModel, inferencer
    monkeypatch.setattr(
        inferencer, 'find_model', lambda name: ZooModel(name, tiny_config, str(weights)))
    found = VIReIDInferencer('tiny', device='cpu')
    assert found.extract(footage / 'day', 'visible')['base'].shape == (6, 64)
