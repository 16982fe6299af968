"""Two networks as one model, and labels that they trust, on one process and on two."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch import nn
from torch.nn import functional

from mmvireid.engine import CleanProbabilityHook
from mmvireid.models import BNNeckHead, CoTeachingReIdentifier, DARTHead
from mmvireid.structures import BatchInfo, ReIDDataSample
from mmvireid.utils.errors import ConfigError, UsageError

DART = dict(type='DARTHead', num_classes=4, in_channels=6)
PARTS = dict(
    backbone=dict(type=nn.Conv2d, in_channels=3, out_channels=6, kernel_size=2),
    neck=dict(type='mmpretrain.GlobalAveragePooling'))


class Pictures(torch.utils.data.Dataset):
    """Eight visible images and six infrared ones of four people; an image is its number."""

    labels = true_labels = np.array([0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3, 0, 1])
    modalities = np.repeat([0, 1], [8, 6])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        picture = torch.randn(1, 3, 5, 4, generator=torch.Generator().manual_seed(int(i)))
        return dict(inputs=picture, data_samples=ReIDDataSample(metainfo=dict(
            img_path=f'{i}.jpg', sample_idx=int(i), label=int(self.labels[i]),
            modality=int(self.modalities[i]), branch='member_2')))


def model_of(head=DART, **options):
    torch.manual_seed(0)
    return CoTeachingReIdentifier(**PARTS, head=head, **options)


def batch_of(model, rows):
    pictures = [Pictures()[i] for i in rows]
    return model.data_preprocessor(
        {key: [picture[key] for picture in pictures] for key in pictures[0]}, True)


def test_members_start_differently_and_are_searched_as_one():
    model = model_of().eval()
    first, second = (member.backbone.trunk.weight for member in model.members)
    assert not torch.equal(first, second)
    data = batch_of(model, range(10))
    with torch.no_grad():
        found = model(**data, mode='predict')
        assert torch.equal(model(**data), torch.stack([s.descriptors['base'] for s in found]))
        modality = BatchInfo.from_samples(data['data_samples']).modality
        for flip in (False, True):
            described = model.describe(data['inputs'], modality, flip=flip)
            each = [member.describe(data['inputs'], modality, flip=flip)['base']
                    for member in model.members]
            torch.testing.assert_close(
                described['base'], functional.normalize(each[0] + each[1]))
            for name, rows in zip(model.member_names, each):
                assert torch.equal(described[name], rows)


@pytest.mark.parametrize('branch', [None, 'intra'])
def test_a_batch_that_belongs_to_nobody_is_refused(branch):
    model = model_of()
    data = batch_of(model, range(14))
    for sample in data['data_samples']:
        sample.set_metainfo(dict(branch=branch))
    with pytest.raises(ConfigError, match='which of member_1, member_2 it is for'):
        model(**data, mode='loss')
    if branch is None:  # where there is one, nobody need say so
        assert 'loss_ce' in model_of(num_members=1)(**data, mode='loss')
    with pytest.raises(ConfigError, match='num_members must be at least 1'):
        model_of(num_members=0)
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict'"):
        model(**data, mode='train')


def test_warm_up_is_plain_classification():
    torch.manual_seed(0)
    head, plain = DARTHead(4, 6), BNNeckHead(4, 6)
    plain.load_state_dict(head.state_dict())
    pooled = torch.randn(8, 6)
    info = BatchInfo(modality=torch.arange(8) // 4, label=torch.arange(8) % 4)
    assert head.loss(pooled, info) == plain.loss(pooled, info)
    head.set_confidence(torch.full((1, 8), 0.4))
    with pytest.raises(UsageError, match='does not know its images: keep sample_idx'):
        head.loss(pooled, info)


def test_each_view_has_a_confidence_of_its_own():
    head = DARTHead(4, 6, metric_loss=None)
    table = torch.rand(2, 20)
    head.set_confidence(table)
    index, view = torch.tensor([3, 3, 17, 0]), torch.tensor([0, 1, 0, 1])
    info = BatchInfo(modality=torch.zeros(4, dtype=torch.int64), label=torch.arange(4),
                     index=index, view=view)
    pooled = torch.randn(4, 6)
    losses = head.loss(pooled, info)
    _, logits = head(pooled)
    each = functional.cross_entropy(logits, info.label, reduction='none')
    torch.testing.assert_close(head.image_losses(pooled, info), each)
    torch.testing.assert_close(losses['loss_ce'], (table[view, index] * each).mean())
    assert set(losses) == {'loss_ce', 'accuracy'}
    head.set_confidence(None)
    assert head.confidence is None
    assert 'confidence' not in head.state_dict()


def test_without_a_trusted_row_a_step_still_works():
    head = DARTHead(4, 6)
    head.set_confidence(torch.full((1, 8), 0.1))
    pooled = torch.randn(8, 6, requires_grad=True)
    info = BatchInfo(modality=torch.arange(8) // 4, label=torch.arange(8) % 4,
                     index=torch.arange(8))
    losses = head.loss(pooled, info)
    assert (losses['loss_metric'], losses['anchors']) == (0, 0)
    (losses['loss_ce'] + losses['loss_metric']).backward()
    assert torch.isfinite(pooled.grad).all()


def one_step(rows):
    """Losses and gradients of a batch of which this process has the rows."""
    wrapped = model = model_of()
    for member in model.members:
        member.head.set_confidence(torch.linspace(0.2, 1, 14)[None])
    if torch.distributed.is_initialized():
        wrapped = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
    data = batch_of(model, rows)
    torch.manual_seed(1)
    losses = wrapped(**data, mode='loss')
    (losses['loss_ce'] + losses['loss_metric']).backward()
    return ({name: loss.item() for name, loss in losses.items()},
            {name: p.grad for name, p in model.named_parameters() if p.grad is not None})


def probabilities(batch_size):
    """What the hook finds with networks in evaluation mode."""
    hook = CleanProbabilityHook(mode='eval', batch_size=batch_size, begin=0)
    runner = SimpleNamespace(
        model=model_of(), seed=3, epoch=2, logger=logging.getLogger('quiet'),
        visualizer=SimpleNamespace(add_scalars=lambda *args, **kwargs: None),
        train_dataloader=SimpleNamespace(dataset=Pictures(), batch_size=4, num_workers=0),
        build_dataloader=Runner.build_dataloader)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    for member, name in zip(runner.model.members, ('member_2', 'member_1')):
        torch.testing.assert_close(
            member.head.confidence.double().numpy(), hook.probabilities[name], atol=1e-6, rtol=0)
    return hook.probabilities


def worker(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    # Two visible and two infrared images of each of two people.
    rows = [[0, 1, 2, 3, 8, 9, 12, 13], [4, 5, 6, 7, 10, 11, 10, 11]][rank]
    found = probabilities(2)
    torch.save((*one_step(rows), {n: torch.from_numpy(p) for n, p in found.items()}),
               f'{folder}/rank{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Losses and gradients of a member, none of the other; probabilities of all images."""
    torch.multiprocessing.start_processes(
        worker, args=(str(tmp_path), ), nprocs=2, start_method='forkserver')
    # As the two ranks hold them; the visible ones of both come first.
    wanted_losses, wanted_grads = one_step(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 10, 11, 10, 11])
    assert all(name.startswith('members.1.') for name in wanted_grads)
    wanted = probabilities(4)
    for rank in range(2):
        losses, grads, found = torch.load(tmp_path / f'rank{rank}.pth', weights_only=True)
        assert losses == pytest.approx(wanted_losses, rel=1e-5)
        assert set(grads) == set(wanted_grads)
        for name, grad in grads.items():
            torch.testing.assert_close(grad, wanted_grads[name], atol=1e-6, rtol=1e-4)
        for name, table in found.items():
            np.testing.assert_allclose(table, wanted[name], atol=1e-6)
