"""Every layer of a network in its place: named, with its shapes, and with all that it and the network say of it.

What follows (rows, graph, torch module, initial weights) only reads this. Names are those that the reports use
(conv1, pool1, fc1, inside a block res1.conv1); they also name the random streams of the initial weights.

What holds for one layer: its own word before the network's, and of that only what `linear` leaves.

Networks made wider or narrower by a factor.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from striate.core.errors import NetworkError
from striate.nets.config import NetworkConfig
from striate.nets.layers import (
    Activate,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    Layer,
    LayerOverrides,
    Norm,
    Normalize,
    Pool,
    Residual,
    Shape,
    output_shape,
    text,
)
from striate.nets.resolved import ResolvedLayer, all_layers


def resolve(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[ResolvedLayer, ...]:
    """The layers of `network` on images of (channels, height, width), in order.

    Raises:
        NetworkError: naming the first layer that does not fit, the size that it met and what would fit.
    """
    if network.is_foreign:
        raise NetworkError(f"{network.title} is a torch module: its layers are known only after it has run")
    heads: dict[str, tuple[Layer, ...]] = {"none": (), "gap": (GlobalPool(),), "classifier": ()}
    classifier = (Dense(units=classes, own=LayerOverrides(bias=True)),) if network.head != "none" else ()
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


def _sequence(layers: Sequence[Layer], shape: Shape, network: NetworkConfig, prefix: str) -> tuple[ResolvedLayer, ...]:
    """`layers` one after another; a map is flattened where an fc layer comes."""
    counts: Counter[str] = Counter()
    found: list[ResolvedLayer] = []
    waiting = deque(layers)
    while waiting:
        needs_flat = isinstance(waiting[0], Dense) and len(shape) > 1
        layer = Flatten() if needs_flat else waiting.popleft()
        counts[layer.kind] += 1
        found.append(_one(f"{prefix}{layer.kind}{counts[layer.kind]}", layer, shape, network))
        shape = found[-1].output_shape
    return tuple(found)


def _one(name: str, layer: Layer, shape: Shape, network: NetworkConfig) -> ResolvedLayer:
    if isinstance(layer, Residual):
        return _residual(name, layer, shape, network)
    try:
        placed = ResolvedLayer(name=name, layer=layer, input_shape=shape, output_shape=output_shape(layer, shape))
        match layer:
            case Conv() | Dense():
                return apply_defaults(placed, layer.own, network)
            case Normalize() | Activate():
                return apply_defaults_alone(placed, layer, network)
            case Pool():
                return apply_linear_to_pool(placed, layer, network)
        return placed
    except NetworkError as error:
        raise NetworkError(f"layer {name}: {error}") from error


def _residual(name: str, layer: Residual, shape: Shape, network: NetworkConfig) -> ResolvedLayer:
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
    return ResolvedLayer(
        name=name, layer=layer, input_shape=shape, output_shape=output, activation=activation, body=body,
        shortcut=shortcut, removed_by_linear=taken,
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
    plain = LayerOverrides(activation="none")
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


def apply_defaults(placed: ResolvedLayer, own: LayerOverrides, network: NetworkConfig) -> ResolvedLayer:
    """With what the layer says for itself, or else the network."""
    groups = own.norm_groups or network.norm_groups
    chosen = own.init or network.init
    if chosen == "dirac" and isinstance(placed.layer, Conv) and placed.layer.groups > 1:
        raise NetworkError("init dirac is for conv layers without groups; say another one here, as in :default")
    wanted: Norm = own.norm or network.norm
    if wanted == "instance" and len(placed.output_shape) == 1:
        wanted = "none"  # a feature is a map of one pixel, and minus its own mean it is 0
    norm, activation, taken = keep_linear(wanted, own.activation or network.activation, network)
    _check_norm(placed, norm, groups)
    return replace(
        placed,
        norm=norm,
        norm_groups=groups if norm == "group" else 1,
        norm_first=(own.norm_position or network.norm_position) == "before",
        activation=activation,
        bias=network.bias if own.bias is None else own.bias,
        init=chosen,
        zero_bias=network.zero_bias if own.zero_bias is None else own.zero_bias,
        removed_by_linear=taken,
    )


def apply_defaults_alone(placed: ResolvedLayer, layer: Normalize | Activate, network: NetworkConfig) -> ResolvedLayer:
    """A norm or an activation that is a layer."""
    if isinstance(layer, Activate):
        _, activation, taken = keep_linear("none", layer.activation, network)
        return replace(placed, activation=activation, removed_by_linear=taken)
    groups = layer.groups or network.norm_groups
    norm, _, taken = keep_linear(layer.norm, "none", network)
    _check_norm(placed, norm, groups)
    return replace(placed, norm=norm, norm_groups=groups if norm == "group" else 1, removed_by_linear=taken)


def apply_linear_to_pool(placed: ResolvedLayer, layer: Pool, network: NetworkConfig) -> ResolvedLayer:
    """A max pool, or the average pool that `linear` makes of it, under the same name: arms are compared by rows."""
    if not network.linear or isinstance(layer, AveragePool):
        return placed
    average = AveragePool(kernel=layer.kernel, stride=layer.stride, padding=layer.padding)
    return replace(placed, layer=average, removed_by_linear=("max pool, now average pool",))


def _check_norm(placed: ResolvedLayer, norm: Norm, groups: int) -> None:
    channels, pixels = placed.output_shape[0], math.prod(placed.output_shape[1:])
    if norm == "group" and channels % groups:
        fit = next(number for number in range(min(groups, channels), 0, -1) if channels % number == 0)
        raise NetworkError(f"group norm: {groups} groups do not divide {channels} channels; {fit} would (norm_groups)")
    if norm == "instance" and pixels == 1:
        # Also of a flat layer, whose values are maps of one pixel.
        raise NetworkError("instance norm makes every value of a 1-pixel map 0; use another norm here, as in :nonorm")


def check_whitening(placed: Sequence[ResolvedLayer]) -> None:
    """Refuse `whiten` where it cannot be: it is made of the image's patches, two filters for each of their axes."""
    first, *others = placed
    for one in all_layers([*others, *first.body, *first.shortcut]):
        if one.weight_shape and one.init == "whiten":
            raise NetworkError(
                f"layer {one.name}: init whiten is for the first layer, which sees the image; say it there (conv24k2p0:whiten)"
            )
    if not first.weight_shape or first.init != "whiten":
        return
    layer, axes = first.layer, math.prod(first.weight_shape[1:])
    if not isinstance(layer, Conv) or layer.groups > 1 or layer.dilation != 1 or len(first.input_shape) != 3:
        raise NetworkError(f"layer {first.name}: init whiten is for a 2D conv layer without groups or dilation")
    if any(side > image for side, image in zip(first.weight_shape[2:], first.input_shape[1:], strict=True)):
        raise NetworkError(
            f"layer {first.name}: init whiten needs patches of the image, and a kernel of {text(first.weight_shape[2:])} is larger"
            f" than {text(first.input_shape[1:])}; take a smaller one"
        )
    if layer.filters % 2 or layer.filters > 2 * axes:
        raise NetworkError(
            f"layer {first.name}: init whiten makes two filters for each axis of a {text(first.weight_shape[1:])} patch, so an"
            f" even number up to {2 * axes}; got {layer.filters}"
        )


def keep_linear(norm: Norm, activation: Activation, network: NetworkConfig) -> tuple[Norm, Activation, tuple[str, ...]]:
    """What `linear` leaves. Batch norm stays: once trained it is a scale and a shift, the same for every image."""
    if not network.linear:
        return norm, activation, ()
    taken = [f"{norm} norm"] * (norm in {"layer", "group", "instance"}) + [activation] * (activation != "none")
    return (norm if norm == "batch" else "none"), "none", tuple(taken)


def widened(layers: Sequence[Layer], network: NetworkConfig) -> tuple[Layer, ...]:
    """Every layer with `width` times its filters or units; one that whitens, and the last, which gives the logits, keep their own."""
    wide = [_wide(layer, network.width) for layer in layers]
    return tuple(wide if network.head != "none" else [*wide[:-1], layers[-1]])


def _wide(layer: Layer, width: float) -> Layer:
    is_of_the_images = isinstance(layer, Conv) and layer.own.init == "whiten"  # its filters are as many as the axes
    if width == 1 or is_of_the_images:
        return layer
    match layer:
        case Conv():
            # A multiple of the groups, or the convolution could not be built.
            return layer.replace(filters=max(1, round(layer.filters * width / layer.groups)) * layer.groups)
        case Dense():
            return layer.replace(units=max(1, round(layer.units * width)))
        case Residual():
            body, shortcut = (tuple(_wide(one, width) for one in part) for part in (layer.body, layer.shortcut))
            return layer.replace(body=body, shortcut=shortcut)
    return layer
