"""Winograd's convolution against the direct one, forward and backward; the rule that chooses; and the modules that use it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from striate.nets.pytorch import winograd
from striate.nets.pytorch.winograd import WinogradConv2d, fastest_tile, use_winograd, winograd_conv2d


def compared(seed, tile=4, dtype=torch.float64):
    """(result, gradient of the input, gradient of the filters) of both ways, for random shapes."""
    rng = np.random.default_rng(seed)
    images, channels, filters = (int(rng.integers(1, high)) for high in (6, 7, 7))
    padding = tuple(int(pad) for pad in rng.integers(0, 4, 2))
    height, width = (int(rng.integers(max(1, 3 - 2 * pad), 15)) for pad in padding)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(images, channels, height, width, dtype=dtype, generator=generator)
    if rng.random() < 0.5:
        x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(filters, channels, 3, 3, dtype=dtype, generator=generator)
    x.requires_grad_()
    weight.requires_grad_()
    direct = functional.conv2d(x, weight, padding=padding)
    ours = winograd_conv2d(x, weight, None, padding, tile)
    g = torch.randn(direct.shape, dtype=dtype, generator=generator)
    return [(y, *torch.autograd.grad(y, (x, weight), g)) for y in (ours, direct)]


def largest_error(seed, **options):
    ours, direct = compared(seed, **options)
    return max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in zip(ours, direct, strict=True))


@pytest.mark.parametrize(("tile", "block"), [(4, 1), (4, 1500), (4, winograd.BLOCK_VALUES), (2, 1500)])
def test_two_hundred_random_shapes_agree_with_the_direct_convolution(monkeypatch, tile, block):
    """One image a block, a few, and all at once."""
    monkeypatch.setattr(winograd, "BLOCK_VALUES", block)
    assert max(largest_error(seed, tile=tile) for seed in range(200)) < 1e-12


def test_in_float32_it_is_as_exact_as_tiles_of_four_allow():
    assert max(largest_error(seed, dtype=torch.float32) for seed in range(50)) < 1e-4


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("name", ["A", "B", "G"])
def test_a_sign_error_in_any_transform_is_found(monkeypatch, tile, name):
    transforms = winograd.TRANSFORMS[tile]
    first, *rows = getattr(transforms, name)
    wrong = transforms._replace(**{name: (tuple(-value for value in first), *rows)})
    monkeypatch.setitem(winograd.TRANSFORMS, tile, wrong)
    assert largest_error(3, tile=tile) > 1e-3


def test_the_bias_is_added_to_every_value_and_has_its_gradient():
    x, weight = torch.randn(2, 3, 6, 6), torch.randn(4, 3, 3, 3)
    bias = torch.randn(4, requires_grad=True)
    expected = functional.conv2d(x, weight, bias, padding=1)
    y = winograd_conv2d(x, weight, bias, (1, 1))
    assert torch.allclose(y, expected, atol=1e-4)
    g = torch.randn_like(y)
    assert torch.allclose(*(torch.autograd.grad(each, bias, g)[0] for each in (y, expected)), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 64, 128, 32, 32), None),  # a first layer: too few channels
        ((16, 16, 128, 32, 32), None),
        ((64, 64, 128, 16, 16), None),
        ((64, 128, 128, 16, 16), 4),
        ((128, 256, 128, 8, 8), 4),
        ((512, 512, 128, 4, 4), 4),
        ((512, 512, 128, 2, 2), 2),  # a tile of 4x4 would be a quarter full
        ((256, 256, 1, 8, 8), None),  # four tiles do not repay the transform of the filters
    ],
)
def test_the_rule_for_the_layers_that_we_know(shape, expected):
    assert fastest_tile(*shape) == expected


def a_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 128, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.Conv2d(128, 128, 3, padding=1, stride=2),
        nn.Conv2d(128, 128, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
    )


def test_a_module_keeps_its_names_parameters_and_state():
    module = a_network()
    before = copy.deepcopy(module.state_dict())
    assert use_winograd(module) == 2
    assert [type(part) is WinogradConv2d for part in module] == [True, False, True, False, False, False, False]
    assert isinstance(module[2], nn.Conv2d)
    assert module.state_dict().keys() == before.keys()
    module.load_state_dict(before)


def test_a_module_gives_what_it_gave(monkeypatch):
    module, x = a_network(), torch.randn(8, 3, 16, 16)
    direct = module(x)
    use_winograd(module)
    calls = []
    real = winograd.winograd_conv2d
    monkeypatch.setattr(winograd, "winograd_conv2d", lambda *args: calls.append(args) or real(*args))
    assert torch.allclose(module(x), direct, atol=1e-4)
    assert len(calls) == 1  # the layer of 128 to 128 channels; the first has too few


def test_under_autocast_and_in_float64_the_direct_way_is_taken(monkeypatch):
    module = nn.Conv2d(128, 128, 3, padding=1)
    use_winograd(module)
    monkeypatch.setattr(winograd, "winograd_conv2d", None)
    x = torch.randn(8, 128, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert module(x).dtype == torch.bfloat16
    assert module.double()(x.double()).dtype == torch.float64


def test_frozen_filters_have_no_gradient_and_keep_no_tiles():
    x, weight = torch.randn(1, 4, 8, 8, requires_grad=True), torch.randn(4, 4, 3, 3)
    y = winograd_conv2d(x, weight, None, (1, 1))
    assert len(y.grad_fn.saved_tensors) == 1
    expected = torch.autograd.grad(functional.conv2d(x, weight, padding=1).sum(), x)[0]
    assert torch.allclose(torch.autograd.grad(y.sum(), x)[0], expected, atol=1e-4)


def test_the_first_layer_needs_no_gradient_of_its_input():
    x, weight = torch.randn(2, 4, 8, 8), torch.randn(4, 4, 3, 3, requires_grad=True)
    expected = torch.autograd.grad(functional.conv2d(x, weight, padding=1).square().sum(), weight)[0]
    assert torch.allclose(
        torch.autograd.grad(winograd_conv2d(x, weight, None, (1, 1)).square().sum(), weight)[0],
        expected,
        rtol=1e-3,
        atol=1e-3,
    )
