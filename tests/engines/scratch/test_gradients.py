"""The gradient check passes every operation, on each array library, and finds a wrong gradient planted in each."""

import importlib
import pkgutil

import numpy as np
import pytest

import striate.engines.scratch.ops
from striate.engines.scratch.gradient_check import GradientError, check
from tests.engines.scratch.operations import OPERATIONS


def inputs_of(case, xp):
    return [xp.asarray(array) for array in case.inputs]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_derivative(name, seed, xp):
    rng = np.random.default_rng(seed)
    case = OPERATIONS[name](rng)
    check(name, case.forward, case.backward, inputs_of(case, xp), rng)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_gradient_that_is_a_thousandth_off_is_found(name, xp):
    rng = np.random.default_rng(0)
    case = OPERATIONS[name](rng)
    inputs = inputs_of(case, xp)
    for wrong in range(len(inputs)):

        def planted(g, *inputs, wrong=wrong):
            return [
                gradient * 1.001 if i == wrong else gradient for i, gradient in enumerate(case.backward(g, *inputs))
            ]

        with pytest.raises(GradientError, match=f"{name}: the gradient of input {wrong} must be the derivative"):
            check(name, case.forward, planted, inputs, rng)


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_wrong_entry_is_found(name):
    rng = np.random.default_rng(1)
    case = OPERATIONS[name](rng)

    def planted(g, *inputs):
        first, *others = (np.array(gradient, order="C") for gradient in case.backward(g, *inputs))
        first.reshape(-1)[0] += 0.1
        return [first, *others]

    with pytest.raises(GradientError, match=f"{name}: the gradient of input 0"):
        check(name, case.forward, planted, case.inputs, rng)


def test_every_function_with_a_gradient_is_among_the_operations():
    written = {
        function.removesuffix("_backward")
        for module in pkgutil.iter_modules(striate.engines.scratch.ops.__path__)
        for function in vars(importlib.import_module(f"striate.engines.scratch.ops.{module.name}"))
        if function.endswith("_backward")
    }
    assert written - {"activate"} <= OPERATIONS.keys()
    assert len(written) > 10
