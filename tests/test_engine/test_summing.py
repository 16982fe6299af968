"""One update from several losses."""

import torch
from torch import nn

from mmvireid.registry import OPTIM_WRAPPERS


def network():
    torch.manual_seed(0)
    return nn.Linear(4, 3).double()


def test_an_update_is_that_of_the_summed_losses():
    """Over several updates, and unlike MMEngine's mean."""
    batches = torch.randn(6, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = {}
    for kind in ('SummingOptimWrapper', 'OptimWrapper'):
        model = network()
        wrapper = OPTIM_WRAPPERS.build(dict(
            type=kind, optimizer=torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
            accumulative_counts=2))
        wrapper.initialize_count_status(model, 0, 6)
        for batch in batches:
            with wrapper.optim_context(model):
                loss = (model(batch)**2).mean()
            wrapper.update_params(loss)
        found[kind] = model.weight
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for first, second in batches.view(3, 2, 5, 4):
        optimiser.zero_grad()
        ((model(first)**2).mean() + (model(second)**2).mean()).backward()
        optimiser.step()
    torch.testing.assert_close(found['SummingOptimWrapper'], model.weight, rtol=0, atol=1e-12)
    assert not torch.allclose(found['OptimWrapper'], model.weight)
