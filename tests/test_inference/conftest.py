"""A small model with weights, and pictures to search in."""

import numpy as np
import pytest
from inference_models import STEMS, write_checkpoint
from PIL import Image

from mmvireid.apis import VIReIDInferencer


@pytest.fixture(scope='session')
def weights(tiny_config, tmp_path_factory):
    """A checkpoint of the tiny CIFT."""
    return write_checkpoint(tiny_config, tmp_path_factory.mktemp('weights') / 'epoch_2.pth')


@pytest.fixture(scope='session')
def stem_weights(tiny_config, tmp_path_factory):
    """A checkpoint of the tiny CIFT with two stems."""
    return write_checkpoint(
        tiny_config, tmp_path_factory.mktemp('weights') / 'stems.pth', STEMS)


@pytest.fixture
def inferencer(tiny_config, weights):
    return VIReIDInferencer(tiny_config, weights, 'cpu')


@pytest.fixture(scope='session')
def footage(tiny_sysu, tmp_path_factory):
    """Own footage: a list of six images for the gallery and one of four queries.

    Returns the folder; ``gallery.csv`` and ``query.csv`` name images of 'day' and 'night'.
    """
    root = tmp_path_factory.mktemp('footage')
    sources = {'day': ('cam1', 6), 'night': ('cam3', 4)}
    for folder, (camera, num) in sources.items():
        (root / folder).mkdir()
        files = sorted(tiny_sysu.glob(f'{camera}/*/*.jpg'))[::2][:num]
        lines = ['path,identity,camera,modality']
        for i, path in enumerate(files):
            name = f'{folder}/{i}.png'
            Image.open(path).save(root / name)
            modality = 'visible' if folder == 'day' else 'infrared'
            lines.append(f'{name},{int(path.parent.name)},{camera[3:]},{modality}')
        name = 'gallery' if folder == 'day' else 'query'
        (root / f'{name}.csv').write_text('\n'.join(lines))
    return root


@pytest.fixture(scope='session')
def array():
    """Read a picture as an array of shape (H, W, 3)."""
    return lambda path: np.array(Image.open(path).convert('RGB'))
