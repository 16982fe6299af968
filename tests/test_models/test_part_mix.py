"""Our unofficial PartMix: mixtures of parts, which of them count, the contrast with them."""

import math
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.part_mix import naive_part_mix

from mmvireid.models import MutualMeanHead, PartMixHead, PartMixLoss, mix_parts, reliable
from mmvireid.models.losses.part_mix import draw_masks, draw_partners
from mmvireid.structures import BatchInfo
from mmvireid.utils.errors import ConfigError

SEEDS = st.integers(0, 10000)


def batch(seed=0, num_ids=3, per_id=4, num_parts=3, dim=4):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.arange(num_ids).repeat_interleave(per_id)
    modality = torch.arange(len(ids)) % 2
    parts = torch.rand(len(ids), num_parts, dim, generator=generator, dtype=torch.float64)
    return parts, ids, modality


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


def classifier_of(parts, seed=0):
    weight = torch.randn(parts[0].numel(), 5, dtype=parts.dtype, generator=generator_of(seed))
    return lambda mixed: mixed.flatten(1) @ weight


class TestMixtures:

    def test_an_empty_mask_gives_the_anchor_and_a_full_one_the_partner(self):
        parts, ids, _ = batch()
        partner = torch.randperm(len(ids))
        nothing = torch.zeros(parts.shape[:2], dtype=torch.bool)
        assert torch.equal(mix_parts(parts, partner, nothing), parts)
        assert torch.equal(mix_parts(parts, partner, ~nothing), parts[partner])

    @settings(max_examples=5, deadline=None)
    @given(SEEDS)
    def test_each_part_stays_in_its_place(self, seed):
        parts, ids, _ = batch(seed)
        partner = torch.randperm(len(ids), generator=generator_of(seed))
        mask = torch.rand(parts.shape[:2], generator=generator_of(seed)) < 0.5
        mixed = mix_parts(parts, partner, mask)
        for i in range(len(ids)):
            for k in range(parts.shape[1]):
                source = partner[i] if mask[i, k] else i
                assert torch.equal(mixed[i, k], parts[source, k])

    def test_gradient_reaches_the_partner_through_its_parts_alone(self):
        parts, partner = batch()[0][:2].requires_grad_(), torch.tensor([1, 0])
        mask = torch.tensor([[True, False, True], [False, False, False]])
        mix_parts(parts, partner, mask)[0].sum().backward()
        assert torch.equal(parts.grad.any(2), torch.tensor([[False, True, False],
                                                            [True, False, True]]))

    def test_masks_take_some_parts_and_not_all(self):
        """With the frequencies of masks that are drawn until that is so."""
        masks = draw_masks(40000, 3, 0.3, 'cpu', generator_of(0))
        size = masks.sum(1)
        assert size.min() == 1
        assert size.max() == 2
        one, two = 3 * 0.3 * 0.7**2, 3 * 0.3**2 * 0.7
        assert (size == 1).double().mean().item() == pytest.approx(one / (one + two), abs=0.01)
        for k in range(3):  # no part is preferred
            assert masks[size == 1][:, k].double().mean().item() == pytest.approx(1 / 3, abs=0.02)

    @settings(max_examples=5, deadline=None)
    @given(SEEDS)
    def test_partners_are_candidates_of_either_modality(self, seed):
        _, ids, modality = batch(seed, per_id=6)
        same_id, alike = ids[:, None] == ids, modality[:, None] == modality
        for candidates in (same_id & ~torch.eye(len(ids), dtype=torch.bool), ~same_id):
            partner = draw_partners(candidates, alike, 40, generator_of(seed))
            anchor = torch.arange(len(ids)).repeat(40)
            assert candidates[anchor, partner].all()
            same = (modality[anchor] == modality[partner]).double().mean().item()
            assert same == pytest.approx(0.5, abs=0.1)
            drawn = torch.zeros_like(candidates)
            drawn[anchor, partner] = True
            assert drawn.sum() > 0.95 * candidates.sum()

    def test_a_missing_modality_is_made_up_by_the_other(self):
        alike = torch.tensor([[True, False, False]] * 3)
        candidates = torch.tensor([[False, True, False]] * 3)
        assert (draw_partners(candidates, alike, 10, generator_of(0)) == 1).all()


class TestReliable:

    @settings(max_examples=20, deadline=None)
    @given(SEEDS, st.integers(1, 40), st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]), st.booleans())
    def test_the_share_rounded_up_is_kept(self, seed, number, keep_rate, lowest):
        entropy = torch.rand(number, generator=generator_of(seed))
        kept = reliable(entropy, keep_rate, lowest)
        assert kept.sum() == math.ceil(round(keep_rate * number, 6))
        if not kept.all():
            inside, outside = entropy[kept], entropy[~kept]
            assert inside.max() <= outside.min() if lowest else inside.min() >= outside.max()

    @pytest.mark.parametrize('lowest', [True, False])
    def test_of_equal_ones_the_first(self, lowest):
        kept = reliable(torch.ones(6), 0.5, lowest)
        assert kept.tolist() == [True] * 3 + [False] * 3

    @pytest.mark.parametrize('lowest', [True, False])
    def test_rows_without_a_mixture_do_not_count(self, lowest):
        exists = torch.tensor([False, True, True, False])
        kept = reliable(torch.tensor([0.0, 1.0, 2.0, 9.0]), 0.5, lowest, exists)
        assert kept.tolist() == [False, lowest, not lowest, False]


class TestLoss:

    @settings(max_examples=8, deadline=None)
    @given(SEEDS)
    def test_loss_and_gradient_equal_the_loop(self, seed):
        """With the mixtures that the loss draws, of which the loop is told."""
        parts, ids, modality = batch(seed)
        parts.requires_grad_()
        part_mix, kept = PartMixLoss(num_mixes=2, keep_rate=0.4, temperature=0.5), []

        def keep(entropy, keep_rate, lowest, exists):
            kept.append(reliable(entropy, keep_rate, lowest, exists))
            return kept[-1]

        mixtures = []

        def classify(mixed):
            mixtures.append(mixed)
            return classifier_of(parts, seed)(mixed)

        with mock.patch('mmvireid.models.losses.part_mix.reliable', keep), mock.patch(
                'mmvireid.models.losses.part_mix.draw_partners',
                lambda *arguments: partners.append(draw_partners(*arguments)) or partners[-1]):
            partners = []
            loss = part_mix(parts, ids, modality, classify, generator_of(seed))
        groups = []
        for mixed, partner, chosen in zip(mixtures, partners, kept):
            anchors = torch.arange(len(ids)).repeat(2)
            groups.append([
                (int(a), int(p), m) for a, p, m, c in zip(anchors, partner, mixed, chosen) if c])
        positives, negatives = groups
        assert all(ids[a] == ids[p] and a != p for a, p, _ in positives)
        assert all(ids[a] != ids[p] for a, p, _ in negatives)
        assert len(positives) == len(negatives) == math.ceil(0.4 * 2 * len(ids))
        expected = naive_part_mix(parts, ids, positives, negatives, 0.5)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(
            torch.autograd.grad(loss, parts, retain_graph=True),
            torch.autograd.grad(expected, parts), atol=1e-8, rtol=1e-6)

    def test_reliable_positives_are_of_low_entropy_and_negatives_of_high(self):
        parts, ids, modality = batch()
        wanted = []
        with mock.patch('mmvireid.models.losses.part_mix.reliable',
                        lambda entropy, rate, lowest, exists: wanted.append(lowest) or exists):
            PartMixLoss()(parts, ids, modality, classifier_of(parts))
        assert wanted == [True, False]

    def test_one_identity_is_zero_and_finite(self):
        parts, ids, modality = batch(num_ids=1)
        parts.requires_grad_()
        loss = PartMixLoss()(parts, ids, modality, classifier_of(parts))
        loss.backward()
        assert loss == 0
        assert not parts.grad.any()

    def test_identities_of_one_image_have_no_positives(self):
        parts, _, modality = batch()
        parts.requires_grad_()
        ids = torch.arange(len(parts))
        loss = PartMixLoss()(parts, ids, modality, classifier_of(parts))
        loss.backward()
        assert loss == 0
        assert not parts.grad.any()
        ids[1] = 0  # two of them have
        assert PartMixLoss()(parts, ids, modality, classifier_of(parts)) > 0

    def test_a_batch_of_one_modality_is_finite(self):
        parts, ids, modality = batch()
        loss = PartMixLoss()(parts, ids, torch.zeros_like(modality), classifier_of(parts))
        assert loss.isfinite()
        assert loss > 0

    def test_the_generator_decides(self):
        parts, ids, modality = batch()
        first, second, other = (
            PartMixLoss()(parts, ids, modality, classifier_of(parts), generator_of(seed))
            for seed in (1, 1, 2))
        assert first == second != other

    def test_half_precision_is_widened(self):
        parts, ids, modality = batch()
        for dtype in (torch.float16, torch.bfloat16):
            with torch.autocast('cpu', torch.bfloat16):
                loss = PartMixLoss()(
                    parts.to(dtype), ids, modality, lambda mixed: mixed.flatten(1)[:, :3])
            assert loss.dtype == torch.float32
            assert loss.isfinite()

    @pytest.mark.parametrize('keys', [
        dict(num_mixes=0), dict(mix_rate=0), dict(mix_rate=1), dict(keep_rate=0),
        dict(keep_rate=1.1), dict(temperature=0)], ids=str)
    def test_constants_out_of_range(self, keys):
        with pytest.raises(ConfigError, match=f'got .*{next(iter(keys.values()))}'):
            PartMixLoss(**keys)

    def test_a_single_part(self):
        parts, ids, modality = batch(num_parts=1)
        with pytest.raises(ConfigError, match='at least 2 parts of each image, got 1'):
            PartMixLoss()(parts, ids, modality, classifier_of(parts))


class TestHead:

    def heads(self, **keys):
        torch.manual_seed(0)
        mixing = PartMixHead(5, 12, num_patterns=2, start_epoch=3, **keys)
        plain = MutualMeanHead(5, 12)
        plain.load_state_dict(mixing.state_dict())
        return mixing, plain

    def batch(self):
        generator = generator_of(0)
        info = BatchInfo(modality=torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]),
                         label=torch.tensor([0, 0, 3, 3, 0, 0, 3, 3]))
        return torch.rand(8, 12, generator=generator).requires_grad_(), info

    @pytest.mark.parametrize(('weight', 'epoch'), [(0, 5), (0.5, 1)])
    def test_without_weight_or_too_early_it_is_the_mutual_mean_head(self, weight, epoch):
        """Bit for bit, random numbers included."""
        found, state = [], []
        for head in self.heads(part_mix=dict(loss_weight=weight)):
            head.set_epoch(epoch)
            pooled, info = self.batch()
            torch.manual_seed(7)
            losses = head.loss(pooled, info)
            sum(loss for name, loss in losses.items() if name != 'accuracy').backward()
            found.append([*losses.items(), ('grad', pooled.grad), ('drawn', torch.rand(1)),
                          *((name, p.grad) for name, p in head.named_parameters())])
            state.append(head.state_dict())
        for (name, first), (other, second) in zip(*found, strict=True):
            assert name == other
            assert (first is None and second is None) or torch.equal(first, second)
        assert all(torch.equal(state[0][name], state[1][name]) for name in state[1])

    def test_the_contrast_begins_in_its_epoch(self):
        head, plain = self.heads()
        for epoch in range(4):
            head.set_epoch(epoch)
            plain.set_epoch(epoch)
            pooled, info = self.batch()
            losses, others = head.loss(pooled, info), plain.loss(pooled, info)
            assert set(losses) - set(others) == ({'loss_part_mix'} if epoch >= 2 else set())
            assert all(torch.equal(losses[name], value) for name, value in others.items())
        loss = losses['loss_part_mix']
        assert loss > 0
        gradient, = torch.autograd.grad(loss, pooled)
        assert gradient[:, :8].any()
        assert not gradient[:, 8:].any()  # the whole is not mixed

    def test_weight(self):
        found = []
        for keys in (dict(), dict(part_mix=dict(loss_weight=1.5))):
            head, _ = self.heads(**keys)
            head.set_epoch(2)
            torch.manual_seed(1)
            found.append(head.loss(*self.batch())['loss_part_mix'])
        torch.testing.assert_close(found[1], 3 * found[0])

    def test_mixtures_are_judged_by_what_is_known_of_training(self):
        """With the whole of the anchor, by the running statistics, which stay."""
        head, _ = self.heads()
        head.set_epoch(2)
        pooled, info = self.batch()
        head.loss(pooled, info)
        before = head.bnneck.running_mean.clone()
        rows = []
        with mock.patch.object(head, 'classify_fixed', lambda x: rows.append(x) or x[:, :5]):
            head.loss_of_mixtures(pooled, info)
        assert torch.equal(head.bnneck.running_mean, before)
        for mixed in rows:
            assert torch.equal(mixed[:, 8:], pooled[:, 8:].repeat(4, 1))
        torch.testing.assert_close(
            head.classify_fixed(pooled), head.eval()(pooled)[1])

    def test_features_of_other_patterns(self):
        with pytest.raises(ConfigError, match='multiple of 7 channels, but in_channels .* is 12'):
            PartMixHead(5, 12, num_patterns=6)
