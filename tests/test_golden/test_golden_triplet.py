"""Metric losses of AGW and CAJ."""

import pytest
import torch

from mmvireid.models import TripletLoss, WeightedRegularizedTripletLoss

pytestmark = pytest.mark.golden('triplet')

LOSSES = {
    'hard': TripletLoss(),
    'wrt': WeightedRegularizedTripletLoss(),
    'adp_square0': WeightedRegularizedTripletLoss(squared=False),
    'adp_square1': WeightedRegularizedTripletLoss(squared=True),
}


def test_losses_and_gradients(golden):
    for case in [name.removesuffix('_x') for name in golden if name.endswith('_x')]:
        for name, loss_of in LOSSES.items():
            x = torch.from_numpy(golden[f'{case}_x']).requires_grad_()
            loss = loss_of(x, torch.from_numpy(golden[f'{case}_id']))
            loss.backward()
            torch.testing.assert_close(
                loss.detach(), torch.from_numpy(golden[f'{case}_{name}_loss']), atol=1e-5,
                rtol=1e-5)
            expected = torch.from_numpy(golden[f'{case}_{name}_grad'])
            atol = max(1e-6, 1e-4 * float(expected.abs().max()))
            torch.testing.assert_close(x.grad, expected, atol=atol, rtol=0)
