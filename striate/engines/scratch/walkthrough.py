"""One image forward and backward, in numbers that the operations compute: the blocks of docs/from-scratch.md.

The map is a published result of a convolution, 4x4, with the max pool and the sigmoid that follow it. An fc layer of two
classes and the loss come after them.
"""

from collections.abc import Callable

import numpy as np

from striate.engines.scratch.ops import activations, convolution, dense, loss, pooling
from striate.engines.scratch.ops.windows import Window, fold, unfold

MAP = np.array(
    [
        [0.2491, -0.1648, 0.2652, -0.3406],
        [0.1089, 0.3092, -0.1129, -0.1432],
        [-0.2178, 0.6069, -0.0462, -0.3231],
        [-0.3294, 0.4757, -0.2673, 0.1892],
    ]
)
POOL = Window((2, 2), (2, 2))
WEIGHTS_FU = np.array([[0.5, -0.5], [1.0, 0.0], [0.0, 1.0], [-0.5, 0.5]])
BIAS_U = np.array([0.1, -0.1])
TARGET = loss.targets(np.array([1]), 2, 0.0, np.float64)  # the image is of class 1
FILTER = np.array([[1.0, -1.0], [0.5, 0.0]])
SLIDE = Window((2, 2))
STEP = 1e-5


def forward(values: np.ndarray, weights: np.ndarray = WEIGHTS_FU, bias: np.ndarray = BIAS_U) -> dict[str, np.ndarray]:
    """Every intermediate result from the map to the loss, by name."""
    pooled = pooling.max_pool(values[None, :, :, None], POOL)
    squashed = activations.activate(pooled, "sigmoid")
    row = dense.flatten(squashed)
    logits = dense.dense(row, weights, bias)
    losses = loss.cross_entropy(logits, TARGET)
    return {"pooled": pooled, "squashed": squashed, "row": row, "logits": logits, "loss": losses}


def backward(values: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient of the loss for every intermediate result and parameter, from the last to the first."""
    results = forward(values)
    logits = loss.cross_entropy_backward(results["logits"], TARGET)
    row, weights, bias = dense.dense_backward(logits, results["row"], WEIGHTS_FU)
    squashed = dense.flatten_backward(row, (2, 2))
    pooled = activations.activate_backward(squashed, results["pooled"], results["squashed"], "sigmoid")
    of_map = pooling.max_pool_backward(pooled, values[None, :, :, None], results["pooled"], POOL)
    return {
        "logits": logits, "weights": weights, "bias": bias, "squashed": squashed, "pooled": pooled, "map": of_map,
    }  # fmt: skip


def numeric(function: Callable[[np.ndarray], float], values: np.ndarray) -> np.ndarray:
    """The gradient of `function` by central differences."""
    gradient = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        ends = []
        for change in (STEP, -STEP):
            changed = values.copy()
            changed[index] += change
            ends.append(function(changed))
        gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def parts() -> dict[str, str]:
    """The blocks of the page, by name.

    Raises:
        ValueError: for a gradient that differs from the numerical one.
    """
    results, gradients = forward(MAP), backward(MAP)
    probabilities = loss.softmax(results["logits"])
    return {
        "pool": _shown("the map", MAP) + _shown("its pool", results["pooled"]),
        "sigmoid": _shown("the sigmoid of the pool", results["squashed"], 8),
        "loss": _shown("logits", results["logits"]) + _shown("softmax", probabilities) + _shown("loss", results["loss"]),
        "logits": _shown("gradient of the logits: softmax - target", gradients["logits"]),
        "fc": _beside(
            "weights", gradients["weights"], numeric(lambda w: _loss(MAP, w), WEIGHTS_FU)
        ) + _beside("bias", gradients["bias"], numeric(lambda b: _loss(MAP, WEIGHTS_FU, b), BIAS_U)),
        "map": _shown("gradient of the sigmoid's result", gradients["squashed"])
        + _shown("gradient of the pool's result", gradients["pooled"])
        + _beside("the map", gradients["map"], numeric(_loss, MAP)),
        "convolution": _convolution(),
        "filter": _filter(),
    }  # fmt: skip


def _loss(values: np.ndarray, weights: np.ndarray = WEIGHTS_FU, bias: np.ndarray = BIAS_U) -> float:
    return float(forward(values, weights, bias)["loss"][0])


def _convolution() -> str:
    x_NHWC, w_RSCK = MAP[None, :, :, None], FILTER[:, :, None, None]
    patches = unfold(x_NHWC, SLIDE).reshape(9, 4)
    direct = convolution.conv2d_direct(x_NHWC, w_RSCK, None, SLIDE)
    product = patches @ FILTER.reshape(4)
    return (
        _shown("the filter", FILTER)
        + _shown("unfold: a row for each of the 9 positions, a column for each of the filter's 4 numbers", patches)
        + _shown("the product of that matrix and the filter as a column", product.reshape(3, 3), 6)
        + _shown("by loops", direct, 6)
    )


def _filter() -> str:
    """Gradients of the convolution, with half the sum of squares of its result as the loss."""
    x_NHWC, w_RSCK = MAP[None, :, :, None], FILTER[:, :, None, None]

    def half_squares(x: np.ndarray, w: np.ndarray) -> float:
        return 0.5 * float(np.sum(convolution.conv2d(x, w, None, SLIDE) ** 2))

    g = convolution.conv2d(x_NHWC, w_RSCK, None, SLIDE)
    gx, gw, _ = convolution.conv2d_backward(g, x_NHWC, w_RSCK, SLIDE)
    patch_counts = fold(np.ones((1, 3, 3, 2, 2, 1)), SLIDE, (4, 4))
    return (
        _shown("gradient of the result: the result itself", g, 6)
        + _beside("the filter", gw, numeric(lambda w: half_squares(x_NHWC, w), w_RSCK))
        + _shown("fold of ones: the number of patches that contain each pixel", patch_counts)
        + _beside("the map", gx if gx is not None else g, numeric(lambda x: half_squares(x, w_RSCK), x_NHWC))
    )


def _beside(name: str, formula: np.ndarray, numerically: np.ndarray) -> str:
    difference = float(np.max(np.abs(formula - numerically.reshape(formula.shape))))
    if difference > 1e-8:
        raise ValueError(f"the gradient of {name} differs from the numerical one by {difference}")
    rows = zip(_rows(formula), _rows(numerically), strict=True)
    lines = "".join(f"  {left}      {right}\n" for left, right in rows)
    return f"gradient of {name}: by formula, and numerically (all within 1e-8)\n{lines}"


def _shown(name: str, array: np.ndarray, digits: int = 4) -> str:
    return f"{name}\n" + "".join(f"  {row}\n" for row in _rows(array, digits))


def _rows(array: np.ndarray, digits: int = 4) -> list[str]:
    """The numbers without axes of length 1, one line for each row; -0.0000 is written 0.0000."""
    table = np.atleast_2d(np.squeeze(array))
    return [" ".join(f"{round(float(value), digits) + 0.0:>{digits + 4}.{digits}f}" for value in row) for row in table]
