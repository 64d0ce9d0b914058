"""The operations of the walkthrough: unfold and fold, loops and product, and a forward pass with published numbers."""

import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from striate.core.errors import MissingExtra, TrainingError
from striate.engines.scratch import Window, conv2d, conv2d_direct, fold, unfold, walkthrough
from striate.engines.scratch import library as libraries
from striate.engines.scratch.library import library, to_numpy
from striate.engines.scratch.ops.activations import activate, erf, erf_series
from striate.engines.scratch.ops.pooling import max_pool
from tests.engines.scratch.operations import whole, window


@pytest.mark.parametrize("seed", range(6))
def test_the_loops_and_the_product_give_the_same(seed, xp):
    rng = np.random.default_rng(seed)
    groups, at = whole(rng, 1, 2), window(rng)
    x = xp.asarray(rng.standard_normal((2, 5, 6, 2 * groups)))
    w = xp.asarray(rng.standard_normal((*at.kernel, 2, 3 * groups)))
    b = xp.asarray(rng.standard_normal(3 * groups)) if seed % 2 else None
    product, loops = (to_numpy(way(x, w, b, at, groups)) for way in (conv2d, conv2d_direct))
    np.testing.assert_allclose(product, loops, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_unfold_and_fold_are_torch_s(seed, xp):
    rng = np.random.default_rng(seed)
    side, pad = whole(rng, 1, 3), whole(rng, 0, 2)
    at = Window((side, side), (2, 1), (1, 2), ((pad, pad), (pad, pad)))
    x = rng.standard_normal((2, 7, 7, 3))
    options = {"kernel_size": side, "stride": (2, 1), "dilation": (1, 2), "padding": pad}
    theirs = functional.unfold(torch.from_numpy(x).permute(0, 3, 1, 2), **options)
    ours = to_numpy(unfold(xp.asarray(x), at))
    # Theirs is (N, C R S, P Q).
    in_torch_order = ours.transpose(0, 5, 3, 4, 1, 2).reshape(theirs.shape)
    np.testing.assert_array_equal(in_torch_order, theirs.numpy())
    back = functional.fold(theirs, (7, 7), **options).permute(0, 2, 3, 1)
    np.testing.assert_allclose(to_numpy(fold(xp.asarray(ours), at, (7, 7))), back.numpy(), atol=1e-12)


def test_fold_is_the_transpose_of_unfold(xp):
    """The sum of unfold(x) y is that of x fold(y), for every x and y."""
    rng = np.random.default_rng(0)
    at = Window((3, 2), (2, 1), (1, 1), ((1, 0), (2, 1)))
    x = rng.standard_normal((2, 6, 5, 3))
    patches = to_numpy(unfold(xp.asarray(x), at))
    y = rng.standard_normal(patches.shape)
    folded = to_numpy(fold(xp.asarray(y), at, (6, 5)))
    assert np.isclose(np.sum(patches * y), np.sum(x * folded), rtol=1e-12)


CONVOLVED = [
    [0.2491, -0.1648, 0.2652, -0.3406],
    [0.1089, 0.3092, -0.1129, -0.1432],
    [-0.2178, 0.6069, -0.0462, -0.3231],
    [-0.3294, 0.4757, -0.2673, 0.1892],
]


def test_a_forward_pass_has_its_published_numbers(xp):
    x = xp.asarray(np.array(CONVOLVED)[None, :, :, None])
    pooled = max_pool(x, Window((2, 2), (2, 2)))
    assert to_numpy(pooled)[0, :, :, 0].tolist() == [[0.3092, 0.2652], [0.6069, 0.1892]]
    squashed = to_numpy(activate(pooled, "sigmoid"))[0, :, :, 0]
    np.testing.assert_allclose(squashed, [[0.57668998, 0.56591413], [0.64723333, 0.5471594]], rtol=0, atol=5e-9)


def test_the_error_function_by_its_series_is_scipy_s():
    x = np.linspace(-9, 9, 2001)
    np.testing.assert_allclose(erf_series(x), erf(x), rtol=0, atol=5e-15)


def test_nothing_overflows_at_the_ends(xp):
    x = xp.asarray(np.array([-1e4, -100.0, 0.0, 100.0, 1e4]))
    for name in ("elu", "gelu", "silu", "softplus", "sigmoid", "tanh"):
        assert np.isfinite(to_numpy(activate(x, name))).all()


def test_a_library_is_refused_by_name():
    with pytest.raises(TrainingError, match=r"recipe\.engine: no array library 'numpi'; did you mean 'numpy'"):
        library("numpi")


def test_a_library_that_lacks_a_function_is_refused_by_the_function(monkeypatch):
    monkeypatch.setattr(libraries, "NEEDED", ["matmul", "convolve_like_magic"])
    with pytest.raises(TrainingError, match=r"numpy [\d.]+ lacks convolve_like_magic"):
        library("numpy")


def test_without_cupy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingExtra, match=r"recipe.engine: cupy needs cupy: pip install 'striate\[cupy\]'"):
        library("cupy")


def test_the_walkthrough_is_not_written_with_a_wrong_gradient(monkeypatch):
    right = walkthrough.pooling.max_pool_backward
    monkeypatch.setattr(walkthrough.pooling, "max_pool_backward", lambda *given: right(*given) * 1.001)
    with pytest.raises(ValueError, match="the gradient of the map differs from the numerical one by"):
        walkthrough.parts()
