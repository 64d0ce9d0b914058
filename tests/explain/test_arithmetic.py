"""The arithmetic of a unit adds up to the network's own value, wherever it is."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from striate.core.errors import NetworkError
from striate.explain.arithmetic import step, unit_arithmetic
from striate.explain.traced import TracedNetwork
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from tests.explain.small_networks import FORMS, IMAGE

SHAPE = (3, 16, 16)
NETWORKS = {
    "plain": {"layers": "conv6 pool conv8k5s2 avgpool fc12", "norm": "batch"},
    "residual": {"layers": "conv6 res(conv6 conv6) res(conv8s2 conv8) gap", "norm": "batch", "activation": "silu"},
    "grouped": {
        "layers": "conv6k3d2 conv12g6 pool conv12g3p2",
        "norm": "group",
        "norm_groups": 3,
        "activation": "gelu",
    },
    "leaky": {"layers": "conv6 pool conv6", "norm": "instance", "activation": "leaky_relu"},
    "elu": {"layers": "conv6 pool conv6", "norm": "layer", "activation": "elu"},
}
EACH = 125


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_adds_up(name):
    module = build(NetworkConfig(**NETWORKS[name]), SHAPE, 5, seed=0)
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
    network, rng = TracedNetwork(module, SHAPE), np.random.default_rng(0)
    image = torch.randn(SHAPE, generator=generator)
    nodes = [node for node in network.graph.nodes if node.op not in ("input", "flatten")]
    steps = []
    for _ in range(EACH):
        node = nodes[rng.integers(len(nodes))]
        steps.append(step(network, image, node.name, tuple(int(rng.integers(side)) for side in node.output_shape)))
    assert {one.node for one in steps} == {node.name for node in nodes}
    assert max(one.difference for one in steps) < 1e-5
    assert all(f"= {one.recomputed:.4g}" in one.text for one in steps)


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"maximum", "max"}))  # those are layers of their own
def test_a_unit_by_hand(form):
    network = TracedNetwork(FORMS[form](), (1, 4, 4))
    before, after = unit_arithmetic(network, IMAGE, "conv1", (0, 1, 1))
    np.testing.assert_array_equal(before.window, IMAGE[:, 1:, 1:])
    np.testing.assert_array_equal(before.products, IMAGE[:, 1:, 1:])
    assert (before.value, before.recomputed, before.channels) == (40, 40, (0,))
    assert before.text == "9 products, sum 90, bias -50 = 40"
    assert (after.value, after.recomputed) == (40, 40)


def test_the_padding_is_marked():
    network = TracedNetwork(build(NetworkConfig(layers="conv2"), (1, 4, 4), 3, seed=0), (1, 4, 4))
    corner = step(network, IMAGE, "conv1", (1, 0, 3))
    assert corner.inside.tolist() == [[False] * 3, [True, True, False], [True, True, False]]
    assert corner.window[0].tolist() == [[0, 0, 0], [2, 3, 0], [6, 7, 0]]
    assert corner.difference < 1e-6


class Planted(nn.Module):
    """A convolution that is not what it says."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.conv._conv_forward = lambda x, weight, bias: F.conv2d(x, weight * 1.001, bias).mul_(1.001)

    def forward(self, x):
        return self.conv(x)


def test_a_thousandth_is_found():
    network = TracedNetwork(Planted(), (1, 4, 4))
    convolution = next(node.name for node in network.graph.nodes if node.op == "conv")
    found = step(network, IMAGE, convolution, (0, 0, 0))
    assert found.difference < 1e-6  # of the convolution itself, before the factor
    module = build(NetworkConfig(layers="conv2"), (1, 4, 4), 3, seed=0)
    honest = step(TracedNetwork(module, (1, 4, 4)), IMAGE, "conv1", (0, 0, 0))
    with torch.no_grad():
        module.conv1.weight *= 1.001
    assert abs(step(TracedNetwork(module, (1, 4, 4)), IMAGE, "conv1", (0, 0, 0)).value - honest.recomputed) > 1e-5


def test_what_is_not_known_is_refused():
    network = TracedNetwork(build(NetworkConfig(layers="conv2"), (1, 4, 4), 3, seed=0), (1, 4, 4))
    with pytest.raises(NetworkError, match=r"^unit 2 0 0: 'conv1' gives 2x4x4 values; give one index for each axis"):
        step(network, IMAGE, "conv1", (2, 0, 0))
    strange = TracedNetwork(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softmax(1)), (1, 4, 4))
    with pytest.raises(
        NetworkError, match=r"^layer '1': the arithmetic of softmax\(\) is not known; choose a convolution, "
    ):
        step(strange, IMAGE, "1", (0, 0, 0))
