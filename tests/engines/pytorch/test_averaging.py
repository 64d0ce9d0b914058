"""Averaged weights and measured norms, against sums written out; and that training does not notice them."""

import copy

import pytest
import torch
from torch import nn

from striate.engines.pytorch.averaging import Average, measured_norms
from striate.engines.pytorch.device import choose
from striate.recipes import Recipe


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 3))


@pytest.fixture
def setup():
    return choose(Recipe(precision="float32"), "cpu", 1)


def test_the_average_is_the_sum_by_its_formula(module):
    average = Average(module, 0.9)
    expected = module[0].weight.detach().clone()
    for step in range(1, 41):
        with torch.no_grad():
            module[0].weight += 0.1 * step
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module[0].weight.detach()
    with average.swapped():
        assert torch.allclose(module[0].weight, expected, atol=1e-4)
        assert not torch.allclose(module[0].weight, torch.zeros(()), atol=1e-4)


def test_the_module_comes_back_to_the_bit_after_a_failure_too(module):
    average = Average(module, 0.9)
    with torch.no_grad():
        module[0].weight += 1
    before = copy.deepcopy(module.state_dict())
    with average.swapped():
        assert not torch.equal(module[0].weight, before["0.weight"])
    with pytest.raises(ZeroDivisionError, match="planted"), average.swapped():
        raise ZeroDivisionError("planted")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_counters_are_not_averaged(module):
    average = Average(module, 0.9)
    module(torch.randn(5, 2, 8, 8))
    average.update()
    with average.swapped():
        assert module[1].num_batches_tracked == 1


def test_norms_are_measured_over_the_images_given(module, setup):
    """The mean over all batches of what the conv layer puts out; variances as torch has them, unbiased."""
    batches = [torch.randn(20, 2, 8, 8) + 3 for _ in range(4)]
    with torch.no_grad():
        outputs = [module[0](batch) for batch in batches]
    means = torch.stack([out.mean((0, 2, 3)) for out in outputs]).mean(0)
    variances = torch.stack([out.var((0, 2, 3)) for out in outputs]).mean(0)
    before = copy.deepcopy(module.state_dict())
    module.train()
    with measured_norms(module, batches, setup):
        assert torch.allclose(module[1].running_mean, means, atol=1e-5)
        assert torch.allclose(module[1].running_var, variances, atol=1e-5)
        assert not torch.allclose(module[1].running_mean, before["1.running_mean"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert module.training
    assert module[1].momentum == 0.1


def test_measuring_draws_no_random_numbers(module, setup):
    module.train()
    state = torch.get_rng_state()
    with measured_norms(module, [torch.zeros(2, 2, 8, 8)], setup):
        pass
    assert torch.equal(torch.get_rng_state(), state)


def test_a_frozen_norm_keeps_its_statistics(module, setup):
    module[1].running_mean.fill_(5.0)
    module[1].requires_grad_(False)
    with measured_norms(module, [torch.randn(20, 2, 8, 8)], setup):
        assert module[1].running_mean.tolist() == [5.0] * 4
