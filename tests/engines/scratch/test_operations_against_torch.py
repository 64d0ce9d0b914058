"""Every operation and its gradients against torch's own, over random shapes, in both precisions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.engines.scratch.library import library, to_numpy
from tests.engines.scratch.operations import OPERATIONS

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def difference(ours, theirs):
    """The largest, relative to the largest value there."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return float(np.max(np.abs(ours - theirs))) / max(1.0, float(np.max(np.abs(theirs))))


def compare(name, seed, precision, xp):
    rng = np.random.default_rng(seed)
    case = OPERATIONS[name](rng)
    tensors = [torch.from_numpy(array.astype(precision)).requires_grad_() for array in case.inputs]
    theirs = case.torch(*tensors)
    g = rng.standard_normal(tuple(theirs.shape)).astype(precision)
    theirs.backward(torch.from_numpy(g))
    inputs = [xp.asarray(array.astype(precision)) for array in case.inputs]
    worst = difference(to_numpy(case.forward(*inputs)), theirs)
    for ours, tensor in zip(case.backward(xp.asarray(g), *inputs), tensors, strict=True):
        worst = max(worst, difference(to_numpy(ours), tensor.grad))
    assert worst <= TOLERANCE[precision], f"{name}, seed {seed}, {precision}: {worst}"


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), precision=st.sampled_from(sorted(TOLERANCE)))
def test_an_operation_agrees_with_torch(name, seed, precision):
    compare(name, seed, precision, library("numpy"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_agrees_with_torch_by_the_standard_alone(name):
    for seed in range(3):
        for precision in TOLERANCE:
            compare(name, seed, precision, library("array_api_strict"))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), precision=st.sampled_from(sorted(TOLERANCE)))
def test_an_operation_agrees_with_torch_over_many_shapes(name, seed, precision):
    compare(name, seed, precision, library("numpy"))


def test_a_wrong_result_is_found(monkeypatch):
    from tests.engines.scratch import operations

    def wrong(rng):
        case = operations.conv(rng)
        right = case.forward
        case.forward = lambda *inputs: right(*inputs) * (1 + 1e-7)
        return case

    monkeypatch.setitem(OPERATIONS, "conv2d", wrong)
    with pytest.raises(AssertionError, match="conv2d, seed 0, float64"):
        compare("conv2d", 0, "float64", library("numpy"))
