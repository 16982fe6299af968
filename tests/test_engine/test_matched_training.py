"""Second stages whose clusters are matched, on a tiny dataset."""

import shutil

import pytest
from bmil import assert_same, labels_file, load, losses, train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(('demo', 'terms', 'notes'), [
    ('pgm/pgm_r18_demo_cross.py', {'cross', 'visible', 'infrared'}, 'rounds'),
    ('adca/adca_r18_demo_cross.py', {'visible', 'infrared'}, 'votes'),
    ('rpnr/rpnr_r18_demo_cross.py', {'cross', 'hybrid', 'relation', 'visible', 'infrared'},
     'transport iterations'),
    ('nulc/nulc_r18_demo_cross.py', {'cross', 'visible', 'infrared'}, 'weight visible')])
def test_a_stage_of_matched_clusters(tiny_matched_config, tmp_path, demo, terms, notes):
    """Resumed after the first epoch, the second has the other direction, as if unbroken."""
    config = tiny_matched_config(demo)
    train(config, tmp_path / 'unbroken')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'unbroken/clustering.json', tmp_path / 'resumed')
    train(config, tmp_path / 'resumed', resume=str(tmp_path / 'unbroken/epoch_1.pth'))
    one, other = (load(tmp_path / name / 'epoch_2.pth') for name in ('unbroken', 'resumed'))
    for key in ('state_dict', 'optimizer', 'pseudo_labels'):
        assert_same(one[key], other[key])
    seen = losses(tmp_path / 'unbroken', after_epoch=1)
    assert seen == losses(tmp_path / 'resumed')
    assert {key for row in seen for key in row if key.startswith('loss_')} == {
        f'loss_intra_{name}' for name in terms}
    rows = labels_file(tmp_path / 'unbroken')
    assert rows == labels_file(tmp_path / 'resumed')
    assert [row['modality'] for row in rows] == 2 * ['visible', 'infrared', 'both']
    for row in rows:
        assert row['notes']['matched infrared'] > 0
        assert row['notes'][notes] > 0
        assert not row['failed']
