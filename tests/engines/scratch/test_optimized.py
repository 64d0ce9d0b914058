"""The optimized layers for NumPy equal the plain ones, and a difference would be results."""

import numpy as np
import pytest

from striate.engines.scratch import layers
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.ops.windows import Window
from striate.engines.scratch.optimized import layers as optimized_layers
from striate.engines.scratch.optimized import maps, norms, patches
from striate.engines.scratch.optimized.layers import OPTIMIZED
from striate.engines.scratch.threads import ThreadTeam, split_evenly
from tests.engines.scratch.operations import apart, whole, window


def through(layer, x, g, is_training=True):
    """The result, the gradient of the map and those of the parameters; the second of two trips, into used arrays."""
    buffers = {}
    for turn in (2, 1):
        context = ForwardContext(ThreadTeam(), len(x), is_training=is_training, buffers=buffers)
        y = layer.forward(x * turn, context)
        if not is_training:
            continue
        result = np.array(y)  # a later layer may write into its place
        gx = layer.backward(g(y.shape), context)
    return [np.array(array) for array in (result, gx, *context.gradients.values())] if is_training else [np.array(y)]


def assert_equal(kind, optimized, arguments, parameters, x, tolerance, is_training=True):
    results = []
    for layer_type in (kind, optimized):
        layer = layer_type("layer", *arguments)
        next(iter(layer.leaf_layers())).parameters = parameters
        draw = lambda shape: np.random.default_rng(1).standard_normal(shape).astype(x.dtype)  # noqa: E731
        results.append(through(layer, x, draw, is_training))
    for plain, fast in zip(*results, strict=True):
        assert plain.shape == fast.shape
        assert plain.dtype == fast.dtype
        np.testing.assert_allclose(fast, plain, rtol=0, atol=tolerance * max(1.0, np.abs(plain).max()))


def with_statistics(layer, channels):
    layer.buffers = {"running_mean": np.full(channels, 0.5), "running_var": np.full(channels, 2.0)}
    layer.buffers["num_batches_tracked"] = np.array(0)
    return layer


def frozen(layer):
    layer.is_frozen = True
    return with_statistics(layer, 6)


def norm_layers():
    """Makers of the plain batch norm and of the optimized one."""
    kinds = (layers.BatchNorm, OPTIMIZED[layers.BatchNorm])
    return [(lambda name, kind=kind: with_statistics(kind(name), 6)) for kind in kinds]


def convolutions(seed, precision):
    """Of few and of many channels, one group and two."""
    rng = np.random.default_rng(seed)
    groups, at = whole(rng, 1, 2), window(rng)
    C, K = (whole(rng, 16, 20), whole(rng, 16, 20)) if seed % 2 else (groups * 3, groups * 2)
    C, K = C // groups * groups, K // groups * groups
    x = rng.standard_normal((whole(rng, 1, 90), whole(rng, 5, 9), whole(rng, 5, 9), C)).astype(precision)
    w = rng.standard_normal((*at.kernel, C // groups, K)).astype(precision)
    return at, groups, x, {"weight": w, "bias": rng.standard_normal(K).astype(precision)}


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("seed", range(16))
def test_convolution_by_patches(seed, precision, tolerance):
    at, groups, x, parameters = convolutions(seed, precision)
    assert_equal(layers.Convolution, OPTIMIZED[layers.Convolution], (at, groups), parameters, x, tolerance)


def test_both_orders_of_patches_are_among_the_cases():
    few = {
        x.shape[3] < patches.FEW_CHANNELS
        for _, groups, x, _ in (convolutions(s, "f8") for s in range(16))
        if groups == 1
    }
    assert few == {True, False}


def test_a_batch_is_cut_into_blocks_that_cover_it_once():
    for count, rows, width in ((1, 1, 1), (128, 256, 1024), (7, 10_000, 5000), (64, 256, 4)):
        covered = [index for part in patches.blocks(count, rows, width) for index in range(count)[part]]
        assert covered == list(range(count))


def test_a_patch_s_wrong_number_is_found(monkeypatch):
    right = patches.Patches.rows

    def wrong(self, part, context):
        rows = right(self, part, context)
        rows[0, 0] += 1e-3
        return rows

    monkeypatch.setattr(patches.Patches, "rows", wrong)
    seed = next(seed for seed in range(16) if convolutions(seed, "float64")[1] == 1)
    at, groups, x, parameters = convolutions(seed, "float64")
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_equal(layers.Convolution, OPTIMIZED[layers.Convolution], (at, groups), parameters, x, 1e-12)


def test_pixels_come_first_in_memory_and_images_in_the_shape():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6, 6, 3))
    layer = OPTIMIZED[layers.Convolution]("conv", Window((3, 3)), 1)
    layer.parameters = {"weight": rng.standard_normal((3, 3, 3, 5))}
    y = layer.forward(x, ForwardContext(ThreadTeam(), len(x)))
    assert y.shape == (4, 4, 4, 5)
    assert y.transpose(1, 2, 0, 3).flags.c_contiguous
    context = ForwardContext(ThreadTeam(), len(x))
    assert np.shares_memory(maps.pixels_first(y, ("y",), context), y)  # no copy
    copied = maps.pixels_first(x, ("x",), context)
    assert not np.shares_memory(copied, x)
    np.testing.assert_array_equal(maps.images_first(copied), x)
    assert maps.like(y, np.empty).strides == y.strides


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


@pytest.mark.parametrize("shape", [(40, 5, 4, 6), (50, 6)])
@pytest.mark.parametrize("block", [1, maps.CACHED])
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm(monkeypatch, shape, block, is_training):
    monkeypatch.setattr(maps, "CACHED", block)
    rng = np.random.default_rng(0)
    x, scale, shift = 3 + rng.standard_normal(shape), rng.standard_normal(6), rng.standard_normal(6)
    assert_equal(*norm_layers(), (), {"weight": scale, "bias": shift}, x, 1e-12, is_training)


def test_batch_norm_of_values_far_from_zero_keeps_its_digits():
    """A variance as the mean of squares minus the square of the mean would have no digit left here."""
    rng = np.random.default_rng(0)
    x = (1e4 + rng.standard_normal((64, 8, 8, 3))).astype("float32")
    layer = with_statistics(OPTIMIZED[layers.BatchNorm]("norm"), 3)
    layer.parameters = {"weight": np.ones(3, "float32"), "bias": np.zeros(3, "float32")}
    y = layer.forward(x, ForwardContext(ThreadTeam(), len(x), is_training=True))
    exact = x.astype("float64")
    z = (exact - exact.mean((0, 1, 2))) / exact.std((0, 1, 2))
    assert np.abs(y - z).max() < 2e-3  # x itself is rounded to 1e-3


def test_a_frozen_batch_norm_is_the_plain_one():
    rng = np.random.default_rng(0)
    parameters = {"weight": rng.standard_normal(6), "bias": rng.standard_normal(6)}
    plain, optimized = (
        (lambda name, kind=kind: frozen(kind(name))) for kind in (layers.BatchNorm, OPTIMIZED[layers.BatchNorm])
    )
    assert_equal(plain, optimized, (), parameters, rng.standard_normal((7, 4, 4, 6)), 1e-12)


@pytest.mark.parametrize("smallest", [0.1, -1.0])
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_and_max_pool(smallest, is_training):
    """A negative scale turns the largest value into the smallest: then the pool cannot come first."""
    rng = np.random.default_rng(0)
    scale = np.linspace(smallest, 2, 6)
    x, window = 3 + rng.standard_normal((20, 6, 8, 6)), Window((2, 2), (2, 2))

    def plain(name):
        return layers.Chain("", [with_statistics(layers.BatchNorm(name), 6), layers.MaxPool("pool", window)])

    def optimized(name):
        norm = with_statistics(OPTIMIZED[layers.BatchNorm](name), 6)
        return layers.Chain("", [norms.NormThenPool(norm, OPTIMIZED[layers.MaxPool]("pool", window))])

    assert_equal(plain, optimized, (), {"weight": scale, "bias": rng.standard_normal(6)}, x, 1e-12, is_training)


def test_a_pool_that_always_comes_first_is_found(monkeypatch):
    monkeypatch.setattr(norms.NormThenPool, "_is_pooled_first", True)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        test_batch_norm_and_max_pool(-1.0, True)


def test_residual():
    rng = np.random.default_rng(0)
    parameters = {"weight": rng.standard_normal((3, 3, 5, 5)), "bias": rng.standard_normal(5)}

    def block(kind):
        def made(name):
            conv = layers.Convolution(name, Window((3, 3), pads=((1, 1), (1, 1))), 1)
            return kind("block", layers.Chain("body", [conv]), layers.Chain("shortcut", []))

        return made

    x = rng.standard_normal((4, 6, 6, 5))
    assert_equal(block(layers.Residual), block(OPTIMIZED[layers.Residual]), (), parameters, x, 1e-12)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_workers_that_share_an_fc_layer_give_what_one_gives(monkeypatch, threads):
    monkeypatch.setattr(optimized_layers, "SHARED", 1)
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((7, 6)), rng.standard_normal((7, 4))
    parameters = {"weight": rng.standard_normal((6, 4)), "bias": rng.standard_normal(4)}
    layer = OPTIMIZED[layers.Dense]("fc")
    layer.parameters = parameters
    team, shared = ThreadTeam(threads), {}

    def work(worker):
        own = split_evenly(len(x), threads)[worker]
        context = ForwardContext(team, len(x), own.start, worker, is_training=True, shared=shared)
        return layer.forward(x[own], context), layer.backward(g[own], context), context.gradients

    y, gx, gradients = zip(*team.run(work, threads), strict=True)
    team.close()
    np.testing.assert_allclose(np.concatenate(y), x @ parameters["weight"] + parameters["bias"], atol=1e-12)
    np.testing.assert_allclose(np.concatenate(gx), g @ parameters["weight"].T, atol=1e-12)
    assert ["fc.weight" in found for found in gradients] == [True, *[False] * (threads - 1)]
    np.testing.assert_allclose(gradients[0]["fc.weight"], x.T @ g, atol=1e-12)
    np.testing.assert_allclose(sum(found["fc.bias"] for found in gradients), g.sum(0), atol=1e-12)


@pytest.mark.parametrize("has_bias", [True, False])
def test_dense(has_bias):
    rng = np.random.default_rng(0)
    parameters = {"weight": rng.standard_normal((6, 4)), "bias": rng.standard_normal(4)}
    parameters = parameters if has_bias else {"weight": parameters["weight"]}
    assert_equal(layers.Dense, OPTIMIZED[layers.Dense], (), parameters, rng.standard_normal((5, 6)), 1e-12)


def test_every_faster_layer_is_tested_here():
    assert {kind.__name__ for kind in OPTIMIZED} == {
        "Convolution", "MaxPool", "Activate", "Dense", "BatchNorm", "Residual",
    }  # fmt: skip
