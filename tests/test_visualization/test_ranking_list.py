"""Ranking lists as pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmvireid.structures import ImageSet, RetrievalResult
from mmvireid.utils.errors import DatasetError
from mmvireid.visualization import choose_queries, draw_ranking_lists, save_picture
from mmvireid.visualization.ranking_list import QUERY, RIGHT, WRONG


@pytest.fixture
def result(tmp_path):
    """Three queries (cameras 3, 3, 6) and four gallery images (cameras 1, 2, 2, 4).

    Identities: query 5, 6, 7; gallery 5, 5, 6, 9. Query 7 has no match.
    """
    colours = {5: (200, 40, 40), 6: (40, 200, 40), 7: (40, 40, 200), 9: (90, 90, 90)}

    def images(name, identities, cameras, modality):
        paths = []
        for i, identity in enumerate(identities):
            path = tmp_path / f'{name}{i}.png'
            Image.new('RGB', (16, 32), colours[identity]).save(path)
            paths.append(str(path))
        n = len(paths)
        return ImageSet({}, np.array(identities), np.array(cameras), np.full(n, modality),
                        np.arange(n), paths)

    distance = torch.tensor([
        [0.3, 0.1, 0.2, 0.4],  # camera 3 does not see camera 2: gallery 0, then 3
        [0.1, 0.4, 0.2, 0.3],  # its match is in camera 2 only: no valid match
        [0.1, 0.2, 0.3, 0.4],
    ])
    return RetrievalResult(
        images('q', [5, 6, 7], [3, 3, 6], 1), images('g', [5, 5, 6, 9], [1, 2, 2, 4], 0),
        distance)


def pixels_by_colour(picture):
    """Count the pixels of each colour, written as in a style sheet."""
    return {f'#{r:02x}{g:02x}{b:02x}': n for n, (r, g, b) in picture.getcolors(1 << 24)}


def test_queries_without_a_match_are_not_chosen(result):
    assert choose_queries(result, 3, protocol='sysu').tolist() == [0]
    assert sorted(choose_queries(result, 3, protocol='regdb').tolist()) == [0, 1]


def test_half_of_the_chosen_queries_are_wrong(result):
    # Without a camera rule query 0 is right at once (gallery 1), query 1 is not.
    assert choose_queries(result, 2, protocol='regdb').tolist() == [0, 1]
    assert choose_queries(result, 1, protocol='regdb').tolist() == [0]


def test_frames_tell_right_from_wrong(result):
    right_only = draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=1)
    both = draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=4)
    # The legend shows each colour once; a frame has many more pixels of it.
    few, many = pixels_by_colour(right_only)[WRONG], pixels_by_colour(both)[WRONG]
    assert many > 3 * few > 0
    assert {QUERY, RIGHT, WRONG} <= set(pixels_by_colour(both))


def test_a_picture_that_is_gone_is_an_empty_frame(result):
    before = draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=2)
    Path(result.gallery.img_path[0]).unlink()
    after = draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=2)
    assert after.size == before.size
    assert pixels_by_colour(after)['#e4e4e4'] >= 72 * 144
    assert pixels_by_colour(after)[RIGHT] == pixels_by_colour(before)[RIGHT]
    Path(result.gallery.img_path[3]).write_text('no image')
    with pytest.raises(DatasetError, match='is not an image file'):
        draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=2)


def test_one_row_a_method(result):
    one = draw_ranking_lists({'a': result}, [0], protocol='sysu', topk=2)
    two = draw_ranking_lists({'a': result, 'b': result}, [0], protocol='sysu', topk=2)
    assert abs(two.width - one.width) < 5
    assert two.height > one.height + 100


def test_paths_are_needed(result):
    nameless = ImageSet({}, *(getattr(result.query, k) for k in
                              ('identity', 'camera', 'modality', 'sample_idx')))
    with pytest.raises(ValueError, match='needs the image paths'):
        draw_ranking_lists({'a': RetrievalResult(nameless, result.gallery, result.distance)}, [0],
                           protocol='sysu')


def test_pictures_are_saved_in_new_folders(result, tmp_path):
    path = save_picture(draw_ranking_lists({'a': result}, [0], protocol='sysu'),
                        tmp_path / 'new' / 'a.png')
    with Image.open(path) as picture:
        assert picture.mode == 'RGB'


def test_a_picture_is_written_whole_or_not_at_all(tmp_path):
    picture = Image.new('RGB', (4, 4))
    save_picture(picture, tmp_path / 'a.jpg')
    with pytest.raises(ValueError, match='let it end in .png'):
        save_picture(picture, tmp_path / 'a.no_such_format')
    assert [path.name for path in tmp_path.iterdir()] == ['a.jpg']
