"""Every layer of a network in its place: named, with its shapes, and with all that it and the network say of it.

What follows (rows, graph, torch module, initial weights) only reads this. Names are those that the reports use
(conv1, pool1, fc1, inside a block res1.conv1); they also name the random streams of the initial weights.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from striate.core.errors import NetworkError
from striate.nets.layers import (
    Activate,
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    Layer,
    Normalize,
    Own,
    Pool,
    Residual,
)
from striate.nets.placed import Placed
from striate.nets.settling import check_whitening, keep_linear, settle, settle_alone, settle_pool
from striate.nets.sizes import Shape, output_shape, text
from striate.nets.spec import NetworkConfig
from striate.nets.widening import widened


def place(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[Placed, ...]:
    """The layers of `network` on images of (channels, height, width), in order.

    Raises:
        NetworkError: naming the first layer that does not fit, the size that it met and what would fit.
    """
    if network.is_foreign:
        raise NetworkError(f"{network.title} is a torch module: its layers are known by running it once (nets.traced)")
    heads: dict[str, tuple[Layer, ...]] = {"none": (), "gap": (GlobalPool(),), "classifier": ()}
    classifier = (Dense(units=classes, own=Own(bias=True)),) if network.head != "none" else ()
    layers: tuple[Layer, ...] = (*widened(network.parsed, network), *heads[network.head], *classifier)
    placed = _sequence((*layers[:-1], _bare(layers[-1])), volume(network, input_shape), network, "")
    found = (*placed[:-1], replace(placed[-1], is_last=True))
    check_whitening(found)
    if math.prod(found[-1].output_shape) != classes or found[-1].output_shape[0] != classes:
        raise NetworkError(
            f"with head: none the last layer must give {classes} values, one per class; "
            f"{found[-1].name} gives {text(found[-1].output_shape)}"
        )
    return found


def volume(network: NetworkConfig, input_shape: Shape) -> Shape:
    """What reaches the first layer: the image C x H x W, or with `dims: 3` the volume 1 x H x W x C."""
    return input_shape if network.dims == 2 else (1, *input_shape[1:], input_shape[0])


def _bare(layer: Layer) -> Layer:
    """The layer that gives the logits: neither norm nor activation after them."""
    if isinstance(layer, Residual):
        return layer.replace(activation="none")
    if isinstance(layer, Conv | Dense):
        return layer.replace(own=layer.own.replace(norm="none", norm_groups=None, activation="none"))
    return layer


def _sequence(layers: Sequence[Layer], shape: Shape, network: NetworkConfig, prefix: str) -> tuple[Placed, ...]:
    """`layers` one after another; a map is flattened where an fc layer comes."""
    counts: Counter[str] = Counter()
    found: list[Placed] = []
    waiting = deque(layers)
    while waiting:
        needs_flat = isinstance(waiting[0], Dense) and len(shape) > 1
        layer = Flatten() if needs_flat else waiting.popleft()
        counts[layer.kind] += 1
        found.append(_one(f"{prefix}{layer.kind}{counts[layer.kind]}", layer, shape, network))
        shape = found[-1].output_shape
    return tuple(found)


def _one(name: str, layer: Layer, shape: Shape, network: NetworkConfig) -> Placed:
    if isinstance(layer, Residual):
        return _residual(name, layer, shape, network)
    try:
        placed = Placed(name=name, layer=layer, input_shape=shape, output_shape=output_shape(layer, shape))
        match layer:
            case Conv() | Dense():
                return settle(placed, layer.own, network)
            case Normalize() | Activate():
                return settle_alone(placed, layer, network)
            case Pool():
                return settle_pool(placed, layer, network)
        return placed
    except NetworkError as error:
        raise NetworkError(f"layer {name}: {error}") from error


def _residual(name: str, layer: Residual, shape: Shape, network: NetworkConfig) -> Placed:
    body = _sequence(_quiet_end(layer.body), shape, network, f"{name}.")
    output = body[-1].output_shape
    detour = layer.shortcut or _projection(name, shape, output)
    shortcut = _sequence(detour, shape, network, f"{name}.shortcut.")
    arrives = shortcut[-1].output_shape if shortcut else shape
    if arrives != output:
        raise NetworkError(
            f"layer {name}: its body gives {text(output)} and its shortcut {text(arrives)}; a sum needs the same shape"
        )
    _, activation, taken = keep_linear("none", layer.activation or network.activation, network)
    return Placed(
        name=name, layer=layer, input_shape=shape, output_shape=output, activation=activation, body=body,
        shortcut=shortcut, taken_out=taken,
    )  # fmt: skip


def _quiet_end(body: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The last layer without activation, unless it says one for itself: that of the block follows the sum."""
    *others, last = body
    if isinstance(last, Conv | Dense) and last.own.activation is None:
        last = last.replace(own=last.own.replace(activation="none"))
    return (*others, last)


def _projection(name: str, shape: Shape, output: Shape) -> tuple[Layer, ...]:
    """The layers that bring the input to the shape of the body's result; none where it has that shape."""
    if shape == output:
        return ()
    plain = Own(activation="none")
    if len(shape) == len(output) == 1:
        return (Dense(units=output[0], own=plain),)
    strides = tuple(-(-side // after) for side, after in zip(shape[1:], output[1:], strict=False))
    made = Conv(filters=output[0], kernel=1, stride=strides, padding=0, own=plain) if len(output) > 1 else None
    if made is None or output_shape(made, shape) != output:
        raise NetworkError(
            f"layer {name}: no 1x1 convolution brings its input {text(shape)} to the {text(output)} of its body; "
            "write the shortcut out, res(... | ...), or keep the size with padding"
        )
    return (made,)
