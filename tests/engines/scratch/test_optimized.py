"""The optimized layers for NumPy equal the plain ones, and a difference would be results."""

import numpy as np
import pytest

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import convolution, winograd
from striate.engines.scratch.optimized.layers import OPTIMIZED
from striate.engines.scratch.threads import ThreadTeam
from tests.engines.scratch.operations import apart, whole, window


def through(layer, x, g):
    """The result, the gradient of the map and those of the parameters; the second of two trips, into used arrays."""
    buffers = {}
    for turn in (1, 2):
        context = ForwardContext(ThreadTeam(), len(x), is_training=True, buffers=buffers)
        y = layer.forward(x * turn, context)
        gx = layer.backward(g(y.shape), context)
    return [np.array(array) for array in (y, gx, *context.gradients.values())]


def assert_equal(kind, optimized, arguments, parameters, x, tolerance):
    results = []
    for layer_type in (kind, optimized):
        layer = layer_type("layer", *arguments)
        layer.parameters = parameters
        results.append(through(layer, x, lambda shape: np.random.default_rng(1).standard_normal(shape).astype(x.dtype)))
    for plain, fast in zip(*results, strict=True):
        assert plain.shape == fast.shape
        assert plain.dtype == fast.dtype
        np.testing.assert_allclose(fast, plain, rtol=0, atol=tolerance * max(1.0, np.abs(plain).max()))


def convolutions(seed, precision):
    rng = np.random.default_rng(seed)
    is_tiled, groups = seed % 2, whole(rng, 1, 2)
    pads = tuple((whole(rng, 0, 2), whole(rng, 0, 2)) for _ in range(2))
    at, groups = (Window((3, 3), pads=pads), 1) if is_tiled else (window(rng), groups)
    C, K = (whole(rng, 16, 20), whole(rng, 16, 20)) if is_tiled else (groups * 3, groups * 2)
    x = rng.standard_normal((whole(rng, 1, 90), whole(rng, 5, 9), whole(rng, 5, 9), C)).astype(precision)
    w = rng.standard_normal((*at.kernel, C // groups, K)).astype(precision)
    return at, groups, x, {"weight": w, "bias": rng.standard_normal(K).astype(precision)}


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("seed", range(12))
def test_convolution(seed, precision, tolerance):
    at, groups, x, parameters = convolutions(seed, precision)
    assert_equal(layers.Convolution, OPTIMIZED[layers.Convolution], (at, groups), parameters, x, tolerance)


def test_both_ways_of_convolution_are_among_the_cases():
    tiled = {
        winograd.fits(at, *p["weight"].shape[2:], groups)
        for at, groups, _, p in (convolutions(s, "f8") for s in range(12))
    }
    assert tiled == {True, False}


def test_a_batch_is_cut_into_blocks_that_cover_it_once():
    for count, rows, width in ((1, 1, 1), (128, 256, 1024), (7, 10_000, 5000), (64, 256, 4)):
        covered = [index for part in convolution.blocks(count, rows, width) for index in range(count)[part]]
        assert covered == list(range(count))


def test_a_tile_s_wrong_number_is_found(monkeypatch):
    right = winograd.results

    def wrong(m, grid, y):
        right(m, grid, y)
        y[0, 0, 0, 0] += 1e-3

    monkeypatch.setattr(winograd, "results", wrong)
    at, groups, x, parameters = convolutions(1, "float64")
    with pytest.raises(AssertionError, match="Mismatched elements: 3 /"):
        assert_equal(layers.Convolution, OPTIMIZED[layers.Convolution], (at, groups), parameters, x, 1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("is_tied", [False, True])
def test_max_pool(size, is_tied):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (40, 9, 8, 5)).astype(float) if is_tied else apart(rng, 40, 9, 8, 5)
    assert_equal(layers.MaxPool, OPTIMIZED[layers.MaxPool], (Window(size, size),), {}, x, 0.0)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_activation(name):
    x = np.random.default_rng(0).standard_normal((5, 4, 3, 2))
    assert_equal(layers.Activate, OPTIMIZED[layers.Activate], (name,), {}, x, 1e-15)


@pytest.mark.parametrize("has_bias", [True, False])
def test_dense(has_bias):
    rng = np.random.default_rng(0)
    parameters = {"weight": rng.standard_normal((6, 4)), "bias": rng.standard_normal(4)}
    parameters = parameters if has_bias else {"weight": parameters["weight"]}
    assert_equal(layers.Dense, OPTIMIZED[layers.Dense], (), parameters, rng.standard_normal((5, 6)), 1e-12)


def test_every_faster_layer_is_tested_here():
    assert {kind.__name__ for kind in OPTIMIZED} == {"Convolution", "MaxPool", "Activate", "Dense"}
