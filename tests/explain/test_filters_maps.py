"""Filters, feature maps, dead units, the twin with random weights, and the score of a unit."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from striate.core.errors import NetworkError
from striate.explain.filters import filters, near_twins
from striate.explain.images import ImageSet
from striate.explain.maps import dead_units, feature_maps
from striate.explain.patches import excitement
from striate.explain.score import concordance, scores
from striate.explain.traced import TracedNetwork
from striate.explain.twin import compare, random_twin
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from tests.explain.small_networks import FORMS, IMAGE


def network_of(layers, shape=(3, 8, 8), classes=3, **keys):
    return TracedNetwork(build(NetworkConfig(layers=layers, **keys), shape, classes, seed=0), shape)


def test_the_kernels_are_those_of_the_first_convolution():
    network = network_of("conv4 pool conv8", norm="batch")
    found = filters(network)
    assert found.node == "conv1"
    np.testing.assert_array_equal(found.kernels, network.module.conv1.weight.detach().numpy())
    assert found.norms[2] == pytest.approx(network.module.conv1.weight[2].detach().norm().item())
    assert filters(network, "conv2").kernels.shape == (8, 4, 3, 3)


def test_near_twins_and_opposites_are_found():
    kernels = np.array([[1.0, 0], [0, 2], [3, 0.1], [0, -1], [0, 0]])
    assert [pair[:2] for pair in near_twins(kernels)] == [(1, 3), (0, 2)]
    assert near_twins(kernels)[0][2] == -1
    assert near_twins(np.array([[1.0, 0], [1, 0.4]])) == ()


def test_what_has_no_kernels_is_refused():
    network = network_of("conv4 pool fc8")
    with pytest.raises(NetworkError, match="layer 'pool1': has no kernels; the convolutions are conv1"):
        filters(network, "pool1")
    with pytest.raises(NetworkError, match="layer 'conv9': the network has no such layer; did you mean"):
        filters(network, "conv9")
    with pytest.raises(NetworkError, match="its kernels have 3 axes"):
        filters(network_of("conv4 conv4", dims=3))


@pytest.mark.parametrize("form", FORMS)
def test_the_maps_of_an_image(form):
    network = TracedNetwork(FORMS[form](), (1, 4, 4))
    # A layer with its activation. A maximum of two tensors is a layer of its own in the table.
    found = feature_maps(network, IMAGE, {"maximum": "maximum", "max": "max"}.get(form, "conv1"))
    np.testing.assert_array_equal(found.maps, [[[0, 4], [31, 40]], [[0, 0], [6, 15]]])
    assert (found.lowest.tolist(), found.highest.tolist(), found.zeros.tolist()) == ([0, 0], [40, 15], [0.25, 0.5])


def test_maps_that_are_no_pictures_are_refused():
    with pytest.raises(NetworkError, match="layer 'fc1': gives a vector; maps are shown of layers with 2D maps"):
        feature_maps(network_of("conv4 fc8"), torch.zeros(3, 8, 8), "fc1")
    with pytest.raises(NetworkError, match="layer 'conv1': gives maps of 3 axes"):
        feature_maps(network_of("conv4 conv4", dims=3), torch.zeros(3, 8, 8), "conv1")


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return ImageSet(
        images=rng.integers(0, 256, (300, 8, 8, 3), np.uint8),
        labels=rng.integers(0, 3, 300),
        mean=np.full(3, 0.5),
        std=np.full(3, 0.25),
        classes=("ant", "bee", "cat"),
    )


def test_a_planted_dead_unit_is_named(images):
    network = network_of("conv4 pool conv8", norm="batch")
    with torch.no_grad():
        network.module.conv1_norm.bias[2] = -1e3
        network.module.conv2_norm.weight[5] = 0
    assert dead_units(network, images, ["conv1", "conv2"]) == {"conv1": (2,), "conv2": (5,)}
    network = network_of("conv4 pool conv8", norm="batch")
    assert dead_units(network, images, ["conv1", "conv2"]) == {"conv1": (), "conv2": ()}


class Extra(nn.Module):
    """A parameter that no layer draws, and a norm with statistics."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.scale = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Parameter(torch.arange(4.0))

    def forward(self, x):
        return (self.norm(self.conv(x)) * self.scale[:, None, None]).mean((2, 3))


def test_a_twin_has_other_weights_and_leaves_the_module_alone():
    module = Extra()
    module.norm.running_mean.fill_(3)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    generator = torch.get_rng_state()
    twin = random_twin(module)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not torch.equal(twin.conv.weight, module.conv.weight)
    assert twin.norm.running_mean.tolist() == [0] * 4
    assert sorted(twin.scale.tolist()) == [0, 1, 2, 3]
    assert twin.scale.tolist() != [0, 1, 2, 3]
    assert torch.equal(random_twin(module).conv.weight, twin.conv.weight)
    assert not torch.equal(random_twin(module, seed=1).conv.weight, twin.conv.weight)


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 3, 5, 5))
    expected = spearmanr(np.abs(first).sum(0).ravel(), np.abs(second).sum(0).ravel()).statistic
    assert compare(first, second).correlation == pytest.approx(expected)
    assert compare(first, first).correlation == pytest.approx(1)
    assert compare(first, -first).sentence.startswith("Random weights give much the same picture")
    assert compare(first, second).sentence.startswith("Random weights give another picture")
    assert compare(first, np.zeros_like(first)).correlation == 0


def test_the_complexity_is_the_entropy_of_the_histogram():
    spike, spread = np.zeros((1, 10, 10)), np.arange(100.0).reshape(1, 10, 10)
    spike[0, 3, 3] = 1
    found = compare(spike, spread)
    assert found.complexity == pytest.approx(-(0.99 * np.log2(0.99) + 0.01 * np.log2(0.01)))
    assert found.complexity_random == pytest.approx(np.log2(100))
    assert found.rise == pytest.approx((np.log2(100) - found.complexity) / found.complexity)


def test_pairs_in_the_right_order_by_hand():
    actual = np.array([1.0, 2, 3, 3])
    assert concordance(actual, actual) == (1, 5)
    assert concordance(-actual, actual) == (0, 5)
    assert concordance(np.zeros(4), actual) == (0.5, 5)
    assert concordance(np.array([1.0, 2, 0, 5]), actual) == (3 / 5, 5)
    assert concordance(actual, np.ones(4)) == (0.5, 0)


class Units(nn.Module):
    """Two units at each position: one looks for a bright square that some images have, one mixes its pixels without any sense."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(1)

    def forward(self, x):
        bright, _ = self.conv(x).split(1, 1)
        chaos = torch.sin(bright * 1e4)
        return torch.cat([bright, chaos], 1)


def test_a_pretty_strip_that_predicts_nothing_is_exposed(images):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 30, (300, 8, 8, 3)).astype(np.uint8)
    for picture, level in zip(pixels, rng.integers(0, 150, 300), strict=True):
        row, column = rng.integers(0, 2, 2) * 4
        picture[row : row + 4, column : column + 4] += np.uint8(level)
    squares = ImageSet(images=pixels, labels=images.labels, mean=images.mean, std=images.std, classes=images.classes)
    module = Units()
    network = TracedNetwork(nn.Sequential(module), (3, 8, 8))
    found = excitement(network, squares, network.graph.output)
    square, chaos = scores(network, squares, found, [0, 1])
    assert square.by_pixels > 0.9
    assert 0.4 < chaos.by_pixels < 0.6
    assert square.pairs == pytest.approx(100 * 99 / 2, rel=0.05)
    assert "chance 0.50" in square.sentence
