"""Shapes and counts against the torch module that is built from the same data."""

import pytest
import torch

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig, parameters, parse, rows, write
from striate.nets.torch_build import build

D1 = "conv64 pool conv128 pool conv256 conv256 pool fc1024 fc1024"
NETWORKS = [
    NetworkConfig(layers=D1),
    NetworkConfig(layers=D1, norm="batch"),
    NetworkConfig(layers="conv8k5s2p0 gap drop0.5", activation="gelu"),
    NetworkConfig(layers="conv4k2s2p0 pool3 conv6 conv10 gap", head="none", activation="tanh"),
    NetworkConfig(layers="fc7 drop0.25 fc9", activation="none"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.layers)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 17, 20)])
def test_shapes_and_parameters_are_those_of_torch(network, shape):
    module = build(network, shape, 10, seed=0).eval()
    assert parameters(network, shape, 10) == sum(p.numel() for p in module.parameters())
    shapes = {row.name: row.output_shape for row in rows(network, shape, 10)}
    x = torch.zeros(2, *shape)
    for name, layer in module.named_children():
        x = layer(x)
        if name in shapes:
            assert tuple(x.shape[1:]) == shapes[name], name
    assert tuple(module(torch.zeros(2, *shape)).shape) == (2, 10)


def test_report_d_has_the_parameters_that_it_prints():
    network = NetworkConfig(layers=D1)
    by_name = {row.name: row.parameters for row in rows(network, (3, 32, 32), 10)}
    assert parameters(network, (3, 32, 32), 10) == 6_216_074
    assert sum(count for name, count in by_name.items() if name.startswith("conv")) == 960_896
    assert sum(count for name, count in by_name.items() if name.startswith("fc")) == 5_255_178


def test_the_pool_before_the_activation_gives_the_same():
    module = build(NetworkConfig(layers="conv8 pool conv8 pool fc8"), (3, 16, 16), 10, seed=1)
    x = torch.randn(4, 3, 16, 16)
    plain = x
    for layer in module:
        plain = layer(plain)
    assert torch.equal(module(x), plain)


def test_layers_of_one_name_and_shape_start_alike_whatever_is_around_them():
    one = build(NetworkConfig(layers="conv8 pool conv8 fc16"), (3, 16, 16), 10, seed=3).state_dict()
    other = build(NetworkConfig(layers="conv8 conv8 drop0.5 fc16", norm="batch"), (3, 16, 16), 10, seed=3).state_dict()
    for name in ("conv1.weight", "conv1.bias", "conv2.weight", "fc2.weight"):
        assert torch.equal(one[name], other[name]), name
    assert one["fc1.weight"].shape != other["fc1.weight"].shape


def test_another_seed_starts_elsewhere():
    weights = [build(NetworkConfig(layers="conv8"), (3, 8, 8), 10, seed=s).state_dict()["conv1.weight"] for s in (0, 1)]
    assert not torch.equal(*weights)


def test_initial_weights_spread_as_torch_s_own():
    ours = build(NetworkConfig(layers="conv256"), (64, 8, 8), 10, seed=0).conv1
    torch.manual_seed(0)
    theirs = torch.nn.Conv2d(64, 256, 3)
    for name in ("weight", "bias"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a.abs().max() <= 1 / (64 * 9) ** 0.5
        assert a.std().item() == pytest.approx(b.std().item(), rel=0.1)


@pytest.mark.parametrize("text", [D1, "conv8k5s2p0 gap drop0.5", "conv8p0 pool3 fc1", "conv8k2p0"])
def test_the_notation_comes_back(text):
    assert write(parse(text)) == text


def test_other_spellings_of_the_same_are_the_same():
    assert NetworkConfig(layers="conv64k3s1p1  pool2\n fc10") == NetworkConfig(layers="conv64 pool fc10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv64 pol", "'pol' is not a layer; did you mean 'pool'?\n  conv64 pol\n         ^"),
        ("conv", "'conv': conv is followed by its number of filters, as in conv64 or conv64k5s2p0\n  conv\n      ^"),
        ("conv64x3", "after the filters come kKERNEL, sSTRIDE and pPADDING"),
        ("conv64k3k3", "k is given twice"),
        ("conv64k4", "an even kernel has no padding that keeps the size; say it, as in k4p0"),
        ("conv0", "'conv0': filters must be greater than or equal to 1, got 0"),
        ("pool2x2", "pool is followed by its size or nothing"),
        ("gap2", "gap takes no number"),
        ("fc", "fc is followed by its number of units"),
        ("drop", "drop is followed by the share to drop"),
        ("drop1.5", "share must be less than 1, got 1.5"),
        ("  ", "the notation names no layer"),
    ],
)
def test_a_word_that_cannot_be_read_is_pointed_at(text, message):
    with pytest.raises(NetworkError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("pool pool conv4k9p0", "layer conv1: a 9-wide kernel does not fit the 3x8x8 map that reaches it"),
        ("pool pool pool pool pool pool", "layer pool6: a 2-wide kernel does not fit the 3x1x1 map that reaches it"),
        ("gap conv8", "layer conv1: needs a map of channels x height x width, and what reaches it is flat (3 values)"),
        ("fc8 pool", "layer pool1: needs a map of channels x height x width, and what reaches it is flat (8 values)"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_the_size_it_met(layers, message):
    with pytest.raises(NetworkError) as caught:
        rows(NetworkConfig(layers=layers), (3, 32, 32), 10)
    assert str(caught.value) == message


def test_a_network_without_head_must_give_a_value_for_each_class():
    with pytest.raises(NetworkError, match="must give 10 values, one per class; fc1 gives 9"):
        rows(NetworkConfig(layers="fc9", head="none"), (3, 8, 8), 10)
