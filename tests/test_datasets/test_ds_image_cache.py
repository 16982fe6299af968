"""The cache: same pixels, notices changes, safe for several writers."""

import fcntl
import os
import pickle
import time
import warnings

import numpy as np
import pytest
from commands import FORK_SERVER, LIMIT
from ds_layouts import sysu_layout, write_image
from torch.utils.data import DataLoader

from mmvireid.datasets import SYSUMM01, DatasetError, ImageCache, LoadReIDImage


def stored(folder):
    return sorted(path for path in folder.rglob('*') if path.is_file())


def load(path, cache=None, **kwargs):
    return LoadReIDImage((48, 24), cache_dir=cache and str(cache), **kwargs).load(str(path))


def test_second_reading_comes_from_the_cache_and_has_the_same_pixels(tmp_path):
    path = write_image(tmp_path / 'a.jpg', size=(61, 95))
    plain = load(path)
    first = load(path, tmp_path / 'cache')
    np.testing.assert_array_equal(first, plain)
    files = stored(tmp_path / 'cache')
    assert len(files) == 1
    assert files[0].stat().st_size == 48 * 24 * 3

    def fail(content):
        raise AssertionError('decoded again')

    cache = LoadReIDImage((48, 24), cache_dir=str(tmp_path / 'cache')).cache
    second = cache.get(str(path), fail)
    np.testing.assert_array_equal(second, plain)
    second[:] = 0  # the caller owns its copy
    np.testing.assert_array_equal(cache.get(str(path), fail), plain)


def test_changed_file_is_noticed_even_with_the_old_name_size_and_date(tmp_path):
    path = write_image(tmp_path / 'a.bmp', seed=1)
    load(path, tmp_path / 'cache')
    before = path.stat()
    write_image(path, seed=2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    np.testing.assert_array_equal(load(path, tmp_path / 'cache'), load(path))
    assert len(stored(tmp_path / 'cache')) == 2


def test_changed_file_is_noticed_within_a_process(tmp_path):
    """It is loaded, and somebody learns of it, though its name, size and date are the old."""
    path = write_image(tmp_path / 'a.bmp', seed=1)
    loader = LoadReIDImage((48, 24), cache_dir=str(tmp_path / 'cache'))
    loader.load(str(path))
    before = path.stat()
    write_image(path, seed=2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.warns(UserWarning, match='replaced or changed since this run began'):
        np.testing.assert_array_equal(loader.load(str(path)), load(path))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        path.touch()  # the same content
        np.testing.assert_array_equal(loader.load(str(path)), load(path))


def test_file_replaced_between_two_epochs_is_noticed_by_new_workers(tmp_path):
    """They have not met the old one, but know when the run began."""
    kept, replaced = (write_image(tmp_path / name, seed=1) for name in ('a.bmp', 'b.bmp'))
    loader = LoadReIDImage((48, 24), cache_dir=str(tmp_path / 'cache'))
    before = replaced.stat()
    time.sleep(0.05)  # file systems round the times that they note
    write_image(replaced, seed=2)
    os.utime(replaced, ns=(before.st_atime_ns, before.st_mtime_ns))
    worker = pickle.loads(pickle.dumps(loader))
    with pytest.warns(UserWarning, match='b.bmp" was replaced or changed since this run began'):
        np.testing.assert_array_equal(worker.load(str(replaced)), load(replaced))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        worker.load(str(kept))
        worker.load(str(replaced))  # said once


def test_sizes_and_filters_do_not_mix_and_equal_files_share(tmp_path):
    path = write_image(tmp_path / 'a.jpg', size=(61, 95))
    cache = tmp_path / 'cache'
    load(path, cache)
    bicubic = load(path, cache, interpolation='bicubic')
    np.testing.assert_array_equal(bicubic, load(path, interpolation='bicubic'))
    LoadReIDImage((24, 48), cache_dir=str(cache)).load(str(path))
    assert len(stored(cache)) == 3
    (tmp_path / 'copy.jpg').write_bytes(path.read_bytes())
    load(tmp_path / 'copy.jpg', cache)
    assert len(stored(cache)) == 3


def test_incomplete_file_after_a_crash_is_made_again(tmp_path):
    path = write_image(tmp_path / 'a.jpg', size=(61, 95))
    load(path, tmp_path / 'cache')
    stored(tmp_path / 'cache')[0].write_bytes(b'')
    np.testing.assert_array_equal(load(path, tmp_path / 'cache'), load(path))
    assert stored(tmp_path / 'cache')[0].stat().st_size == 48 * 24 * 3


def test_nobody_tidies_away_what_is_about_to_be_complete(tmp_path, monkeypatch):
    path, replace = write_image(tmp_path / 'a.jpg', size=(61, 95)), os.replace

    def tidied_before(temporary, target):
        ImageCache._remove_unfinished(os.path.dirname(temporary))
        replace(temporary, target)

    monkeypatch.setattr(os, 'replace', tidied_before)
    load(path, tmp_path / 'cache')
    assert len(stored(tmp_path / 'cache')) == 1


def fill(paths, cache, start, results):
    start.wait()
    total = sum(int(load(path, cache).astype(np.int64).sum()) for path in paths)
    results.put(total)


def test_processes_that_fill_one_cache_at_once(tmp_path):
    paths = [write_image(tmp_path / f'{k}.jpg', seed=k, size=(61, 95)) for k in range(30)]
    expected = sum(int(load(path).astype(np.int64).sum()) for path in paths)
    start, results = FORK_SERVER.Barrier(4), FORK_SERVER.Queue()
    workers = [FORK_SERVER.Process(target=fill, args=(paths, tmp_path / 'cache', start, results))
               for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LIMIT)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [results.get(timeout=LIMIT) for _ in workers] == [expected] * 4
    files = stored(tmp_path / 'cache')
    assert len(files) == 30
    assert not [path for path in files if path.suffix != '.rgb']


def test_data_loader_workers_share_the_cache(tmp_path):
    root = sysu_layout(tmp_path / 'sysu')

    def images(workers, **kwargs):
        pipeline = [{'type': 'LoadReIDImage', 'size': (32, 16), **kwargs},
                    {'type': 'PackReIDInputs'}]
        dataset = SYSUMM01(root, split='test', pipeline=pipeline)
        loader = DataLoader(dataset, batch_size=None, num_workers=workers,
                            multiprocessing_context='fork' if workers else None)
        return np.stack([item['inputs'].numpy() for item in loader])

    plain = images(0)
    for _ in range(2):
        np.testing.assert_array_equal(
            images(2, cache_dir=str(tmp_path / 'cache')), plain)
    pickle.dumps(LoadReIDImage(cache_dir=str(tmp_path / 'cache')))


def test_another_user_may_read_the_cache(tmp_path):
    path = write_image(tmp_path / 'a.jpg')
    before = os.umask(0o022)
    try:
        load(path, tmp_path / 'cache')
    finally:
        os.umask(before)
    file, = stored(tmp_path / 'cache')
    assert file.stat().st_mode & 0o777 == 0o644


def test_folder_that_cannot_be_written(tmp_path):
    path = write_image(tmp_path / 'a.jpg')
    (tmp_path / 'cache').write_text('a file where the folder should be')
    with pytest.raises(DatasetError, match='cannot write the image cache .* choose another'):
        load(path, tmp_path / 'cache')


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = write_image(tmp_path / 'a.jpg')

    def disk_full(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmvireid.datasets.image_cache.os.replace', disk_full)
    with pytest.raises(DatasetError, match='No space left on device'):
        load(path, tmp_path / 'cache')
    assert stored(tmp_path / 'cache') == []


def test_decoder_of_another_size_is_a_fault_of_the_caller(tmp_path):
    path = write_image(tmp_path / 'a.jpg')
    cache = ImageCache(str(tmp_path / 'cache'), (4, 4))
    with pytest.raises(ValueError, match='uint8 images of shape'):
        cache.get(str(path), lambda content: np.zeros((5, 4, 3), np.uint8))


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    """By the next one that writes beside it; what another process is writing stays."""
    path, cache = write_image(tmp_path / 'a.jpg'), tmp_path / 'cache'
    load(path, cache)
    image, = stored(cache)
    image.unlink()
    left, working = image.with_name('killed.partial'), image.with_name('writing.partial')
    left.write_bytes(b'some')
    with open(working, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        load(path, cache)
    assert stored(cache) == sorted([image, working])
