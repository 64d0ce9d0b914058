"""Layers: an operation with its parameters, which leaves on the way forward what its gradient needs on the way back.

A layer holds nothing of a batch, so several workers go through one network at once. Parameters have torch's names; `turned`
says how their axes are ordered for torch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from striate.core.errors import TrainingError
from striate.engines.scratch.context import ForwardContext, shares_drawn
from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops import activations, convolution, dense, norms, pooling
from striate.engines.scratch.ops.windows import Window
from striate.nets.layers import Activation

MOMENTUM = 0.1  # how far running statistics move towards those of a batch; torch's


class Layer:
    """The base: no parameters."""

    torch_axes: dict[str, tuple[int, ...]] = {}
    needs_input_grad = True  # whether anything before it learns

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.is_frozen = False

    def forward(self, x: Array, context: ForwardContext) -> Array:
        raise NotImplementedError

    def backward(self, g: Array, context: ForwardContext) -> Array:
        raise NotImplementedError

    def all(self) -> Iterator["Layer"]:
        """Itself and the layers inside it, in torch's order."""
        yield self

    def give(self, context: ForwardContext, **gradients: Array) -> None:
        """Leave the gradients of the parameters that there are and that learn."""
        if not self.is_frozen:
            context.gradients |= {f"{self.name}.{key}": g for key, g in gradients.items() if key in self.parameters}


class Convolution(Layer):
    torch_axes = {"weight": (3, 2, 0, 1)}

    def __init__(self, name: str, window: Window, groups: int) -> None:
        super().__init__(name)
        self.window, self.groups = window, groups

    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.keep(self.name, x)
        return convolution.conv2d(x, self.parameters["weight"], self.parameters.get("bias"), self.window, self.groups)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, gw, gb = convolution.conv2d_backward(
            g, context.take(self.name), self.parameters["weight"], self.window, self.groups, self.needs_input_grad
        )
        self.give(context, weight=gw, bias=gb)
        return gx


class Dense(Layer):
    torch_axes = {"weight": (1, 0)}

    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.keep(self.name, x)
        return dense.dense(x, self.parameters["weight"], self.parameters.get("bias"))

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, gw, gb = dense.dense_backward(g, context.take(self.name), self.parameters["weight"])
        self.give(context, weight=gw, bias=gb)
        return gx


class Windowed(Layer):
    """What looks through a window and has no parameters."""

    def __init__(self, name: str, window: Window) -> None:
        super().__init__(name)
        self.window = window


class MaxPool(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        y = pooling.max_pool(x, self.window)
        context.keep(self.name, (x, y))
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        x, y = context.take(self.name)
        return pooling.max_pool_backward(g, x, y, self.window)


class AveragePool(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.keep(self.name, x.shape[1:3])
        return pooling.average_pool(x, self.window)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.average_pool_backward(g, context.take(self.name), self.window)


class Subsample(Windowed):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.keep(self.name, x.shape[1:3])
        return pooling.pick(x, self.window)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.pick_backward(g, context.take(self.name), self.window)


class GlobalPool(Layer):
    def forward(self, x: Array, context: ForwardContext) -> Array:
        context.keep(self.name, x.shape[1:3])
        return pooling.global_pool(x)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return pooling.global_pool_backward(g, context.take(self.name))


class Flatten(Layer):
    """What is flat already stays, in the order if there is one."""

    def __init__(self, name: str, order: np.ndarray | None) -> None:
        super().__init__(name)
        self.order = order

    def forward(self, x: Array, context: ForwardContext) -> Array:
        x = x if len(x.shape) == 4 else x[:, None, None, :]
        context.keep(self.name, x.shape[1:3])
        return dense.flatten(x, None if self.order is None else namespace(x).asarray(self.order))

    def backward(self, g: Array, context: ForwardContext) -> Array:
        back = None if self.order is None else namespace(g).asarray(np.argsort(self.order))
        return dense.flatten_backward(g, context.take(self.name), back)


class Dropout(Layer):
    def __init__(self, name: str, share: float) -> None:
        super().__init__(name)
        self.share = share

    def forward(self, x: Array, context: ForwardContext) -> Array:
        if not context.is_training:
            return x
        kept = shares_drawn(context, self.name, tuple(x.shape)) >= self.share
        kept_x = namespace(x).asarray(kept.astype(np.uint8))
        kept_x = namespace(x).astype(kept_x, x.dtype)
        context.keep(self.name, kept_x)
        return dense.dropout(x, kept_x, self.share)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return dense.dropout(g, context.take(self.name), self.share)


class Scale(Layer):
    """Everything times one number."""

    def __init__(self, name: str, factor: float) -> None:
        super().__init__(name)
        self.factor = factor

    def forward(self, x: Array, context: ForwardContext) -> Array:
        return x * self.factor

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return g * self.factor


class BatchNorm(Layer):
    """In training by the statistics of the batch, of which it keeps running means for evaluation."""

    def forward(self, x: Array, context: ForwardContext) -> Array:
        scale, shift = self.parameters["weight"], self.parameters["bias"]
        if not context.is_training or self.is_frozen:
            known = self.buffers["running_mean"], self.buffers["running_var"]
            y, saved = norms.fixed_norm(x, scale, shift, *known)
        else:
            values = context.count
            for side in x.shape[1:-1]:
                values *= side
            if values == 1:
                raise TrainingError(
                    f"layer {self.name}: batch norm needs two values a channel; use a batch of 2 or more"
                )
            y, saved = norms.batch_norm(x, scale, shift, values, context.add_up)
            if context.part == 0:
                self._remember(saved)
        context.keep(self.name, saved)
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        saved, scale = context.take(self.name), self.parameters["weight"]
        if self.is_frozen:
            gx, g_scale, g_shift = norms.fixed_norm_backward(g, saved, scale)
        else:
            gx, g_scale, g_shift = norms.batch_norm_backward(g, saved, scale, context.add_up)
        self.give(context, weight=g_scale, bias=g_shift)
        return gx

    def _remember(self, saved: norms.Normalized) -> None:
        """The running variance is that of a sample: divided by one less than the number of values, as in torch."""
        of_sample = saved.variance * (saved.values / (saved.values - 1))
        for key, seen in (("running_mean", saved.mean), ("running_var", of_sample)):
            self.buffers[key] = (1 - MOMENTUM) * self.buffers[key] + MOMENTUM * seen
        counted = self.buffers["num_batches_tracked"]
        self.buffers["num_batches_tracked"] = namespace(counted).asarray(counted + 1)  # NumPy's sum is no array


class GroupNorm(Layer):
    def __init__(self, name: str, groups: int) -> None:
        super().__init__(name)
        self.groups = groups

    def forward(self, x: Array, context: ForwardContext) -> Array:
        y, saved = norms.group_norm(x, self.parameters["weight"], self.parameters["bias"], self.groups)
        context.keep(self.name, saved)
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        gx, g_scale, g_shift = norms.group_norm_backward(
            g, context.take(self.name), self.parameters["weight"], self.groups
        )
        self.give(context, weight=g_scale, bias=g_shift)
        return gx


class Activate(Layer):
    def __init__(self, name: str, activation: Activation) -> None:
        super().__init__(name)
        self.activation = activation

    def forward(self, x: Array, context: ForwardContext) -> Array:
        y = activations.activate(x, self.activation)
        context.keep(self.name, (x, y))
        return y

    def backward(self, g: Array, context: ForwardContext) -> Array:
        x, y = context.take(self.name)
        return activations.activate_backward(g, x, y, self.activation)


class Chain(Layer):
    """Layers one after another."""

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

    def all(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.all()


class Residual(Layer):
    """The body's result plus the input, through the shortcut; an input that goes two ways gets the sum of both gradients."""

    def __init__(self, name: str, body: Chain, shortcut: Chain) -> None:
        super().__init__(name)
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Array, context: ForwardContext) -> Array:
        return self.body.forward(x, context) + self.shortcut.forward(x, context)

    def backward(self, g: Array, context: ForwardContext) -> Array:
        return self.body.backward(g, context) + self.shortcut.backward(g, context)

    def all(self) -> Iterator[Layer]:
        yield from self.body.all()
        yield from self.shortcut.all()
