"""What a resumed checkpoint names is deleted in the folder of its own run only."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from torch import nn

from mmvireid.engine import SafeCheckpointHook
from mmvireid.utils.errors import MissingEntryError

FILES = {'1.pth', 'best_mAP_2.pth', 'notes.txt'}


@pytest.mark.parametrize('metrics', [['mAP'], ['mAP', 'R1']])
def test_a_resumed_checkpoint_deletes_nothing_outside_its_run(tmp_path, metrics):
    own, other = tmp_path / 'own', tmp_path / 'other'
    for folder in (own, other):
        folder.mkdir()
        for name in FILES:
            (folder / name).touch()
    hub = MessageHub(f'{metrics}')
    hub.update_info('keep_ckpt_ids', ['../other/1', 1, 2])
    for metric, name in zip(metrics, ('best_mAP_2.pth', 'notes.txt')):
        hub.update_info('best_ckpt' + f'_{metric}' * (len(metrics) > 1), str(other / name))
    runner = SimpleNamespace(
        work_dir=str(own), message_hub=hub, logger=logging.getLogger(), model=nn.Linear(1, 1),
        epoch=3, iter=3, save_checkpoint=lambda folder, filename, *_, **__: None)

    hook = SafeCheckpointHook(
        max_keep_ckpts=1, save_best=metrics, filename_tmpl='{}.pth')
    hook.before_train(runner)
    hook.after_val_epoch(runner, dict.fromkeys(metrics, 1.0))
    hook._save_checkpoint(runner)
    assert {path.name for path in other.iterdir()} == FILES
    # Its own copy of what was the best, and the oldest of its own, have made place.
    assert {path.name for path in own.iterdir()} == {'notes.txt', 'last_checkpoint'}


def test_the_best_of_a_metric_that_nobody_reports():
    hook = SafeCheckpointHook(save_best='mAP')
    with pytest.raises(MissingEntryError, match='reports sysu/all_single/base/mAP'):
        hook.after_val_epoch(None, {'sysu/all_single/base/mAP': 3.0})
    hook._init_rule([None], ['sysu/all_single/base/R1'])  # what 'auto' comes to
    assert hook.rules == ['greater']
