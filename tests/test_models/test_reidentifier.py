"""The whole model: its modes, gathering over processes, and what it says of bad batches."""

import subprocess
import sys

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmvireid.models import (
    CrossModalityBackbone,
    CrossModalityReIdentifier,
    ReIDHead,
    TripletLoss,
)
from mmvireid.registry import MODELS
from mmvireid.structures import ReIDDataSample
from mmvireid.utils.errors import ConfigError, DatasetError


def config(head, **options):
    return {
        'type': 'mmvireid.CrossModalityReIdentifier',
        'backbone': {
            'type': 'CrossModalityBackbone',
            'trunk': {'type': 'mmpretrain.ResNet', 'depth': 18, 'base_channels': 4,
                      'stem_channels': 4, 'strides': (1, 2, 2, 1)},
            'modality_specific': 'stem'},
        'neck': {'type': 'mmpretrain.GlobalAveragePooling'},
        'head': head,
        **options}


AGW_HEAD = {'type': 'BNNeckHead', 'num_classes': 4, 'in_channels': 32,
            'metric_loss': {'type': 'WeightedRegularizedTripletLoss'}}
CIFT_HEAD = {'type': 'CIFTHead', 'num_classes': 4, 'in_channels': 32, 'noise': 'slot',
             'batch_size': 16}


def samples(modality, labels=None):
    labels = labels or [0] * len(modality)
    return [
        ReIDDataSample(metainfo={
            'img_path': f'{i}.jpg', 'sample_idx': i, 'identity': labels[i], 'label': labels[i],
            'camera': 1, 'modality': m}) for i, m in enumerate(modality)
    ]


def batch(n=16, seed=0):
    """Half visible, half infrared, two images of each of four identities."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.randint(0, 256, (1, 3, 64, 32), generator=generator, dtype=torch.uint8)
              for _ in range(n)]
    half = n // 2
    labels = [i // 2 % 4 for i in range(half)] * 2
    return {'inputs': images, 'data_samples': samples([0] * half + [1] * half, labels)}


@pytest.mark.parametrize('head', [AGW_HEAD, CIFT_HEAD], ids=['agw', 'cift'])
def test_learns_a_batch(head):
    torch.manual_seed(0)
    model = MODELS.build(config(head)).train()
    optim = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))
    history = [model.train_step(batch(), optim) for _ in range(15)]
    assert all(torch.isfinite(v) for step in history for v in step.values())
    assert history[-1]['loss'] < 0.7 * history[0]['loss']


@pytest.mark.parametrize('head', [AGW_HEAD, CIFT_HEAD], ids=['agw', 'cift'])
def test_every_parameter_gets_a_gradient(head):
    model = MODELS.build(config(head)).train()
    losses = model(**model.data_preprocessor(batch(), training=True), mode='loss')
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_predict_gives_descriptors_in_order():
    torch.manual_seed(0)
    model = MODELS.build(config(CIFT_HEAD)).eval()
    data = batch()
    data = {key: [value[i] for i in (9, 0, 15, 3)] for key, value in data.items()}
    with torch.no_grad():
        together = model.test_step(data)
        for i, sample in enumerate(together):
            assert sample.sample_idx == (9, 0, 15, 3)[i]
            assert set(sample.descriptors) == {'base', 'r2i', 'i2r'}
            alone = model.test_step({key: [value[i]] for key, value in data.items()})
            for name, vector in alone[0].descriptors.items():
                assert vector.shape == (32, )
                torch.testing.assert_close(
                    vector, together[i].descriptors[name], atol=1e-5, rtol=1e-4)


def test_flip_is_the_normalised_mean_of_two_descriptors():
    torch.manual_seed(0)
    model = MODELS.build(config(AGW_HEAD)).eval()
    x, modality = torch.randn(3, 3, 64, 32), [0, 1, 1]
    with torch.no_grad():
        plain = model(x, samples(modality), mode='predict')
        mirrored = model(x.flip(-1), samples(modality), mode='predict')
        model.test_cfg['flip'] = True
        flipped = model(x, samples(modality), mode='predict')
        bare = model.describe(x, torch.tensor(modality), normalize=False)['base']
    for a, b, both, row in zip(plain, mirrored, flipped, bare):
        mean = (a.descriptors['base'] + b.descriptors['base']) / 2
        torch.testing.assert_close(both.descriptors['base'], mean / mean.norm())
        torch.testing.assert_close(row, mean)
    assert MODELS.build(config(AGW_HEAD, test_cfg={'flip': True})).test_cfg['flip']


def test_losses_do_not_depend_on_the_order_of_the_rows():
    """Visible first is restored, stably, before the head."""
    torch.manual_seed(0)
    model = MODELS.build(config(CIFT_HEAD)).train()
    data = model.data_preprocessor(batch(), training=True)
    order = [i for pair in zip(range(8), range(8, 16)) for i in pair]
    torch.manual_seed(3)
    expected = model(**data, mode='loss')
    torch.manual_seed(3)
    mixed = model(data['inputs'][order], [data['data_samples'][i] for i in order], mode='loss')
    for name, loss in expected.items():
        torch.testing.assert_close(mixed[name], loss, atol=1e-4, rtol=1e-4)


def test_tensor_mode_is_the_pooled_feature():
    model = MODELS.build(config(AGW_HEAD)).eval()
    x, modality = torch.randn(2, 3, 64, 32), torch.tensor([0, 1])
    with torch.no_grad():
        pooled = model(x, samples([0, 1]))
        torch.testing.assert_close(pooled, model.extract_feat(x, modality))
    assert pooled.shape == (2, 32)


def test_plain_backbone_and_vectors_without_neck():
    model = CrossModalityReIdentifier(
        backbone={'type': 'mmpretrain.VisionTransformer', 'img_size': (64, 32), 'patch_size': 16,
                  'arch': {'embed_dims': 32, 'num_layers': 1, 'num_heads': 2,
                           'feedforward_channels': 16}},
        head=AGW_HEAD)
    assert isinstance(model.backbone, CrossModalityBackbone)
    losses = model(torch.randn(4, 3, 64, 32), samples([0, 0, 1, 1], [0, 1, 0, 1]), mode='loss')
    assert set(losses) == {'loss_ce', 'loss_metric', 'accuracy'}


def test_a_modality_is_missing():
    model = MODELS.build(config(CIFT_HEAD))
    with pytest.raises(ConfigError, match='CIFTHead.*4 images has no visible one'):
        model(torch.randn(4, 3, 64, 32), samples([1] * 4), mode='loss')
    losses = MODELS.build(config(AGW_HEAD))(
        torch.randn(4, 3, 64, 32), samples([1] * 4, [0, 0, 1, 1]), mode='loss')
    assert torch.isfinite(losses['loss_metric'])


def test_an_image_has_no_label():
    model = MODELS.build(config(AGW_HEAD))
    with pytest.raises(DatasetError, match='1.jpg has no label'):
        model(torch.randn(2, 3, 64, 32), samples([0, 1], [0, -1]), mode='loss')
    with pytest.raises(ConfigError, match='label 4, but the head was built for 4 identities'):
        model(torch.randn(2, 3, 64, 32), samples([0, 1], [4, 0]), mode='loss')


def test_bad_calls():
    model = MODELS.build(config(AGW_HEAD))
    with pytest.raises(ValueError, match='data_samples'):
        model(torch.randn(2, 3, 64, 32))
    with pytest.raises(ValueError, match='guess'):
        model(torch.randn(2, 3, 64, 32), samples([0, 1]), mode='guess')


def test_autocast_trains_without_nan():
    torch.manual_seed(0)
    model = MODELS.build(config({**CIFT_HEAD, 'metric_loss': {'type': 'TripletLoss'}})).train()
    data = model.data_preprocessor(batch(), training=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    for parameter in model.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_importing_the_models_does_not_import_mmpretrain():
    code = 'import sys, mmvireid.models; print("mmpretrain" in sys.modules, "mmcv" in sys.modules)'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ['False', 'False']


@MODELS.register_module(force=True)
class PixelBackbone(nn.Module):
    """Linear on the pixels, so that batch statistics do not tell processes apart."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3 * 4 * 2, 16)

    def forward(self, x, modality):
        return self.linear(x.flatten(1))


@MODELS.register_module(force=True)
class NamedParts(nn.Module):
    """A neck that gives three branches and masks by name, and keeps the masks apart."""

    def __init__(self):
        super().__init__()
        self.branches = nn.Linear(16, 3 * 6)
        self.attention = nn.Linear(16, 4)

    def forward(self, x):
        self.masks = self.attention(x).sigmoid()
        return dict(parts=self.branches(x).unflatten(1, (3, 6)), masks=self.masks)

    def auxiliary_losses(self):
        return dict(loss_overlap=0.5 * (self.masks[:, 0] * self.masks[:, 1]).mean())


@MODELS.register_module(force=True)
class ThreeBranches(nn.Linear):
    """A neck that gives three branches of each image."""

    def __init__(self):
        super().__init__(16, 3 * 6)

    def forward(self, x):
        return super().forward(x).unflatten(1, (3, 6))


@MODELS.register_module(force=True)
class PartsHead(ReIDHead):
    """A loss on each branch, weighted by masks, that reads all that is known of a batch."""

    def __init__(self):
        super().__init__()
        self.triplet = TripletLoss()
        self.scale = nn.Parameter(torch.ones(3, 1))

    def loss(self, features, info):
        self.info, self.parts = info, features['parts'].detach()
        assert features['parts'].shape[1:] == (3, 6)
        parts = self.scale * features['parts'] * features['masks'][:, None, :1]
        by_branch = sum(self.triplet(rows, info.label) for rows in parts.unbind(1))
        # Neighbours in the order of the rows, and what else a row knows of itself.
        known = info.index + 10 * info.view + 100 * info.camera + 1000 * info.modality
        ordered = (parts.mean((1, 2)) * known).diff().square().mean()
        return dict(loss_parts=by_branch, loss_order=ordered)

    def predict(self, features):
        return dict(base=nn.functional.normalize(features['parts'].flatten(1)))


PARTS = dict(backbone=dict(type='mmvireid.PixelBackbone'), neck=dict(type='mmvireid.NamedParts'),
             head=dict(type='mmvireid.PartsHead'))
DEEN = dict(backbone=dict(type='mmvireid.PixelBackbone'), neck=dict(type='mmvireid.ThreeBranches'),
            head=dict(type='DEENHead', num_classes=4, in_channels=6))
CIFT = dict(backbone=dict(type='mmvireid.PixelBackbone'), head={
    **CIFT_HEAD, 'in_channels': 16,
    'metric_loss': {'type': 'WeightedRegularizedTripletLoss'}})
# Patterns, means of classifiers, random mixtures.
MIXED_PATTERNS = dict(
    backbone=dict(type=nn.Conv2d, in_channels=3, out_channels=16, kernel_size=1),
    neck=dict(type='PatternAlignment', in_channels=16, num_patterns=2),
    head=dict(type='PartMixHead', num_classes=4, in_channels=48, num_patterns=2, start_epoch=1))
ON_TWO_PROCESSES = dict(cift=CIFT, deen=DEEN, parts=PARTS, mixed_patterns=MIXED_PATTERNS)


def parts_batch(order=range(16)):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 3, 4, 2, generator=generator)
    every = samples([0] * 8 + [1] * 8, [i // 2 % 4 for i in range(8)] * 2)
    for i, sample in enumerate(every):
        sample.set_metainfo(dict(view=i // 4 % 2, camera=i % 5, branch='cross'))
    return x[list(order)], [every[i] for i in order]


def test_a_head_gets_named_tensors_and_all_that_a_batch_knows():
    torch.manual_seed(0)
    model = CrossModalityReIdentifier(**PARTS)
    order = [9, 0, 15, 3, 8, 1]
    x, data_samples = parts_batch(order)
    losses = model(x, data_samples, mode='loss')
    assert set(losses) == {'loss_parts', 'loss_order', 'loss_overlap'}
    info, expected = model.head.info, [0, 3, 1, 9, 15, 8]  # visible first, otherwise as they came
    assert info.index.tolist() == expected
    assert info.modality.tolist() == [0, 0, 0, 1, 1, 1]
    assert info.label.tolist() == [i // 2 % 4 for i in expected]
    assert info.view.tolist() == [i // 4 % 2 for i in expected]
    assert info.camera.tolist() == [i % 5 for i in expected]
    assert info.branch == 'cross'
    by_index = {i: model.extract_feat(x, None)['parts'][row] for row, i in enumerate(order)}
    for row, i in enumerate(expected):
        torch.testing.assert_close(model.head.parts[row], by_index[i])

    x, data_samples = parts_batch()
    assert model(x, data_samples)['parts'].shape == (16, 3, 6)
    found = model(x, data_samples, mode='predict')
    assert found[0].descriptors['base'].shape == (18, )


def test_named_tensors_under_autocast():
    torch.manual_seed(0)
    model = CrossModalityReIdentifier(**PARTS)
    exact = model(*parts_batch(), mode='loss')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(*parts_batch(), mode='loss')
    assert model.head.parts.dtype == torch.bfloat16
    for name, loss in losses.items():
        torch.testing.assert_close(loss.float(), exact[name], rtol=0.05, atol=0)
    sum(losses.values()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_a_neck_gets_the_last_stage_or_all_if_it_says_so():
    model = CrossModalityReIdentifier(**PARTS)
    stages = torch.zeros(2, 16), torch.ones(2, 16)
    model.backbone.forward = lambda x, modality: stages
    model.neck.forward = lambda x: x
    assert model.extract_feat(torch.zeros(2, 3, 4, 2), None) is stages[1]
    model.neck.takes_all_stages = True
    assert model.extract_feat(torch.zeros(2, 3, 4, 2), None) is stages


def test_rows_that_are_not_images_are_refused():
    model = CrossModalityReIdentifier(**PARTS)
    model.neck.forward = lambda x: dict(parts=x.repeat(3, 1))
    with pytest.raises(ValueError, match=r"for 16 images .* features 'parts' of shape \(48"):
        model(*parts_batch(), mode='loss')


def test_parameters_of_earlier_versions_find_their_new_names():
    torch.manual_seed(0)
    for head, old, new in ((AGW_HEAD, 'head.neck.', 'head.bnneck.'),
                           (CIFT_HEAD, 'head.necks.', 'head.bnnecks.')):
        model = MODELS.build(config(head))
        before = {name.replace(new, old): value for name, value in model.state_dict().items()}
        assert any(name.startswith(old) for name in before)
        other = MODELS.build(config(head))
        other.load_state_dict(before)
        for name, value in other.state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), name


def one_step(cfg, rows):
    """Losses, gradients and buffers of the head, of a batch of which this process has ``rows``."""
    torch.manual_seed(0)
    wrapped = model = CrossModalityReIdentifier(**cfg)
    for name, buffer in model.head.named_buffers():
        if name in ('visible_mean', 'infrared_mean'):
            buffer.add_(torch.randn_like(buffer))  # they lag behind
    if torch.distributed.is_initialized():
        wrapped = nn.parallel.DistributedDataParallel(model)
    torch.manual_seed(2)
    losses = wrapped(*parts_batch(rows), mode='loss')
    sum(loss for name, loss in losses.items() if name.startswith('loss')).backward()
    return ({name: loss.item() for name, loss in losses.items()},
            {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
            dict(model.head.named_buffers()))


def worker(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    # Each process has two of the four identities, visible images first.
    rows = [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]][rank]
    for name, cfg in ON_TWO_PROCESSES.items():
        torch.save(one_step(cfg, rows), f'{folder}/{name}_rank{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Also where a neck names its tensors, adds a loss of its own, and losses draw numbers."""
    torch.multiprocessing.start_processes(
        worker, args=(str(tmp_path), ), nprocs=2, start_method='forkserver')
    for name, cfg in ON_TWO_PROCESSES.items():
        expected_losses, expected_grads, expected_buffers = one_step(cfg, range(16))
        for rank in range(2):
            losses, grads, buffers = torch.load(
                tmp_path / f'{name}_rank{rank}.pth', weights_only=True)
            assert losses == pytest.approx(expected_losses, rel=1e-5)
            assert set(grads) == set(expected_grads)
            torch.testing.assert_close(buffers, expected_buffers, atol=1e-6, rtol=1e-5)
            for parameter, grad in grads.items():
                torch.testing.assert_close(
                    grad, expected_grads[parameter], atol=1e-6, rtol=1e-4,
                    msg=lambda m, n=parameter: f'gradient of {n}: {m}')
