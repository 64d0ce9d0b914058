"""What only layers in sequence can save: arrays for gradients, for results of relu, and for what a max pool throws away."""

from striate.engines.scratch import layers
from striate.engines.scratch.optimized.layers import Activate, MaxPool, Residual, is_partition
from striate.engines.scratch.optimized.norms import BatchNorm, NormThenPool

# Nothing needs their result after the next layer has read it: not they themselves for their gradient, and it is no view of their input.
_DONE_WITH_RESULT = (layers.Convolution, layers.Dense, layers.BatchNorm, NormThenPool, Residual)


def arrange(chain: layers.Chain, gradients: str = "chain") -> None:
    """Arrange the optimized layers of `chain` and of the blocks in it. Their results stay the same."""
    arranged: list[layers.Layer] = []
    for layer in chain.layers:
        before = arranged[-1] if arranged else None
        if isinstance(layer, Residual):
            arrange(layer.body, f"{gradients} body")
            arrange(layer.shortcut, f"{gradients} shortcut")
        if isinstance(before, BatchNorm) and isinstance(layer, MaxPool) and is_partition(layer.window):
            arranged[-1] = NormThenPool(before, layer)
        else:
            arranged.append(layer)
        if isinstance(layer, Activate):
            layer.is_in_place = isinstance(before, _DONE_WITH_RESULT)
        # A layer reads the gradient that the next one returned and returns its own: two arrays are enough for a chain.
        layer.gradients = gradients
    chain.layers = tuple(arranged)
