"""Initial weights: the spread of each scheme against torch.nn.init, and what decides the numbers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig, init
from striate.nets.pytorch.build import build

SHAPES = [(64, 32, 3, 3), (48, 16, 3, 3, 2), (300, 200)]
TORCH = {
    "default": lambda tensor: nn.init.kaiming_uniform_(tensor, a=math.sqrt(5)),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "lecun": lambda tensor: nn.init.kaiming_normal_(tensor, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
    "whiten": lambda tensor: nn.init.kaiming_uniform_(tensor, a=math.sqrt(5)),
}
UNIFORM = {"default", "xavier_uniform", "kaiming_uniform"}


def agree(scheme, shape):
    """The same spread as torch's, within what chance allows, and the same bounds."""
    ours = init.weight(scheme, 0, "conv1", shape)
    torch.manual_seed(0)
    theirs = TORCH[scheme](torch.empty(shape)).numpy()
    # The standard error of a standard deviation is at most 1 / sqrt(2n) of it; four of them, for two samples.
    tolerance = 4 * math.sqrt(2) / math.sqrt(2 * ours.size)
    assert ours.dtype == np.float32
    assert ours.std() == pytest.approx(theirs.std(), rel=tolerance)
    assert abs(ours.mean()) < 4 * ours.std() / math.sqrt(ours.size)
    if scheme in UNIFORM:
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scheme", TORCH)
def test_spreads_as_torch_does(scheme, shape):
    agree(scheme, shape)


def test_a_fan_that_is_one_tenth_off_is_found(monkeypatch):
    real = init.fans
    monkeypatch.setattr(init, "fans", lambda shape: (real(shape)[0] * 1.1, real(shape)[1]))
    with pytest.raises(AssertionError, match="comparison failed"):
        agree("kaiming_normal", SHAPES[0])


@pytest.mark.parametrize("shape", [(8, 3, 2, 2), (20, 3, 2, 2)])
def test_orthogonal_rows_or_columns(shape):
    matrix = init.weight("orthogonal", 0, "conv1", shape).reshape(shape[0], -1).astype(float)
    product = matrix @ matrix.T if shape[0] <= 12 else matrix.T @ matrix
    assert np.allclose(product, np.eye(len(product)), atol=1e-6)


def test_every_scheme_is_tested():
    assert {*TORCH, "dirac"} == set(init._SCHEMES)


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (2, 5, 3, 1), (6, 2, 3, 3, 3)])
def test_dirac_passes_the_channels_on(shape):
    """Its first filters as torch has them; the others as by default, and an fc layer too."""
    drawn = torch.from_numpy(init.weight("dirac", 0, "conv1", shape))
    count = min(shape[:2])
    assert torch.equal(drawn[:count], nn.init.dirac_(torch.empty(shape))[:count])
    default = init.weight("default", 0, "conv1", shape)
    assert np.array_equal(drawn[count:], default[count:])
    assert np.array_equal(init.weight("dirac", 0, "fc1", (8, 5)), init.weight("default", 0, "fc1", (8, 5)))


def test_biases_as_torch_draws_them_or_zero():
    drawn = init.bias(False, 0, "fc1", (2000, 25))
    assert np.abs(drawn).max() == pytest.approx(1 / 5, rel=0.01)
    assert drawn.std() == pytest.approx(1 / 5 / math.sqrt(3), rel=0.05)
    assert not init.bias(True, 0, "fc1", (2000, 25)).any()


def weights(seed=0, **fields):
    module = build(NetworkConfig(**fields), (3, 8, 8), 10, seed)
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def same(first, other):
    return {name for name in first.keys() & other.keys() if np.array_equal(first[name], other[name])}


def test_a_layer_starts_the_same_wherever_its_name_and_shape_are_the_same():
    base = weights(layers="conv8 pool conv16 fc32")
    assert same(base, weights(layers="conv8 pool conv16 fc32")) == set(base)
    changed = weights(layers="conv8:tanh pool3s2p1 drop0.5 conv16d2 fc32", norm="batch")
    assert same(base, changed) == set(base)
    wider = weights(layers="conv8 pool conv32 fc32")
    assert same(base, wider) == {"conv1.weight", "conv1.bias", "fc2.weight", "fc2.bias"}


def test_another_seed_starts_elsewhere():
    assert same(weights(layers="conv8 fc8"), weights(1, layers="conv8 fc8")) == set()


def test_the_global_generators_have_no_say():
    torch.manual_seed(1)
    np.random.seed(1)
    first = weights(layers="conv8")
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(first, weights(layers="conv8")) == set(first)


def test_what_a_layer_says_of_its_init_goes_before_the_network():
    arrays = weights(layers="conv8 conv8:zerobias,orthogonal", init="kaiming_normal")
    assert arrays["conv1.bias"].any()
    assert not arrays["conv2.bias"].any()
    matrix = arrays["conv2.weight"].reshape(8, -1).astype(float)
    assert np.allclose(matrix @ matrix.T, np.eye(8), atol=1e-6)


def test_the_first_numbers_are_golden():
    """They may not change between versions: a run that is resumed, or compared with one of last year, relies on it."""
    first = init.weight("default", 0, "conv1", (2, 3, 3, 3)).ravel()[:3]
    assert first.tolist() == [0.03442925214767456, -0.1723511666059494, 0.14859290421009064]
    assert init.permutation(7, 8).tolist() == [5, 7, 0, 4, 2, 1, 3, 6]


def test_a_permutation_is_one_and_is_decided_by_its_number():
    orders = [init.permutation(number, 1000) for number in (0, 1)]
    assert all(sorted(order) == list(range(1000)) for order in orders)
    assert not np.array_equal(*orders)
    assert np.array_equal(orders[0], init.permutation(0, 1000))


def test_dirac_is_not_for_groups():
    with pytest.raises(NetworkError, match="layer conv1: init dirac is for conv layers without groups"):
        build(NetworkConfig(layers="conv6g3:dirac"), (3, 8, 8), 10, 0)
