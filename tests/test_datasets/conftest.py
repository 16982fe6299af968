import os

import pytest

from mmvireid.datasets.sysu_mm01_counts import sysu_expected_counts, sysu_expected_identities


@pytest.fixture(scope='session')
def full_sysu(tmp_path_factory):
    """SYSU-MM01 with every file of the original under its name, all of them empty.

    Tests may change it but must put it back.
    """
    root = tmp_path_factory.mktemp('full_sysu')
    for (camera, identity), number in sysu_expected_counts().items():
        folder = root / f'cam{camera}' / f'{identity:04d}'
        folder.mkdir(parents=True)
        for position in range(1, number + 1):
            os.close(os.open(folder / f'{position:04d}.jpg', os.O_CREAT | os.O_WRONLY))
    (root / 'exp').mkdir()
    for split, identities in sysu_expected_identities().items():
        text = ','.join(map(str, identities))
        (root / 'exp' / f'{split}_id.txt').write_text(f'{text}\n')
    return root
