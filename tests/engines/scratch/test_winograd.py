"""Winograd's tiles against the direct convolution in float64, forward and backward; planted faults; the rule that chooses."""

import numpy as np
import pytest

from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops import convolution as plain
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import convolution, winograd
from striate.engines.scratch.threads import ThreadTeam
from tests.engines.scratch.operations import whole


def case(seed, dtype="float64"):
    """A window, a map, filters and a bias of random shapes; the sides of the result are 1 to 16."""
    rng = np.random.default_rng(seed)
    pads = tuple((whole(rng, 0, 4), whole(rng, 0, 4)) for _ in range(2))
    H, W = (whole(rng, max(1, 3 - sum(pad)), 12) for pad in pads)
    N, C, K = whole(rng, 1, 5), whole(rng, 1, 7), whole(rng, 1, 7)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((N, H, W, C), (3, 3, C, K), (K,))]
    return Window((3, 3), pads=pads), *arrays


def by_tiles(window, x, w, b, g):
    """The result and the gradients of map, filters and bias, from the second of two trips, so that arrays are used again."""
    layer = convolution.Convolution("conv", window, 1)
    layer.parameters = {"weight": w, "bias": b}
    buffers = {}
    for scale in (3.0, 1.0):
        context = ForwardContext(ThreadTeam(), len(x), is_training=True, buffers=buffers)
        y = layer.forward(x * scale, context)
        gx = layer.backward(g, context)
    return y, gx, context.gradients["conv.weight"], context.gradients["conv.bias"]


def largest_error(seed, dtype="float64"):
    """Relative to the largest value; of the result and of each gradient."""
    window, x, w, b = case(seed, dtype)
    expected = plain.conv2d(*(array.astype("float64") for array in (x, w, b)), window)
    g = np.random.default_rng(seed).standard_normal(expected.shape).astype(dtype)
    gradients = plain.conv2d_backward(*(array.astype("float64") for array in (g, x, w)), window)
    ours = by_tiles(window, x, w, b, g)
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(ours, (expected, *gradients), strict=True))


@pytest.fixture(params=winograd.TILES)
def size(request, monkeypatch):
    """Every layer takes tiles of this size."""
    monkeypatch.setattr(winograd, "tile_for", lambda *_: request.param)
    return request.param


@pytest.mark.parametrize("block", [1, convolution.BLOCK])
def test_two_hundred_random_shapes_agree_with_the_direct_convolution(size, monkeypatch, block):
    """One row of tiles a block, and all at once."""
    monkeypatch.setattr(convolution, "BLOCK", block)
    monkeypatch.setattr(convolution, "LEAST_TILES", 1)
    assert max(largest_error(seed) for seed in range(200)) < 1e-12


def test_in_float32_it_is_as_exact_as_tiles_allow(size):
    assert max(largest_error(seed, "float32") for seed in range(50)) < {2: 3e-6, 3: 1e-5, 4: 3e-5}[size]


@pytest.mark.parametrize("which", ["E", "F", "D"])
def test_a_sign_error_in_any_matrix_is_found(size, monkeypatch, which):
    right = winograd.transforms

    def wrong(size, dtype):
        found = right(size, dtype)
        getattr(found, which)[1, 1] *= -1
        return found

    monkeypatch.setattr(winograd, "transforms", wrong)
    assert largest_error(3) > 1e-3


@pytest.mark.parametrize("transform", ["tiles", "results", "tiles_backward", "results_backward"])
def test_a_wrong_number_of_any_transform_is_found(size, monkeypatch, transform):
    right = getattr(winograd, transform)

    def wrong(source, matrix, grid, t, target, context):
        right(source, matrix, grid, t, target, context)
        target[0, 0, 0] += 1e-3

    monkeypatch.setattr(winograd, transform, wrong)
    assert largest_error(3) > 1e-6


@pytest.mark.parametrize(
    ("size", "E", "F", "D"),
    [
        (
            2,
            [[1, 1, 1, 0], [0, 1, -1, 1]],
            [[-1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
            [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]],
        ),
        (
            4,
            [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
            [
                [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
                [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
            ],
            [
                [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
            ],
        ),
    ],
)  # fmt: skip
def test_the_matrices_from_the_points_are_those_of_lavin_and_gray(size, E, F, D):  # noqa: N803
    """Section 4 of arXiv:1509.09308; F(2x2) up to the sign of a row of F and D, which cancels."""
    for ours, theirs in zip(winograd.transforms(size, "float64"), (E, F, D), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("side", "images", "channels", "filters", "expected"),
    [
        (32, 64, 3, 64, 0),  # a first layer: too few channels
        (32, 64, 16, 16, 4),
        (16, 128, 64, 128, 4),
        (8, 128, 256, 256, 4),
        (4, 128, 512, 512, 4),
        (2, 64, 512, 512, 2),
        (3, 64, 256, 256, 3),
        (6, 64, 128, 128, 3),
        (7, 64, 128, 128, 4),
        (9, 64, 64, 64, 3),
        (1, 64, 512, 512, 0),  # a tile has more points than a single pixel has products
        (2, 16, 512, 512, 0),  # 16 tiles do not repay the filters
        (8, 2, 256, 256, 2),  # nor 8 tiles of the largest kind
        (8, 8, 8, 8, 0),  # too little to do
    ],
)
def test_the_rule_takes_what_was_fastest(side, images, channels, filters, expected):
    window = Window((3, 3), pads=((1, 1), (1, 1)))
    assert winograd.tile_for(window, (side, side), images, channels, filters) == expected


@pytest.mark.parametrize("window", [Window((5, 5)), Window((3, 3), (2, 2)), Window((3, 3), dilation=(2, 2))])
def test_other_windows_go_by_patches(window):
    assert winograd.tile_for(window, (16, 16), 128, 64, 64) == 0
    assert winograd.tile_for(Window((3, 3)), (16, 16), 128, 64, 64) == 4


def test_evaluation_keeps_no_tiles(size):
    window, x, w, b = case(3)
    layer = convolution.Convolution("conv", window, 1)
    layer.parameters = {"weight": w, "bias": b}
    context = ForwardContext(ThreadTeam(), len(x))
    np.testing.assert_allclose(layer.forward(x, context), plain.conv2d(x, w, b, window), atol=1e-10)
    assert not [key for key in context.buffers if key[:2] == ("conv", "v")]
