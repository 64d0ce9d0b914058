"""Layers: an operation with its parameters; the forward pass saves in the context what the backward pass needs.

A layer holds nothing of a batch, so several workers can go through one network at once. Parameters have PyTorch's names.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from striate.core.errors import TrainingError
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops import activations, convolution, dense, norms, pooling
from striate.engines.scratch.ops.windows import Window
from striate.nets.layers import Activation

MOMENTUM = 0.1  # how far running statistics move towards those of a batch; PyTorch's default


class Layer:
    """The base class: no parameters."""

    torch_axes: dict[str, tuple[int, ...]] = {}  # the order of axes that PyTorch has, by parameter, where it differs
    needs_input_grad = True  # whether any layer before it learns

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.is_frozen = False
        self.gradients = name  # the arrays of `empty_gradient`; layers in sequence may share them

    def forward(self, x: Array, context: ForwardContext) -> Array:
        raise NotImplementedError

    def backward(self, g: Array, context: ForwardContext) -> Array:
        raise NotImplementedError

    def leaf_layers(self) -> Iterator["Layer"]:
        """The layers with an operation of their own, in PyTorch's order: itself, or those inside it."""
        yield self

    def empty_gradient(self, shape: tuple[int, ...], g: np.ndarray, context: ForwardContext) -> np.ndarray:
        """An array for the gradient that the layer returns, apart from `g`, which it is computed from."""
        return context.gradient_buffer(self.gradients, shape, g)

    def set_gradients(self, context: ForwardContext, **gradients: Array) -> None:
        """Put the gradients of its parameters into the context: of those that exist and learn."""
        if not self.is_frozen:
            context.gradients |= {f"{self.name}.{key}": g for key, g in gradients.items() if key in self.parameters}


class Convolution(Layer):
    torch_axes = {"weight": (3, 2, 0, 1)}

    def __init__(self, name: str, window: Window, groups: int) -> None:
        super().__init__(name)
        self.window, self.groups = window, groups

    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.save_for_backward(self.name, x)
        return convolution.conv2d(x, self.parameters["weight"], self.parameters.get("bias"), self.window, self.groups)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, gw, gb = convolution.conv2d_backward(
            g, context.pop_saved(self.name), self.parameters["weight"], self.window, self.groups, self.needs_input_grad
        )
        self.set_gradients(context, weight=gw, bias=gb)
        return gx


class Dense(Layer):
    torch_axes = {"weight": (1, 0)}

    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.save_for_backward(self.name, x)
        return dense.dense(x, self.parameters["weight"], self.parameters.get("bias"))

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, gw, gb = dense.dense_backward(g, context.pop_saved(self.name), self.parameters["weight"])
        self.set_gradients(context, weight=gw, bias=gb)
        return gx


class Windowed(Layer):
    """The base class of layers with a sliding window and without parameters."""

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name)
        self.window = window


class MaxPool(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        y = pooling.max_pool(x, self.window)
        context.save_for_backward(self.name, (x, y))
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        x, y = context.pop_saved(self.name)
        return pooling.max_pool_backward(g, x, y, self.window)


class AveragePool(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.save_for_backward(self.name, x.shape[1:3])
        return pooling.average_pool(x, self.window)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.average_pool_backward(g, context.pop_saved(self.name), self.window)


class Subsample(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.save_for_backward(self.name, x.shape[1:3])
        return pooling.pick(x, self.window)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.pick_backward(g, context.pop_saved(self.name), self.window)


class GlobalPool(Layer):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.save_for_backward(self.name, x.shape[1:3])
        return pooling.global_pool(x)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.global_pool_backward(g, context.pop_saved(self.name))


class Flatten(Layer):
    """A map as one row of values, in the given order if there is one. What is flat already keeps its shape."""

    def __init__(self, name: str, order: np.ndarray | None) -> None:
        super().__init__(name)
        self.order = order

    def forward(self, x: Array, context: ForwardContext) -> Array:
        x = x if len(x.shape) == 4 else x[:, None, None, :]
        context.save_for_backward(self.name, x.shape[1:3])
        return dense.flatten(x, None if self.order is None else namespace(x).asarray(self.order))

    def backward(self, g: Array, context: ForwardContext) -> Array:
        inverse_order = None if self.order is None else namespace(g).asarray(np.argsort(self.order))
        return dense.flatten_backward(g, context.pop_saved(self.name), inverse_order)


class Dropout(Layer):
    def __init__(self, name: str, share: float) -> None:
        super().__init__(name)
        self.share = share

    def forward(self, x: Array, context: ForwardContext) -> Array:
        if not context.is_training:
            return x
        xp = namespace(x)
        is_kept = context.uniform(self.name, tuple(x.shape)) >= self.share
        mask = xp.astype(xp.asarray(is_kept.astype(np.uint8)), x.dtype)
        context.save_for_backward(self.name, mask)
        return dense.dropout(x, mask, self.share)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return dense.dropout(g, context.pop_saved(self.name), self.share)


class Scale(Layer):
    """Every value times one number."""

    def __init__(self, name: str, factor: float) -> None:
        super().__init__(name)
        self.factor = factor

    def forward(self, x: Array, context: ForwardContext) -> Array:
        return x * self.factor

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return g * self.factor


class BatchNorm(Layer):
    """Normalizes by the statistics of the batch in training, and by their running means in evaluation."""

    def forward(self, x: Array, context: ForwardContext) -> Array:
        scale, shift = self.parameters["weight"], self.parameters["bias"]
        if not context.is_training or self.is_frozen:
            running = self.buffers["running_mean"], self.buffers["running_var"]
            y, saved = norms.fixed_norm(x, scale, shift, *running)
        else:
            values = context.batch_size * math.prod(x.shape[1:-1])
            if values == 1:
                raise TrainingError(
                    f"layer {self.name}: batch norm needs two values a channel; use a batch of 2 or more"
                )
            y, saved = norms.batch_norm(x, scale, shift, values, context.all_reduce)
            if context.worker == 0:
                self._update_running_statistics(saved.mean, saved.variance, values)
        context.save_for_backward(self.name, saved)
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        saved, scale = context.pop_saved(self.name), self.parameters["weight"]
        if self.is_frozen:
            gx, g_scale, g_shift = norms.fixed_norm_backward(g, saved, scale)
        else:
            gx, g_scale, g_shift = norms.batch_norm_backward(g, saved, scale, context.all_reduce)
        self.set_gradients(context, weight=g_scale, bias=g_shift)
        return gx

    def _update_running_statistics(self, mean: Array, variance: Array, values: int) -> None:
        """The running variance is the unbiased one, divided by the number of values minus 1, as in PyTorch."""
        unbiased = variance * (values / (values - 1))
        for key, statistic in (("running_mean", mean), ("running_var", unbiased)):
            self.buffers[key] = (1 - MOMENTUM) * self.buffers[key] + MOMENTUM * statistic
        batches = self.buffers["num_batches_tracked"]
        self.buffers["num_batches_tracked"] = namespace(batches).asarray(batches + 1)  # NumPy's sum is no array


class GroupNorm(Layer):
    def __init__(self, name: str, groups: int) -> None:
        super().__init__(name)
        self.groups = groups

    def forward(self, x: Array, context: ForwardContext) -> Array:
        y, saved = norms.group_norm(x, self.parameters["weight"], self.parameters["bias"], self.groups)
        context.save_for_backward(self.name, saved)
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, g_scale, g_shift = norms.group_norm_backward(
            g, context.pop_saved(self.name), self.parameters["weight"], self.groups
        )
        self.set_gradients(context, weight=g_scale, bias=g_shift)
        return gx


class Activate(Layer):
    def __init__(self, name: str, activation: Activation) -> None:
        super().__init__(name)
        self.activation = activation

    def forward(self, x: Array, context: ForwardContext) -> Array:
        y = activations.activate(x, self.activation)
        context.save_for_backward(self.name, (x, y))
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        x, y = context.pop_saved(self.name)
        return activations.activate_backward(g, x, y, self.activation)


class Chain(Layer):
    """Layers in sequence."""

    def __init__(self, name: str, layers: Sequence[Layer]) -> None:
        super().__init__(name)
        self.layers = tuple(layers)

    def forward(self, x: Array, context: ForwardContext) -> Array:
        for layer in self.layers:
            x = layer.forward(x, context)
        return x

    def backward(self, g: Array, context: ForwardContext) -> Any:
        for layer in reversed(self.layers):
            g = layer.backward(g, context)
            if not layer.needs_input_grad:
                return None
        return g

    def leaf_layers(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.leaf_layers()


class Residual(Layer):
    """The body's result plus that of the shortcut. The input is used twice, so its gradient is the sum of both."""

    def __init__(self, name: str, body: Chain, shortcut: Chain) -> None:
        super().__init__(name)
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Array, context: ForwardContext) -> Array:
        return self.body.forward(x, context) + self.shortcut.forward(x, context)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return self.body.backward(g, context) + self.shortcut.backward(g, context)

    def leaf_layers(self) -> Iterator[Layer]:
        yield from self.body.leaf_layers()
        yield from self.shortcut.leaf_layers()
