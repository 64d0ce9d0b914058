"""From a network as data to its layers: each with a name, shapes, and all settings of its own or of the network.

The graph, the torch module, the engine from scratch and the initial weights read these layers and decide nothing more.
Names are those that the reports use (conv1, pool1, fc1, inside a block res1.conv1); they also name the random streams
of the initial weights.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from striate.core.errors import NetworkError
from striate.nets.config import NetworkConfig
from striate.nets.freezing import frozen_parameters
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
    largest_divisor,
    output_shape,
    shape_text,
)
from striate.nets.resolved import ResolvedLayer, all_layers


def resolve(network: NetworkConfig, input_shape: Shape, classes: int) -> tuple[ResolvedLayer, ...]:
    """The layers of `network` on images of (channels, height, width), in order.

    Raises:
        NetworkError: for the first layer that does not fit, with the shape of its input and what would fit; for
            a layer to freeze that the network does not have.
    """
    if network.is_foreign:
        raise NetworkError(f"{network.title} is a torch module: its layers are known only after it has run")
    classifier = Dense(units=classes, overrides=LayerOverrides(bias=True))
    heads: dict[str, tuple[Layer, ...]] = {"none": (), "gap": (GlobalPool(), classifier), "classifier": (classifier,)}
    body = _scale_widths(network.parsed, network.width, keeps_last=network.head == "none")
    *others, last = (*body, *heads[network.head])
    *resolved, logits = _sequence(
        (*others, _without_norm_and_activation(last)), volume(network, input_shape), network, ""
    )
    layers = (*resolved, replace(logits, is_last=True))
    _check_whitening(layers)
    if math.prod(logits.output_shape) != classes or logits.output_shape[0] != classes:
        raise NetworkError(
            f"with head: none the last layer must give {classes} values, one per class; "
            f"{logits.name} gives {shape_text(logits.output_shape)}"
        )
    frozen_parameters(network.freeze, layers)
    return layers


def volume(network: NetworkConfig, input_shape: Shape) -> Shape:
    """The input of the first layer: the image C x H x W, or with `dims: 3` the volume 1 x H x W x C."""
    return input_shape if network.dims == 2 else (1, *input_shape[1:], input_shape[0])


def _without_norm_and_activation(layer: Layer) -> Layer:
    """The layer that gives the logits: nothing follows it."""
    if isinstance(layer, Residual):
        return layer.replace(activation="none")
    if isinstance(layer, Conv | Dense):
        overrides = layer.overrides.replace(norm="none", norm_groups=None, activation="none")
        return layer.replace(overrides=overrides)
    return layer


def _sequence(layers: Sequence[Layer], shape: Shape, network: NetworkConfig, prefix: str) -> tuple[ResolvedLayer, ...]:
    """`layers` one after another; a map is flattened before an fc layer."""
    counts: Counter[str] = Counter()
    resolved: list[ResolvedLayer] = []
    waiting = deque(layers)
    while waiting:
        needs_flatten = isinstance(waiting[0], Dense) and len(shape) > 1
        layer = Flatten() if needs_flatten else waiting.popleft()
        counts[layer.kind] += 1
        resolved.append(_resolve_layer(f"{prefix}{layer.kind}{counts[layer.kind]}", layer, shape, network))
        shape = resolved[-1].output_shape
    return tuple(resolved)


def _resolve_layer(name: str, layer: Layer, shape: Shape, network: NetworkConfig) -> ResolvedLayer:
    if isinstance(layer, Residual):
        return _resolve_residual(name, layer, shape, network)
    try:
        resolved = ResolvedLayer(name=name, layer=layer, input_shape=shape, output_shape=output_shape(layer, shape))
        match layer:
            case Conv() | Dense():
                return _apply_defaults(resolved, layer.overrides, network)
            case Normalize() | Activate():
                return _resolve_norm_or_activation(resolved, layer, network)
            case Pool():
                return _resolve_pool(resolved, layer, network)
        return resolved
    except NetworkError as error:
        raise NetworkError(f"layer {name}: {error}") from error


def _resolve_residual(name: str, layer: Residual, shape: Shape, network: NetworkConfig) -> ResolvedLayer:
    body = _sequence(_without_last_activation(layer.body), shape, network, f"{name}.")
    output = body[-1].output_shape
    shortcut = _sequence(layer.shortcut or _projection(name, shape, output), shape, network, f"{name}.shortcut.")
    shortcut_output = shortcut[-1].output_shape if shortcut else shape
    if shortcut_output != output:
        raise NetworkError(
            f"layer {name}: its body gives {shape_text(output)} and its shortcut {shape_text(shortcut_output)}; "
            "a sum needs the same shape"
        )
    _, activation, removed = _keep_linear("none", layer.activation or network.activation, network)
    return ResolvedLayer(
        name=name, layer=layer, input_shape=shape, output_shape=output, activation=activation, body=body,
        shortcut=shortcut, removed_by_linear=removed,
    )  # fmt: skip


def _without_last_activation(body: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The last layer has no activation, unless it sets one for itself: that of the block follows the sum."""
    *others, last = body
    if isinstance(last, Conv | Dense) and last.overrides.activation is None:
        last = last.replace(overrides=last.overrides.replace(activation="none"))
    return (*others, last)


def _projection(name: str, shape: Shape, output: Shape) -> tuple[Layer, ...]:
    """The layer that gives the input the shape of the body's result; none where it has that shape."""
    if shape == output:
        return ()
    plain = LayerOverrides(activation="none")
    if len(shape) == len(output) == 1:
        return (Dense(units=output[0], overrides=plain),)
    if len(output) > 1:
        strides = tuple(-(-side // after) for side, after in zip(shape[1:], output[1:], strict=False))
        conv = Conv(filters=output[0], kernel=1, stride=strides, padding=0, overrides=plain)
        if output_shape(conv, shape) == output:
            return (conv,)
    raise NetworkError(
        f"layer {name}: no 1x1 convolution brings its input {shape_text(shape)} to the {shape_text(output)} of its body; "
        "write the shortcut out, res(... | ...), or keep the size with padding"
    )


def _apply_defaults(resolved: ResolvedLayer, overrides: LayerOverrides, network: NetworkConfig) -> ResolvedLayer:
    """A conv or fc layer with its own settings, or else the network's."""
    groups = overrides.norm_groups or network.norm_groups
    init = overrides.init or network.init
    if init == "dirac" and isinstance(resolved.layer, Conv) and resolved.layer.groups > 1:
        raise NetworkError("init dirac is for conv layers without groups; set another one here, as in :default")
    norm = overrides.norm or network.norm
    if norm == "instance" and len(resolved.output_shape) == 1:
        norm = "none"  # a feature is a map of one pixel, and minus its own mean it is 0
    norm, activation, removed = _keep_linear(norm, overrides.activation or network.activation, network)
    _check_norm(resolved, norm, groups)
    return replace(
        resolved,
        norm=norm,
        norm_groups=groups if norm == "group" else 1,
        norm_first=(overrides.norm_position or network.norm_position) == "before",
        activation=activation,
        bias=network.bias if overrides.bias is None else overrides.bias,
        init=init,
        zero_bias=network.zero_bias if overrides.zero_bias is None else overrides.zero_bias,
        removed_by_linear=removed,
    )


def _resolve_norm_or_activation(
    resolved: ResolvedLayer, layer: Normalize | Activate, network: NetworkConfig
) -> ResolvedLayer:
    """A norm or an activation that is a layer of its own."""
    if isinstance(layer, Activate):
        _, activation, removed = _keep_linear("none", layer.activation, network)
        return replace(resolved, activation=activation, removed_by_linear=removed)
    groups = layer.groups or network.norm_groups
    norm, _, removed = _keep_linear(layer.norm, "none", network)
    _check_norm(resolved, norm, groups)
    return replace(resolved, norm=norm, norm_groups=groups if norm == "group" else 1, removed_by_linear=removed)


def _resolve_pool(resolved: ResolvedLayer, layer: Pool, network: NetworkConfig) -> ResolvedLayer:
    """`linear` turns a max pool into an average pool under the same name, so that the rows of two arms correspond."""
    if not network.linear or isinstance(layer, AveragePool):
        return resolved
    average = AveragePool(kernel=layer.kernel, stride=layer.stride, padding=layer.padding)
    return replace(resolved, layer=average, removed_by_linear=("max pool, now average pool",))


def _check_norm(resolved: ResolvedLayer, norm: Norm, groups: int) -> None:
    channels, pixels = resolved.output_shape[0], math.prod(resolved.output_shape[1:])
    if norm == "group" and channels % groups:
        largest_fit = largest_divisor(channels, groups)
        raise NetworkError(
            f"group norm: {groups} groups do not divide {channels} channels; {largest_fit} would (norm_groups)"
        )
    if norm == "instance" and pixels == 1:
        # Also of a flat layer, whose values are maps of one pixel.
        raise NetworkError("instance norm makes every value of a 1-pixel map 0; use another norm here, as in :nonorm")


def _check_whitening(layers: Sequence[ResolvedLayer]) -> None:
    """Refuse `whiten` where it is impossible: it makes two filters for each principal axis of the image's patches."""
    first, *others = layers
    for layer in all_layers([*others, *first.body, *first.shortcut]):
        if layer.weight_shape and layer.init == "whiten":
            raise NetworkError(
                f"layer {layer.name}: init whiten is for the first layer, whose input is the image; set it there (conv24k2p0:whiten)"
            )
    if not first.weight_shape or first.init != "whiten":
        return
    conv, patch = first.layer, first.weight_shape[1:]
    if not isinstance(conv, Conv) or conv.groups > 1 or conv.dilation != 1 or len(first.input_shape) != 3:
        raise NetworkError(f"layer {first.name}: init whiten is for a 2D conv layer without groups or dilation")
    if any(side > image for side, image in zip(patch[1:], first.input_shape[1:], strict=True)):
        raise NetworkError(
            f"layer {first.name}: init whiten needs patches of the image, and a kernel of {shape_text(patch[1:])} is larger"
            f" than {shape_text(first.input_shape[1:])}; take a smaller one"
        )
    if conv.filters % 2 or conv.filters > 2 * math.prod(patch):
        raise NetworkError(
            f"layer {first.name}: init whiten makes two filters for each axis of a {shape_text(patch)} patch, so an"
            f" even number up to {2 * math.prod(patch)}; got {conv.filters}"
        )


def _keep_linear(
    norm: Norm, activation: Activation, network: NetworkConfig
) -> tuple[Norm, Activation, tuple[str, ...]]:
    """The norm and the activation that `linear` leaves, and what it removes.

    Batch norm stays: once trained it is a scale and a shift, the same for every image.
    """
    if not network.linear:
        return norm, activation, ()
    removed = [f"{norm} norm"] * (norm in {"layer", "group", "instance"}) + [activation] * (activation != "none")
    return (norm if norm == "batch" else "none"), "none", tuple(removed)


def _scale_widths(layers: Sequence[Layer], width: float, *, keeps_last: bool) -> tuple[Layer, ...]:
    """Every layer with `width` times its filters or units; `keeps_last`: except the last, which gives the logits."""
    scaled = [_scale_width(layer, width) for layer in layers]
    return (*scaled[:-1], layers[-1]) if keeps_last else tuple(scaled)


def _scale_width(layer: Layer, width: float) -> Layer:
    whitens = isinstance(layer, Conv) and layer.overrides.init == "whiten"  # its filters are two for each axis
    if width == 1 or whitens:
        return layer
    match layer:
        case Conv():
            # A multiple of the groups, or the convolution could not be built.
            return layer.replace(filters=max(1, round(layer.filters * width / layer.groups)) * layer.groups)
        case Dense():
            return layer.replace(units=max(1, round(layer.units * width)))
        case Residual():
            body, shortcut = (
                tuple(_scale_width(inner, width) for inner in part) for part in (layer.body, layer.shortcut)
            )
            return layer.replace(body=body, shortcut=shortcut)
    return layer
