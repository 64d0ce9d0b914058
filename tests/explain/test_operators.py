"""Linearity and shift-equivariance against what can be proven, and planted faults of a thousandth."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.explain.operators import TOLERANCE, probe
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.nets.pytorch.modules import Flatten, Subsample

SHAPE = (3, 16, 16)


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def norm():
    torch.manual_seed(0)
    module = nn.BatchNorm2d(3)
    module.running_mean.normal_()
    module.running_var.uniform_(0.5, 2)
    return module


def conv(**keys):
    return nn.Conv2d(3, 4, 3, **keys)


EXPECTED = {
    "relu": (nn.ReLU(), "no", "to every shift"),
    "pick": (Subsample((2, 2)), "yes", "to shifts by multiples of 2"),
    "pick 3": (Subsample((3, 3)), "yes", "to shifts by multiples of 3, in the interior"),
    "max pool": (nn.MaxPool2d(2), "no", "to shifts by multiples of 2"),
    "overlapping max pool": (nn.MaxPool2d(3, 1, 1), "no", "to every shift, in the interior"),
    "average pool": (nn.AvgPool2d(2), "yes", "to shifts by multiples of 2"),
    "bias": (Call(lambda x: x + torch.arange(3.0, dtype=x.dtype)[:, None, None]), "but for its bias", "to every shift"),
    "fc": (nn.Sequential(Flatten(), nn.Linear(768, 10, bias=False)), "yes", "no"),
    "fc with bias": (nn.Sequential(Flatten(), nn.Linear(768, 10)), "but for its bias", "no"),
    "conv": (conv(padding=1, bias=False), "yes", "to every shift, in the interior"),
    "conv without padding": (conv(bias=False), "yes", "to every shift, in the interior"),
    "strided conv": (conv(stride=2, padding=1), "but for its bias", "to shifts by multiples of 2, in the interior"),
    "circular conv": (conv(padding=1, bias=False, padding_mode="circular"), "yes", "to every shift"),
    "dilated conv": (conv(padding=2, dilation=2, bias=False), "yes", "to every shift, in the interior"),
    "batch norm": (norm(), "but for its bias", "to every shift"),
    "instance norm": (nn.InstanceNorm2d(3), "no", "to every shift"),
    "global pool": (nn.AdaptiveAvgPool2d(1), "yes", "invariant to every shift"),
    "constant": (Call(lambda x: x * 0 + 3), "but for its bias", "to every shift"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_can_be_proven_is_measured(name):
    module, linear, shifts = EXPECTED[name]
    whole = probe(nn.Sequential(module), SHAPE)[-1]
    assert (whole.name, whole.linearity.verdict, whole.equivariance.verdict) == ("network", linear, shifts)
    residual = max(whole.linearity.superposition, whole.linearity.homogeneity)
    assert residual < 1e-12 if linear != "no" else residual > 0.1
    if shifts.endswith("in the interior"):
        assert whole.equivariance.interior < 1e-12
        assert whole.equivariance.border > 0.1


PLANTED = {
    "a kink of 1e-3": (Call(lambda x: x + 1e-3 * x.abs()), "no"),
    "a bound at 50": (Call(lambda x: x.clamp(-50, 50)), "no"),
    "a square of 1e-3": (Call(lambda x: x + 1e-3 * x**2), "no"),
    "scales, but does not add": (Call(lambda x: torch.where(x[:, :1] > 0, x, 2 * x)), "no"),
    "rounding to float32": (Call(lambda x: x.float().double()), "no"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_non_linearity_is_found(name):
    module, expected = PLANTED[name]
    assert probe(nn.Sequential(module), SHAPE)[-1].linearity.verdict == expected


def test_a_planted_dependence_on_the_position_is_found():
    ramp = 1 + 1e-3 * torch.arange(16, dtype=torch.float64)
    whole = probe(nn.Sequential(Call(lambda x: x * ramp)), SHAPE)[-1]
    assert (whole.linearity.verdict, whole.equivariance.verdict) == ("yes", "no")
    assert 1e-5 < whole.equivariance.interior < 1e-2


def test_the_impulse_response_of_a_convolution_is_its_kernel():
    torch.manual_seed(0)
    module = nn.Sequential(conv(padding=1, bias=True))
    layer, whole = probe(module, SHAPE)
    assert layer.is_kernel <= 1e-15
    weight = module[0].weight.detach().double().numpy()
    np.testing.assert_allclose(whole.impulse, np.flip(weight, (2, 3)).transpose(1, 0, 2, 3), atol=1e-15)


def test_a_linear_operator_that_follows_every_shift_is_a_convolution_with_its_impulse_response():
    """The proof of the course's question, by measurement: two convolutions in a row are one, with the response as its kernel."""
    torch.manual_seed(0)
    module = nn.Sequential(conv(padding=1, bias=False), nn.Conv2d(4, 2, 3, padding=1, bias=False)).double()
    whole = probe(module, SHAPE)[-1]
    assert (whole.linearity.verdict, whole.impulse.shape) == ("yes", (3, 2, 5, 5))
    kernel = torch.from_numpy(np.flip(whole.impulse, (2, 3)).transpose(1, 0, 2, 3).copy())
    image = torch.randn(1, *SHAPE, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(image, kernel)  # the interior, without padding
    torch.testing.assert_close(module(image)[:, :, 2:-2, 2:-2], expected)


def test_every_layer_of_a_residual_network():
    module = build(NetworkConfig(layers="conv4 pool res(conv8s2 conv8) gap", norm="batch"), SHAPE, 3, seed=0)
    found = {one.name: one for one in probe(module, SHAPE)}
    assert found["conv1"].linearity.verdict == "but for its bias"
    assert found["res1.add"].linearity.verdict == "yes"  # in both of its inputs together
    assert found["res1.conv1"].equivariance.step == 2
    assert found["res1.conv1_activation"].linearity.verdict == "no"
    assert found["network"].linearity.verdict == "no"
    assert list(found)[-1] == "network"
    only = probe(module, SHAPE, ("res1.conv1",))
    assert {one.name for one in only} == {"res1.conv1", "res1.conv1_norm", "res1.conv1_activation"}


def test_the_module_stays_as_it_was():
    module = build(NetworkConfig(layers="conv4 pool", norm="batch"), SHAPE, 3, seed=0).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    probe(module, SHAPE)
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_a_layer_that_does_not_exist_is_refused():
    module = build(NetworkConfig(layers="conv4 pool"), SHAPE, 3, seed=0)
    with pytest.raises(NetworkError, match="layer 'conv7': the network has no such layer; did you mean 'conv1'"):
        probe(module, SHAPE, ("conv7",))


def test_the_tolerance_is_far_from_rounding_and_from_a_thousandth():
    assert 1e-12 < TOLERANCE < 1e-6
