"""The gallery index: what it finds, what it keeps on disk, and what it refuses."""

import copy
import functools
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.features import people

from mmvireid.search import INDEX_KINDS, GalleryIndex, model_fingerprint, topk
from mmvireid.search.index import exact, gallery_index
from mmvireid.utils.errors import (
    EnvironmentMismatchError,
    GalleryIndexError,
    MMVIReIDError,
    WorkDirError,
)

OPTIONS = {
    'torch': {},
    'flat': {},
    'ivf': dict(num_lists=6, num_probes=3),
    'ivfpq': dict(num_lists=6, num_probes=6, num_codes=8, bits=4),
    'hnsw': dict(num_links=8, ef_construction=40),
}
LEFT_OUT = object()
each_kind = pytest.mark.parametrize('kind', INDEX_KINDS)


@pytest.fixture(scope='module')
def gallery():
    """Descriptors of 40 people, eight images each, far apart from one another."""
    features, modality, identity = people(0, num_ids=40, noise=0.2, gap=0.2)
    return features, modality, identity, [f'cam{m}/{n:04}.jpg' for n, m in enumerate(modality)]


def filled(kind, gallery, batches=3, **create):
    """Return an index of a kind with everything in it."""
    features, modality, identity, paths = gallery
    index = GalleryIndex.create(features.shape[1], kind, **{**OPTIONS[kind], **create})
    if index.needs_training:
        index.train(features)
    for rows in np.array_split(np.arange(len(features)), batches):
        index.add(features[rows], [paths[row] for row in rows], identity=identity[rows],
                  modality=modality[rows])
    return index


def lattice(seed, rows, dim=6):
    """Small integers: every distance is exact in float32, and many tie."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, dim)).astype(np.float32)


@pytest.mark.parametrize('metric', ['cosine', 'l2'])
@each_kind
def test_all_kinds_find_the_image_itself(kind, metric, gallery):
    features, modality, identity, paths = gallery
    index = filled(kind, gallery, metric=metric)
    noise = 0.01 * np.random.default_rng(1).standard_normal(features.shape)
    distances, rows = index.search(features + noise, top_k=5)
    assert distances.shape == rows.shape == (len(features), 5)
    assert distances.dtype == np.float32
    assert (np.diff(distances) >= 0).all()
    info = index.info(rows)
    if kind == 'ivfpq':  # half a byte for two numbers does not tell images of a person apart
        assert (info.identity[:, 0] == identity).mean() > 0.9
        return
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(features)))
    assert info.ids[:, 0].tolist() == paths
    np.testing.assert_array_equal(info.identity[:, 0], identity)
    np.testing.assert_array_equal(info.modality[:, 0], modality)
    assert not info.camera.any()


@pytest.mark.parametrize('metric', ['cosine', 'l2'])
@pytest.mark.parametrize('kind', ['torch', 'flat', 'hnsw'])
def test_distances_are_those_of_the_formula(kind, metric, gallery):
    features = gallery[0]
    queries = torch.from_numpy(3 * features[::7])
    distances, rows = filled(kind, gallery, metric=metric).search(queries, top_k=4, batch=5)
    assert isinstance(rows, torch.Tensor)
    q, g = queries.double().numpy()[:, None], features.astype(np.float64)[rows.numpy()]
    if metric == 'l2':
        expected = ((q - g)**2).sum(2)
    else:
        expected = 1 - (q * g).sum(2) / np.linalg.norm(q, axis=2) / np.linalg.norm(g, axis=2)
    np.testing.assert_allclose(distances, expected, atol=2e-6)


@pytest.mark.parametrize('metric', ['cosine', 'l2'])
def test_exact_kinds_agree(metric, gallery):
    """'flat' and 'torch' find the same rows as topk on the whole array."""
    features = gallery[0]
    queries = np.random.default_rng(2).standard_normal((50, features.shape[1]))
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    _, expected = topk(unit if metric == 'cosine' else queries, features, 12,
                       metric={'cosine': 'inner_product', 'l2': 'l2'}[metric])
    for kind in ('torch', 'flat'):
        _, rows = filled(kind, gallery, metric=metric).search(queries, top_k=12)
        np.testing.assert_array_equal(rows, expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 40), max_size=4),
       block=st.integers(1, 50), batch=st.integers(1, 12), k=st.integers(1, 45),
       on_disk=st.booleans())
def test_neither_batches_nor_blocks_matter(tmp_path_factory, seed, cuts, block, batch, k, on_disk):
    rows, queries = lattice(seed, 40), lattice(seed + 1, 11)
    expected = topk(queries, rows, k, metric='l2')
    folder = tmp_path_factory.mktemp('index') if on_disk else None
    index = GalleryIndex.create(6, metric='l2', folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index._exact, '_block', block)
        patch.setattr(gallery_index, 'ADD_BLOCK', 6 * block)
        for part in np.split(rows, sorted(cuts)):
            index.add(part)
        found = index.search(queries, k, batch=batch)
    for value, wanted in zip(found, expected):
        np.testing.assert_array_equal(value, wanted)
    np.testing.assert_array_equal(index.info().ids, np.arange(40))


@each_kind
def test_saved_index_is_the_same_when_loaded(kind, gallery, tmp_path):
    index = filled(kind, gallery, fingerprint='abc')
    queries = gallery[0][::9]
    expected = index.search(queries, 3)
    index.save(tmp_path / 'new' / 'index')
    loaded = GalleryIndex.load(tmp_path / 'new' / 'index', 'abc', dim=queries.shape[1])
    for one in (index, loaded):
        for value, wanted in zip(one.search(queries, 3), expected):
            np.testing.assert_array_equal(value, wanted)
        assert one.info().ids.tolist() == gallery[3]
        np.testing.assert_array_equal(one.info().identity, gallery[2])
    assert (loaded.kind, loaded.metric, loaded.options) == (kind, 'cosine', index.options)


@each_kind
def test_rows_are_added_to_a_loaded_index(kind, gallery, tmp_path):
    """Appending in three sessions gives what one session gives; files stay few."""
    features, modality, identity, paths = gallery
    half = tuple(part[:200] for part in gallery)
    filled(kind, half, folder=tmp_path).save()
    for begin, end in ((200, 203), (203, 320)):
        index = GalleryIndex.load(tmp_path)
        index.add(features[begin:end], paths[begin:end], camera=[7] * (end - begin))
        assert len(GalleryIndex.load(tmp_path)) == begin  # not before it is saved
        index.save()
    index = GalleryIndex.load(tmp_path)
    assert len(index) == 320
    assert index.info().ids.tolist() == paths
    np.testing.assert_array_equal(index.info().camera, np.repeat([0, 7], [200, 120]))
    np.testing.assert_array_equal(index.info([319, 0, -1]).identity, [-1, identity[0], -1])
    assert index.info([319, -1]).ids.tolist() == [paths[319], None]
    if kind in ('torch', 'flat'):
        for value, wanted in zip(index.search(features, 5), filled(kind, gallery).search(
                features, 5)):
            np.testing.assert_allclose(value, wanted, atol=1e-6)
    known = {file['name'] for file in index._manifest.files()} | {'index.json'}
    assert {path.name for path in tmp_path.iterdir()} == known
    # Saved elsewhere, it is one segment, and the folder it came from is not needed.
    index.save(tmp_path / 'copy')
    assert len(index._manifest.segments) == 1
    for path in tmp_path.glob('*.*'):
        path.unlink()
    index = GalleryIndex.load(tmp_path / 'copy')
    index.add(features[:2], ['x', 'y'])
    index.save()
    assert GalleryIndex.load(tmp_path / 'copy').info([321]).ids.tolist() == ['y']


class Killed(BaseException):
    """The process is gone: nothing after it happens either."""


@pytest.mark.parametrize('kind', ['torch', 'ivf'])
def test_death_at_any_moment_leaves_a_whole_index(kind, gallery, tmp_path, monkeypatch):
    filled(kind, gallery, folder=tmp_path).save()
    extra = [f'extra{n}' for n in range(5)]
    steps = ('fsync', 'replace', 'unlink', 'open')
    survived = []
    for moment in range(100):
        index = GalleryIndex.load(tmp_path)
        before = index.info().ids.tolist()
        remaining = [moment]

        def mortal(real, remaining=remaining):
            def call(*args, **kwargs):
                if remaining[0] == 0:
                    raise Killed
                remaining[0] -= 1
                return real(*args, **kwargs)
            return call

        with monkeypatch.context() as patch:
            for step in steps:
                patch.setattr(os, step, mortal(getattr(os, step)))
            try:
                index.add(gallery[0][:5], extra)
                index.save()
                alive = True
            except Killed:
                alive = False
        after = GalleryIndex.load(tmp_path)
        assert after.info().ids.tolist() in (before, before + extra)
        assert len(after.search(gallery[0][:1], 5)[1][0]) == 5
        survived.append(len(after) == len(before) + 5)
        if alive:
            break
    assert alive
    assert survived[-1]
    # Some deaths came before the new state was valid, some after it.
    assert not all(survived)
    assert sum(survived) > 1
    known = {file['name'] for file in after._manifest.files()} | {'index.json'}
    assert {path.name for path in tmp_path.iterdir()} == known


def test_a_failed_write_takes_back_its_rows(gallery, tmp_path, monkeypatch):
    features, paths = gallery[0], gallery[3]
    index = GalleryIndex.create(features.shape[1], folder=tmp_path)
    index.add(features[:10], paths[:10])
    index.search(features[:1])
    monkeypatch.setattr(gallery_index, 'ADD_BLOCK', 4 * features.shape[1])
    write, calls = gallery_index.SegmentWriter.write_descriptors, []

    def full(self, block):
        calls.append(block)
        if len(calls) == 3:
            raise OSError(28, 'No space left on device')
        write(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(gallery_index.SegmentWriter, 'write_descriptors', full)
        with pytest.raises(OSError, match='No space'):
            index.add(features[10:30], paths[10:30])
    assert len(index) == 10
    index.add(features[10:], paths[10:])
    index.save()
    loaded = GalleryIndex.load(tmp_path)
    assert loaded.info().ids.tolist() == paths
    np.testing.assert_allclose(loaded.descriptors(np.arange(320)), features, atol=1e-6)


def test_a_failed_save_can_be_repeated(gallery, tmp_path, monkeypatch):
    index = GalleryIndex.create(gallery[0].shape[1], folder=tmp_path)
    index.add(gallery[0], gallery[3])
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 2:  # not the first of the files
            raise OSError(28, 'No space left on device')
        sync(handle)

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(WorkDirError, match='No space left on device'):
        index.save()
    index.save()
    assert GalleryIndex.load(tmp_path).info().ids.tolist() == gallery[3]


@pytest.mark.parametrize('kind', ['torch', 'flat'])
@pytest.mark.parametrize('earlier', [False, True])
def test_an_index_that_is_given_up_leaves_nothing(gallery, tmp_path, monkeypatch, kind, earlier):
    """On a full disk its files would be in the way of the next one."""
    index = GalleryIndex.create(gallery[0].shape[1], kind, folder=tmp_path)
    if earlier:
        index.add(gallery[0][:9], gallery[3][:9])
        index.save()
    before = sorted(tmp_path.iterdir())
    index.add(gallery[0][9:], gallery[3][9:])

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(gallery_index, 'write_manifest', full)
    with pytest.raises(OSError, match='No space'):
        index.save()
    index.add(gallery[0], gallery[3])
    assert len(list(tmp_path.iterdir())) > len(before)
    index.discard()
    assert sorted(tmp_path.iterdir()) == before
    if earlier:
        assert len(GalleryIndex.load(tmp_path)) == 9


@pytest.mark.parametrize('full_at', ['write_manifest', 'SegmentWriter.finish'])
def test_a_failed_save_to_another_folder_leaves_nothing_there(
        gallery, tmp_path, monkeypatch, full_at):
    index = filled('flat', gallery)

    def full(*_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(f'mmvireid.search.index.gallery_index.{full_at}', full)
        with pytest.raises(OSError, match='No space'):
            index.save(tmp_path)
    assert not list(tmp_path.iterdir())
    index.save(tmp_path)
    assert GalleryIndex.load(tmp_path).info().ids.tolist() == gallery[3]


@pytest.mark.parametrize('rows', [9, 320])
def test_faiss_file_that_a_disk_refuses_in_part(gallery, rows):
    """The end of a file is refused when it is closed, where faiss itself does not look."""
    index = filled('flat', tuple(part[:rows] for part in gallery))
    with pytest.raises(WorkDirError, match='"/dev/full" cannot be written .No space left'):
        index._faiss.write(Path('/dev/full'))


def test_faiss_failing_halfway_is_noticed(gallery, monkeypatch):
    index = filled('flat', gallery)
    monkeypatch.setattr(gallery_index, 'ADD_BLOCK', 4 * index.dim)
    add, calls = index._faiss.add, []

    def failing(block):
        calls.append(block)
        if len(calls) == 2:
            raise MemoryError
        add(block)

    with monkeypatch.context() as patch:
        patch.setattr(index._faiss, 'add', failing)
        with pytest.raises(MemoryError):
            index.add(gallery[0][:10], gallery[3][:10])
    for use in (lambda: index.search(gallery[0]), lambda: index.add(*gallery[::3]), index.save):
        with pytest.raises(GalleryIndexError, match='324 descriptors for 320 images'):
            use()


def test_two_processes_cannot_overwrite_each_other(gallery, tmp_path):
    features = gallery[0]
    filled('torch', gallery, folder=tmp_path).save()
    first, second = GalleryIndex.load(tmp_path), GalleryIndex.load(tmp_path)
    first.save()  # nothing to save: the second does not notice
    second.add(features[:1], ['second'])
    first.add(features[:2], ['first', 'again'])
    second.save()
    with pytest.raises(GalleryIndexError, match='saved by another process meanwhile'):
        first.save()
    assert len(GalleryIndex.load(tmp_path)) == 321
    first.save(tmp_path / 'elsewhere')
    assert GalleryIndex.load(tmp_path / 'elsewhere').info([321]).ids.tolist() == ['again']


def test_float16_takes_half_the_disk(gallery, tmp_path):
    features = gallery[0]
    filled('torch', gallery, folder=tmp_path, dtype='float16').save()
    file, = tmp_path.glob('*.descriptors')
    assert file.stat().st_size == 2 * features.size
    distances, rows = GalleryIndex.load(tmp_path).search(features, 1)
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(features)))
    assert distances.max() < 1e-3
    with pytest.raises(GalleryIndexError, match='too large for float16'):
        GalleryIndex.create(2, metric='l2', dtype='float16').add(np.full((1, 2), 1e5))


def test_a_query_with_too_small_cells_visits_all(gallery):
    index = filled('ivf', gallery, num_lists=20, num_probes=1)
    _, rows = index.search(gallery[0][:10], 300)
    assert rows.min() >= 0
    assert all(len(set(row)) == 300 for row in rows.tolist())


def test_more_probes_find_more(gallery, tmp_path):
    features = gallery[0]
    queries = np.random.default_rng(3).standard_normal((100, features.shape[1]))
    _, true = filled('torch', gallery).search(queries, 1)
    index = filled('ivf', gallery, num_lists=20, num_probes=1, folder=tmp_path)
    few = (index.search(queries, 1)[1] == true).mean()
    index.configure(num_probes=20)
    assert few < (index.search(queries, 1)[1] == true).mean() == 1
    index.save()
    assert GalleryIndex.load(tmp_path).options['num_probes'] == 20
    with pytest.raises(GalleryIndexError, match='num_lists is fixed'):
        index.configure(num_lists=3)


def test_number_of_cells_is_chosen_from_the_sample(gallery):
    index = GalleryIndex.create(16, 'ivf')
    index.train(gallery[0])
    assert index.options['num_lists'] == 320 // 39


@pytest.mark.parametrize('kind', ['torch', 'flat', 'hnsw'])
def test_descriptors_come_back(kind, gallery, tmp_path):
    index = filled(kind, gallery)
    for _ in range(2):
        np.testing.assert_allclose(index.descriptors([300, 2]), gallery[0][[300, 2]], atol=1e-6)
        index.save(tmp_path)
        index = GalleryIndex.load(tmp_path)


def test_names_of_any_sort(tmp_path):
    names = ['plain.jpg', 'été/夜.jpg', '', Path('a/b.jpg'), os.fsdecode(b'caf\xe9.jpg')]
    index = GalleryIndex.create(1, metric='l2', folder=tmp_path)
    index.add(np.arange(2)[:, None], names[:2])
    index.add(np.arange(2, 5)[:, None], names[2:])
    index.save()
    loaded = GalleryIndex.load(tmp_path)
    assert loaded.info().ids.tolist() == [os.fspath(name) for name in names]
    assert loaded.info([[4, 0]]).ids.tolist() == [[os.fspath(names[4]), names[0]]]

    numbered = GalleryIndex.create(1, metric='l2')
    numbered.add(torch.zeros(2, 1), np.array([7, 5]))
    assert numbered.info([1, 0, -1]).ids.tolist() == [5, 7, -1]
    with pytest.raises(GalleryIndexError, match='whole numbers, so they cannot be strings'):
        numbered.add(torch.zeros(1, 1), ['a.jpg'])
    with pytest.raises(GalleryIndexError, match='all strings'):
        numbered.add(torch.zeros(2, 1), ['a.jpg', 3])


def test_refuses_another_model_and_other_dimensions(gallery, tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    mine = model_fingerprint(network)
    filled('torch', gallery, fingerprint=mine).save(tmp_path / 'mine')
    filled('torch', gallery).save(tmp_path / 'nobody')
    with torch.no_grad():
        network[0].weight[0, 0] += 1e-3
    with pytest.raises(GalleryIndexError, match='made by another model') as error:
        GalleryIndex.load(tmp_path / 'mine', model_fingerprint(network))
    assert isinstance(error.value, MMVIReIDError)
    assert '\n' not in str(error.value)
    with pytest.raises(GalleryIndexError, match='does not say which model'):
        GalleryIndex.load(tmp_path / 'nobody', mine)
    with pytest.raises(GalleryIndexError, match='of 16 dimensions, but queries have 512'):
        GalleryIndex.load(tmp_path / 'mine', dim=512)
    index = GalleryIndex.load(tmp_path / 'mine', mine)
    with pytest.raises(GalleryIndexError, match='of 16 dimensions, but queries have 3'):
        index.search(np.zeros((2, 3)))
    with pytest.raises(GalleryIndexError, match='but descriptors have 3'):
        index.add(np.zeros((2, 3)))


def test_fingerprint_is_of_the_weights_alone():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = network.state_dict()
    mine = model_fingerprint(network)
    assert re.fullmatch('[0-9a-f]{64}', mine)
    assert mine == model_fingerprint(dict(reversed(state.items())))
    assert mine == model_fingerprint({f'module.{name}': value for name, value in state.items()})
    others = [
        model_fingerprint(network, 'transferred'),
        model_fingerprint(network.half()),
        model_fingerprint({f'{name}_': value for name, value in state.items()}),
        model_fingerprint({**state, '0.weight': state['0.weight'].reshape(3, 2)}),
    ]
    assert len({mine, *others}) == 5
    with pytest.raises(ValueError, match='holds no weights at its first level'):
        model_fingerprint({'state_dict': state, 'meta': {}})


def saved(gallery, folder, kind='torch'):
    filled(kind, gallery, folder=folder).save()
    return json.loads((folder / 'index.json').read_text())


@each_kind
def test_refuses_a_damaged_folder(kind, gallery, tmp_path):
    """A byte changed, a byte less, a file gone: each file, one sentence."""
    saved(gallery, tmp_path, kind)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        place = len(content) // 2
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1:]
        for broken in (flipped, content[:-1], content[:place], b'', None):
            path.unlink(missing_ok=True)
            if broken is not None:
                path.write_bytes(broken)
            with pytest.raises(GalleryIndexError, match='damaged|incomplete|missing') as error:
                GalleryIndex.load(tmp_path)
            assert '\n' not in str(error.value)
        path.write_bytes(content)
        assert len(GalleryIndex.load(tmp_path)) == 320


def test_refuses_a_folder_that_is_no_index(tmp_path, gallery):
    with pytest.raises(GalleryIndexError, match='there is no gallery index in'):
        GalleryIndex.load(tmp_path / 'nothing')
    (tmp_path / 'index.json').write_text('[]')
    with pytest.raises(GalleryIndexError, match='not written by a gallery index'):
        GalleryIndex.load(tmp_path)
    (tmp_path / 'index.json').write_text('{"format": 99}')
    with pytest.raises(GalleryIndexError, match='has format 99'):
        GalleryIndex.load(tmp_path)
    (tmp_path / 'index.json').unlink()
    content = saved(gallery, tmp_path)
    content['metric'] = 'l2'  # by hand
    (tmp_path / 'index.json').write_text(json.dumps(content))
    with pytest.raises(GalleryIndexError, match='does not fit its checksum'):
        GalleryIndex.load(tmp_path)


def test_a_foreign_faiss_file_is_refused(gallery, tmp_path):
    """What faiss itself says becomes one sentence; so does an index of another size."""
    from mmvireid.search.index import manifest
    saved(gallery, tmp_path, 'flat')
    other = filled('flat', tuple(part[:50] for part in gallery))
    path, = tmp_path.glob('*.faiss')

    def pretend():
        """Give the file in place of faiss's the checksum that it has."""
        content = manifest.read_manifest(tmp_path)
        content = manifest.replace(content, index=manifest.file_entry(path))
        manifest.write_manifest(tmp_path, content)

    path.write_bytes(b'no index at all')
    pretend()
    with pytest.raises(GalleryIndexError, match='cannot be read by faiss'):
        GalleryIndex.load(tmp_path)
    other._faiss.write(path)
    pretend()
    with pytest.raises(GalleryIndexError, match='50 descriptors for 320 images'):
        GalleryIndex.load(tmp_path)


@pytest.mark.parametrize('kind', ['torch', 'flat'])
def test_a_folder_of_a_stranger_is_believed_nothing(kind, gallery, tmp_path):
    """With its checksum computed again, so that only what it says can be wrong."""
    from mmvireid.search.index import manifest
    folder = tmp_path / 'index'
    good = saved(gallery, folder, kind)
    del good['checksum']
    secret = tmp_path / 'secret.rows'
    shutil.copy(next(folder.glob('*.rows')), secret)

    def changed(path, value):
        """Replace or, by None, leave out one entry; check that it is one sentence."""
        content = copy.deepcopy(good)
        *parents, last = path
        place = functools.reduce(lambda inside, key: inside[key], parents, content)
        if value is LEFT_OUT:
            del place[last]
        else:
            place[last] = value
        content['checksum'] = manifest._checksum(content)
        (folder / 'index.json').write_text(json.dumps(content))
        with pytest.raises(GalleryIndexError, match='does not describe|format|not written by'):
            GalleryIndex.load(folder)

    file = ('segments', 0, 'files', 'rows')
    for name in ('../secret.rows', str(secret), 'index.json', '', 3, 'x' * 5000, 'a\0b'):
        changed((*file, 'name'), name)
    for path in ((), ('segments', 0), file):
        place = functools.reduce(lambda inside, key: inside[key], path, good)
        for key in place:
            changed((*path, key), LEFT_OUT)
            for value in (None, [], 'x', -1, 2.5, True):
                # What an index may be: of any fingerprint, without a faiss file, ids or rows.
                fits = (key in ('fingerprint', 'revision') and value == 'x'
                        or key in ('index', 'ids') and value is None
                        or key == 'segments' and value == [])
                if value != place[key] and not fits:
                    changed((*path, key), value)
        changed((*path, 'more'), 1)
    changed(('options', 'more'), 1)
    changed(('segments', 0, 'files', 'more'), good['segments'][0]['files']['rows'])
    changed(('segments', 0, 'rows'), good['segments'][0]['rows'] + 1)

    # A file of the right name that leads elsewhere.
    content = {**good, 'checksum': manifest._checksum(good)}
    (folder / 'index.json').write_text(json.dumps(content))
    GalleryIndex.load(folder)
    path, = folder.glob('*.rows')
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(GalleryIndexError, match='is a link to another place'):
        GalleryIndex.load(folder)


@each_kind
def test_an_empty_gallery(kind, gallery, tmp_path):
    index = GalleryIndex.create(16, kind, **OPTIONS[kind])
    if index.needs_training:
        index.train(gallery[0])
    index.add(np.empty((0, 16)), [])
    index.save(tmp_path)
    index = GalleryIndex.load(tmp_path)
    assert len(index) == 0
    with pytest.raises(GalleryIndexError, match='the gallery is empty'):
        index.search(gallery[0])
    index.add(*gallery[::3])
    distances, rows = index.search(gallery[0][:0], 3)
    assert distances.shape == rows.shape == (0, 3)
    assert index.search(gallery[0][:2], 1000)[1].shape == (2, 320)


def test_training_where_it_is_needed(gallery):
    for kind in ('ivf', 'ivfpq'):
        index = GalleryIndex.create(16, kind)
        assert index.needs_training
        with pytest.raises(GalleryIndexError, match='trained before anything is added'):
            index.add(gallery[0])
    with pytest.raises(GalleryIndexError, match='at least 256 descriptors, not 100'):
        index.train(gallery[0][:100])
    index = filled('ivf', gallery)
    with pytest.raises(GalleryIndexError, match='trained already'):
        index.train(gallery[0])
    with pytest.raises(GalleryIndexError, match='"flat" needs no training'):
        GalleryIndex.create(16, 'flat').train(gallery[0])
    with pytest.raises(GalleryIndexError, match='does not give descriptors back'):
        index.descriptors([0])


def test_refuses_bad_arguments(gallery, tmp_path):
    features = gallery[0]
    for arguments, message in [
        (dict(kind='annoy'), 'no index of kind "annoy"'),
        (dict(metric='cosin'), 'no metric "cosin"'),
        (dict(dim=0), 'dim must be'),
        (dict(num_probes=4), 'has no option "num_probes", it has dtype'),
        (dict(dtype='int8'), 'float32 or float16'),
        (dict(kind='ivf', num_lists=0), 'num_lists must be a whole number'),
        (dict(kind='ivfpq', num_codes=5), 'cannot be cut into 5'),
    ]:
        with pytest.raises(GalleryIndexError, match=message):
            GalleryIndex.create(**{'dim': 16, **arguments})
    index = filled('torch', gallery, folder=tmp_path)
    for rows, arguments, message in [
        (features, dict(ids=['a']), '320 descriptors came with 1 ids'),
        (features, dict(camera=[1, 2]), 'came with 2 camera'),
        (features[:1], dict(camera=[0.5]), 'camera must be whole numbers'),
        (features[0], {}, 'must be of shape'),
        (np.full((2, 16), np.nan), {}, 'descriptors holds NaN'),
    ]:
        with pytest.raises(ValueError, match=message):
            index.add(rows, **arguments)
        assert len(index) == 320
    with pytest.raises(ValueError, match='queries holds NaN'):
        index.search(np.full((2, 16), np.inf))
    with pytest.raises(ValueError, match='at least 1'):
        index.search(features, 0)
    with pytest.raises(GalleryIndexError, match='no row 320'):
        index.info([0, 320])
    with pytest.raises(GalleryIndexError, match='no row -1'):
        index.descriptors([-1])
    index.save()
    with pytest.raises(GalleryIndexError, match='holds an index already'):
        GalleryIndex.create(16, folder=tmp_path)
    other = GalleryIndex.create(16)
    with pytest.raises(GalleryIndexError, match='has no folder yet'):
        other.save()
    other.add(features[:3])
    with pytest.raises(GalleryIndexError, match='overwrite=True'):
        other.save(tmp_path)
    other.save(tmp_path, overwrite=True)
    assert len(GalleryIndex.load(tmp_path)) == 3


def test_without_faiss_the_exact_kind_works(monkeypatch, gallery):
    monkeypatch.setitem(__import__('sys').modules, 'faiss', None)
    assert filled('torch', gallery).search(gallery[0], 1)[1][5, 0] == 5
    with pytest.raises(EnvironmentMismatchError, match='pip install faiss-cpu'):
        GalleryIndex.create(16, 'flat')


def test_rows_stay_on_a_device_that_has_room(gallery, monkeypatch):
    """What a GPU does, on the CPU: blocks are kept, and later rows join them."""
    features = gallery[0]
    monkeypatch.setattr(exact, 'CPU_BLOCK', 64 * features.shape[1])
    index = filled('torch', tuple(part[:120] for part in gallery))
    monkeypatch.setattr(index._exact, '_fits_on_device', lambda rows: True)
    index.search(features, 3)
    index.add(*(part[120:] for part in gallery[::3]))
    read, rows = [], index._gallery()
    real = rows.descriptors
    monkeypatch.setattr(rows, 'descriptors', lambda a, b: read.append((a, b)) or real(a, b))
    for _ in range(2):
        found = index.search(features, 3)
    assert read == [(120, 184), (184, 248), (248, 312), (312, 320)]
    for value, wanted in zip(found, filled('torch', gallery).search(features, 3)):
        np.testing.assert_allclose(value, wanted, atol=1e-6)


PEAK_RESET = Path('/proc/self/clear_refs')


def peak_growth(work):
    """Return by how many MiB the resident memory of this process grew at most."""
    def resident(name):
        status = Path('/proc/self/status').read_text()
        return int(re.search(rf'{name}:\s+(\d+) kB', status)[1]) / 1024

    PEAK_RESET.write_text('5')
    before = resident('VmRSS')
    work()
    return resident('VmHWM') - before


@pytest.mark.skipif(not os.access(PEAK_RESET, os.W_OK), reason='the peak cannot be reset')
def test_memory_is_one_block_whatever_the_gallery(tmp_path, monkeypatch):
    """80 MiB of descriptors come in, are saved, loaded and searched; memory stays flat."""
    dim, batch, batches = 256, 4096, 20
    monkeypatch.setattr(exact, 'CPU_BLOCK', 2**20)
    monkeypatch.setattr('mmvireid.search.torch_backend.CPU_BLOCK', 2**20)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((batch, dim), dtype=np.float32)
    queries = rng.standard_normal((8, dim), dtype=np.float32)

    def add(index, number):
        index.add(rows + number, [f'{number}/{row}.jpg' for row in range(batch)])

    warm = GalleryIndex.create(dim)  # compiles, starts the allocators
    add(warm, 0)
    warm.search(queries)

    def build():
        index = GalleryIndex.create(dim, folder=tmp_path)
        for number in range(batches):
            add(index, number)
        index.save()

    def search():
        index = GalleryIndex.load(tmp_path)
        _, found = index.search(queries)
        index.info(found)

    size = batches * batch * dim * 4 / 2**20
    assert size == 80
    assert peak_growth(build) < 0.5 * size
    assert peak_growth(search) < 0.5 * size


@pytest.mark.parametrize('kind', ['flat', 'hnsw'])
@pytest.mark.skipif(not os.access(PEAK_RESET, os.W_OK), reason='the peak cannot be reset')
def test_a_faiss_index_that_knows_its_size_is_never_copied(kind, tmp_path):
    """51 MiB come in: the peak is the index and a little, where it was nearly twice as much."""
    dim, batch, batches = 768, 512, 34
    rows = np.random.default_rng(0).standard_normal((batch, dim), dtype=np.float32)
    options = dict(num_links=4, ef_construction=4) if kind == 'hnsw' else {}
    warm = GalleryIndex.create(dim, kind, **options)
    warm.add(rows[:64])
    warm.search(rows[:2])

    def build():
        index = GalleryIndex.create(dim, kind, **options)
        index.reserve(batch * batches)
        for number in range(batches):
            index.add(rows + np.float32(number))
        assert len(index) == batch * batches
        index.save(tmp_path)

    size = batch * batches * dim * 4 / 2**20
    assert size == 51
    # A batch is converted, and normalised, beside the index.
    assert peak_growth(build) < size + 20


@each_kind
def test_room_is_no_limit_and_changes_nothing(kind, gallery, tmp_path):
    index = filled(kind, tuple(part[:200] for part in gallery), folder=tmp_path)
    index.save()
    plain, roomy = GalleryIndex.load(tmp_path), GalleryIndex.load(tmp_path)
    roomy.reserve(230)
    assert len(roomy) == 200
    for one in (plain, roomy):
        one.add(*(part[200:] for part in gallery[::3]))
    for value, wanted in zip(roomy.search(gallery[0], 5), plain.search(gallery[0], 5)):
        np.testing.assert_array_equal(value, wanted)
    for wrong in (-1, 2.5, None):
        with pytest.raises(GalleryIndexError, match='num_rows must be'):
            roomy.reserve(wrong)
